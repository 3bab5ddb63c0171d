//! What nobody on the way of a package is to have, in whichever spelling.

use std::fs;
use std::path::{Path, PathBuf};

use hub_api::Base64Bytes;

/// A text as it stands, in hexadecimal digits and in both alphabets of Base64.
pub(crate) struct Needle {
    text: String,
    spellings: Vec<Vec<u8>>,
}

impl Needle {
    pub(crate) fn new(text: &str) -> Self {
        let mut spellings = vec![text.as_bytes().to_vec()];
        spellings.push(hex::encode(text).into_bytes());
        spellings.push(hex::encode_upper(text).into_bytes());
        // Three bytes make four letters: what comes before shifts them, what comes after alters the last.
        for before in 0..3 {
            let shifted = [&vec![0; before], text.as_bytes()].concat();
            let own = [0, 2, 3][before]..shifted.len() / 3 * 4;
            for letters in base64(&shifted) {
                let own = letters.get(own.clone()).expect("a needle is longer than that");
                spellings.push(own.as_bytes().to_vec());
            }
        }
        Self { text: text.to_owned(), spellings }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let is_in = |one: &Vec<u8>| bytes.windows(one.len()).any(|window| window == &one[..]);
        self.spellings.iter().any(is_in)
    }
}

/// In the alphabet of URLs, and in the other one.
fn base64(bytes: &[u8]) -> [String; 2] {
    let letters = Base64Bytes(bytes.to_vec()).to_string();
    let other = letters.replace('-', "+").replace('_', "/");
    [letters, other]
}

/// The files beneath a folder in which one of these is.
pub(crate) fn found(folder: &Path, needles: &[Needle]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in files(folder) {
        // Sockets and what goes away meanwhile have no bytes.
        let Ok(bytes) = fs::read(&path) else { continue };
        let here = needles.iter().filter(|needle| needle.is_in(&bytes));
        found.extend(here.map(|needle| (path.clone(), needle.text.clone())));
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_needle_is_found_in_every_spelling_wherever_it_stands() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let needle = [Needle::new("seventeen~purple?presses>")];
    let mut spelt: Vec<String> = Vec::new();
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}seventeen~purple?presses>\u{ff}end");
        spelt.extend([hex::encode(&text), hex::encode_upper(&text)]);
        spelt.extend(base64(text.as_bytes()));
        spelt.push(text);
    }
    fs::create_dir(folder.path().join("below")).expect("made");
    for (number, text) in spelt.iter().enumerate() {
        fs::write(folder.path().join(format!("below/{number}")), text).expect("written");
    }
    assert_eq!(found(folder.path(), &needle).len(), spelt.len(), "{spelt:?}");
    assert_eq!(found(folder.path(), &[Needle::new("eighteen purple presses")]), []);
}

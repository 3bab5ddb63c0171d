//! A look at what is to be sent.

use std::collections::HashSet;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use delivery::{Header, Item, ItemKind, check_path};
use directory::{AccessError, FileFacts, FileKind, Root};

/// Where an item at the top of a delivery is on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name in the delivery.
    pub name: Vec<u8>,
    /// The file, directory or link.
    pub path: PathBuf,
}

/// Something that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Where it would be in the delivery.
    pub path: Vec<u8>,
    /// Why, for people.
    pub reason: String,
}

/// What was found.
#[derive(Debug)]
pub struct Surveyed {
    /// What is sent, a directory before what is in it.
    pub items: Vec<Item>,
    /// Where the items at the top are.
    pub origins: Vec<Origin>,
    /// What is not sent.
    pub left_out: Vec<LeftOut>,
}

/// Why nothing is sent.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// A path that was named does not exist or may not be looked at.
    #[error("cannot look at {}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A path has no last name to be sent under, such as `/`.
    #[error("{} has no name to be sent under", .0.display())]
    NoName(PathBuf),
    /// Two paths end in the same name. Send their common directory, or rename one.
    #[error("two of the paths are called {0:?}")]
    SameName(String),
    /// A path is neither a file, nor a directory, nor a link.
    #[error("{} is neither a file, a directory nor a link", .0.display())]
    Kind(PathBuf),
}

/// Looks at files and directories; contents are not read.
///
/// What is in a directory and cannot be sent is left out and named; what was named itself must be there.
///
/// # Errors
/// See [`SurveyError`].
pub fn survey(paths: &[PathBuf]) -> Result<Surveyed, SurveyError> {
    let mut found = Surveyed { items: Vec::new(), origins: Vec::new(), left_out: Vec::new() };
    let mut names = HashSet::new();
    for path in paths {
        // Resolved first: `..` and `.` have names too, and a link that is named is what it leads to.
        let failed = |source| SurveyError::Path { path: path.clone(), source };
        let resolved = path.canonicalize().map_err(failed)?;
        let last = path.file_name().or(resolved.file_name());
        let last = last.ok_or_else(|| SurveyError::NoName(path.clone()))?;
        let name = last.to_owned().into_vec();
        if !names.insert(name.clone()) {
            return Err(SurveyError::SameName(String::from_utf8_lossy(&name).into_owned()));
        }
        let (parent, own) = split(&resolved).ok_or_else(|| SurveyError::NoName(path.clone()))?;
        let parent = Root::open(parent).map_err(failed)?;
        let facts = parent.stat(own).map_err(|error| failed(io::Error::other(error)))?;
        let kind = match facts.kind {
            FileKind::File => ItemKind::File { size: facts.size },
            FileKind::Directory => ItemKind::Directory,
            FileKind::Symlink
            | FileKind::Fifo
            | FileKind::Socket
            | FileKind::Device
            | FileKind::Unknown => return Err(SurveyError::Kind(path.clone())),
        };
        found.items.push(item(name.clone(), &facts, kind));
        if facts.kind == FileKind::Directory {
            let root = Root::open(&resolved).map_err(failed)?;
            walk(&root, &name, &mut found).map_err(|error| failed(io::Error::other(error)))?;
        }
        found.origins.push(Origin { name, path: resolved });
    }
    Ok(found)
}

/// The directory something is in, and its name there.
pub(crate) fn split(path: &Path) -> Option<(&Path, &[u8])> {
    Some((path.parent()?, path.file_name()?.as_bytes()))
}

fn item(path: Vec<u8>, facts: &FileFacts, kind: ItemKind) -> Item {
    Item { path, mode: facts.mode, mtime: facts.mtime, kind }
}

/// Everything below a directory, each directory's own names before what is deeper.
fn walk(root: &Root, name: &[u8], found: &mut Surveyed) -> Result<(), AccessError> {
    let mut below: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(path) = below.pop() {
        let opened = if path.is_empty() { root.top() } else { root.open_dir(&path) };
        let sent_as = |own: &[u8]| match own.is_empty() {
            true => name.to_vec(),
            false => [name, b"/", own].concat(),
        };
        let listed = opened.and_then(|dir| dir.list().map(|listed| (dir, listed)));
        let (dir, listed) = match listed {
            Ok(found) => found,
            // The directory that was named has to be readable; what is below may not be.
            Err(error) if path.is_empty() => return Err(error),
            Err(error) => {
                let reason = error.to_string();
                found.left_out.push(LeftOut { path: sent_as(&path), reason });
                continue;
            }
        };
        for entry in listed {
            let own = match path.is_empty() {
                true => entry.name.to_vec(),
                false => [&*path, b"/", &entry.name].concat(),
            };
            let full = sent_as(&own);
            let kind = dir.stat(&entry.name).map_err(|error| error.to_string()).and_then(|facts| {
                let kind = match facts.kind {
                    FileKind::File => ItemKind::File { size: facts.size },
                    FileKind::Directory => ItemKind::Directory,
                    FileKind::Symlink => {
                        let target = dir.read_link(&entry.name).map_err(|it| it.to_string())?;
                        ItemKind::Symlink { target }
                    }
                    FileKind::Fifo | FileKind::Socket | FileKind::Device | FileKind::Unknown => {
                        return Err("neither a file, a directory nor a link".to_owned());
                    }
                };
                if !check_path(&full) {
                    return Err("its path is too long".to_owned());
                }
                Ok(item(full.clone(), &facts, kind))
            });
            match kind {
                Ok(item) => {
                    if item.kind == ItemKind::Directory {
                        below.push(own);
                    }
                    found.items.push(item);
                }
                Err(reason) => found.left_out.push(LeftOut { path: full, reason }),
            }
        }
    }
    Ok(())
}

impl Surveyed {
    /// A header with these items.
    #[must_use]
    pub fn header(self, subject: String, message: String, sent: u64) -> Header {
        Header { subject, message, sent, items: self.items }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_comes_before_what_is_in_it_and_what_cannot_be_sent_is_named() {
        let at = tempfile::tempdir().expect("a directory");
        let folder = at.path().join("folder");
        fs::create_dir_all(folder.join("deep/er")).expect("made");
        fs::write(folder.join("deep/er/file"), "12345").expect("written");
        std::os::unix::fs::symlink("nowhere", folder.join("link")).expect("made");
        std::os::unix::net::UnixListener::bind(folder.join("socket")).expect("bound");
        let found = survey(std::slice::from_ref(&folder)).expect("looks");
        let paths: Vec<_> =
            found.items.iter().map(|it| String::from_utf8_lossy(&it.path).into_owned()).collect();
        let expected =
            ["folder", "folder/deep", "folder/link", "folder/deep/er", "folder/deep/er/file"];
        assert_eq!(paths, expected);
        assert_eq!(found.left_out.len(), 1);
        assert_eq!(found.left_out[0].path, b"folder/socket");
        // What is made of it, every recipient takes.
        let header = found.header(String::new(), String::new(), 0);
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn two_things_of_one_name_and_things_without_one_are_refused() {
        let at = tempfile::tempdir().expect("a directory");
        for folder in ["a", "b"] {
            fs::create_dir(at.path().join(folder)).expect("made");
            fs::write(at.path().join(folder).join("same"), "x").expect("written");
        }
        let both = [at.path().join("a/same"), at.path().join("b/same")];
        assert!(matches!(survey(&both), Err(SurveyError::SameName(name)) if name == "same"));
        assert!(matches!(survey(&["/".into()]), Err(SurveyError::NoName(_))));
        let none = survey(&[at.path().join("none")]);
        assert!(matches!(none, Err(SurveyError::Path { .. })), "{none:?}");
        // `.` and `..` are called what they are.
        let here = survey(&[at.path().join("a/..")]).expect("looks");
        let name = at.path().canonicalize().expect("there");
        assert_eq!(here.origins[0].name, name.file_name().expect("named").as_bytes());
    }
}

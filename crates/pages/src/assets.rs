//! Style sheet, scripts, fonts and icons, embedded and served under names that carry their hash.
//!
//! A name never gets other bytes, so browsers may keep them for good; a new version of the program
//! names new files.

use std::borrow::Cow;

/// How long browsers may keep them.
pub const FOREVER: &str = "public, max-age=31536000, immutable";

/// A file by its name, which has one dot.
pub type File = (&'static str, &'static [u8]);

/// What every console has.
const COMMON: [File; 6] = [
    ("mark.svg", include_bytes!("../assets/mark.svg")),
    ("icons.svg", include_bytes!("../assets/icons.svg")),
    ("plex-sans-latin.woff2", include_bytes!("../assets/fonts/plex-sans-latin.woff2")),
    ("plex-sans-latin-ext.woff2", include_bytes!("../assets/fonts/plex-sans-latin-ext.woff2")),
    ("plex-mono-latin.woff2", include_bytes!("../assets/fonts/plex-mono-latin.woff2")),
    ("plex-mono-latin-ext.woff2", include_bytes!("../assets/fonts/plex-mono-latin-ext.woff2")),
];

const STYLE: &str = include_str!("../assets/console.css");

/// One file.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    /// Where it is served: its path with the hash in it.
    pub path: String,
    /// What it is.
    pub media: &'static str,
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
}

impl Asset {
    fn new(folder: &str, name: &'static str, bytes: Cow<'static, [u8]>) -> Self {
        let (stem, extension) = name.split_once('.').expect("names have one dot");
        let media = match extension {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "font/woff2",
        };
        let hash = blake3::hash(&bytes).to_hex();
        let path = format!("{folder}{stem}.{}.{extension}", &hash[..16]);
        Self { name, path, media, bytes }
    }
}

/// All files of one console.
#[derive(Debug)]
pub struct Assets {
    folder: &'static str,
    assets: Vec<Asset>,
}

impl Assets {
    /// What every console has, and files of this one, which are served below `folder`. `style` is
    /// appended to the common style sheet, which is `console.css`.
    #[must_use]
    pub fn new(folder: &'static str, files: &[File], style: &str) -> Self {
        let files = COMMON.iter().chain(files);
        let asset = |(name, bytes): &File| Asset::new(folder, name, Cow::Borrowed(*bytes));
        let mut assets: Vec<Asset> = files.map(asset).collect();
        // The style sheet names the fonts, so its bytes depend on theirs.
        let mut sheet = [STYLE, style].concat();
        for asset in &assets {
            sheet = sheet.replace(&format!("asset:{}", asset.name), &asset.path);
        }
        assets.push(Asset::new(folder, "console.css", Cow::Owned(sheet.into_bytes())));
        Self { folder, assets }
    }

    /// The path of an asset, for templates.
    ///
    /// # Panics
    /// If there is none of that name; every template is rendered by a test.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        let asset = self.assets.iter().find(|asset| asset.name == name);
        &asset.expect("templates name assets that exist").path
    }

    /// The asset that is served as `file` below the folder.
    #[must_use]
    pub fn find(&self, file: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.path.strip_prefix(self.folder) == Some(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assets() -> Assets {
        Assets::new("/a/", &[("own.js", b"1")], ".own { color: red }")
    }

    #[test]
    fn the_style_sheet_names_fonts_that_are_served() {
        let assets = assets();
        let style = assets.find(&assets.path("console.css")["/a/".len()..]).expect("there");
        let style = std::str::from_utf8(&style.bytes).expect("UTF-8");
        assert!(!style.contains("asset:"), "every placeholder was filled in");
        assert!(style.ends_with(".own { color: red }"));
        let fonts: Vec<&Asset> =
            assets.assets.iter().filter(|asset| asset.name.ends_with("woff2")).collect();
        assert_eq!(fonts.len(), 4);
        assert!(fonts.iter().all(|font| style.contains(&font.path)));
    }

    #[test]
    fn only_names_with_the_right_hash_are_found() {
        let assets = assets();
        let found = assets.find(&assets.path("own.js")["/a/".len()..]).expect("there");
        assert_eq!((found.media, &*found.bytes), ("text/javascript; charset=utf-8", &b"1"[..]));
        for wrong in ["own.js", "own.0000000000000000.js", "../console.css", ""] {
            assert!(assets.find(wrong).is_none(), "{wrong}");
        }
    }
}

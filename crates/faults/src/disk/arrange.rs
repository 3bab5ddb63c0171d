//! Makes of what is on the disk what may be left of it, with the same inodes.
//!
//! Nothing is written anew that can be moved: a program that remembers a directory by its inode
//! finds it again, as it would after a power cut.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Body, Object, Remains, attributes};

struct Arranger<'a> {
    remains: &'a Remains,
    /// Which object an inode is.
    inodes: &'a HashMap<u64, Object>,
    /// Where things are while they have no name, and the objects that are there.
    aside: &'a Path,
    nameless: HashMap<Object, PathBuf>,
    placed: HashMap<Object, PathBuf>,
}

impl Remains {
    /// Changes the roots in `world`, which are as the program left them; `aside` is an empty
    /// directory on the same file system.
    pub(crate) fn arrange(
        &self,
        world: &Path,
        roots: &[PathBuf],
        inodes: &HashMap<u64, Object>,
        aside: &Path,
    ) -> anyhow::Result<()> {
        let mut arranger = Arranger {
            remains: self,
            inodes,
            aside,
            nameless: HashMap::new(),
            placed: HashMap::new(),
        };
        for root in roots.iter().filter(|root| root.exists()) {
            arranger.clear(self.world, root)?;
        }
        arranger.fill(self.world, world)
    }
}

impl Arranger<'_> {
    fn entry(&self, directory: Object, path: &Path) -> Option<Object> {
        match &self.remains.disk.0[directory.0].body {
            Body::Directory(entries) => entries.get(Path::new(path.file_name()?)).copied(),
            Body::File { .. } | Body::Link(_) => None,
        }
    }

    /// Puts aside whatever is at a path and beneath it and is not to be there.
    fn clear(&mut self, directory: Object, path: &Path) -> anyhow::Result<()> {
        let found = path.symlink_metadata()?;
        let object = self.inodes.get(&found.ino()).copied();
        if let Some(object) = object.filter(|_| found.is_dir()) {
            for entry in fs::read_dir(path)? {
                self.clear(object, &entry?.path())?;
            }
        }
        match object {
            Some(object) if self.entry(directory, path) == Some(object) => {
                self.placed.entry(object).or_insert_with(|| path.to_owned());
                Ok(())
            }
            Some(object) if !self.nameless.contains_key(&object) => {
                let to = self.aside.join(object.0.to_string());
                fs::rename(path, &to).with_context(|| format!("{}", path.display()))?;
                self.nameless.insert(object, to);
                Ok(())
            }
            // Another name of what is aside already, or a socket.
            Some(_) | None => crate::world::remove(path),
        }
    }

    /// Makes a directory hold what it is to hold.
    fn fill(&mut self, directory: Object, path: &Path) -> anyhow::Result<()> {
        let remains = self.remains;
        let Body::Directory(entries) = &remains.disk.0[directory.0].body else { return Ok(()) };
        for (name, object) in entries {
            let path = path.join(name);
            self.place(*object, &path).with_context(|| format!("{}", path.display()))?;
        }
        Ok(())
    }

    fn place(&mut self, object: Object, path: &Path) -> anyhow::Result<()> {
        let stored = &self.remains.disk.0[object.0];
        if path.symlink_metadata().is_err() {
            match (self.nameless.remove(&object), &stored.body) {
                (Some(aside), _) => fs::rename(aside, path)?,
                (None, Body::File { .. }) => match self.placed.get(&object) {
                    Some(name) => fs::hard_link(name, path)?,
                    None => fs::write(path, b"")?,
                },
                (None, Body::Directory(_)) => fs::create_dir(path)?,
                (None, Body::Link(to)) => std::os::unix::fs::symlink(to, path)?,
            }
        }
        self.placed.entry(object).or_insert_with(|| path.to_owned());
        match &stored.body {
            Body::Link(_) => return Ok(()),
            Body::Directory(_) => self.fill(object, path)?,
            Body::File { bytes, length } => {
                let mut wanted = bytes[..bytes.len().min(*length as usize)].to_vec();
                wanted.resize(*length as usize, 0);
                // What is right already keeps its time of change too.
                if fs::read(path)? != wanted {
                    fs::write(path, wanted)?;
                }
                if attributes(&path.metadata()?).1 != stored.modified {
                    fs::File::options().write(true).open(path)?.set_modified(stored.modified)?;
                }
            }
        }
        if attributes(&path.metadata()?).0 != stored.mode {
            fs::set_permissions(path, fs::Permissions::from_mode(stored.mode))?;
        }
        Ok(())
    }
}

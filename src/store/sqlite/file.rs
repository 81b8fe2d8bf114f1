//! Whether the path of the database still leads to the file that is open.
//!
//! A file that was deleted or moved away stays open and takes every write, and a restart finds nothing
//! of it: what was acknowledged would be lost, to all who read the path. So the writer asks before each
//! transaction. It costs some ten microseconds, and the commit that follows hundreds.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The file of a database, as it was when it was opened.
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: (u64, u64),
    /// The operator was told that it is no longer in its place.
    missed: bool,
}

impl DatabaseFile {
    /// Remembers the file that the path names now.
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        Ok(Self { identity: identity(&path)?, path, missed: false })
    }

    /// Whether the path still names that file. The operator is told when it changes, once.
    pub(super) fn is_in_place(&mut self) -> bool {
        let in_place = identity(&self.path).is_ok_and(|identity| identity == self.identity);
        if !in_place && !self.missed {
            tracing::error!(path = %self.path.display(), "the database file was deleted or replaced while it is in use; nothing is stored until it is back or the server is restarted");
        }
        if in_place && self.missed {
            tracing::info!(path = %self.path.display(), "the database file is back");
        }
        self.missed = !in_place;
        in_place
    }
}

/// What a file is, whatever its name.
fn identity(path: &PathBuf) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a file is missed when it was deleted, replaced or moved, and welcome when it is back.
    #[test]
    fn a_file_is_in_place_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("hub.db"), folder.path().join("aside.db"));
        fs::write(&path, "one").unwrap();
        let mut file = DatabaseFile::new(path.clone()).unwrap();
        assert!(file.is_in_place());
        fs::rename(&path, &aside).unwrap();
        assert!(!file.is_in_place());
        fs::write(&path, "another").unwrap();
        assert!(!file.is_in_place());
        fs::rename(&aside, &path).unwrap();
        assert!(file.is_in_place());
        fs::write(&path, "the same file, other bytes").unwrap();
        assert!(file.is_in_place());
        fs::remove_file(&path).unwrap();
        assert!(!file.is_in_place());
    }
}

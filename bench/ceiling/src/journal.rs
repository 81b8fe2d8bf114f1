//! A file that has a message before anyone hears it: the least that a promise to keep it costs.
//!
//! What must hold: the file has its full length from the start and is written over and over, as a database's log
//! is that has run for a while, so that a sync waits for the bytes and not for a file that grows. Nobody reads it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file, and where the next bytes go.
#[derive(Debug)]
pub struct Journal {
    file: File,
    at: u64,
}

impl Journal {
    /// Makes the file, in its full length.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::create_new(path)?;
        for _ in 0..LENGTH_BYTES / CHUNK_BYTES {
            file.write_all(&[0; CHUNK_BYTES as usize])?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// Returns once `bytes` are on the disk. At the end of the file it begins anew.
    pub fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at + bytes.len() as u64 > LENGTH_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.file.sync_data()
    }
}

/// As long as the server's log grows.
const LENGTH_BYTES: u64 = 32 << 20;

const CHUNK_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that what was kept is in the file, and that the file never grows.
    #[test]
    fn the_end_is_followed_by_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::create(&path).unwrap();
        let half = vec![7; (LENGTH_BYTES / 2) as usize];
        journal.keep(&half).unwrap();
        journal.keep(&half).unwrap();
        journal.keep(b"again").unwrap();
        let kept = std::fs::read(&path).unwrap();
        assert_eq!((kept.len() as u64, &kept[..6]), (LENGTH_BYTES, &b"again\x07"[..]));
        assert!(Journal::create(&path).is_err(), "nobody's file is written over");
    }
}

//! Whether the files that a configuration names are there and can be used.
//!
//! `config check` asks; a start finds out by opening them. Nothing is made or changed here, and what a
//! first start makes by itself may be missing.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::{Config, ConfigError};

/// The file in the data folder that holds the secret.
pub const SECRET_FILE: &str = "secret";

impl Config {
    /// The first file or folder that a start could not use, by the key that names it.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        self.check_catalogue()?;
        self.check_data_folder()?;
        self.check_secret()?;
        self.check_database()
    }

    fn check_catalogue(&self) -> Result<(), ConfigError> {
        let Some(path) = &self.store.catalogue else { return Ok(()) };
        readable(path).map_err(|error| self.refused("store.catalogue", &format!("can't be read: {error}")))
    }

    fn check_data_folder(&self) -> Result<(), ConfigError> {
        let path = &self.server.data_dir;
        folder(path).map_err(|error| self.refused("server.data_dir", &format!("can't be used: {error}")))
    }

    /// Only where none is configured is the file looked at.
    fn check_secret(&self) -> Result<(), ConfigError> {
        let path = self.server.data_dir.join(SECRET_FILE);
        match readable(&path) {
            Err(error) if self.auth.secret.is_none() && error.kind() != ErrorKind::NotFound => {
                Err(self.refused("server.data_dir", &format!("{}: can't be read: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }

    fn check_database(&self) -> Result<(), ConfigError> {
        let refused = |error: io::Error| self.refused("store.url", &format!("can't be used: {error}"));
        let path = Path::new(self.store.url.trim_start_matches("sqlite:"));
        match readable(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(refused(error)),
            _ => folder(path.parent().unwrap_or(Path::new(""))).map_err(refused),
        }
    }
}

/// Opens a file and reads from it: only that tells a folder from a file, on every system.
fn readable(path: &Path) -> io::Result<()> {
    File::open(path)?.take(1).read_to_end(&mut Vec::new()).map(drop)
}

/// A folder that is there, or that can be made: the nearest one above it is a folder.
fn folder(path: &Path) -> io::Result<()> {
    let there = path.ancestors().filter(|path| !path.as_os_str().is_empty()).find(|path| path.exists());
    match there.map(fs::metadata).transpose()? {
        Some(found) if !found.is_dir() => Err(ErrorKind::NotADirectory.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Config)) -> Option<String> {
        let mut config = Config::default();
        change(&mut config);
        config.check_files().err().map(|error| error.to_string())
    }

    /// What a first start makes may be missing, and what is there and can be read is good.
    #[test]
    fn a_first_start_needs_no_files() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("catalogue.json");
        fs::write(&file, "[]").unwrap();
        let good = refusal(|config| {
            config.server.data_dir = home.path().join("a/b");
            config.store.url = format!("sqlite:{}/c/d.db", home.path().display());
            config.store.catalogue = Some(file);
        });
        assert_eq!(good, None);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "a check makes nothing");
    }

    /// What a start could not use is one line with the key and the path.
    #[test]
    fn a_file_in_the_way_is_named_by_its_key() {
        let home = tempfile::tempdir().unwrap();
        let (path, file) = (home.path().to_owned(), home.path().join("file"));
        fs::write(&file, "").unwrap();
        fs::create_dir(path.join(SECRET_FILE)).unwrap();
        let missing = path.join("nowhere.json");
        let refusals = [
            ("store.catalogue", refusal(|config| config.store.catalogue = Some(missing))),
            ("store.catalogue", refusal(|config| config.store.catalogue = Some(path.clone()))),
            ("server.data_dir", refusal(|config| config.server.data_dir = file.join("data"))),
            ("server.data_dir", refusal(|config| config.server.data_dir = path.clone())),
            ("store.url", refusal(|config| config.store.url = format!("sqlite:{}", path.display()))),
            ("store.url", refusal(|config| config.store.url = format!("sqlite:{}/x.db", file.display()))),
        ];
        for (key, refusal) in refusals {
            let line = refusal.unwrap();
            assert!(line.starts_with(&format!("default: {key} = ")) && line.contains(path.to_str().unwrap()), "{line}");
        }
    }
}

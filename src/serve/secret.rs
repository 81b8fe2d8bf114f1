//! The key that signs tokens: from the configuration, or a file that only its owner may read.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::ServeError;
use crate::config::Config;
use crate::config::files::SECRET_FILE;

/// The key of tokens: the configured one, or one made on the first start and kept.
pub(super) fn secret(config: &Config) -> Result<Vec<u8>, ServeError> {
    if let Some(secret) = &config.auth.secret {
        return Ok(secret.expose().clone().into_bytes());
    }
    let path = config.server.data_dir.join(SECRET_FILE);
    let failed = |why| ServeError::Data { path: path.clone(), why };
    match fs::read(&path) {
        Ok(secret) if secret.len() >= SECRET_BYTES => keep_private(&path).map(|()| secret).map_err(failed),
        Ok(_) => Err(failed(io::Error::other("the secret is too short; delete the file to have a new one made"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(&path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn make_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut file = private(fs::OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    Ok(secret)
}

/// Takes a secret back that others may read: from a backup, or made by hand.
#[cfg(unix)]
fn keep_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "others could read the secret; now only its owner can");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn keep_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Files that only their owner may read.
fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// As many bytes as the hash that signs tokens has.
const SECRET_BYTES: usize = 32;

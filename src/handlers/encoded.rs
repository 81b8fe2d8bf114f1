//! A body that is made once and given to many: its bytes, a tag that names them, and their
//! compressed form once somebody has asked for that.

use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

/// A body that is made once and given to many.
#[derive(Debug)]
pub struct Encoded {
    plain: Arc<[u8]>,
    tag: Box<str>,
    gzip: OnceLock<Arc<[u8]>>,
}

impl Encoded {
    /// A body, and the tag that is computed here, once.
    pub fn new(plain: Vec<u8>) -> Self {
        Self { tag: tag(&plain).into(), plain: plain.into(), gzip: OnceLock::new() }
    }

    /// The bytes.
    pub fn plain(&self) -> &Arc<[u8]> {
        &self.plain
    }

    /// What names these bytes and no others.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The bytes compressed, if somebody has asked for that before.
    pub fn gzip(&self) -> Option<&Arc<[u8]>> {
        self.gzip.get()
    }

    /// Keeps the compressed form. If two were made at the same time, the first stays.
    pub fn keep_gzip(&self, gzip: Arc<[u8]>) {
        let _ = self.gzip.set(gzip);
    }
}

/// A name for bytes, for an ETag: two bodies with one name are not to be found.
pub fn tag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..TAG_BYTES].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Half of a SHA-256: an attacker who can choose both bodies still needs 2^64 attempts.
const TAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag is the bytes' alone, and the compressed form is kept beside them.
    #[test]
    fn a_body_knows_its_tag_and_keeps_its_smaller_form() {
        let (one, same, other) = (Encoded::new(b"a".into()), Encoded::new(b"a".into()), Encoded::new(b"b".into()));
        assert_eq!(one.tag(), "ca978112ca1bbdcafac231b39a23dc4d");
        assert!(one.tag() == same.tag() && one.tag() != other.tag());
        assert!(one.gzip().is_none());
        one.keep_gzip(Arc::from(&b"first"[..]));
        one.keep_gzip(Arc::from(&b"second"[..]));
        assert_eq!(one.gzip().map(|gzip| &gzip[..]), Some(&b"first"[..]));
    }
}

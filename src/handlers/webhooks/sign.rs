//! What a receiver can check: that a delivery comes from whoever has the secret, and when it was sent.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The signature of a body sent at this time: HMAC-SHA256 over the time in Unix seconds, a dot, and the
/// body, in hexadecimal. The time is inside, so that what somebody recorded is of no use later.
pub fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    // A key of any length will do, so there is no error to handle.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature is what another implementation makes of the same input: Python's `hmac`.
    #[test]
    fn a_signature_is_what_others_compute() {
        let made = signature("whsec_key", 1_800_000_000, r#"{"event":"test"}"#);
        assert_eq!(made, "719244c92e5727221e739117155d095bf87e02e0d11f1f107bcdff2a36c80fe5");
        let unusual = signature(&"k".repeat(100), 0, "");
        assert_eq!(unusual, "243c2f8200e1d4ee892e7a7ded377a65e2beb1c64b997c54b8b0f516216d4b0f");
    }
}

//! bcrypt alone: how many passwords one thread of this machine can check.
//!
//! It owns one hash and checks the right password against it, as a login does. There is deliberately no store
//! and no queue. What must hold: the hash has the cost that the server's hashes have.

use std::time::{Duration, Instant};

/// Checks a password of `cost` for at least `duration`, and returns how many checks fit in a second. Making
/// the hash is not counted.
pub fn run(cost: u32, duration: Duration) -> Result<f64, Box<dyn std::error::Error>> {
    let hash = bcrypt::hash(PASSWORD, cost)?;
    let (start, mut checks) = (Instant::now(), 0);
    while start.elapsed() < duration {
        if !bcrypt::verify(PASSWORD, &hash)? {
            return Err("the right password was refused".into());
        }
        checks += 1;
    }
    Ok(f64::from(checks) / start.elapsed().as_secs_f64())
}

/// Its length does not matter: bcrypt repeats it up to 72 bytes.
const PASSWORD: &str = "a long enough password";

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that checks are counted over the time asked for, and that a cost nobody has is refused.
    #[test]
    fn checks_are_counted() {
        assert!(run(4, Duration::from_millis(20)).unwrap() > 1.0);
        assert!(run(99, Duration::from_millis(20)).is_err());
    }
}

//! How often is too often: token buckets, and pauses that grow with failure.
//!
//! Pure arithmetic on the turn's clock. Whose bucket it is, and what a refusal says, is the
//! caller's concern.

use std::collections::HashMap;
use std::hash::Hash;

/// A bucket that fills at a steady rate up to a burst. Eight bytes, so every user can have one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// When the bucket will have refilled to the brim, in milliseconds of the turn's clock,
    /// shifted left by [`FRACTION_BITS`].
    full_at: u64,
}

/// The rate of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second; 0 switches the limit off.
    pub per_second: u32,
    /// Tokens a full bucket holds.
    pub burst: u32,
}

/// Times are kept in 1/1024 milliseconds, so that rates beyond 1,000 a second are exact enough.
const FRACTION_BITS: u32 = 10;

impl Bucket {
    /// Takes a token, or says in how many milliseconds there will be one.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> Result<(), u32> {
        if rate.per_second == 0 {
            return Ok(());
        }
        let now = now_ms << FRACTION_BITS;
        let token = (1000 << FRACTION_BITS) / u64::from(rate.per_second);
        let full_at = self.full_at.max(now) + token;
        let capacity = token * u64::from(rate.burst.max(1));
        if full_at > now + capacity {
            let wait = (full_at - now - capacity) >> FRACTION_BITS;
            return Err(wait as u32 + 1);
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Gives the last token back.
    pub fn put_back(&mut self, rate: Rate) {
        if rate.per_second != 0 {
            self.full_at = self.full_at.saturating_sub((1000 << FRACTION_BITS) / u64::from(rate.per_second));
        }
    }

    /// Whether it is full, so that forgetting it changes nothing.
    pub fn is_full(&self, now_ms: u64) -> bool {
        self.full_at <= now_ms << FRACTION_BITS
    }
}

/// Buckets by key, for those that nothing else is kept of. A full bucket is forgotten.
#[derive(Debug)]
pub struct Buckets<K> {
    buckets: HashMap<K, Bucket>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { buckets: HashMap::new() }
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Takes a token from a key's bucket, or says in how many milliseconds there is one. When too
    /// many keys are remembered, one that is not among them pays nothing: whoever has that many
    /// addresses is not slowed down by any one of them.
    pub fn take(&mut self, key: K, rate: Rate, now_ms: u64) -> Result<(), u32> {
        if rate.per_second == 0 || (self.buckets.len() >= KEYS_MAX && !self.buckets.contains_key(&key)) {
            return Ok(());
        }
        self.buckets.entry(key).or_default().take(rate, now_ms)
    }

    /// Forgets the buckets that are full again.
    pub fn sweep(&mut self, now_ms: u64) {
        self.buckets.retain(|_, bucket| !bucket.is_full(now_ms));
    }
}

/// Pauses after failures: the first few are free, then each one doubles the wait, up to a bound
/// that a person can sit out. It is never a lock-out.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: HashMap<K, Failures>,
    free: u32,
    pause_ms_max: u64,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    until_ms: u64,
}

/// A failure that was noted: what it made of the pause.
#[derive(Debug, Clone, Copy)]
pub struct Noted {
    before_ms: u64,
    until_ms: u64,
}

impl<K: Eq + Hash + Clone> Backoff<K> {
    /// `free` failures cost nothing, and no pause is longer than `pause_ms_max`.
    pub fn new(free: u32, pause_ms_max: u64) -> Self {
        Self { failures: HashMap::new(), free, pause_ms_max }
    }

    /// Whether an attempt may be made, or in how many seconds.
    pub fn check(&self, key: &K, now_ms: u64) -> Result<(), u32> {
        match self.failures.get(key) {
            Some(failures) if failures.until_ms > now_ms => Err((failures.until_ms - now_ms).div_ceil(1000) as u32),
            _ => Ok(()),
        }
    }

    /// Notes a failure. When too many keys are remembered the new one is not: an attacker with that
    /// many addresses gains nothing he did not have.
    pub fn failed(&mut self, key: K, now_ms: u64) -> Noted {
        if self.failures.len() >= KEYS_MAX && !self.failures.contains_key(&key) {
            return Noted { before_ms: 0, until_ms: 0 };
        }
        let failures = self.failures.entry(key).or_insert(Failures { count: 0, until_ms: 0 });
        let before_ms = failures.until_ms;
        failures.count += 1;
        failures.until_ms = now_ms;
        if failures.count > self.free {
            let doubled = PAUSE_MS_MIN << (failures.count - self.free - 1).min(10);
            failures.until_ms = now_ms + doubled.min(self.pause_ms_max);
        }
        Noted { before_ms, until_ms: failures.until_ms }
    }

    /// Takes back a failure that turned out to be none. A pause that others have made longer since stays.
    pub fn take_back(&mut self, key: &K, noted: Noted) {
        let Some(failures) = self.failures.get_mut(key) else { return };
        failures.count -= 1;
        if failures.until_ms == noted.until_ms {
            failures.until_ms = noted.before_ms;
        }
        if failures.count == 0 {
            self.failures.remove(key);
        }
    }

    /// Notes a success: the count starts again.
    pub fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
    }

    /// Forgets failures that are long past.
    pub fn sweep(&mut self, now_ms: u64) {
        self.failures.retain(|_, failures| failures.until_ms + FORGET_AFTER_MS > now_ms);
        if self.failures.len() >= KEYS_MAX {
            self.failures.retain(|_, failures| failures.until_ms > now_ms);
        }
    }
}

/// The first pause.
const PAUSE_MS_MIN: u64 = 1000;

/// How long a failure is remembered.
const FORGET_AFTER_MS: u64 = 15 * 60_000;

/// How many keys are remembered: a few megabytes.
const KEYS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 50, burst: 100 };

    /// A burst passes, then one token every twentieth of a second.
    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::default();
        let passed = (0..200).filter(|_| bucket.take(RATE, 1000).is_ok()).count();
        assert_eq!(passed, 100);
        assert_eq!(bucket.take(RATE, 1000), Err(21));
        assert_eq!(bucket.take(RATE, 1021), Ok(()));
        assert!(bucket.take(RATE, 1021).is_err());
    }

    /// A token that was put back can be taken again.
    #[test]
    fn a_token_can_be_put_back() {
        let mut bucket = Bucket::default();
        (0..100).for_each(|_| bucket.take(RATE, 0).unwrap());
        bucket.put_back(RATE);
        assert_eq!(bucket.take(RATE, 0), Ok(()));
    }

    /// A rate of 0 limits nothing.
    #[test]
    fn zero_is_off() {
        let mut bucket = Bucket::default();
        assert!((0..10_000).all(|_| bucket.take(Rate { per_second: 0, burst: 0 }, 0).is_ok()));
    }

    /// Each key has a bucket of its own, however often the full ones are forgotten.
    #[test]
    fn keys_do_not_share_a_bucket() {
        let mut buckets = Buckets::default();
        assert_eq!((0..200).filter(|_| buckets.take("a", RATE, 0).is_ok()).count(), 100);
        buckets.sweep(0);
        assert!(buckets.take("a", RATE, 0).is_err());
        assert_eq!(buckets.take("b", RATE, 0), Ok(()));
        buckets.sweep(10_000);
        assert_eq!(buckets.buckets.len(), 0);
    }

    /// Pauses double from one second to thirty, and success ends them.
    #[test]
    fn pauses_grow_and_end() {
        let mut backoff = Backoff::new(2, 30_000);
        for _ in 0..2 {
            backoff.failed("a", 0);
        }
        assert_eq!(backoff.check(&"a", 0), Ok(()));
        backoff.failed("a", 0);
        assert_eq!(backoff.check(&"a", 0), Err(1));
        for _ in 0..20 {
            backoff.failed("a", 0);
        }
        assert_eq!(backoff.check(&"a", 0), Err(30));
        backoff.succeeded(&"a");
        assert_eq!(backoff.check(&"a", 0), Ok(()));
    }

    /// Taking one failure back leaves the others, and the pause as it was before.
    #[test]
    fn a_failure_can_be_taken_back() {
        let mut backoff = Backoff::new(2, 30_000);
        for _ in 0..9 {
            let noted = backoff.failed("a", 0);
            backoff.take_back(&"a", noted);
        }
        assert!(backoff.failures.is_empty());
        for _ in 0..3 {
            backoff.failed("a", 0);
        }
        let noted = backoff.failed("a", 1000);
        assert_eq!(backoff.check(&"a", 1000), Err(2));
        backoff.take_back(&"a", noted);
        assert_eq!((backoff.check(&"a", 999), backoff.check(&"a", 1000)), (Err(1), Ok(())));
        let first = backoff.failed("a", 1000);
        backoff.failed("a", 1000);
        backoff.take_back(&"a", first);
        assert_eq!(backoff.check(&"a", 1000), Err(4), "the other one counts");
    }
}

//! Chapter numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A chapter number: an exact decimal with up to three places, kept in thousandths.
///
/// `5.5` is 5500. Binary fractions never enter, so `5.1` stays `5.1` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Chapter(i64);

impl Chapter {
    /// No chapter is beyond this one: ten times the longest series, and far from overflow.
    pub const MAX: Chapter = Chapter(100_000 * 1000);

    /// A whole chapter, or `None` when it is negative or beyond [`Chapter::MAX`].
    pub fn whole(number: i64) -> Option<Self> {
        Self::from_thousandths(number.checked_mul(1000)?)
    }

    /// A chapter as the store keeps it, or `None` when it is out of range.
    pub fn from_thousandths(thousandths: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&thousandths).then_some(Self(thousandths))
    }

    /// A chapter as JSON carries it, or `None` when it is out of range or has more than three places.
    pub fn from_f64(number: f64) -> Option<Self> {
        let thousandths = (number * 1000.0).round();
        let exact = (number * 1000.0 - thousandths).abs() < 1e-4;
        (exact && (0.0..=Self::MAX.0 as f64).contains(&thousandths)).then_some(Self(thousandths as i64))
    }

    /// The number in thousandths, as the store keeps it.
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// The whole part, rounded down: what a client that reads integers is shown.
    pub const fn floor(self) -> i64 {
        self.0 / 1000
    }

    /// The number as JSON shows it: `5` or `5.5`.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for Chapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

impl Serialize for Chapter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1000 {
            0 => serializer.serialize_i64(self.floor()),
            _ => serializer.serialize_f64(self.as_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Chapter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        Self::from_f64(number).ok_or_else(|| serde::de::Error::custom("not a chapter number"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shows which numbers are chapters: up to three places, not negative, within range.
    #[test]
    fn chapter_numbers() {
        for (number, thousandths) in
            [(0.0, 0), (-0.0, 0), (5.5, 5500), (5.1, 5100), (0.001, 1), (100_000.0, 100_000_000)]
        {
            assert_eq!(Chapter::from_f64(number).map(Chapter::thousandths), Some(thousandths), "{number}");
        }
        let wrong = [-1.0, -0.001, 5.0001, 100_000.001, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        for number in wrong {
            assert_eq!(Chapter::from_f64(number), None, "{number}");
        }
        for number in [-1, 100_001, i64::MAX, i64::MIN] {
            assert_eq!(Chapter::whole(number), None, "{number}");
        }
        assert_eq!(Chapter::from_f64(7.9).unwrap().floor(), 7);
    }

    /// Shows how JSON and people see a chapter: whole ones without a point.
    #[test]
    fn chapters_in_json() {
        for (json, text) in [("5", "5"), ("5.5", "5.5"), ("0", "0"), ("1044.125", "1044.125")] {
            let chapter: Chapter = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&chapter).unwrap(), json);
            assert_eq!(chapter.to_string(), text);
        }
        for json in ["-1", "\"5\"", "1e9", "5.00001", "null"] {
            assert!(serde_json::from_str::<Chapter>(json).is_err(), "{json}");
        }
    }

    proptest! {
        /// Shows that every chapter survives the way over JSON, over f64 and over the store, exactly,
        /// and keeps its order.
        #[test]
        fn chapters_are_exact(thousandths in 0..=Chapter::MAX.thousandths(), other in 0..=Chapter::MAX.thousandths()) {
            let chapter = Chapter::from_thousandths(thousandths).unwrap();
            prop_assert_eq!(chapter.thousandths(), thousandths);
            prop_assert_eq!(Chapter::from_f64(chapter.as_f64()), Some(chapter));
            let json = serde_json::to_string(&chapter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Chapter>(&json).unwrap(), chapter);
            prop_assert_eq!(chapter.to_string().parse::<f64>().unwrap(), chapter.as_f64());
            prop_assert_eq!(chapter < Chapter::from_thousandths(other).unwrap(), thousandths < other);
        }

        /// Shows that no number, however odd, becomes a chapter that it isn't.
        #[test]
        fn no_number_is_bent(number in any::<f64>()) {
            if let Some(chapter) = Chapter::from_f64(number) {
                prop_assert!((chapter.as_f64() - number).abs() < 1e-6);
            }
        }
    }
}

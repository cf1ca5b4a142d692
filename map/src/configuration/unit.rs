//! What a value is measured in, how it is written, and which values are accepted.
//!
//! Every value is a whole number inside, because machines know no floating point; the text form is for people.

use types::{Error, Result};

/// The kind of an option's value and its range, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds inside; `500ms`, `4s`, `10min`, `2h`, `14d` outside. A bare number is seconds, as in Ceph.
    Duration {
        /// Least, in milliseconds.
        min: u64,
        /// Most, in milliseconds.
        max: u64,
    },
    /// Bytes; `8Mi` or `8M` is 8,388,608.
    Bytes {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// Thousandths inside; `0.85` outside.
    Share,
    /// A number.
    Count {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// On or off: 1 or 0 inside.
    Switch,
    /// One of these words; inside its place in the list.
    Choice(&'static [&'static str]),
}

/// Milliseconds of each word for time, largest first.
const DURATIONS: [(&str, u64); 5] =
    [("d", 24 * 3600 * 1000), ("h", 3600 * 1000), ("min", 60 * 1000), ("s", 1000), ("ms", 1)];
/// Bytes of each word for size, largest first.
const SIZES: [(&str, u64); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

impl Unit {
    /// The value that a text means.
    ///
    /// # Errors
    /// `Invalid`, with what would be right: the nearest end of the range, the words there are, or an example.
    pub fn parse(self, text: &str) -> Result<u64> {
        let text = text.trim();
        let refuse = || Error::invalid(format!("`{text}` is not {}", self.expectation()));
        let (value, min, max) = match self {
            Self::Duration { min, max } => (scaled(text, &DURATIONS, 1000).ok_or_else(refuse)?, min, max),
            Self::Bytes { min, max } => {
                let text = text.strip_suffix(['B', 'b']).unwrap_or(text);
                let binary = match text.as_bytes().last() {
                    Some(b'K' | b'M' | b'G' | b'T') => format!("{text}i"),
                    _ => text.to_owned(),
                };
                (scaled(&binary, &SIZES, 1).ok_or_else(refuse)?, min, max)
            }
            Self::Share => (scaled(text, &[], 1000).ok_or_else(refuse)?, 0, 1000),
            Self::Count { min, max } => (text.parse().map_err(|_| refuse())?, min, max),
            Self::Switch => {
                let value = match text {
                    "true" | "on" | "yes" | "1" => 1,
                    "false" | "off" | "no" | "0" => 0,
                    _ => return Err(refuse()),
                };
                (value, 0, 1)
            }
            Self::Choice(words) => {
                let place = words.iter().position(|word| *word == text).ok_or_else(refuse)?;
                return Ok(place as u64);
            }
        };
        let nearest = value.clamp(min, max);
        if nearest != value {
            let (nearest, from, to) = (self.text(nearest), self.text(min), self.text(max));
            return Err(Error::invalid(format!("`{text}` is out of range ({from} to {to}); the nearest is {nearest}")));
        }
        Ok(value)
    }

    /// The canonical text of a value: parsing it gives the value again.
    pub fn text(self, value: u64) -> String {
        match self {
            Self::Duration { .. } => in_units(value, &DURATIONS),
            Self::Bytes { .. } => in_units(value, &SIZES),
            Self::Share => {
                let text = format!("{}.{:03}", value / 1000, value % 1000);
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Self::Count { .. } => value.to_string(),
            Self::Switch => if value == 0 { "false" } else { "true" }.to_owned(),
            Self::Choice(words) => {
                let word = usize::try_from(value).ok().and_then(|place| words.get(place));
                word.map_or_else(|| value.to_string(), |word| (*word).to_owned())
            }
        }
    }

    /// What would be right, as the object of "it would be …".
    pub fn expectation(self) -> String {
        match self {
            Self::Duration { min, max } => {
                format!("a duration such as 500ms, 4s or 10min, from {} to {}", self.text(min), self.text(max))
            }
            Self::Bytes { min, max } => format!("a size such as 8Mi, from {} to {}", self.text(min), self.text(max)),
            Self::Share => "a share from 0 to 1 such as 0.85".to_owned(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Switch => "true or false".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// The word for the kind of value, for machines that read the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duration { .. } => "duration",
            Self::Bytes { .. } => "size",
            Self::Share => "share",
            Self::Count { .. } => "count",
            Self::Switch => "switch",
            Self::Choice(_) => "choice",
        }
    }
}

/// A decimal number with one of these words behind it; `bare` is what a number without a word is counted in. Nothing for
/// what is no such text, is finer than one, or beyond 64 bits.
fn scaled(text: &str, words: &[(&str, u64)], bare: u64) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, word) = text.split_at(end);
    let scale = match word {
        "" => bare,
        word => words.iter().find(|(name, _)| *name == word)?.1,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || number.ends_with('.') {
        return None;
    }
    let tens = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let fraction = fraction.checked_mul(scale)?;
    if fraction % tens != 0 {
        return None;
    }
    whole.checked_mul(scale)?.checked_add(fraction / tens)
}

/// The value in the largest of these units that divides it.
fn in_units(value: u64, words: &[(&str, u64)]) -> String {
    let unit = words.iter().find(|(_, scale)| value.is_multiple_of(*scale) && value >= *scale);
    match unit {
        Some((word, scale)) => format!("{}{word}", value / scale),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_values_are_each_others_inverse() {
        let duration = Unit::Duration { min: 0, max: u64::MAX };
        let bytes = Unit::Bytes { min: 0, max: u64::MAX };
        for (unit, text, value, canonical) in [
            (duration, "0.5", 500, "500ms"),
            (duration, "4", 4000, "4s"),
            (duration, "90s", 90_000, "90s"),
            (duration, "600", 600_000, "10min"),
            (duration, "14d", 14 * 86_400_000, "14d"),
            (duration, "0", 0, "0"),
            (bytes, "8M", 8 << 20, "8Mi"),
            (bytes, "8MiB", 8 << 20, "8Mi"),
            (bytes, "1.5Ki", 1536, "1536"),
            (bytes, "4096", 4096, "4Ki"),
            (Unit::Share, "0.85", 850, "0.85"),
            (Unit::Share, "1", 1000, "1"),
            (Unit::Share, "0", 0, "0"),
            (Unit::Switch, "on", 1, "true"),
            (Unit::Choice(&["error", "warn"]), "warn", 1, "warn"),
            (Unit::Count { min: 1, max: 9 }, "9", 9, "9"),
        ] {
            assert_eq!(unit.parse(text).unwrap(), value, "{text}");
            assert_eq!(unit.text(value), canonical, "{text}");
            assert_eq!(unit.parse(canonical).unwrap(), value, "{canonical}");
        }
    }

    #[test]
    fn nonsense_and_what_is_out_of_range_is_refused_with_what_would_be_right() {
        let count = Unit::Count { min: 2, max: 9 };
        assert_eq!(count.parse("10").unwrap_err().message, "`10` is out of range (2 to 9); the nearest is 9");
        assert_eq!(count.parse("1").unwrap_err().message, "`1` is out of range (2 to 9); the nearest is 2");
        assert!(count.parse("2").is_ok() && count.parse("9").is_ok());
        let duration = Unit::Duration { min: 1000, max: 60_000 };
        assert_eq!(
            duration.parse("2min").unwrap_err().message,
            "`2min` is out of range (1s to 1min); the nearest is 1min"
        );
        for text in ["", "s", "4 s", "-1", "4x", "0.0001", ".5", "5.", "1e3", "99999999999999999999"] {
            let refused = duration.parse(text).unwrap_err().message;
            assert!(refused.contains("would be") || refused.contains("a duration such as"), "{text}: {refused}");
        }
        assert_eq!(Unit::Switch.parse("maybe").unwrap_err().message, "`maybe` is not true or false");
    }
}

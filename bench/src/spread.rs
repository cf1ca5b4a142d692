//! Several measurements of one thing: the middle one, and how far apart they were.

use std::fmt;

/// Nanoseconds of one operation, measured several times.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    nanoseconds: Vec<f64>,
}

impl Spread {
    pub(crate) fn add(&mut self, nanoseconds: f64) {
        self.nanoseconds.push(nanoseconds);
        self.nanoseconds.sort_by(f64::total_cmp);
    }

    /// The one in the middle.
    pub(crate) fn median(&self) -> f64 {
        self.nanoseconds.get(self.nanoseconds.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn least(&self) -> f64 {
        self.nanoseconds.first().copied().unwrap_or(f64::NAN)
    }

    fn most(&self) -> f64 {
        self.nanoseconds.last().copied().unwrap_or(f64::NAN)
    }
}

/// In microseconds: the middle one, then the least and the most.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median() / 1e3, self.least() / 1e3, self.most() / 1e3)
    }
}

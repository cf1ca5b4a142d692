//! How wide the vector registers are that straw2 draws with. All give the same draws; the wider, the sooner.

use std::fmt;

/// A width of vector registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Registers {
    /// Those that the program was compiled for.
    Baseline,
    /// 256 bits: AVX2.
    Bits256,
    /// 512 bits: AVX-512.
    Bits512,
}

impl Registers {
    /// The widest that this processor has.
    #[must_use]
    pub fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Self::Bits512;
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                return Self::Bits256;
            }
        }
        Self::Baseline
    }

    /// All that this processor has, the narrowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Baseline, Self::Bits256, Self::Bits512].into_iter().filter(|registers| *registers <= Self::widest())
    }
}

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Bits256 => "AVX2",
            Self::Bits512 => "AVX-512",
        })
    }
}

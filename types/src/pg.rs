//! Placement groups: their names, and which objects belong to one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Cursor, Error, PoolId, Result};

/// A placement group: a pool and a number below its `pg_num`. Text form as Ceph's: `3.1f` (number in hexadecimal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PgId {
    /// The pool.
    pub pool: PoolId,
    /// The number within the pool, from zero.
    pub seed: u32,
}

impl fmt::Display for PgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:x}", self.pool, self.seed)
    }
}

impl FromStr for PgId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::invalid(format!("`{text}` is not a placement group; it would be like 3.1f"));
        let (pool, seed) = text.split_once('.').ok_or_else(refuse)?;
        let pool = PoolId(pool.parse().map_err(|_| refuse())?);
        let seed = u32::from_str_radix(seed, 16).map_err(|_| refuse())?;
        Ok(Self { pool, seed })
    }
}

impl Serialize for PgId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PgId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Folds a hash onto `count` buckets so that growing `count` by one splits one bucket and moves nothing else.
///
/// Ceph: `ceph_stable_mod`. `count` must not be zero.
pub fn stable_modulo(hash: u32, count: u32) -> u32 {
    let mask = count.next_power_of_two() - 1;
    let folded = hash & mask;
    if folded < count { folded } else { hash & (mask >> 1) }
}

/// The contiguous range of object order that one PG holds: reversed hashes from `first` to `last`, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgRange {
    /// The pool.
    pub pool: PoolId,
    /// Lowest bit-reversed hash in the PG.
    pub first_reversed_hash: u32,
    /// Highest bit-reversed hash in the PG.
    pub last_reversed_hash: u32,
}

impl PgRange {
    /// The range of `pg` in a pool of `pg_num` placement groups.
    ///
    /// A PG number fixes the low bits of the hash: as many bits as `pg_num` needs, or one fewer when the number
    /// with its top bit set is not below `pg_num`. Reversed, fixed low bits are a fixed prefix: one range.
    pub fn of(pg: PgId, pg_num: u32) -> Self {
        assert!(pg.seed < pg_num, "placement group number is below pg_num");
        let bits_full = pg_num.next_power_of_two().trailing_zeros();
        let half = pg_num.next_power_of_two() >> 1;
        let bits = if bits_full > 0 && pg.seed < half && pg.seed + half >= pg_num { bits_full - 1 } else { bits_full };
        let first = pg.seed.reverse_bits();
        let tail = if bits == 0 { u32::MAX } else { (u32::MAX).checked_shr(bits).unwrap_or(0) };
        Self { pool: pg.pool, first_reversed_hash: first, last_reversed_hash: first | tail }
    }

    /// Where a listing of this PG begins.
    pub fn begin(&self) -> Cursor {
        Cursor::before_hash(self.pool, self.first_reversed_hash)
    }

    /// Where a listing of this PG ends, exclusive.
    pub fn end(&self) -> Cursor {
        match self.last_reversed_hash.checked_add(1) {
            Some(next) => Cursor::before_hash(self.pool, next),
            None => Cursor::after_pool(self.pool),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_in_exactly_the_range_of_its_pg() {
        for pg_num in 1..70u32 {
            for step in 0..4096u32 {
                let hash = step.wrapping_mul(0x9e37_79b1) ^ step;
                let home = stable_modulo(hash, pg_num);
                for seed in 0..pg_num {
                    let range = PgRange::of(PgId { pool: PoolId(1), seed }, pg_num);
                    let inside = (range.first_reversed_hash..=range.last_reversed_hash).contains(&hash.reverse_bits());
                    assert_eq!(inside, seed == home, "hash {hash:#x} pg {seed} of {pg_num}");
                }
            }
        }
    }
}

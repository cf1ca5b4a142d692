//! The fixed-point logarithm that straw2 draws with.
//!
//! A straw2 draw is `ln(u) / weight` for a 16-bit hash `u`. Ceph computes the logarithm (base 2, 44 fractional bits) from
//! two small tables; the tables have peculiarities which are part of the placement function for ever, because a corrected
//! value would move data. Here they are not stored but derived: the coarse table is exact, and the fine one is the exact
//! value plus a constant offset, except at a few dozen places that [`fine_offset`] names. From both, the distance
//! `2^48 - log(u)` of every possible `u` is computed once per process.
//!
//! Invariants
//! 1. `distances()[u]` is in `1..=2^48` for every 16-bit `u`.
//! 2. The checksum of the table (in the tests) never changes.

use std::sync::LazyLock;

/// How many values a straw2 hash can take.
pub(crate) const HASH_VALUES: usize = 1 << 16;

/// The offset that most entries of the fine table carry above the exact logarithm, in units of 2^-48.
const USUAL_FINE_OFFSET: u64 = 0x1_4770_0000;

/// The entries of the fine table with another offset than the usual one.
const UNUSUAL_FINE_OFFSETS: [(u32, u64); 20] = [
    (56, 5_349_423_536),
    (127, 978_272_901),
    (134, 3_588_789_669),
    (181, 4_007_963_589),
    (184, 5_423_282_367),
    (188, 2_201_924_427),
    (193, 3_829_329_171),
    (198, 2_511_158_322),
    (199, 2_670_353_280),
    (200, 3_807_665_765),
    (207, 5_045_407_031),
    (210, 4_635_559_696),
    (212, 3_670_382_108),
    (225, 3_209_098_745),
    (227, 1_514_328_394),
    (228, 2_662_093_655),
    (229, 561_838_844),
    (231, 3_537_203_772),
    (235, 4_861_921_003),
    (236, 5_281_046_906),
];

/// More of them: the end of the table, where many entries are exact.
const UNUSUAL_FINE_OFFSETS_AT_END: [(u32, u64); 3] = [(240, 2_650_193_885), (241, 4_203_558_265), (247, 362_109_528)];

/// The entries of the fine table that are exact.
const EXACT_FINE_ENTRIES: [u32; 21] =
    [0, 1, 203, 216, 222, 233, 237, 238, 239, 243, 244, 245, 246, 248, 249, 250, 251, 252, 253, 254, 255];

static DISTANCES: LazyLock<Box<[u64]>> = LazyLock::new(compute_distances);

/// For each 16-bit hash value the distance of its logarithm below 2^48: the smaller, the better the draw.
pub(crate) fn distances() -> &'static [u64; HASH_VALUES] {
    (&**DISTANCES).try_into().expect("the table is made with one entry per hash value")
}

/// `floor(2^48 * log2(numerator / denominator))` for a quotient in [1, 2), by repeated squaring.
fn logarithm_of_quotient(numerator: u64, denominator: u64) -> u64 {
    let mut value = (u128::from(numerator) << 63) / u128::from(denominator);
    let mut bits = 0u64;
    for _ in 0..48 {
        value = (value * value) >> 63;
        bits <<= 1;
        if value >> 64 != 0 {
            bits |= 1;
            value >>= 1;
        }
    }
    bits
}

/// What the fine table has above the exact logarithm at this index.
fn fine_offset(index: u32) -> u64 {
    if EXACT_FINE_ENTRIES.contains(&index) {
        return 0;
    }
    UNUSUAL_FINE_OFFSETS
        .iter()
        .chain(&UNUSUAL_FINE_OFFSETS_AT_END)
        .find(|(at, _)| *at == index)
        .map_or(USUAL_FINE_OFFSET, |(_, offset)| *offset)
}

fn compute_distances() -> Box<[u64]> {
    let fine: Vec<u64> = (0..256u32)
        .map(|index| logarithm_of_quotient(u64::from(32_768 + index), 32_768) + fine_offset(index))
        .collect();
    // The coarse step: the value's upper bits choose a reciprocal (rounded up) and a logarithm.
    let reciprocal: Vec<u64> = (0..=128u64).map(|index| (1u64 << 55).div_ceil(128 + index)).collect();
    let coarse: Vec<u64> = (0..=128u64)
        .map(|index| if index == 128 { 0xffff_0000_0000 } else { logarithm_of_quotient(128 + index, 128) })
        .collect();
    (1..=HASH_VALUES as u64)
        .map(|value| {
            // Shift left until bit 15 is set; 2^16 itself already has a higher one.
            let exponent = value.ilog2().min(15);
            let normal = value << (15 - exponent);
            let index = usize::try_from((normal >> 8) - 128).expect("at most 128");
            let remainder = (normal * reciprocal[index]) >> 48;
            let low = usize::try_from(remainder & 0xff).expect("eight bits");
            let logarithm = (u64::from(exponent) << 44) + ((coarse[index] + fine[low]) >> 4);
            (1u64 << 48) - logarithm
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_keeps_the_values_that_existing_clusters_place_with() {
        let table = distances();
        assert_eq!(table[0], 1 << 48);
        assert_eq!(table[65_535], 1 << 28);
        let checksum =
            table.iter().fold(0u64, |sum, distance| sum.wrapping_mul(0x0000_0100_0000_01b3).wrapping_add(*distance));
        assert_eq!(checksum, CHECKSUM);
    }

    /// Computed from the tables of Ceph 16.2.15.
    const CHECKSUM: u64 = 0xaa22_5b00_37ff_a0d8;
}

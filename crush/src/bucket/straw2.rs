//! `straw2`: every item draws `ln(u) / weight` for a hash u, and the greatest (all are negative) wins; the first of equals.
//!
//! This is where nearly all time of placing goes. In buckets of few items the winner is known from an estimate of all draws
//! (`estimate.rs`), nearly always. Else it is drawn exactly, and two things are avoided for nearly all items. Nothing is divided
//! unless it beats the best so far: with `distance` the positive `-ln(u)`, `distance / weight < best` holds exactly when
//! `distance < best * weight` (integer division rounds down). And no logarithm is looked up for a hash that is too low for
//! any weight in the bucket: [`Thresholds`] has a lower bound of the hashes whose distance can be below a product. A draw
//! beats the best about ln(n) times among n items, so most blocks of items end with one comparison of all their hashes.

mod estimate;
mod together;
mod vector;

use std::sync::LazyLock;

pub(crate) use estimate::reciprocal;
pub(crate) use together::{TOGETHER, TOGETHER_ITEMS_MAX, Table, straw2_pick_together};

use super::Registers;
use crate::hash::hash32_3_lanes;
use crate::logarithm::{HASH_VALUES, distances};
use estimate::{Items, LANES_NUMBERED, certain_winner, fill_keys};
#[cfg(not(target_arch = "x86_64"))]
use vector::Portable;
use vector::Vector;
#[cfg(target_arch = "x86_64")]
use vector::{Bits128, Bits256, Bits512};

/// The most items that are hashed at once, by any registers.
pub(crate) const LANES_MAX: usize = 32;

/// By how many bits a distance is shifted to be an index of the thresholds: they have 2,048 entries, 8 KiB.
const THRESHOLD_SHIFT: u32 = 37;

/// For each range of bounds the lowest hash whose distance is below some bound of the range.
struct Thresholds(Box<[u32]>);

static THRESHOLDS: LazyLock<Thresholds> = LazyLock::new(Thresholds::compute);

impl Thresholds {
    fn compute() -> Self {
        let table = distances();
        let count = (1u64 << 48) >> THRESHOLD_SHIFT;
        let mut thresholds = vec![0u32; usize::try_from(count).expect("a small constant")];
        // Distances fall as hashes rise, but for a few neighbours; the smallest so far never rises.
        let mut smallest = u64::MAX;
        let mut next = thresholds.len();
        for (hash, distance) in (0u32..).zip(table) {
            smallest = smallest.min(*distance);
            // Entry n serves bounds up to (n + 1) << SHIFT.
            while next > 0 && smallest < (u64::try_from(next).expect("a small number")) << THRESHOLD_SHIFT {
                // All hashes below this one have greater distances than bounds of the ranges that are left.
                next -= 1;
                thresholds[next] = hash;
            }
        }
        // The last entry also serves greater bounds, which every hash can meet.
        if let Some(last) = thresholds.last_mut() {
            *last = 0;
        }
        Self(thresholds.into_boxed_slice())
    }

    /// A hash below which no distance is below the bound.
    #[inline(always)]
    fn of(&self, bound: u64) -> u32 {
        let index = usize::try_from(bound >> THRESHOLD_SHIFT).unwrap_or(usize::MAX);
        self.0[index.min(self.0.len() - 1)]
    }
}

/// What is drawn from.
#[derive(Clone, Copy)]
pub(crate) struct Straws<'a> {
    /// The ids that are hashed, those of the items or what choose arguments put in their place; and behind the last of them
    /// at least [`LANES_MAX`] numbers more, whatever they are, so that blocks can be read whole.
    pub(crate) ids: &'a [i32],
    /// As many as there are items.
    pub(crate) weights: &'a [u32],
    /// The [`reciprocal`] of each weight, and behind the last as many numbers more as behind the ids.
    pub(crate) reciprocals: &'a [f32],
    /// At least the greatest weight.
    pub(crate) heaviest: u32,
}

/// The index of the item drawn. `registers` are not wider than the processor's.
#[inline]
pub(crate) fn straw2_pick(registers: Registers, straws: Straws<'_>, x: u32, r: u32) -> usize {
    match registers {
        // SAFETY: whoever has these registers has asked the processor for the one feature that the function needs.
        #[cfg(target_arch = "x86_64")]
        Registers::Bits512 => unsafe { pick_with_avx512(straws, x, r) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Registers::Bits256 => unsafe { pick_with_avx2(straws, x, r) },
        #[cfg(target_arch = "x86_64")]
        Registers::Baseline => pick_in_vectors::<Bits128, 4>(straws, x, r),
        #[cfg(not(target_arch = "x86_64"))]
        _ => pick_in_vectors::<Portable, 2>(straws, x, r),
    }
}

/// The same code, compiled for registers that are twice as wide.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn pick_with_avx2(straws: Straws<'_>, x: u32, r: u32) -> usize {
    pick_in_vectors::<Bits256, 2>(straws, x, r)
}

/// The same, four times as wide.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn pick_with_avx512(straws: Straws<'_>, x: u32, r: u32) -> usize {
    pick_in_vectors::<Bits512, 1>(straws, x, r)
}

#[inline(always)]
fn pick_in_vectors<V: Vector, const WIDTH: usize>(straws: Straws<'_>, x: u32, r: u32) -> usize {
    let count = straws.weights.len();
    if count <= TOGETHER_ITEMS_MAX {
        let mut scores = [0.0; LANES_NUMBERED];
        let items = Items { ids: straws.ids, reciprocals: straws.reciprocals, attempts: &[r; TOGETHER_ITEMS_MAX] };
        const {
            assert!(
                TOGETHER_ITEMS_MAX.is_multiple_of(V::LANES * WIDTH) && TOGETHER_ITEMS_MAX <= LANES_MAX,
                "whole blocks can be read"
            )
        };
        fill_keys::<V, WIDTH>(items, x, count, &mut scores);
        if let Some(winner) = certain_winner(&scores[..count]) {
            return winner;
        }
    }
    pick_exactly_in_lanes::<32, 16>(straws, x, r)
}

/// As [`straw2_pick`], by the definition alone.
#[cold]
fn straw2_pick_exactly(registers: Registers, straws: Straws<'_>, x: u32, r: u32) -> usize {
    match registers {
        // SAFETY: as in `straw2_pick`.
        #[cfg(target_arch = "x86_64")]
        Registers::Bits512 => unsafe { pick_exactly_with_avx512(straws, x, r) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Registers::Bits256 => unsafe { pick_exactly_with_avx2(straws, x, r) },
        _ => pick_exactly_in_lanes::<32, 16>(straws, x, r),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn pick_exactly_with_avx2(straws: Straws<'_>, x: u32, r: u32) -> usize {
    pick_exactly_in_lanes::<32, 16>(straws, x, r)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn pick_exactly_with_avx512(straws: Straws<'_>, x: u32, r: u32) -> usize {
    pick_exactly_in_lanes::<32, 16>(straws, x, r)
}

/// Takes blocks of `WIDE` items as long as more than `NARROW` are left.
#[inline(always)]
fn pick_exactly_in_lanes<const WIDE: usize, const NARROW: usize>(straws: Straws<'_>, x: u32, r: u32) -> usize {
    const { assert!(NARROW <= WIDE && WIDE <= LANES_MAX, "whole blocks can be read") };
    let Straws { ids, weights, heaviest, .. } = straws;
    let count = weights.len();
    let mut best = Best::new(heaviest);
    let mut at = 0;
    while count - at > NARROW {
        best.consider(at, &weights[at..], &hash_block::<WIDE>(&ids[at..], x, r));
        at = count.min(at + WIDE);
    }
    if at < count {
        best.consider(at, &weights[at..], &hash_block::<NARROW>(&ids[at..], x, r));
    }
    best.index
}

/// The hashes of the first ids, as many as there are lanes; lanes behind the last id are hashed for nothing.
#[inline(always)]
fn hash_block<const LANES: usize>(ids: &[i32], x: u32, r: u32) -> [u32; LANES] {
    hash32_3_lanes(x, ids.first_chunk().expect("behind the ids are as many numbers as lanes"), &[r; LANES])
}

struct Best<'a> {
    table: &'a [u64; HASH_VALUES],
    thresholds: &'a Thresholds,
    heaviest: u64,
    index: usize,
    /// The winner's distance divided by its weight. `u64::MAX` while only items without weight were seen: they draw the
    /// least possible, which any item with weight beats.
    quotient: u64,
    /// Lower hashes cannot win.
    threshold: u32,
}

impl Best<'_> {
    #[inline(always)]
    fn new(heaviest: u32) -> Self {
        Self {
            table: distances(),
            thresholds: &THRESHOLDS,
            heaviest: u64::from(heaviest),
            index: 0,
            quotient: u64::MAX,
            threshold: 0,
        }
    }

    /// Looks at the items from this one on, as many as there are lanes.
    #[inline(always)]
    fn consider<const LANES: usize>(&mut self, first: usize, weights: &[u32], hashes: &[u32; LANES]) {
        let mut low = [0u32; LANES];
        let mut highest = 0;
        for (low, hash) in low.iter_mut().zip(hashes) {
            *low = hash & 0xffff;
            highest = highest.max(*low);
        }
        if highest < self.threshold {
            return;
        }
        self.raise_threshold(weights, &low, highest);
        let mut candidates = 0u32;
        for (lane, hash) in low.iter().enumerate() {
            candidates |= u32::from(*hash >= self.threshold) << lane;
        }
        while candidates != 0 {
            let lane = usize::try_from(candidates.trailing_zeros()).expect("a lane");
            candidates &= candidates - 1;
            // Lanes behind the last item were hashed for nothing.
            let Some(weight) = weights.get(lane) else { return };
            // Saturation is harmless: no distance is anywhere near the greatest number.
            let distance = self.distance(low[lane]);
            if distance < self.quotient.saturating_mul(u64::from(*weight)) {
                self.quotient = distance / u64::from(*weight);
                self.index = first + lane;
                self.threshold = self.thresholds.of(self.quotient.saturating_mul(self.heaviest));
            }
        }
    }

    /// Looks at the item with the highest hash first, which most often wins, so that the others need not be looked at. It is
    /// not taken yet, because an equal one before it would win: so hashes that can equal it stay candidates.
    #[inline(always)]
    fn raise_threshold<const LANES: usize>(&mut self, weights: &[u32], hashes: &[u32; LANES], highest: u32) {
        let lane = hashes.iter().position(|hash| *hash == highest).unwrap_or(0);
        let weight = weights.get(lane).copied().unwrap_or(0);
        if weight == 0 {
            return;
        }
        let quotient = self.distance(highest) / u64::from(weight);
        if quotient < self.quotient {
            let threshold = self.thresholds.of((quotient + 1).saturating_mul(self.heaviest));
            self.threshold = self.threshold.max(threshold);
        }
    }

    #[inline(always)]
    fn distance(&self, hash: u32) -> u64 {
        self.table[usize::try_from(hash).expect("16 bits")]
    }
}

#[cfg(test)]
mod tests {
    use super::{
        LANES_MAX, Registers, Straws, TOGETHER_ITEMS_MAX, Table, reciprocal, straw2_pick, straw2_pick_exactly,
        straw2_pick_together,
    };
    use crate::hash::hash32_3;
    use crate::logarithm::distances;

    /// The definition: the greatest quotient, negative, the first of equals; items without weight draw the least.
    fn defined(ids: &[i32], weights: &[u32], x: u32, r: u32) -> usize {
        let draw = |index: usize| {
            let hash = usize::try_from(hash32_3(x, ids[index].cast_unsigned(), r) & 0xffff).unwrap();
            let distance = i64::try_from(distances()[hash]).unwrap();
            if weights[index] == 0 { i64::MIN } else { -(distance / i64::from(weights[index])) }
        };
        (0..ids.len()).fold(0, |best, index| if draw(index) > draw(best) { index } else { best })
    }

    #[test]
    fn the_shortcuts_change_no_draw() {
        let weight_kinds: [fn(usize) -> u32; 9] = [
            |_| 0x1_0000,
            |_| 1,
            |_| 1 << 27,
            |_| 1 << 30,
            |index| u32::try_from(index).unwrap() * 77_777,
            |index| if index % 3 == 0 { 0 } else { 1 },
            |_| u32::MAX,
            |index| 1 << (index % 32),
            |_| 0,
        ];
        for size in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 3 * LANES_MAX + 5] {
            let ids: Vec<i32> = (0..size + LANES_MAX).map(|index| i32::try_from(index).unwrap() * 31 - 100).collect();
            for weight in weight_kinds {
                let weights: Vec<u32> = (0..size).map(weight).collect();
                let reciprocals: Vec<f32> =
                    weights.iter().map(|weight| reciprocal(*weight)).chain([0.0; LANES_MAX]).collect();
                let heaviest = weights.iter().copied().max().unwrap_or(0);
                let straws = Straws { ids: &ids, weights: &weights, reciprocals: &reciprocals, heaviest };
                let mut table = Table::default();
                for x in 0..500 {
                    let expected = defined(&ids[..size], &weights, x, x % 5);
                    for registers in Registers::available() {
                        let picked = straw2_pick(registers, straws, x, x % 5);
                        assert_eq!(picked, expected, "{registers}, {size} items, input {x}, {weights:?}");
                        let picked = straw2_pick_exactly(registers, straws, x, x % 5);
                        assert_eq!(picked, expected, "{registers}, {size} items, input {x}, {weights:?}, exactly");
                        if size > TOGETHER_ITEMS_MAX {
                            continue;
                        }
                        let shorter = Straws { weights: &weights[..size.div_ceil(2)], ..straws };
                        let together = straw2_pick_together(registers, &mut table, [straws, shorter, straws], x);
                        let expected = [(&weights[..], 0), (shorter.weights, 1), (&weights[..], 2)];
                        let expected = expected.map(|(weights, r)| defined(&ids[..weights.len()], weights, x, r));
                        assert_eq!(together, expected, "{registers}, {size} items, input {x}, {weights:?}");
                    }
                }
            }
        }
    }
}

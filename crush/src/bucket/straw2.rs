//! `straw2`: every item draws `ln(u) / weight` for a hash u, and the greatest (all are negative) wins; the first of equals.
//!
//! This is where nearly all time of placing goes, so two things are avoided for nearly all items. Nothing is divided unless it
//! beats the best so far: with `distance` the positive `-ln(u)`, `distance / weight < best` holds exactly when
//! `distance < best * weight` (integer division rounds down). And no logarithm is looked up for a hash that is too low for
//! any weight in the bucket: [`Thresholds`] has a lower bound of the hashes whose distance can be below a product. A draw
//! beats the best about ln(n) times among n items, so most blocks of items end with one comparison of all their hashes.

use std::sync::LazyLock;

use crate::hash::hash32_3_lanes;
use crate::logarithm::{HASH_VALUES, distances};

/// How many items are hashed at once, as long as there are more than [`NARROW`].
const WIDE: usize = 32;

/// How many items the last block takes when so many are left, or fewer.
const NARROW: usize = 16;

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

/// The index of the item drawn. `ids` are hashed (the items, or what choose arguments put in their place); `heaviest` is at
/// least the greatest weight.
#[inline]
pub(crate) fn straw2_pick(ids: &[i32], weights: &[u32], heaviest: u32, x: u32, r: u32) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has been asked for the one feature that the function needs.
            return unsafe { pick_with_avx512(ids, weights, heaviest, x, r) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { pick_with_avx2(ids, weights, heaviest, x, r) };
        }
    }
    pick_in_lanes(ids, weights, heaviest, x, r)
}

/// The same code, compiled for registers that are twice as wide.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn pick_with_avx2(ids: &[i32], weights: &[u32], heaviest: u32, x: u32, r: u32) -> usize {
    pick_in_lanes(ids, weights, heaviest, x, r)
}

/// The same, four times as wide.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn pick_with_avx512(ids: &[i32], weights: &[u32], heaviest: u32, x: u32, r: u32) -> usize {
    pick_in_lanes(ids, weights, heaviest, x, r)
}

#[inline(always)]
fn pick_in_lanes(ids: &[i32], weights: &[u32], heaviest: u32, x: u32, r: u32) -> usize {
    let mut best = Best {
        table: distances(),
        thresholds: &THRESHOLDS,
        heaviest: u64::from(heaviest),
        index: 0,
        quotient: u64::MAX,
        threshold: 0,
    };
    let mut at = 0;
    while ids.len() - at > NARROW {
        best.consider_block::<WIDE>(ids, weights, at, x, r);
        at = ids.len().min(at + WIDE);
    }
    if at < ids.len() {
        best.consider_block::<NARROW>(ids, weights, at, x, r);
    }
    best.index
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
    /// Draws for the items from this one on, as many as there are lanes.
    #[inline(always)]
    fn consider_block<const LANES: usize>(&mut self, ids: &[i32], weights: &[u32], first: usize, x: u32, r: u32) {
        let hashes = match ids[first..].first_chunk::<LANES>() {
            Some(block) => hash32_3_lanes(x, block, r),
            None => {
                let rest = &ids[first..];
                let mut block = [0i32; LANES];
                block[..rest.len()].copy_from_slice(rest);
                hash32_3_lanes(x, &block, r)
            }
        };
        self.consider(first, &weights[first..], &hashes);
    }

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
    use super::{NARROW, WIDE, straw2_pick};
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
        let weight_kinds: [fn(usize) -> u32; 6] = [
            |_| 0x1_0000,
            |index| u32::try_from(index).unwrap() * 77_777,
            |index| if index % 3 == 0 { 0 } else { 1 },
            |_| u32::MAX,
            |index| 1 << (index % 32),
            |_| 0,
        ];
        for size in [1, 2, NARROW - 1, NARROW, NARROW + 1, WIDE, WIDE + 1, WIDE + NARROW, 3 * WIDE + 5] {
            let ids: Vec<i32> = (0..size).map(|index| i32::try_from(index).unwrap() * 31 - 100).collect();
            for weight in weight_kinds {
                let weights: Vec<u32> = (0..size).map(weight).collect();
                let heaviest = weights.iter().copied().max().unwrap_or(0);
                for x in 0..2_000 {
                    let picked = straw2_pick(&ids, &weights, heaviest, x, x % 5);
                    assert_eq!(picked, defined(&ids, &weights, x, x % 5), "{size} items, input {x}, {weights:?}");
                }
            }
        }
    }
}

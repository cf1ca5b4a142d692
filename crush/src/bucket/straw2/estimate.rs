//! Who wins a draw, from an estimate of all items' draws: arithmetic that the compiler keeps in vector registers, without a table,
//! a division or a branch.
//!
//! The exact definition stays what decides. The estimate of a distance is wrong by at most [`ERROR`], so when the best item
//! is further ahead of the second than two such errors, it is the winner. Where it is not, the caller draws exactly: about one
//! draw in a hundred (decision 0012). Hashes at the very top, where the table that the definition is made of is coarser than that, count as
//! too close to call.

use super::vector::Vector;
use crate::hash::{FILLER_X, FILLER_Y, SEED};

/// The unit of estimates: this many units of the table's distances.
#[cfg(test)]
const DISTANCE_UNIT: f64 = 17_592_186_044_416.0;

/// By how much of itself an estimate may differ from the distance. A test compares all 65,536.
#[cfg(test)]
const ERROR: f64 = 0.0046;

/// Hashes from here on are not estimated.
const HASHES_ESTIMATED: u32 = 65_400;

/// How many times the best score the second must be for the order to be certain: (1 + `ERROR`) / (1 - `ERROR`) is 1.0093; the
/// rest covers the roundings of single precision and the lane numbers in the lowest bits.
const CERTAIN_RATIO: f32 = 1.0095;

/// And by how much it must be greater, because quotients are rounded down: two of the units that quotients are counted in.
const CERTAIN_DISTANCE: f32 = 1.0 / 8_796_093_022_208.0;

/// The lowest bits of a key that are its lane's number.
const LANE_BITS: u32 = 0x7f;

/// The most lanes that have a number.
pub(super) const LANES_NUMBERED: usize = 1 << LANE_BITS.count_ones();

/// Scores below belong to hashes that are not estimated: estimates are above 2^-9, and the greatest weight is below 2^32.
const SCORE_LEAST: f32 = 1.0 / (1u64 << 60) as f32;

/// Scores above belong to items without weight: estimates are at most 16, and the least weight is 1.
const SCORE_MOST: f32 = 1_048_576.0;

/// What stands for the reciprocal of no weight.
const RECIPROCAL_OF_ZERO: f32 = (1u64 << 60) as f32;

/// What an estimate is multiplied with to be an item's score.
pub(crate) fn reciprocal(weight: u32) -> f32 {
    if weight == 0 { RECIPROCAL_OF_ZERO } else { 1.0 / weight as f32 }
}

/// The three-word hash, of several registers at once: while one waits for a step, the processor makes the others'.
#[inline(always)]
fn hashes<V: Vector, const WIDTH: usize>(x: u32, ids: [V; WIDTH], attempts: [V; WIDTH]) -> [V; WIDTH] {
    #[inline(always)]
    fn fold<V: Vector, const WIDTH: usize>(
        target: &mut [V; WIDTH],
        first: &[V; WIDTH],
        second: &[V; WIDTH],
        shifted: impl Fn(V) -> V,
    ) {
        // Every step shifts the second word; the compiler sees the constant.
        for place in 0..WIDTH {
            target[place] = target[place].minus(first[place]).minus(second[place]).xor(shifted(second[place]));
        }
    }
    #[inline(always)]
    fn mix<V: Vector, const WIDTH: usize>(a: &mut [V; WIDTH], b: &mut [V; WIDTH], c: &mut [V; WIDTH]) {
        fold(a, b, c, V::right::<13>);
        fold(b, c, a, V::left::<8>);
        fold(c, a, b, V::right::<13>);
        fold(a, b, c, V::right::<12>);
        fold(b, c, a, V::left::<16>);
        fold(c, a, b, V::right::<5>);
        fold(a, b, c, V::right::<3>);
        fold(b, c, a, V::left::<10>);
        fold(c, a, b, V::right::<15>);
    }
    let (mut b, mut c) = (ids, attempts);
    let mut a = [V::splat(x); WIDTH];
    let (mut filler_x, mut filler_y) = ([V::splat(FILLER_X); WIDTH], [V::splat(FILLER_Y); WIDTH]);
    let begin = V::splat(SEED ^ x);
    let mut hash = std::array::from_fn(|place| begin.xor(ids[place]).xor(attempts[place]));
    mix(&mut a, &mut b, &mut hash);
    mix(&mut c, &mut filler_x, &mut hash);
    mix(&mut filler_y, &mut a, &mut hash);
    mix(&mut b, &mut filler_x, &mut hash);
    mix(&mut filler_y, &mut c, &mut hash);
    hash
}

/// The binary logarithm of 65,536 by each hash plus one; zero for hashes that are not estimated.
#[inline(always)]
fn estimate<V: Vector>(hash: V) -> V {
    /// The bits of the square root of one half: mantissas are taken from there to twice that.
    const ROOT_OF_HALF: u32 = 0x3f35_04f3;
    /// Of log2(1 + x) / x between the root of one half and that of two, less one: the polynomial through its values at the four
    /// Chebyshev nodes.
    const COEFFICIENTS: [f32; 4] = [1.442_307, -0.724_699_85, 0.510_183_2, -0.322_623_6];
    let low = hash.and(V::splat(0xffff));
    let is_estimated = low.minus(V::splat(HASHES_ESTIMATED)).right_signed::<31>();
    let bits = low.plus(V::splat(1)).to_floats();
    let exponent = bits.minus(V::splat(ROOT_OF_HALF)).right_signed::<23>();
    let above_one = bits.minus(exponent.left::<23>()).minus_floats(V::splat_float(1.0));
    let [c0, c1, c2, c3] = COEFFICIENTS.map(V::splat_float);
    let slope = c3.times_floats(above_one).plus_floats(c2);
    let slope = slope.times_floats(above_one).plus_floats(c1);
    let slope = slope.times_floats(above_one).plus_floats(c0);
    let whole = V::splat(16).minus(exponent).to_floats();
    whole.minus_floats(above_one.times_floats(slope)).and(is_estimated)
}

/// The items to estimate: where their ids, reciprocals and attempt numbers begin, all as long as whole blocks reach.
#[derive(Clone, Copy)]
pub(super) struct Items<'a> {
    pub(super) ids: &'a [i32],
    pub(super) reciprocals: &'a [f32],
    pub(super) attempts: &'a [u32],
}

/// Puts the scores of the first `count` items, of which the least most likely wins, to the front of `keys`, with their places in
/// the lowest bits. Works on `WIDTH` registers at once.
#[inline(always)]
pub(super) fn fill_keys<V: Vector, const WIDTH: usize>(
    items: Items<'_>,
    x: u32,
    count: usize,
    keys: &mut [f32; LANES_NUMBERED],
) {
    const { assert!(LANES_NUMBERED.is_multiple_of(V::LANES * WIDTH), "whole blocks") };
    let block = V::LANES * WIDTH;
    for from in (0..LANES_NUMBERED).step_by(block) {
        if from >= count {
            break;
        }
        let at = |place: usize| from + place * V::LANES;
        let ids = std::array::from_fn(|place| V::load_ids(&items.ids[at(place)..]));
        let attempts = std::array::from_fn(|place| V::load(&items.attempts[at(place)..]));
        let hashes: [V; WIDTH] = hashes(x, ids, attempts);
        for (place, hash) in hashes.into_iter().enumerate() {
            let score = estimate(hash).times_floats(V::load_floats(&items.reciprocals[at(place)..]));
            let lanes = V::load(&LANES[at(place)..]);
            score.and(V::splat(!LANE_BITS)).or(lanes).store_floats(&mut keys[at(place)..]);
        }
    }
}

/// Every lane's number.
static LANES: [u32; LANES_NUMBERED] = {
    let mut lanes = [0; LANES_NUMBERED];
    let mut lane = 1;
    while lane < LANES_NUMBERED {
        lanes[lane] = lanes[lane - 1] + 1;
        lane += 1;
    }
    lanes
};

/// The lane of the winner among these keys, if it is certain.
#[inline(always)]
pub(super) fn certain_winner(keys: &[f32]) -> Option<usize> {
    let (mut best, mut second) = (f32::MAX, f32::MAX);
    for key in keys {
        let behind = if *key < best { best } else { *key };
        best = if *key < best { *key } else { best };
        second = if behind < second { behind } else { second };
    }
    let is_certain = best > SCORE_LEAST && best < SCORE_MOST && second > best * CERTAIN_RATIO + CERTAIN_DISTANCE;
    is_certain.then_some((best.to_bits() & LANE_BITS) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::vector::Portable;
    use super::*;
    use crate::logarithm::distances;

    #[test]
    fn no_estimate_is_further_from_the_distance_than_it_may_be() {
        for hash in 0..=u32::from(u16::MAX) {
            let mut estimates = [0.0; 4];
            estimate(Portable::splat(hash | 0xabcd_0000)).store_floats(&mut estimates);
            let estimate = estimates[3];
            let distance = distances()[hash as usize] as f64 / DISTANCE_UNIT;
            if hash < HASHES_ESTIMATED {
                let error = f64::from(estimate) / distance - 1.0;
                assert!(error.abs() < ERROR, "the estimate of {hash} is {estimate}, its distance {distance}");
                assert!(estimate > 1.0 / 512.0, "scores of hash {hash} could be taken for those of the top");
            } else {
                assert_eq!(estimate, 0.0);
            }
        }
        assert!(f64::from(CERTAIN_RATIO) > (1.0 + ERROR) / (1.0 - ERROR) + 1e-4);
        assert!(f64::from(CERTAIN_DISTANCE) * DISTANCE_UNIT >= 2.0);
    }

    #[test]
    fn what_is_close_is_not_certain() {
        let key = |score: f32, lane: u32| f32::from_bits(score.to_bits() & !LANE_BITS | lane);
        assert_eq!(certain_winner(&[key(2.0, 0), key(1.0, 1), key(1.1, 2)]), Some(1));
        assert_eq!(certain_winner(&[key(2.0, 0), key(1.0, 1), key(1.005, 2)]), None);
        assert_eq!(certain_winner(&[key(1.0, 5)]), Some(5));
        assert_eq!(certain_winner(&[key(0.0, 3), key(1.0, 4)]), None, "the hash of lane 3 is not estimated");
        let no_weight = reciprocal(0);
        assert_eq!(certain_winner(&[key(no_weight, 0), key(2.0 * no_weight, 1)]), None);
        assert_eq!(certain_winner(&[]), None);
    }
}

//! `straw`: every item draws, its draw is multiplied with the length of its straw, and the longest wins.
//!
//! The lengths are computed when the bucket changes, by one of two formulas that a tunable selects. Both are only
//! approximately fair, which is why `straw2` exists; both must be reproduced to the last bit, because the lengths are stored
//! in maps that others compute too.

use crate::hash::hash32_3;

/// The index of the item drawn.
pub(crate) fn straw_pick(items: &[i32], straws: &[u32], x: u32, r: u32) -> usize {
    let mut best = 0;
    let mut longest = 0u64;
    for (index, (item, straw)) in items.iter().zip(straws).enumerate() {
        let draw = u64::from(hash32_3(x, item.cast_unsigned(), r) & 0xffff) * u64::from(*straw);
        if index == 0 || draw > longest {
            best = index;
            longest = draw;
        }
    }
    best
}

/// The straw length of each of these weights, 16.16, by the formula of this version (0, or 1 and above).
pub(crate) fn straw_lengths(weights: &[u32], version: u8) -> Vec<u32> {
    let mut ascending: Vec<usize> = (0..weights.len()).collect();
    ascending.sort_by_key(|index| weights[*index]);
    let weight_at = |place: usize| weights[ascending[place]];

    let mut lengths = vec![0u32; weights.len()];
    let mut length = 1.0f64;
    let mut below = 0.0f64;
    let mut previous = 0.0f64;
    // How many items are still longer than the current one. Version 0 forgets to subtract items without weight.
    let mut left = u32::try_from(weights.len()).expect("buckets have at most a million items");
    for place in 0..weights.len() {
        let weight = weight_at(place);
        if weight == 0 {
            if version > 0 {
                left -= 1;
            }
            continue;
        }
        lengths[ascending[place]] = fixed_point(length);
        if place + 1 == weights.len() {
            break;
        }
        let next = weight_at(place + 1);
        if version == 0 && next == weight {
            continue;
        }
        below += (f64::from(weight) - previous) * f64::from(left);
        if version == 0 {
            // Version 0 subtracts the items of the next weight class, where those of the current one were meant.
            let class = (place + 1..weights.len()).take_while(|place| weight_at(*place) == next).count();
            left = left.wrapping_sub(u32::try_from(class).expect("buckets have at most a million items"));
        } else {
            left -= 1;
        }
        // This product is one of 32-bit integers, so it wraps.
        let above = f64::from(left.wrapping_mul(next.wrapping_sub(weight)));
        let share_below = below / (below + above);
        length *= (1.0 / share_below).powf(1.0 / f64::from(left.cast_signed()));
        previous = f64::from(weight);
    }
    lengths
}

/// A length as 16.16. What does not fit is cut to the low 32 bits of a 64-bit integer, and infinity becomes zero: so did
/// the processors on which these maps were made.
fn fixed_point(length: f64) -> u32 {
    let scaled = length * 65_536.0;
    if !scaled.is_finite() || scaled.abs() >= 9_223_372_036_854_775_808.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above; the fraction is meant to go")]
    let whole = scaled as i64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low 32 bits are the contract")]
    let low = whole as u32;
    low
}

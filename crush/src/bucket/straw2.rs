//! `straw2`: every item draws `ln(u) / weight` for a hash u, and the greatest (all are negative) wins; the first of equals.
//!
//! Only the winner's draw matters, so nothing is divided until a candidate beats the best so far: with `distance` the
//! positive `-ln(u)`, `distance / weight < best` holds exactly when `distance < best * weight` (integer division rounds
//! down). A draw beats the best about ln(n) times among n items.

use crate::hash::hash32_3_lanes;
use crate::logarithm::{HASH_VALUES, distances};

/// How many items are hashed at once, in vector registers where the processor has them.
pub(crate) const LANES: usize = 8;

/// The index of the item drawn. `ids` are hashed (the items, or what choose arguments put in their place).
pub(crate) fn straw2_pick(ids: &[i32], weights: &[u32], x: u32, r: u32) -> usize {
    let table = distances();
    let mut best = Best { index: 0, quotient: u64::MAX };
    let mut at = 0;
    let mut id_blocks = ids.chunks_exact(LANES);
    let mut weight_blocks = weights.chunks_exact(LANES);
    for (block, block_weights) in (&mut id_blocks).zip(&mut weight_blocks) {
        let block: &[i32; LANES] = block.try_into().expect("chunks_exact gives blocks of this size");
        best.consider(table, at, block_weights, &hash32_3_lanes(x, block, r));
        at += LANES;
    }
    let rest = id_blocks.remainder();
    if !rest.is_empty() {
        let mut block = [0i32; LANES];
        block[..rest.len()].copy_from_slice(rest);
        best.consider(table, at, weight_blocks.remainder(), &hash32_3_lanes(x, &block, r));
    }
    best.index
}

struct Best {
    index: usize,
    /// The winner's distance divided by its weight. `u64::MAX` while only items without weight were seen: they draw the
    /// least possible, which any item with weight beats.
    quotient: u64,
}

impl Best {
    #[inline(always)]
    fn consider(&mut self, table: &[u64; HASH_VALUES], first: usize, weights: &[u32], hashes: &[u32; LANES]) {
        for (lane, (weight, hash)) in weights.iter().zip(hashes).enumerate() {
            let distance = table[usize::from((hash & 0xffff) as u16)];
            if u128::from(distance) < u128::from(self.quotient) * u128::from(*weight) {
                self.quotient = distance / u64::from(*weight);
                self.index = first + lane;
            }
        }
    }
}

//! `list`: walk from the newest item to the oldest, and stop at each with the probability of its share of what is left.

use crate::hash::hash32_4;

/// The index of the item drawn.
pub(crate) fn list_pick(bucket_id: u32, items: &[i32], weights: &[u32], sums: &[u32], x: u32, r: u32) -> usize {
    for index in (0..items.len()).rev() {
        let hash = hash32_4(x, items[index].cast_unsigned(), r, bucket_id) & 0xffff;
        let scaled = (u64::from(hash) * u64::from(sums[index])) >> 16;
        if scaled < u64::from(weights[index]) {
            return index;
        }
    }
    // All weights are zero. Ceph then takes the oldest item.
    0
}

//! `uniform`: attempt r takes the item at place r of a permutation that is shuffled from x.
//!
//! The same permutation serves as the fallback for collisions in buckets of every kind (a tunable of old maps).

use crate::hash::hash32_3;

/// As much of one bucket's permutation as a mapping has needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permutation {
    /// Which mapping the content belongs to; 0 for none.
    mapping: u64,
    /// How many places are final.
    shuffled: usize,
    order: Vec<u32>,
}

/// The index of the item drawn. `mapping` is different for each input, so that what an earlier one left is not used.
pub(crate) fn permutation_pick(
    permutation: &mut Permutation,
    mapping: u64,
    bucket_id: u32,
    size: usize,
    x: u32,
    r: u32,
) -> usize {
    let size = u32::try_from(size).expect("buckets have at most a million items");
    let place = usize::try_from(r % size).expect("a place in a bucket");
    if permutation.mapping != mapping {
        permutation.mapping = mapping;
        permutation.shuffled = 0;
        permutation.order.clear();
        permutation.order.extend(0..size);
    }
    while permutation.shuffled <= place {
        let at = permutation.shuffled;
        let number = u32::try_from(at).expect("a place in a bucket");
        let ahead = hash32_3(x, bucket_id, number) % (size - number);
        permutation.order.swap(at, at + usize::try_from(ahead).expect("a place in a bucket"));
        permutation.shuffled += 1;
    }
    usize::try_from(permutation.order[place]).expect("a place in a bucket")
}

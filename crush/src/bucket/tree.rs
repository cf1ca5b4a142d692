//! `tree`: descend a binary tree of weights, drawing left or right at each inner node.

use crate::hash::hash32_4;

/// The index of the item drawn.
pub(crate) fn tree_pick(bucket_id: u32, nodes: &[u32], x: u32, r: u32) -> usize {
    let mut node = nodes.len() / 2;
    while node & 1 == 0 {
        let number = u32::try_from(node).expect("a tree has at most 128 nodes");
        let draw = (u64::from(hash32_4(x, number, r, bucket_id)) * u64::from(nodes[node])) >> 32;
        let half = 1 << (node.trailing_zeros() - 1);
        node = if draw < u64::from(nodes[node - half]) { node - half } else { node + half };
    }
    node >> 1
}

//! Draws that will most likely be needed, made together and remembered for one mapping.
//!
//! A draw is one long chain of dependent steps, and each level of a tree waits for the draw above it; so a processor that could
//! do several draws at once mostly waits. But the first attempts of the first places are known beforehand: they descend
//! with the attempt numbers 0, 1 and 2 from the same bucket. Here the three ways are walked side by side.
//!
//! Nothing depends on what was foreseen but time: a draw is a pure function of (bucket, x, r), and what was not foreseen is
//! drawn when it is needed.

use super::{CompiledMap, Kind, Node};
use crate::bucket::{Straws, TOGETHER, TOGETHER_ITEMS_MAX, Table, straw2_pick_together};

/// Levels that are foreseen. Deeper trees are rare, and their lower levels are drawn as before.
const LEVELS_MAX: usize = 6;

/// For each attempt number the buckets on its way and the items that they drew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foresight {
    ways: [[(i32, i32); LEVELS_MAX]; TOGETHER],
    lengths: [usize; TOGETHER],
    table: Table,
}

impl Foresight {
    /// Forgets everything: another mapping begins.
    pub(crate) fn forget(&mut self) {
        self.lengths = [0; TOGETHER];
    }

    /// What the bucket draws with this attempt number, if that was foreseen.
    #[inline]
    pub(crate) fn recall(&self, bucket_id: i32, r: u32) -> Option<i32> {
        let number = usize::try_from(r).ok().filter(|number| *number < TOGETHER)?;
        let way = &self.ways[number][..self.lengths[number]];
        way.iter().find(|(bucket, _)| *bucket == bucket_id).map(|(_, item)| *item)
    }
}

impl CompiledMap {
    /// Draws the first ways down from this bucket.
    pub(crate) fn foresee(&self, foresight: &mut Foresight, from: &Node, x: u32) {
        foresight.forget();
        let mut nodes = [Some(from); TOGETHER];
        for level in 0..LEVELS_MAX {
            let straws = nodes.map(|node| node.and_then(|node| self.straws_of(node)));
            // A way that has ended walks along with another one, for nothing.
            let Some(any) = straws.iter().flatten().next() else { return };
            let straws_or_any = straws.map(|straws| straws.unwrap_or(*any));
            let picks = straw2_pick_together(self.registers, &mut foresight.table, straws_or_any, x);
            for way in 0..TOGETHER {
                let (Some(node), Some(straws)) = (nodes[way], straws[way]) else { continue };
                let item = straws.ids[picks[way]];
                foresight.ways[way][level] = (node.id, item);
                foresight.lengths[way] = level + 1;
                nodes[way] = self.node(item);
            }
        }
    }

    /// What a bucket of straw2 draws from without choose arguments; `None` for other, empty, and too large buckets.
    fn straws_of(&self, node: &Node) -> Option<Straws<'_>> {
        let Kind::Straw2 { weights } = node.kind else { return None };
        (1..=TOGETHER_ITEMS_MAX).contains(&node.size()).then(|| self.straws(node.items, weights))
    }
}

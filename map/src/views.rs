//! The map as scripts read it: the JSON of Ceph's `osd dump`, `osd tree` and `osd pool ls detail`, field by field, and as people
//! read it: the lines of the same commands without JSON.
//!
//! Owns: the fields' names and order, and how values are shown (weights as fractions of one, sets as lists of words).
//! Does not know: JSON itself, or who asks. Fields that stand for things which this system does not have (cache
//! tiers, several addresses per purpose) are left out rather than filled with a lie; fields that Ceph does not have come last.

mod fraction;
mod osd_dump;
mod osd_tree;
mod pools;
mod text;
mod timestamp;

pub use osd_dump::{
    AddressEntry, AddressVector, OsdDump, OsdExtra, OsdView, PgOrOsd, PgOsdsView, PgPrimaryView, PgReplacementsView,
    ReplacementView, osd_dump,
};
pub use osd_tree::{OsdTree, TreeNode, osd_tree};
pub use pools::{PoolSnapshotView, PoolView, pools};
pub use text::{osd_dump_text, osd_tree_text};
pub use timestamp::timestamp;

#[cfg(test)]
mod tests;

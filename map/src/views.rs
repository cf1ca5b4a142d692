//! The map as scripts read it: the JSON of Ceph's `osd dump`, `osd tree` and `osd pool ls detail`, field by field.
//!
//! Owns: the fields' names and order, and how values are shown (weights as fractions of one, sets as lists of words).
//! Does not know: JSON itself, text tables, or who asks. Fields that stand for things which this system does not have (cache
//! tiers, several addresses per purpose) are left out rather than filled with a lie; fields that Ceph does not have come last.

mod osd_dump;
mod osd_tree;
mod pools;
mod timestamp;

pub use osd_dump::{
    AddressEntry, AddressVector, OsdDump, OsdExtra, OsdView, PgOrOsd, PgOsdsView, PgPrimaryView, PgReplacementsView,
    ReplacementView, osd_dump,
};
pub use osd_tree::{OsdTree, TreeNode, osd_tree};
pub use pools::{PoolSnapshotView, PoolView, pools};
pub use timestamp::timestamp;

#[cfg(test)]
mod tests;

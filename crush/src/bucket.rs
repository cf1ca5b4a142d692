//! How each kind of bucket draws one of its items for an input `x` and an attempt `r`.
//!
//! Each draw is a pure function of (bucket, x, r); only `uniform` keeps a permutation between draws of one mapping, so that
//! its cost stays linear. The functions work on slices of the compiled map and know nothing of trees, rules or retries.

mod list;
mod registers;
mod straw;
mod straw2;
mod tree;
mod uniform;

pub use registers::Registers;

pub(crate) use list::list_pick;
pub(crate) use straw::{straw_lengths, straw_pick};
pub(crate) use straw2::{
    LANES_MAX, Straws, TOGETHER, TOGETHER_ITEMS_MAX, Table, reciprocal, straw2_pick, straw2_pick_together,
};
pub(crate) use tree::tree_pick;
pub(crate) use uniform::{Permutation, permutation_pick};

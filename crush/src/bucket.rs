//! How each kind of bucket draws one of its items for an input `x` and an attempt `r`.
//!
//! Each draw is a pure function of (bucket, x, r); only `uniform` keeps a permutation between draws of one mapping, so that
//! its cost stays linear. The functions work on slices of the compiled map and know nothing of trees, rules or retries.

mod list;
mod straw;
mod straw2;
mod tree;
mod uniform;

pub(crate) use list::list_pick;
pub(crate) use straw::{straw_lengths, straw_pick};
pub(crate) use straw2::straw2_pick;
pub(crate) use tree::tree_pick;
pub(crate) use uniform::{Permutation, permutation_pick};

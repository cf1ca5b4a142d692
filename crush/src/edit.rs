//! Changes of a map, as operators make them.
//!
//! Every change keeps the map's invariants, or fails and says why. Weights propagate: a bucket's weight in its parents is the
//! sum of its items, all the way up, and so do the weights in sets of choose arguments. Shadow trees of device classes are
//! rebuilt after each change, with the ids that they had before.
//! Where the order of items matters to placement (list, tree, uniform), it is the order that Ceph's tools produce.

mod bucket_items;
mod items;
mod location;
mod rules;
mod shadows;
mod sums;
mod weight_sets;
mod weights;

pub use location::{Location, is_valid_name};
pub use rules::Mode;

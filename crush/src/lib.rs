//! CRUSH: controlled, scalable, decentralised placement of replicated data, bit for bit as Ceph computes it.
//!
//! Whoever holds the map computes where data lives: `(map, rule, input, weights) -> devices` is a pure function. This crate
//! has the function and everything around the map; it depends on nothing but the standard library.
//!
//! - [`CrushMap`] is the model that one edits, reads ([`CrushMap::decode`]) and writes ([`CrushMap::encode`]).
//! - [`CompiledMap`] is made from it once per epoch, checked, and places ([`CompiledMap::map_rule`]).
//! - [`text`] compiles and decompiles the form that humans write.
//! - [`tester`] tries a map over many inputs; [`tool`] is `crushtool` as a function.
//! - [`hash`] holds the hashes that placement and object names use.
//!
//! Does not know: pools, epochs, who is up, files, clocks, randomness.

mod binary;
mod bucket;
mod compiled;
mod edit;
mod error;
pub mod hash;
mod logarithm;
mod map;
mod rule;
pub mod tester;
pub mod text;
pub mod tool;
mod tree;
pub mod weight;

pub use bucket::Registers;
pub use compiled::{CompiledMap, DEPTH_MAX, TRIES_MAX};
pub use edit::{Location, Mode, is_valid_name};
pub use error::{Error, ErrorKind};
pub use map::{
    Algorithm, BUCKET_ITEMS_MAX, BUCKET_SLOTS_MAX, Bucket, BucketContents, ChooseArg, ChooseArgs, CrushMap,
    DEVICES_MAX, HASH_RJENKINS1, ITEM_NONE, Profile, RULES_MAX, Rule, RuleType, Step, Tunables, WEIGHT_ONE,
};
pub use rule::{RESULT_MAX, Workspace};
pub use tree::TreeRow;

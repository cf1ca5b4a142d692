//! The store on a device: the engine with its threads.
//!
//! Owns: four threads that run the engine's steps. Does not know: how any step works.
//!
//! A crash at any point leaves what `disk/replay.rs` opens again: a prefix of the submitted transactions that
//! contains every one whose `done` was called with `Ok`. See docs/internals/store-format.md.

mod allocator;
mod cache;
mod checkpoint;
pub(crate) mod codec;
mod engine;
mod fsck;
mod group;
mod journal;
pub(crate) mod keys;
mod metadata;
mod object;
mod overlay;
mod pace;
mod placement;
mod read;
mod replay;
mod sources;
mod staging;
mod state;
mod stepped;
mod store;
mod superblock;

pub use fsck::{
    FoundBytes, FsckDepth, FsckProgress, FsckReport, FsckStage, HearProgress, Problem, RepairMode, SegmentPlace,
    UnitPlace,
};
pub(crate) use stepped::SteppedStore;
pub use store::{DiskStore, StoreInfo, StoreOptions};
pub use superblock::Identity;
pub(crate) use {
    group::{GroupHeader, decode_group},
    keys::{decode_header_key, decode_segment_key},
    object::{Header, Segment},
    superblock::Superblock,
};

#[cfg(test)]
mod tests;

//! The object store under one OSD: every acknowledged byte, at the speed of the device.
//!
//! Owns: objects (bytes, attributes, omap) and the OSD's own small values, on one device with a key-value folder
//! beside it. Does not know: clusters, maps, placement groups, networks.
//!
//! One trait, [`ObjectStore`], and its implementations: [`MemoryStore`] (the reference model) and [`FaultyStore`]
//! (the model with chosen faults, for the simulator).

mod faulty;
mod memory;
mod object_store;

pub use faulty::FaultyStore;
pub use memory::MemoryStore;
pub use object_store::{CommitCallback, ConfigChanges, ObjectStore, UNIT_BYTES, check_transaction};

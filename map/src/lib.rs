//! The cluster map: one value, numbered by epoch, changed only by increments; and where objects live by it.
//!
//! Owns: pools, OSD states, exceptions to CRUSH, membership of monitors and managers, the persisted and published
//! encodings of all that with their checksums. Does not know: who sends maps to whom, or what is stored where.
//!
//! Invariants
//! 1. A map changes only by `ClusterMap::apply`, which raises the epoch by exactly one and compares the checksum
//!    that the increment names with the one the result has.
//! 2. Equal maps have equal bytes: encoding is canonical, so a checksum comparison finds any divergence.
//! 3. Placement is a pure function of (map, object): everybody who holds the epoch computes the same OSDs.

mod apply;
mod balance;
mod check;
mod cluster;
mod configuration;
mod conversion;
mod encoding;
mod first;
mod increment;
mod mapping;
mod movement;
mod placement;
mod pool;
mod published;
mod safety;
mod stale;
pub mod tool;
pub mod views;

pub use balance::{UpmapGoal, balance};
pub use check::{Breach, ERASURE_SHARDS_MAX, HOST_NAME_BYTES_MAX, POOLS_MAX, UPMAP_ITEMS_PER_PG_MAX, breaches, check};
pub use cluster::{
    BlocklistEntry, ClusterFlags, ClusterMap, FullRatios, HOLE, ManagerEntry, Managers, MonitorEntry, OsdState, Weight,
};
pub use configuration::{
    CONFIG_TEXT_BYTES_MAX, CONFIG_VALUES_MAX, ConfigOption, ConfigSubject, ConfigTarget, Configuration,
    EffectiveSettings, Mask, OptionSpec, Takes, Unit, Who,
};
pub use encoding::{CHANGES_MAX, LaterFields, decode_increment, decode_map, encode_increment, encode_map};
pub use increment::{Change, Death, Increment};
pub use mapping::{Mapping, MappingPart, MappingWork};
pub use movement::{Movement, OsdMovement, Volume, copies_by_osd, movement};
pub use placement::Placement;
pub use pool::{Pool, PoolFlags, PoolKind, PoolOptions};
pub use published::{Placer, PublishedMap};
pub use safety::{DestroyReport, PgCondition, StopReport, ok_to_stop, safe_to_destroy};
pub use stale::stale_exceptions;

#[cfg(test)]
mod sample;

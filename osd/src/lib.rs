//! The OSD daemon: a thin shell around the machine of `osd/state`.
//!
//! Owns: the thread that runs the machine, sessions, the store's handle, the process's life. Decides nothing: events
//! go in, actions are carried out (ARCHITECTURE.md, "The three walks").
//!
//! A crash loses what is in memory; everything acknowledged is in the store, and `run` starts from there.

mod class_calls;
mod completions;
mod create;
mod monitors;
mod network_stack;
mod peers;
mod sessions;
mod settings;
mod shard;
mod start;
mod stopped;
mod stored;

pub use create::{create, is_created};
pub use settings::{CreateSettings, FreeSpace, OsdSettings};
pub use start::run;
pub use stopped::{ArchiveSubject, ImportRequest, PoolCheck, StoppedOsd, StoppedPg, StorePaths};

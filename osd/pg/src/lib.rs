//! One placement group, as one of its members sees it: a pure machine.
//!
//! Owns: interval history, the log, missing sets, remembered requests, operations in flight, leases, recovery.
//! Does not know: sockets, disks, threads, clocks, other placement groups, how many of them there are.
//!
//! The invariants that the machine asserts are named in `pg.rs`. After a crash everything is rebuilt from what the
//! store holds; nothing in flight survives.

mod config;
mod damage;
mod event;
mod interval;
mod invariants;
mod lease;
mod list;
mod log;
mod missing;
mod peer;
mod peering;
mod pg;
mod query;
mod read;
mod recovery;
mod repeat;
mod requests;
mod scrub;
mod snapshots;
mod statistics;
mod stored;
mod stray;
mod turn;
mod unfound;
mod visit;
mod watch;
mod write;

pub use config::{Checks, PgConfig, ScrubConfig, ScrubGoals};
pub use event::{Action, AfterCommit, Event, ScrubPlace, SessionId, Ticket};
pub use pg::Pg;
pub use recovery::TEMPORARY_GENERATION;
pub use scrub::{Digesting, Progress};
pub use stored::{GONE as GONE_KEY, StoredPg};
pub use wire::Fullness;
pub use write::{CallOutcomes, ClassCalls, OBJECT_INFO_XATTR};

//! One placement group, as one of its members sees it: a pure machine.
//!
//! Owns: interval history, the log, missing sets, remembered requests, operations in flight, leases, recovery.
//! Does not know: sockets, disks, threads, clocks, other placement groups, how many of them there are.
//!
//! The invariants that the machine asserts are named in `pg.rs`. After a crash everything is rebuilt from what the
//! store holds; nothing in flight survives.

mod event;

pub use event::{Action, AfterCommit, Event, Fullness, SessionId, Ticket};

//! The client's table of operations in flight, as a pure machine.
//!
//! Owns: which operation waits, which is on its way to whom, in which order they leave, when they leave again,
//! and when a caller stops waiting. Does not know: sockets, tasks, clocks, what the answers mean to callers.
//!
//! A shell feeds [`Event`]s and carries out [`Action`]s; the simulator does the same. See [`Table`] for the
//! invariants.

mod check;
mod event;
mod operation;
mod settings;
mod table;
mod target;

pub use check::check_operation;
pub use event::{Action, Event, Submission, Target};
pub use settings::{Checks, Settings};
pub use table::Table;

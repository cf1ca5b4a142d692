//! The monitors' logic: requests and reports in, entries of a replicated log out; the same on every monitor.
//!
//! Owns: what every monitor holds ([`State`]), what an entry does to it ([`Entry`]), how the leader plans entries
//! ([`Leader`]), all commands, health. Does not know: the consensus library, sockets, clocks, disks; the shell `mon`
//! and the simulator drive it.
//!
//! A request's way: [`Leader::handle`] queues or answers it -> [`Action::Propose`] -> agreed on -> [`State::apply`] on
//! every monitor -> [`Event::Applied`] -> [`Action::Answer`].
//!
//! Invariants
//! 1. Only results are replicated, never commands (FOUNDATIONS 7): equal entries on equal states make equal bytes.
//! 2. A command takes effect at most once (FOUNDATIONS 8).
//! 3. Reports live in the leader's memory alone (FOUNDATIONS 9).

mod answers;
mod commands;
mod draft;
mod entry;
mod hierarchy;
mod leader;
mod memory;
mod services;
mod settings;
mod state;

pub use answers::{ANSWER_BYTES_MAX, ANSWERS_PER_ASKER_MAX, ASKERS_MAX};
pub use entry::{Entry, LogLevel, LogLine, MapStep, decode_entry, encode_entry};
pub use leader::{
    Action, Checks, Event, Leader, QUEUE_MAX, REQUEST_BYTES_PER_ENTRY_MAX, REQUESTS_PER_ENTRY_MAX, Token,
};
pub use memory::Quorum;
pub use state::{Applied, INCREMENTS_BYTES_MAX, INCREMENTS_KEPT_MAX, INCREMENTS_KEPT_MIN, KEYS_MAX, Outcome, State};

#[cfg(test)]
mod tests;

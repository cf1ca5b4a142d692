//! The monitor: the shell around `mon-state`.
//!
//! Owns: the durable replicated log and its snapshots, elections, who leads at present, the way of a request to the
//! leader and back, subscriptions to maps, the data folder. Does not know: what any request means; `mon-state` decides.
//!
//! A request's way: `service` (any monitor) -> the leading monitor -> `desk`, which owns the leader's machine ->
//! `consensus` -> every monitor's `state_machine` -> back.
//!
//! Invariants
//! 1. Log entries and votes are answered for only after a synced write (FOUNDATIONS 10).
//! 2. A request is passed on at most once: monitors do not pass on what another monitor passed on.
//! 3. An answer that depends on the state leaves a leader only after its entry took effect or a quorum confirmed it.
//!
//! After a crash: the log, the vote and the newest snapshot are in the data folder; everything else is made from them
//! or sent again by whoever sent it.

mod consensus;
mod data_folder;
mod desk;
mod run;
mod service;
mod settings;
mod subscription;

pub use run::run;
pub use settings::{Member, MonSettings, Timing};

#[cfg(test)]
mod tests;

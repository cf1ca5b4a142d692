//! A whole cluster in one thread: the machines of monitors, OSDs and clients over a simulated network, simulated
//! disks and virtual time, from one seed.
//!
//! Owns: the world (what happens when), the simple model of consensus that stands in for the library's, the faults,
//! the clients' workload, and the judgement: histories, replicas, invariants, convergence. Does not know: anything
//! that the shells do; those are tested with real processes.
//!
//! What a run judges
//! 1. Every read of a register is explained by some order of the writes (linearizability, per object).
//! 2. Every acknowledged append is in its object exactly once, in the order sent.
//! 3. When faults have stopped, all placement groups become active and clean, and all replicas are identical.
//! 4. The machines' own invariants hold after every event.
//! 5. All monitors have the same state.

mod audit;
mod clients;
mod faults;
mod monitors;
mod osds;
mod profile;
mod world;

pub use profile::Profile;
pub use world::{Failure, Report, run};

//! A whole cluster in one thread: the machines of monitors, OSDs and clients over a simulated network, simulated
//! disks and virtual time, from one seed.
//!
//! Owns: the world (what happens when), the simple model of consensus that stands in for the library's, the faults,
//! the clients' workload, and the judgement: histories, replicas, invariants, convergence. Does not know: anything
//! that the shells do; those are tested with real processes.
//!
//! What a run judges
//! 1. Every answer to every client is explained by one order of the operations on its object: registers, attributes
//!    set together, logs, compare-and-swap, and objects of one client whose every answer is known beforehand.
//! 2. No request takes effect twice.
//! 3. When faults have stopped, all placement groups become active and clean within a bound of virtual time, and
//!    everything that was acknowledged can be read.
//! 4. All replicas are identical; an auditor who believes no machine walks the stores.
//! 5. The machines' own invariants hold after every event.
//! 6. All monitors have the same state, and each of the operator's commands took effect once.
//!
//! How to add: an operation, `workload.rs`; a fault, `faults.rs`; a kind of world, `profile.rs`; a bug to plant,
//! `types/src/simulation.rs`. A new action of a machine is carried out in `osds.rs`.

mod audit;
mod campaign;
mod clients;
mod faults;
mod monitors;
mod operator;
mod osds;
mod profile;
mod recorder;
mod run;
mod scenario;
mod workload;
mod world;

pub use campaign::{Campaign, Progress};
pub use profile::{Clocks, Fault, Links, PROFILES, Profile};
pub use recorder::{Coverage, Recorder};
pub use run::{Failure, Report, describe_at, run, run_silently, run_until};
pub use scenario::{Place, Scenario};
pub use world::Node;

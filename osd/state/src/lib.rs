//! One OSD daemon as a pure machine: everything that the shell around it does not have to decide.
//!
//! Owns: the maps it has seen, its placement groups by id, heartbeats, what it asks of the monitors, places for
//! recovery. Does not know: sockets, disks, threads, clocks. The shell in `osd` and the simulator in
//! `tests/machines` run the same machine.
//!
//! Invariants
//! 1. Maps are applied in epoch order, and stored before any placement group acts on them.
//! 2. A message whose epoch is newer than the newest map waits; nothing is handled by a map it was not meant for.
//! 3. What waits for the disk leaves only after `Event::Committed` of its ticket.
//! 4. A placement group exists here exactly when the map names this OSD for it, or it still holds a copy.
//!
//! After a crash `Osd::open` rebuilds everything from stored maps and stored placement groups.

mod admission;
mod config;
mod event;
mod groups;
mod heartbeat;
mod map_gate;
mod monitor_requests;
mod osd;
mod reservations;
mod scrub_places;
mod settings;
mod stored;
mod verify;

pub use config::OsdConfig;
pub use event::{Action, ConfigChange, Event, Owner, Peer};
pub use osd::Osd;
pub use stored::{PG_KEY_PREFIX, StoredOsd, map_key_range, pg_key};

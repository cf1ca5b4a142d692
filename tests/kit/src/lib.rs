//! What deterministic tests of every machine are built from.
//!
//! Owns: seeds and how a failure is replayed, virtual time with its event queue, the simulated network, the event
//! log that two runs of one seed must share, text tests, and the judges of histories (of registers, and of
//! objects that name their own past). Does not know: any
//! machine, message or store; all parts are generic over the node's name `N` and the message `M`. The memory and the
//! faulty store live in `store`, beside the trait they implement.
//!
//! A simulation is a loop over one [`EventQueue`]: pop the next event, give it to its machine, put the machine's
//! timers back into the queue, pass its messages through [`Network::send`] and queue the resulting packets; when a
//! packet's time comes, [`Network::arrive`] says whether it is still good. Each event goes into the [`EventLog`].
//!
//! ```
//! use std::time::Duration;
//! use tests_kit::{Content, EventLog, EventQueue, Link, Network, Packet, for_each_seed};
//! use types::SeededRandom;
//!
//! /// What the loop hears: a packet has come, or a node's machine wanted to be woken.
//! enum Step {
//!     Packet(Packet<u8, &'static str>),
//!     Tick(u8),
//! }
//!
//! for_each_seed(0..10, |seed| {
//!     let mut queue = EventQueue::new();
//!     let mut network = Network::new(SeededRandom::new(seed), Link::rough());
//!     let mut log = EventLog::new(1000);
//!     queue.schedule_after(Duration::from_millis(1), Step::Tick(0));
//!     while let Some(step) = queue.pop_until(types::Time::from_milliseconds(60_000)) {
//!         let now = queue.now();
//!         let packets = match step {
//!             Step::Tick(node) => {
//!                 queue.schedule_after(Duration::from_secs(1), Step::Tick(node));
//!                 network.send(now, &node, &1, "ping")
//!             }
//!             Step::Packet(packet) => match network.arrive(packet) {
//!                 Some(arrival) => {
//!                     log.record(now, format_args!("{} -> {} {:?}", arrival.from, arrival.to, arrival.content));
//!                     match arrival.content {
//!                         Content::Message("ping") => network.send(now, &arrival.to, &arrival.from, "pong"),
//!                         Content::Message(_) | Content::SessionReset => Vec::new(),
//!                     }
//!                 }
//!                 None => Vec::new(),
//!             },
//!         };
//!         for packet in packets {
//!             queue.schedule_at(packet.at, Step::Packet(packet));
//!         }
//!     }
//!     assert!(log.digest().count > 50, "{log}");
//! });
//! ```
//!
//! Invariants
//! 1. Nothing here reads a clock or the machine's randomness: same seed and same calls, same result.
//! 2. Events of one instant happen in the order in which they were scheduled.
//! 3. Iteration is over ordered maps only.

mod chain;
mod clock;
mod event_log;
mod event_queue;
mod history;
mod network;
mod seeds;
mod text_test;

pub use chain::{ChainHistory, ChainKey};
pub use clock::HostClock;
pub use event_log::{EventLog, LogDigest};
pub use event_queue::{EventKey, EventQueue};
pub use history::{OperationKey, RegisterHistory, Violation};
pub use network::{Arrival, Chance, Content, Link, Network, NetworkCounts, Ordering, Packet};
pub use seeds::{count, for_each_seed, for_each_seed_in_parallel};
pub use text_test::{Argument, Command, run_text_tests};

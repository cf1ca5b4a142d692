//! Running class methods beside the object that they are called on.

use std::cell::Cell;

use osd_pg::{CallOutcomes, ClassCalls, Ticket};
use osd_state::Event;
use telemetry::clock::wall_clock_milliseconds;
use types::{Error, PgId, StoreRead};

use crate::shard::{Shard, ShardEvent};

/// What class methods are told that the store answers when it would have to wait; never seen outside of the shard.
fn would_wait() -> Error {
    Error::retry("the answer is not in memory")
}

impl Shard {
    /// Runs class methods: on this thread where memory has all that they ask, else from the beginning on another one.
    /// A method has no effect but what it gives back, so that running it twice is running it once.
    pub(crate) fn call(&mut self, pg: PgId, ticket: Ticket, reads: Vec<StoreRead>, calls: Box<ClassCalls>) {
        let now_ms = wall_clock_milliseconds();
        let waits = Cell::new(false);
        let ask = |read: &StoreRead| {
            self.store.try_read(read).unwrap_or_else(|| {
                waits.set(true);
                Err(would_wait())
            })
        };
        let results: Vec<_> = reads.iter().map(ask).collect();
        let outcomes = if waits.get() { CallOutcomes::new() } else { calls.run(now_ms, &ask) };
        if !waits.get() {
            self.ready.push_back(Event::Called { pg, ticket, results, outcomes });
            return;
        }
        let (store, events) = (self.store.clone(), self.events.clone());
        tokio::task::spawn_local(async move {
            let blocking = move || {
                let ask = |read: &StoreRead| store.read(read);
                let results: Vec<_> = reads.iter().map(ask).collect();
                (results, calls.run(now_ms, &ask))
            };
            match tokio::task::spawn_blocking(blocking).await {
                Ok((results, outcomes)) => {
                    let event = ShardEvent::Machine(Event::Called { pg, ticket, results, outcomes });
                    // A closed queue is a shard that has ended.
                    drop(events.send(event).await);
                }
                Err(error) => {
                    tracing::error!(%error, "a class's method did not end; its operation waits for a restart")
                }
            }
        });
    }
}

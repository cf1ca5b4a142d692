//! Commits that have ended: from the store's threads to the shard, many with one wake-up.
//!
//! The queue holds at most one entry for each commit in flight, and the permits of sessions bound those.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use osd_pg::Ticket;
use osd_state::Owner;
use tokio::sync::Notify;
use types::Result;

/// What ended, and how. `None` is a change of the OSD's own values, which nobody waits for.
pub(crate) type Completion = (Option<(Owner, Ticket)>, Result<()>);

/// The queue, shared with the store's threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Completions {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: Mutex<VecDeque<Completion>>,
    arrived: Notify,
}

impl Completions {
    /// Adds one. Called by the store, also while it holds up others: no waiting here.
    pub fn push(&self, completion: Completion) {
        self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner).push_back(completion);
        self.shared.arrived.notify_one();
    }

    /// Takes all that ended, in order.
    pub fn take(&self) -> VecDeque<Completion> {
        std::mem::take(&mut *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something ended since the last `take`.
    pub async fn arrived(&self) {
        self.shared.arrived.notified().await;
    }
}

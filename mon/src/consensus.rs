//! Agreement among the monitors, as the rest of the monitor sees it.
//!
//! Owns: the interface. The library behind it (openraft, docs/decisions) is known to the modules below only, so that
//! it can be replaced, and so that tests can stand in for it.

mod encoding;
mod log_store;
mod network;
mod raft;
mod state_machine;

use std::collections::BTreeSet;

use bytes::Bytes;
use mon_state::Applied;
use tokio::sync::watch;
use types::{MonId, Result};

pub(crate) use raft::{RaftConsensus, RaftSettings};
pub(crate) use state_machine::SharedState;

/// Who leads, as far as this monitor knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The leader; none during an election, or when this monitor leads but has lost its quorum.
    pub leader: Option<MonId>,
    /// The term; leaders of different terms are different leaders.
    pub term: u64,
    /// This monitor's consensus ended for good, because its disk failed or it differs from the others.
    pub has_stopped: bool,
}

/// Agreement: entries become part of one order that every monitor follows.
#[async_trait::async_trait]
pub(crate) trait Consensus: Send + Sync + 'static {
    /// Has an entry agreed on and applied here. An error of kind `Retry` leaves open whether it will be.
    async fn propose(&self, entry: Bytes) -> Result<Applied>;

    /// Returns when a quorum has confirmed, after the call, that this monitor leads, and everything agreed on before
    /// the call is applied here.
    async fn read_index(&self) -> Result<()>;

    /// Who leads, now and later.
    fn standing(&self) -> watch::Receiver<Standing>;

    /// The members that answer this leader at present, itself included; empty when it does not lead.
    fn followers(&self) -> BTreeSet<MonId>;

    /// Answers another monitor's words.
    async fn hear(&self, method: &str, body: Bytes) -> Result<Bytes>;

    /// Stops taking part.
    async fn stop(&self);
}

#[cfg(test)]
mod tests;

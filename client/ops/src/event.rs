//! What the table hears and what it asks for.

use std::sync::Arc;

use map::PublishedMap;
use types::{Epoch, ObjectName, OsdId, PgId, PoolId, SnapshotId, Time};
use wire::{ClientOp, ClientReply, OpFailure, OpFlags, OpSuccess, SnapshotContext, SubOp};

/// What an operation is about, as the caller says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One object of the pool.
    Object(ObjectName),
    /// A placement group of the pool, for listings. Not ordered with anything.
    Pg(PgId),
}

/// An operation that a caller wants carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The caller's number for it; unique among those in the table.
    pub handle: u64,
    /// In which pool.
    pub pool: PoolId,
    /// On what.
    pub target: Target,
    /// The steps.
    pub ops: Vec<SubOp>,
    /// Wishes.
    pub flags: OpFlags,
    /// Which snapshot is read; `HEAD` for writes.
    pub snapshot: SnapshotId,
    /// Which snapshots a write preserves.
    pub snapshot_context: SnapshotContext,
    /// The caller's wall clock in milliseconds since 1970.
    pub modified_ms: u64,
    /// When the caller stops waiting, if ever.
    pub deadline: Option<Time>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A caller wants something done.
    Submit(Box<Submission>),
    /// A caller no longer wants the answer. There will be no `Complete`.
    Cancel {
        /// Its number.
        handle: u64,
    },
    /// A newer map. An older one or the same is ignored; one that skips epochs makes everything go out again.
    NewMap(Arc<PublishedMap>),
    /// An OSD answered.
    Reply {
        /// Which OSD.
        from: OsdId,
        /// What.
        reply: Box<ClientReply>,
    },
    /// The session to an OSD ended, or could not be opened.
    SessionReset(OsdId),
    /// `deadline()` has come.
    Tick,
}

/// What shall be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send the operation; a session is opened when there is none. Sends to one OSD keep their order.
    Send {
        /// To whom.
        to: OsdId,
        /// What.
        op: Box<ClientOp>,
    },
    /// The operation is over for its caller.
    Complete {
        /// The caller's number.
        handle: u64,
        /// What became of it.
        outcome: Result<OpSuccess, OpFailure>,
    },
    /// A newer map is needed to go on.
    WantMap {
        /// What the table has.
        have: Epoch,
    },
    /// An operation waits for long; its caller may want to know.
    Warn {
        /// The caller's number.
        handle: u64,
        /// For how long by now.
        waiting_ms: u64,
    },
}

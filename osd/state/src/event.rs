//! What an OSD hears and what it answers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use map::EffectiveSettings;
use osd_pg::{CallOutcomes, ClassCalls, SessionId, Ticket};
use types::{BootNonce, EntityName, OsdId, PgId, Result, StoreRead, StoreReadResult, StoreUsage, Transaction};
use wire::{ControlReply, ControlRequest, MapShare, Message, StatisticsReport};

/// Who is at the other end of a session that was opened to this OSD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its proven name.
    pub entity: EntityName,
    /// Its process.
    pub nonce: BootNonce,
}

/// Whose question to the store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A placement group's.
    Pg(PgId),
    /// The OSD's own.
    Osd,
}

/// What the OSD hears.
#[derive(Debug, Clone)]
pub enum Event {
    /// Maps from the monitors' subscription.
    Maps(MapShare),
    /// Somebody opened a session to this OSD.
    SessionOpened {
        /// Its number.
        session: SessionId,
        /// Who.
        peer: Peer,
    },
    /// A session that was opened to this OSD is gone.
    SessionClosed(SessionId),
    /// A message came on a session that was opened to this OSD.
    Message {
        /// Which session.
        session: SessionId,
        /// What.
        message: Box<Message>,
    },
    /// The session that this OSD opened to another broke: what was sent on it may be lost.
    PeerReset(OsdId),
    /// The address refuses connections at which this life of the other was registered.
    PeerRefused {
        /// Who.
        osd: OsdId,
        /// Which life was looked for; the map may know another one by now.
        nonce: BootNonce,
    },
    /// A commit is durable. Commits become durable in the order asked for.
    Committed {
        /// Whose.
        owner: Owner,
        /// Which.
        ticket: Ticket,
    },
    /// The store's answers.
    ReadDone {
        /// Whose.
        owner: Owner,
        /// To which question.
        ticket: Ticket,
        /// One for each.
        results: Vec<Result<StoreReadResult>>,
    },
    /// The answers to [`Action::Call`].
    Called {
        /// Whose.
        pg: PgId,
        /// To which question.
        ticket: Ticket,
        /// The store's, one for each question.
        results: Vec<Result<StoreReadResult>>,
        /// The class methods'.
        outcomes: CallOutcomes,
    },
    /// The monitors' answer to the last [`Action::AskMonitors`] of this kind; unanswered ones are asked again.
    MonitorsAnswered(Box<ControlReply>),
    /// How full the store is and how long commits take; the answer to [`Action::MeasureUsage`].
    Usage {
        /// How full it is.
        usage: StoreUsage,
        /// Mean time of a commit since the last answer.
        commit_latency: Duration,
    },
    /// The machine's deadline has come.
    Tick,
}

/// A change to the OSD's own small values in the store; `None` removes.
pub type ConfigChange = (Vec<u8>, Option<Bytes>);

/// What the OSD wants done.
#[derive(Debug, Clone)]
pub enum Action {
    /// On a session that was opened to this OSD.
    Reply {
        /// Which.
        session: SessionId,
        /// What.
        message: Box<Message>,
    },
    /// To another OSD, on the session that this OSD keeps to it.
    Send {
        /// To whom.
        to: OsdId,
        /// Where it is registered.
        address: SocketAddr,
        /// Which life of its process is expected there.
        nonce: BootNonce,
        /// What.
        message: Box<Message>,
    },
    /// The other OSD is down or has moved: close the session to it and forget what is queued.
    Disconnect(OsdId),
    /// Must be durable before `Event::Committed` says so.
    Commit {
        /// Whose.
        owner: Owner,
        /// Which.
        ticket: Ticket,
        /// The change.
        transaction: Transaction,
    },
    /// The OSD's own small values; take their place in the order of commits, nobody waits for them.
    StoreConfig(Vec<ConfigChange>),
    /// Questions to the store, after every commit asked for before them.
    Read {
        /// Whose.
        owner: Owner,
        /// Which.
        ticket: Ticket,
        /// The questions.
        reads: Vec<StoreRead>,
    },
    /// Questions to the store, and class methods to be run on the answers of the same moment.
    Call {
        /// Whose.
        pg: PgId,
        /// Which.
        ticket: Ticket,
        /// The questions.
        reads: Vec<StoreRead>,
        /// The methods.
        calls: Box<ClassCalls>,
    },
    /// To the monitors, whichever answers first.
    AskMonitors(Box<ControlRequest>),
    /// To the active manager.
    Report {
        /// Where it listens.
        manager: SocketAddr,
        /// What.
        report: Box<StatisticsReport>,
    },
    /// Look how full the store is and how long commits take, and say it with `Event::Usage`.
    MeasureUsage,
    /// What operators chose for this OSD has changed; what of it concerns the shell is to be carried out.
    Settings(Arc<EffectiveSettings>),
    /// This device must not serve: its id belongs to another device now, or the cluster says so.
    Stop {
        /// Why, for the log and the operator.
        reason: String,
    },
}

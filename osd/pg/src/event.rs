//! What a placement group hears and what it answers.
//!
//! What may leave at once ([`Action::Send`], [`Action::Reply`]) and what may leave only after the disk has answered
//! ([`AfterCommit`]) are different types, so that acknowledging too early cannot be written by accident.

use std::sync::Arc;

use map::{EffectiveSettings, PublishedMap};
use types::{Epoch, OsdId, Result, StoreRead, StoreReadResult, Transaction};
use wire::{ClientOp, ClientReply, Fullness, Notification, PgMessage, PushSource};

use crate::{CallOutcomes, ClassCalls};

/// A client's connection to this OSD, numbered by the shell, never reused while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl SessionId {
    /// Nobody's: operations of the placement group's own, which nobody is answered. No shell counts so far.
    pub const OWN: Self = Self(u64::MAX);
}

/// Ties a question to the store with its answer. Given by the machine, unique within the PG's life in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the PG hears.
#[derive(Debug, Clone)]
pub enum Event {
    /// The next map. Epochs come in order, each exactly once.
    NewMap(Arc<PublishedMap>),
    /// A client's operation, already within limits; its epoch is not newer than the PG's map.
    ClientOp {
        /// Where the answer goes.
        session: SessionId,
        /// What is asked.
        op: Box<ClientOp>,
    },
    /// A member's message; its epoch is not newer than the PG's map.
    Peer {
        /// Who says it.
        from: OsdId,
        /// What is said.
        message: Box<PgMessage>,
    },
    /// The connection to an OSD broke: what was sent may be lost and must be sent again.
    PeerReset(OsdId),
    /// A client's connection is gone: its answers have nowhere to go.
    SessionClosed(SessionId),
    /// The commit of this ticket is durable. Commits become durable in the order asked for.
    Committed(Ticket),
    /// The answers of the store, one for each question.
    ReadDone {
        /// To which question.
        ticket: Ticket,
        /// In the order of the questions.
        results: Vec<Result<StoreReadResult>>,
    },
    /// The answers of the store and of class methods to [`Action::Call`].
    Called {
        /// To which question.
        ticket: Ticket,
        /// In the order of the questions.
        results: Vec<Result<StoreReadResult>>,
        /// What each call came to.
        outcomes: CallOutcomes,
    },
    /// The OSD has a place for this PG's recovery or backfill, as primary or as target.
    LocalReservationGranted,
    /// The OSD's answer to [`Action::RequestScrubPlace`].
    ScrubPlace(ScrubPlace),
    /// How full the OSD is has changed class.
    Fullness(Fullness),
    /// What operators chose for this OSD has changed.
    Settings(Arc<EffectiveSettings>),
    /// The machine's deadline has come.
    Tick,
}

/// Whether the OSD has a place for one more scrub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrubPlace {
    /// It is held from now on.
    Granted,
    /// All are taken; ask again later.
    Refused,
}

/// What waits for the disk. Carried out by the shell, in order, once the transaction is durable.
#[derive(Debug, Clone)]
pub enum AfterCommit {
    /// To a member.
    Send {
        /// To whom.
        to: OsdId,
        /// What.
        message: Box<PgMessage>,
    },
}

/// What the PG wants done.
#[derive(Debug, Clone)]
pub enum Action {
    /// To a member; may leave at once.
    Send {
        /// To whom.
        to: OsdId,
        /// What.
        message: Box<PgMessage>,
    },
    /// To a client; everything it promises is already durable where it must be.
    Reply {
        /// Where.
        session: SessionId,
        /// What.
        reply: Box<ClientReply>,
    },
    /// To a client that watches. May be lost: who does not acknowledge is told again when it says that it is there.
    Notify {
        /// Where.
        session: SessionId,
        /// What.
        notification: Box<Notification>,
    },
    /// The client chose its target by an old map: give it the newer one, it will send again.
    ShareMap {
        /// Where.
        session: SessionId,
        /// What it has.
        have: Epoch,
    },
    /// Must be durable before `then` happens; the answer is `Event::Committed(ticket)`, given before `then` is sent.
    Commit {
        /// Ties the answer to this.
        ticket: Ticket,
        /// The change.
        transaction: Transaction,
        /// What waits for it.
        then: Vec<AfterCommit>,
    },
    /// Questions; the answer is `Event::ReadDone`.
    Read {
        /// Ties the answer to this.
        ticket: Ticket,
        /// The questions, answered together, after every commit asked for before them has been applied.
        reads: Vec<StoreRead>,
    },
    /// Questions as of [`Action::Read`], and class methods to be run on the same moment's object; the answer is
    /// `Event::Called`.
    Call {
        /// Ties the answer to this.
        ticket: Ticket,
        /// The questions.
        reads: Vec<StoreRead>,
        /// The methods.
        calls: Box<ClassCalls>,
    },
    /// The monitors must record that this OSD may serve since this epoch, before the PG does.
    WantUpThru(Epoch),
    /// The monitors should let these serve for now; empty ends it.
    WantPgTemp(Vec<OsdId>),
    /// The PG has been peered for the first time, on all its acting set, and durably. While the map still lists it in
    /// `creating_pgs` nobody serves it: so whoever finds it listed there knows that no write was ever accepted, and
    /// may create it empty; a PG that is not listed is never created empty, its history comes from members (`Info`).
    Created,
    /// The OSD should find a place for recovery or backfill; answered by `LocalReservationGranted`.
    RequestLocalReservation(PushSource),
    /// The place is free again, or no longer wanted.
    ReleaseLocalReservation,
    /// The OSD should say at once whether it has a place for a scrub; answered by `ScrubPlace`.
    RequestScrubPlace,
    /// That place is free again.
    ReleaseScrubPlace,
    /// The PG's copy here has been removed from the store; forget the machine.
    Removed,
}

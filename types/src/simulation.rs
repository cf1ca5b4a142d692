//! What the simulator reaches inside machines: bugs to carry out on purpose, and which cells of a table were visited.
//!
//! A simulator that finds nothing is evidence only when it would have found something. So each bug of this registry is
//! a small mutation of a real code path, one line at its site, and `./dev sim --planted` proves that each is found
//! (docs/reliability.md, decision 0051). In the product neither exists: without the feature `simulation` [`planted`] is
//! the constant `false` and [`visit`] does nothing, so that the compiler removes the sites.
//!
//! The choice belongs to the thread: the simulator runs one world per thread.

macro_rules! bugs {
    ($($name:ident: $site:literal, $doc:literal;)*) => {
        /// A bug that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $(#[doc = $doc] $name,)*
        }

        impl Bug {
            /// All of them, in the order of the files in which they are planted.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The file in which it is planted.
            pub fn site(self) -> &'static str {
                match self { $(Self::$name => $site,)* }
            }

            /// What is wrong then.
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => $doc.trim_ascii(),)* }
            }
        }
    };
}

bugs! {
    AcknowledgeOnOwnCommit: "osd/pg/src/write/replicate.rs", "The primary answers a write as soon as its own disk has it.";
    AcknowledgeWithoutOwnCommit: "osd/pg/src/write/replicate.rs", "The primary answers a write before its own disk has it.";
    AcknowledgeOneMemberEarly: "osd/pg/src/write/replicate.rs", "The primary does not wait for the last of the members.";
    MemberAnswersBeforeCommit: "osd/pg/src/write/replicate.rs", "A member says that it has a write before its disk has it.";
    RepeatedWriteAnsweredAtOnce: "osd/pg/src/write/replicate.rs", "A member answers a repeated write although the first copy is not on its disk.";
    GapTaken: "osd/pg/src/write/replicate.rs", "A member takes a write although it lacks the one before it.";
    TrimmedAnswersForgotten: "osd/pg/src/write/replicate.rs", "Answers are not remembered when their log entries are trimmed.";
    RequestsForgotten: "osd/pg/src/write/admit.rs", "A repeated request is carried out again.";
    RepeatAnsweredByLog: "osd/pg/src/write/admit.rs", "A repeat is answered by the log although members lack what it wrote.";
    FailedWritesForgotten: "osd/pg/src/write/admit.rs", "The repeat of a write that had failed is carried out again.";
    OldTargetAccepted: "osd/pg/src/write/admit.rs", "An operation is taken although its client chose the target in an earlier interval.";
    ReadDuringWrite: "osd/pg/src/write/admit.rs", "A read does not wait for the writes of its object that are under way.";
    MissingObjectRead: "osd/pg/src/write/admit.rs", "The primary reads an object that it lacks.";
    MissingObjectWritten: "osd/pg/src/recovery/schedule.rs", "An object is written although members lack it.";
    CopiedObjectWritten: "osd/pg/src/recovery/schedule.rs", "An object is written while it is being copied.";
    BackfillTargetForgotten: "osd/pg/src/recovery/schedule.rs", "A backfill target gets no writes to objects that its scan has passed.";
    CleanTooEarly: "osd/pg/src/recovery/schedule.rs", "A group calls itself clean although a member lacks objects, and lets strays go.";
    BackfillCursorTooFar: "osd/pg/src/recovery/backfill.rs", "The cursor passes objects that are still on their way to the target.";
    ScanIgnoresWrites: "osd/pg/src/recovery/backfill.rs", "A listed page is not kept true to writes that follow the listing.";
    ScanKeepsRemoved: "osd/pg/src/recovery/backfill.rs", "The scan leaves on the target what the primary does not have.";
    CursorAnsweredBeforeCommit: "osd/pg/src/recovery/backfill.rs", "A backfill target says that it stored its cursor before its disk has it.";
    PushAnsweredBeforeCommit: "osd/pg/src/recovery/receive.rs", "A member says that it has an object before its disk has it.";
    PushWithoutOmap: "osd/pg/src/recovery/receive.rs", "A copied object comes without its omap.";
    PartsMixed: "osd/pg/src/recovery/receive.rs", "A part of an object is taken wherever the copy stands.";
    StalePartTaken: "osd/pg/src/recovery/receive.rs", "A part of an older version is taken for the one that is needed.";
    AnyVersionGiven: "osd/pg/src/recovery/pull.rs", "Whoever is asked for a version gives the one it has, under the asked one's number.";
    LeaseIgnored: "osd/pg/src/lease.rs", "The primary serves reads without a lease.";
    LeaseCountedFromReceipt: "osd/pg/src/lease.rs", "The primary counts a lease from the answer, not from its request.";
    LeaseForgottenByGiver: "osd/pg/src/lease.rs", "A member forgets what it granted.";
    PriorLeaseIgnored: "osd/pg/src/peering/proof.rs", "A new primary does not wait until reads by an earlier one have ended.";
    ProofIgnored: "osd/pg/src/peering/proof.rs", "A primary serves before the map proves that it may.";
    PastNotAdopted: "osd/pg/src/peering/get_info.rs", "A primary does not learn of past intervals that others know.";
    DownMembersIgnored: "osd/pg/src/peering/get_info.rs", "A primary serves although nobody of an interval that may have written was heard.";
    DivergentEntriesKept: "osd/pg/src/peering/get_log.rs", "A member keeps entries that the authoritative log does not have.";
    RememberedAnswersNotCopied: "osd/pg/src/peering/get_log.rs", "Answers remembered beyond the log are not taken over with it.";
    ShortestLogRules: "osd/pg/src/peering/authority.rs", "Of the acceptable logs the oldest rules.";
    LastStartIgnored: "osd/pg/src/peering/authority.rs", "A log rules although its owner was not in the last interval that served.";
    PartialCopyRules: "osd/pg/src/peering/authority.rs", "A copy that is being filled counts as whole.";
    MinSizeIgnored: "osd/pg/src/peering/activate.rs", "A group serves with fewer members than the pool demands.";
    ActivatedWithoutAll: "osd/pg/src/peering/activate.rs", "A primary serves before all members have the log on disk.";
    ActivationAnsweredBeforeCommit: "osd/pg/src/peering/replica.rs", "A member says that it has the log before its disk has it.";
    UpThruForgotten: "osd/pg/src/pg.rs", "A past interval counts as one without writes whatever `up_thru` says.";
    PastIntervalDropped: "osd/pg/src/pg.rs", "An interval that ends is not noted.";
    MissingForgottenAtStart: "osd/pg/src/pg.rs", "A restarted member believes that it lacks nothing.";
    PastForgottenAtStart: "osd/pg/src/pg.rs", "A restarted member knows of no past intervals.";
    AnswersForgottenAtStart: "osd/pg/src/pg.rs", "A restarted member remembers no answers beyond its log.";
    LeaseForgottenAtStart: "osd/pg/src/pg.rs", "A restarted member does not reckon with what it had granted.";
    UnbootedTakesPart: "osd/pg/src/pg.rs", "A restarted member takes part before the map shows this life of its process.";
    OldMessagesHeard: "osd/pg/src/pg.rs", "Messages of an interval that has ended are heard.";
    AccountBeforeCommit: "osd/pg/src/pg.rs", "A member gives its account of an interval before its disk has the interval.";
    MissingNotMerged: "osd/pg/src/missing.rs", "What a merged log has more is not noted as missing.";
    UndoneObjectKept: "osd/pg/src/missing.rs", "The content of an undone write is taken for the version before it.";
    DeletedObjectKept: "osd/pg/src/missing.rs", "A deletion learnt by log leaves the object in the store.";
    TrimBeyondCommitted: "osd/pg/src/log.rs", "The log is trimmed past what everybody has.";
    MapsJumped: "osd/state/src/admission.rs", "An OSD takes a whole map of a peer and skips the epochs before it.";
    NewerEpochNotAwaited: "osd/state/src/admission.rs", "A message of a newer map is heard before that map.";
    GroupsMadeLast: "osd/state/src/groups.rs", "A new group is made after older ones spoke of its map.";
    GroupNotRegistered: "osd/state/src/groups.rs", "A new group is not entered into the registry that a restart reads.";
    PlacesNotGivenBack: "osd/state/src/groups.rs", "A place for recovery is never free again.";
    PgTempDropped: "osd/state/src/monitor_requests.rs", "The wish for a temporary acting set is not sent.";
    CreationNotSaid: "osd/state/src/monitor_requests.rs", "The monitors do not hear that a group has been made.";
    MapsSkipped: "osd/state/src/osd.rs", "Of several maps that come at once groups see the last one only.";
    MapsNotStored: "osd/state/src/osd.rs", "Maps are not stored.";
    RequestIdReused: "client/ops/src/table.rs", "Two operations leave under one request id.";
    RequestsGivenUpTooEarly: "client/ops/src/table.rs", "A client says that it needs no answer to requests that it still waits for.";
    LaneOvertaken: "client/ops/src/table.rs", "An operation leaves although an earlier one of its object waits.";
    RepeatAlone: "client/ops/src/table.rs", "A repeated operation is not followed by those that were sent behind it.";
    DeathAssumed: "mon/state/src/services/failure.rs", "An OSD that fell silent counts as proven dead.";
    UpThruNotRecorded: "mon/state/src/services/placement_requests.rs", "The monitors answer a wish for `up_thru` and record nothing.";
    TemporarySetsStay: "mon/state/src/services/placement_requests.rs", "The monitors do not end a temporary acting set when they are asked to.";
    CommandsRepeated: "mon/state/src/answers.rs", "A repeated command is carried out again.";
}

/// Whether this bug shall be carried out.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
pub const fn planted(_bug: Bug) -> bool {
    false
}

/// Notes that a machine in this state heard this event.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
pub fn visit(_whose: impl FnOnce() -> Visit) {}

/// One event that one machine heard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// Whose machine, for the reader of a story.
    pub whose: String,
    /// Where the machine stood.
    pub state: &'static str,
    /// What it heard.
    pub event: String,
}

#[cfg(feature = "simulation")]
pub use chosen::{plant, planted, take_visits, visit, watch_visits};

#[cfg(feature = "simulation")]
mod chosen {
    use std::cell::{Cell, RefCell};

    use super::{Bug, Visit};

    thread_local! {
        static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
        static VISITS: RefCell<Option<Vec<Visit>>> = const { RefCell::new(None) };
    }

    /// From now on machines on this thread carry out this bug, or none.
    pub fn plant(bug: Option<Bug>) {
        CHOSEN.set(bug);
    }

    /// Whether this bug shall be carried out.
    #[inline]
    pub fn planted(bug: Bug) -> bool {
        CHOSEN.get() == Some(bug)
    }

    /// From now on visits on this thread are kept until they are taken.
    pub fn watch_visits() {
        VISITS.set(Some(Vec::new()));
    }

    /// What was visited since the last call.
    pub fn take_visits() -> Vec<Visit> {
        VISITS.with_borrow_mut(|visits| visits.as_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Notes that a machine in this state heard this event.
    #[inline]
    pub fn visit(visit: impl FnOnce() -> Visit) {
        VISITS.with_borrow_mut(|visits| visits.as_mut().map(|visits| visits.push(visit())));
    }
}

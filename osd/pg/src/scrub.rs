//! Scrubs: reading all copies again and holding them against each other, before somebody needs the one that has rotted.
//!
//! ```text
//! primary:  places on all members -> Search, a chunk of the range at a time -> Confirm, one suspect at a time -> record
//! chunk:    list here -> no write in it is on its way -> digests of all members -> compare (-> mark what is bad)
//! ```
//! Owns: the run that is under way, the record of earlier ones, this member's place. Does not know: how copies are made;
//! it marks a bad copy as missing, and recovery brings a good one.
//!
//! Invariants
//! 1. While a chunk is compared nothing in it is written, so that all members are read in the same state.
//! 2. A copy is marked as bad only when another copy is proven good by its checksums and its version (`compare.rs`).
//! 3. An object counts as inconsistent only after it was looked at twice, and as repaired only after it was looked at
//!    again.
//! 4. A client's write that meets a chunk takes precedence, a bounded number of times.
//!
//! A restart loses the run; it goes on from the cursor in the record. The rest of the run's memory is found again.

mod chunk;
mod compare;
mod digest;
mod job;
mod member;
mod orders;
mod repair;
mod run;
mod schedule;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use types::{Cursor, LogVersion, ObjectId, OsdId, SnapshotId, Time, Transaction};
use wire::{InconsistentObject, ObjectDigest, PgBody, ScrubDepth, ScrubOrder, ScrubRecord};

use crate::{Action, pg::Pg, turn::Turn};

pub use digest::{Digesting, Progress};
use job::DigestJob;

/// This OSD's place for a scrub of this PG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Place {
    /// Not wanted.
    #[default]
    None,
    /// Asked for; the answer comes at once.
    Asked,
    /// Held.
    Held,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It waits for places.
    Places,
    /// It walks the range.
    Search,
    /// It looks again at what was suspicious, and repairs it where that is allowed.
    Confirm,
}

/// Everything about scrubs of one member.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    /// Stored.
    pub record: ScrubRecord,
    /// Stored: what the last scrub that this member led has found.
    pub found: Vec<InconsistentObject>,
    /// What an operator asked for and has not begun.
    pub ordered: Option<ScrubOrder>,
    /// As primary.
    pub run: Option<Run>,
    /// The page of digests that is being made here.
    job: Option<DigestJob>,
    /// This OSD's place.
    place: Place,
    /// As a member: for whom the place is held, and until when without a word from it.
    place_for: Option<(OsdId, Time)>,
    /// When the schedule is looked at again.
    look_at: Time,
    /// No place was to be had; nothing begins before this.
    put_off_until: Time,
    /// Chunks so far: names questions and answers.
    chunks: u64,
}

/// A scrub under way.
#[derive(Debug)]
pub(crate) struct Run {
    /// How deep it looks.
    pub depth: ScrubDepth,
    /// Who asked for it; nobody did when it was due.
    pub order: Option<ScrubOrder>,
    pub phase: Phase,
    stamp_ms: u64,
    version: LogVersion,
    /// Members that were asked for a place, and whether they gave it.
    places: BTreeMap<OsdId, Place>,
    position: Cursor,
    targets: VecDeque<ObjectId>,
    suspects: BTreeSet<ObjectId>,
    /// Suspicious objects beyond those that are remembered.
    suspects_beyond: u64,
    found: Vec<InconsistentObject>,
    /// Objects of which copies were marked as bad and have not been seen whole since.
    attempted: BTreeSet<ObjectId>,
    repaired: u64,
    chunk: Option<Chunk>,
    chunk_objects: usize,
    preemptions: u32,
    pause_until: Time,
    saved_at: Time,
}

/// A part of the range that is being compared.
#[derive(Debug)]
struct Chunk {
    number: u64,
    begin: Cursor,
    end: Cursor,
    depth: ScrubDepth,
    step: Step,
    own: Option<Digests>,
    theirs: BTreeMap<OsdId, Option<Digests>>,
    asked_at: Time,
    bytes: u64,
}

#[derive(Debug)]
enum Step {
    /// Which objects come next?
    Listing,
    /// Writes that are on their way are waited for, new ones wait.
    Quieting,
    /// Everybody digests.
    Comparing,
    /// Bad copies are being marked.
    Marking(Marking),
}

#[derive(Debug)]
struct Marking {
    object: ObjectId,
    version: LogVersion,
    deleted: bool,
    own: bool,
    awaited: BTreeSet<OsdId>,
    taken: BTreeSet<OsdId>,
}

/// A member's answer.
#[derive(Debug)]
struct Digests {
    end: Cursor,
    objects: BTreeMap<ObjectId, ObjectDigest>,
}

impl Digests {
    fn new(end: Cursor, objects: Vec<ObjectDigest>) -> Self {
        Self { end, objects: objects.into_iter().map(|digest| (digest.object.clone(), digest)).collect() }
    }
}

impl Chunk {
    fn is_marking(&self) -> bool {
        matches!(self.step, Step::Marking(_))
    }

    fn contains(&self, object: &ObjectId) -> bool {
        !self.begin.is_past(object) && self.end.is_past(object)
    }
}

impl Run {
    /// Whether members digest a chunk, or mark copies of it, just now.
    pub fn is_comparing(&self) -> bool {
        let step = self.chunk.as_ref().map(|chunk| &chunk.step);
        matches!(step, Some(Step::Comparing | Step::Marking(_)))
    }
}

impl Scrub {
    /// From what was stored.
    pub fn new(record: ScrubRecord, found: Vec<InconsistentObject>) -> Self {
        Self { record, found, ..Self::default() }
    }

    /// Whether a run has its places and works.
    pub fn active_run(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.phase > Phase::Places)
    }
}

impl Pg {
    /// Whether a chunk keeps the object from being written.
    pub(crate) fn is_held_by_scrub(&self, object: &ObjectId) -> bool {
        let chunk = self.scrub.run.as_ref().and_then(|run| run.chunk.as_ref());
        chunk.is_some_and(|chunk| !matches!(chunk.step, Step::Listing) && chunk.contains(object))
    }

    /// The interval ended, or the copy goes: nobody scrubs any more.
    pub(crate) fn end_scrub_interval(&mut self, turn: &mut Turn<'_>) {
        self.scrub.run = None;
        self.scrub.job = None;
        self.scrub.place_for = None;
        self.scrub.look_at = turn.now;
        if std::mem::take(&mut self.scrub.place) != Place::None {
            turn.act(Action::ReleaseScrubPlace);
        }
    }

    /// Whether there is anything that a scrub could rely on: every member has everything by its own account.
    fn may_scrub(&self) -> bool {
        self.peering.stage == crate::peering::Stage::Active && self.peering.clean && self.is_all_there()
    }

    /// The record changed: on disk here, and told to all members.
    fn publish_scrub_record(&mut self, turn: &mut Turn<'_>) {
        self.scrub.record.number += 1;
        self.changes.put_scrub_record(&self.scrub.record);
        let members: Vec<OsdId> = self.write_members();
        for osd in members {
            self.tell_scrub_record(osd, turn);
        }
    }

    /// Nobody needs to answer: who misses it scrubs earlier than it must.
    pub(crate) fn tell_scrub_record(&self, osd: OsdId, turn: &mut Turn<'_>) {
        if self.scrub.record.number > 0 {
            self.send(osd, PgBody::ScrubNote(self.scrub.record.clone()), turn);
        }
    }

    /// Somebody has a newer record.
    pub(crate) fn hear_scrub_record(&mut self, record: ScrubRecord) {
        if record.number > self.scrub.record.number && self.scrub.run.is_none() {
            // What this member found itself is of an older scrub.
            self.set_found(Vec::new());
            self.changes.put_scrub_record(&record);
            // A cursor is its owner's: it knows what it has looked at.
            self.scrub.record = ScrubRecord { cursor: None, cursor_depth: None, ..record };
        }
    }

    fn set_found(&mut self, found: Vec<InconsistentObject>) {
        let old = std::mem::replace(&mut self.scrub.found, found);
        self.changes.put_inconsistent_objects(old.len(), &self.scrub.found);
    }

    /// An object of which no copy can be read was met outside of scrubs.
    pub(crate) fn note_inconsistent(&mut self, object: InconsistentObject) {
        let is_known = self.scrub.found.iter().any(|known| known.object == object.object);
        if is_known || self.scrub.found.len() >= types::limits::INCONSISTENT_OBJECTS_MAX {
            return;
        }
        let mut found = self.scrub.found.clone();
        found.push(object);
        self.set_found(found);
        self.scrub.record.errors += 1;
        self.scrub.record.number += 1;
        self.changes.put_scrub_record(&self.scrub.record);
    }

    /// A damaged copy was replaced outside of scrubs.
    pub(crate) fn note_repaired(&mut self) {
        self.scrub.record.repaired += 1;
        self.scrub.record.number += 1;
        self.changes.put_scrub_record(&self.scrub.record);
    }

    /// Commits what changed of the record or the missing set with nothing else.
    fn commit_scrub_changes(&mut self, transaction: Transaction, turn: &mut Turn<'_>) {
        self.commit(transaction, crate::pg::Pending::Logged(self.log.head()), Vec::new(), turn);
    }
}

/// The range of one name: the object with all its snapshots.
fn name_range(object: &ObjectId) -> (Cursor, Cursor) {
    let first = ObjectId { snapshot: SnapshotId(0), generation: 0, shard: types::ShardId(i8::MIN), ..object.clone() };
    (Cursor::Before(first), past_name(object))
}

/// Just after everything of this name.
fn past_name(object: &ObjectId) -> Cursor {
    Cursor::after(&ObjectId {
        snapshot: SnapshotId(u64::MAX),
        generation: u64::MAX,
        shard: types::ShardId(i8::MAX - 1),
        ..object.clone()
    })
}

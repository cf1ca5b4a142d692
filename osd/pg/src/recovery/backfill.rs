//! Filling a copy that the log does not reach: both sides list their objects in order, a page at a time, and what differs is
//! brought over.
//!
//! While that goes on, writes to objects before `passed` go to the target whole, writes behind it as log entries only. A
//! listed page is kept true to what is written after it was listed. The target stores how far its copy is good, so a new
//! primary goes on from there.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    Cursor, LogVersion, ObjectId, OsdId, Time,
    simulation::{Bug, planted},
};
use wire::{BackfillPage, LogEntry, LogEntryKind, PgBody, PushSource};

use super::ScanOwner;
use crate::{
    AfterCommit,
    pg::{Pending, Pg},
    snapshots::before_name,
    turn::Turn,
};

/// Objects after which the target stores how far it is: a restart repeats at most the comparison of these.
const OBJECTS_PER_CURSOR: usize = 64;

/// A listed page.
#[derive(Debug, Clone)]
pub struct Page {
    end: Cursor,
    objects: BTreeMap<ObjectId, LogVersion>,
}

/// The scan of one target.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// Before it the target is equal, or the object is on its way.
    pub passed: Cursor,
    /// What the target was told last.
    pub told: Cursor,
    told_at: Time,
    /// What the target has on disk.
    pub stored: Cursor,
    since_told: usize,
    own: Option<Page>,
    theirs: Option<Page>,
    /// Whether the page that is being listed begins where the scan is no longer.
    own_listing_void: bool,
    /// What was written while the page here was being listed.
    own_listing: Option<BTreeMap<ObjectId, Option<LogVersion>>>,
    asked: Option<(Cursor, Time)>,
    /// On their way.
    pub in_flight: BTreeSet<ObjectId>,
}

impl Backfill {
    /// Goes on where the target's copy ends.
    pub fn new(cursor: Cursor) -> Self {
        Self {
            told: cursor.clone(),
            stored: cursor.clone(),
            passed: cursor,
            told_at: Time::ZERO,
            since_told: 0,
            own: None,
            theirs: None,
            own_listing_void: false,
            own_listing: None,
            asked: None,
            in_flight: BTreeSet::new(),
        }
    }

    /// Up to where the target's copy is good.
    fn good_to(&self) -> Cursor {
        let first = self.in_flight.first().filter(|_| !planted(Bug::BackfillCursorTooFar));
        not_within_name(first.map_or(self.passed.clone(), |object| Cursor::Before(object.clone())))
    }

    /// Goes back to before a name when the scan is within it: what is about to be made has its place before `passed`. What
    /// the target has been told lies before every name that was not passed whole.
    fn leave_name(&mut self, clone: &ObjectId) -> bool {
        if !self.passed.is_past(clone) || self.passed.is_past(&clone.head_of_name()) {
            return false;
        }
        self.passed = before_name(clone);
        self.own = None;
        self.own_listing_void = self.own_listing.is_some();
        self.theirs = None;
        self.asked = None;
        self.in_flight.retain(|object| !object.is_of_same_name(clone));
        true
    }

    fn note_change(&mut self, entry: &LogEntry) {
        let version = match entry.kind {
            LogEntryKind::Modify => Some(entry.version),
            LogEntryKind::Delete => None,
            LogEntryKind::Failed => return,
        };
        if self.passed.is_past(&entry.object) || planted(Bug::ScanIgnoresWrites) {
            return;
        }
        if let Some(listing) = &mut self.own_listing {
            listing.insert(entry.object.clone(), version);
        }
        if let Some(page) = self.own.as_mut().filter(|page| page.end.is_past(&entry.object)) {
            page.set(&entry.object, version);
        }
    }
}

/// The cursor, or before the name within which it lies: a target's copy has all of a name or nothing.
fn not_within_name(cursor: Cursor) -> Cursor {
    match cursor {
        Cursor::Before(object) if !object.is_pg_meta() && object <= object.head_of_name() => before_name(&object),
        other => other,
    }
}

impl Page {
    fn set(&mut self, object: &ObjectId, version: Option<LogVersion>) {
        match version {
            Some(version) => {
                self.objects.insert(object.clone(), version);
            }
            None => {
                self.objects.remove(object);
            }
        }
    }
}

/// What the scan does with the next object.
enum Step {
    Wait,
    Compare { object: ObjectId, own: Option<LogVersion>, theirs: Option<LogVersion> },
    PageDone,
    AllDone,
}

impl Pg {
    /// A clone is about to be made: no scan stands between it and its live object, so that a target gets both or neither.
    pub(crate) fn leave_name_of(&mut self, clone: &ObjectId) {
        for (target, backfill) in &mut self.recovery.backfills {
            if backfill.leave_name(clone) {
                self.recovery.pushes.retain(|(object, to), _| to != target || !object.is_of_same_name(clone));
            }
        }
    }

    /// A write changes what a listed page says.
    pub(crate) fn note_scanned_change(&mut self, entry: &LogEntry) {
        for backfill in self.recovery.backfills.values_mut() {
            backfill.note_change(entry);
        }
    }

    /// Goes on with a target as far as pages and places for objects allow.
    pub(crate) fn advance_backfill(&mut self, target: OsdId, turn: &mut Turn<'_>) {
        // What is missing here cannot be compared yet.
        if !self.missing.is_empty() {
            return;
        }
        self.push_again(target, turn);
        loop {
            self.want_pages(target, turn);
            match self.next_step(target) {
                Step::Wait => break,
                Step::PageDone => {}
                Step::AllDone => {
                    if let Some(backfill) = self.recovery.backfills.get_mut(&target) {
                        backfill.passed = Cursor::End;
                    }
                    break;
                }
                Step::Compare { object, own, theirs } => self.compare(target, &object, own, theirs, turn),
            }
        }
        self.tell_progress(target, turn);
    }

    /// What was on its way when the copy here was found damaged; a good one is in its place now.
    fn push_again(&mut self, target: OsdId, turn: &mut Turn<'_>) {
        let Some(backfill) = self.recovery.backfills.get(&target) else { return };
        let is_pushed = |object: &&ObjectId| self.recovery.pushes.contains_key(&((*object).clone(), target));
        let halted: Vec<ObjectId> = backfill.in_flight.iter().filter(|object| !is_pushed(object)).cloned().collect();
        for object in halted {
            self.begin_push(&object, target, PushSource::Backfill, None, turn);
        }
    }

    fn want_pages(&mut self, target: OsdId, turn: &mut Turn<'_>) {
        let Some(backfill) = self.recovery.backfills.get_mut(&target) else { return };
        if backfill.passed == Cursor::End {
            return;
        }
        let begin = backfill.passed.clone();
        let list_own = backfill.own.is_none() && backfill.own_listing.is_none();
        if list_own {
            backfill.own_listing = Some(BTreeMap::new());
        }
        let ask = backfill.theirs.is_none() && backfill.asked.is_none();
        if ask {
            backfill.asked = Some((begin.clone(), turn.now));
        }
        let objects_max = self.config.scan_page_objects;
        if list_own {
            self.begin_scan(ScanOwner::Own(target), begin.clone(), objects_max, turn);
        }
        if ask {
            self.ask_scan(target, begin, turn);
        }
    }

    fn ask_scan(&self, target: OsdId, begin: Cursor, turn: &mut Turn<'_>) {
        let objects_max = u32::try_from(self.config.scan_page_objects).unwrap_or(u32::MAX);
        self.send(target, PgBody::BackfillScan { begin, objects_max }, turn);
    }

    fn next_step(&mut self, target: OsdId) -> Step {
        let limit = self.config.recovery_objects_in_flight;
        let Some(backfill) = self.recovery.backfills.get_mut(&target) else { return Step::Wait };
        if backfill.in_flight.len() >= limit || backfill.passed == Cursor::End {
            return Step::Wait;
        }
        let (Some(own), Some(theirs)) = (&mut backfill.own, &mut backfill.theirs) else { return Step::Wait };
        let bound = own.end.clone().min(theirs.end.clone());
        let first = own.objects.keys().next().into_iter().chain(theirs.objects.keys().next()).min().cloned();
        if let Some(object) = first.filter(|object| bound.is_past(object)) {
            let (own, theirs) = (own.objects.remove(&object), theirs.objects.remove(&object));
            return Step::Compare { object, own, theirs };
        }
        if bound == Cursor::End {
            return Step::AllDone;
        }
        if own.end <= bound {
            backfill.own = None;
        }
        if backfill.theirs.as_ref().is_some_and(|theirs| theirs.end <= bound) {
            backfill.theirs = None;
        }
        backfill.passed = bound;
        Step::PageDone
    }

    fn compare(
        &mut self,
        target: OsdId,
        object: &ObjectId,
        own: Option<LogVersion>,
        theirs: Option<LogVersion>,
        turn: &mut Turn<'_>,
    ) {
        let Some(backfill) = self.recovery.backfills.get_mut(&target) else { return };
        backfill.passed = Cursor::after(object);
        backfill.since_told += 1;
        if own == theirs || own.is_none() && planted(Bug::ScanKeepsRemoved) {
            return;
        }
        backfill.in_flight.insert(object.clone());
        let removes = own.is_none().then(|| self.log.head());
        self.begin_push(object, target, PushSource::Backfill, removes, turn);
    }

    pub(crate) fn take_own_page(&mut self, target: OsdId, objects: Vec<(ObjectId, LogVersion)>, end: Cursor) {
        let Some(backfill) = self.recovery.backfills.get_mut(&target) else { return };
        let Some(changed) = backfill.own_listing.take() else { return };
        if std::mem::take(&mut backfill.own_listing_void) {
            return;
        }
        let mut page = Page { end, objects: objects.into_iter().collect() };
        for (object, version) in changed {
            if page.end.is_past(&object) {
                page.set(&object, version);
            }
        }
        backfill.own = Some(page);
    }

    pub(crate) fn forget_own_scan(&mut self, owner: &ScanOwner) {
        if let ScanOwner::Own(target) = owner
            && let Some(backfill) = self.recovery.backfills.get_mut(target)
        {
            backfill.own_listing = None;
            backfill.own_listing_void = false;
        }
    }

    /// The target's page.
    pub(crate) fn hear_scanned(&mut self, from: OsdId, page: BackfillPage) {
        let Some(backfill) = self.recovery.backfills.get_mut(&from) else { return };
        if backfill.asked.as_ref().is_some_and(|(begin, _)| *begin == page.begin) {
            backfill.asked = None;
            backfill.theirs = Some(Page { end: page.end, objects: page.objects.into_iter().collect() });
        }
    }

    fn tell_progress(&mut self, target: OsdId, turn: &mut Turn<'_>) {
        let Some(backfill) = self.recovery.backfills.get_mut(&target) else { return };
        let good_to = backfill.good_to();
        let is_due = good_to == Cursor::End || backfill.since_told >= OBJECTS_PER_CURSOR;
        if good_to > backfill.told && is_due {
            backfill.told = good_to;
            backfill.since_told = 0;
            self.say_progress(target, turn);
        }
    }

    fn say_progress(&mut self, target: OsdId, turn: &mut Turn<'_>) {
        let Some(backfill) = self.recovery.backfills.get_mut(&target) else { return };
        backfill.told_at = turn.now;
        let cursor = backfill.told.clone();
        let (objects, bytes) = (self.info.objects, self.info.bytes);
        self.send(target, PgBody::BackfillProgress { cursor, objects, bytes }, turn);
    }

    /// The target has stored its cursor.
    pub(crate) fn hear_progressed(&mut self, from: OsdId, cursor: &Cursor) {
        let Some(backfill) = self.recovery.backfills.get_mut(&from) else { return };
        if *cursor > backfill.told || *cursor <= backfill.stored {
            return;
        }
        backfill.stored = cursor.clone();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.info.backfill = cursor.clone();
        }
        if *cursor == Cursor::End {
            self.recovery.backfills.remove(&from);
        }
    }

    /// On the target: the copy is good up to here.
    pub(crate) fn handle_backfill_progress(&mut self, from: OsdId, cursor: Cursor, turn: &mut Turn<'_>) {
        if !self.peering.is_replica() || !self.peering.activation_stored {
            return;
        }
        if cursor > self.info.backfill {
            self.info.backfill = cursor;
            self.info_changed = true;
        }
        let body = PgBody::BackfillProgressed { cursor: self.info.backfill.clone() };
        if planted(Bug::CursorAnsweredBeforeCommit) {
            self.send(from, body.clone(), turn);
        }
        let then = vec![AfterCommit::Send { to: from, message: self.message(body) }];
        self.commit(types::Transaction::new(), Pending::Logged(self.log.head()), then, turn);
    }

    /// Sends again what the target has not answered for this long.
    pub(crate) fn repeat_backfill(&mut self, target: OsdId, sent_before: Time, turn: &mut Turn<'_>) {
        let Some(backfill) = self.recovery.backfills.get_mut(&target) else { return };
        if let Some((begin, asked_at)) = &mut backfill.asked
            && *asked_at <= sent_before
        {
            *asked_at = turn.now;
            let begin = begin.clone();
            self.ask_scan(target, begin, turn);
        }
        let Some(backfill) = self.recovery.backfills.get(&target) else { return };
        if backfill.told > backfill.stored && backfill.told_at <= sent_before {
            self.say_progress(target, turn);
        }
    }
}

//! Objects of which the newest version cannot be found, and the operator's way out.
//!
//! An object is unfound when its log entry is known and no member that is there has the content. It may come back with an
//! OSD that is away; only when every OSD that could have it was asked or declared lost may an operator give it up: then
//! it goes back to the older version that the primary has, or it is removed. Either is a write like any other, with an
//! entry in the log, so that every member, also one that comes back, learns of it in order. Ceph: `LOST_REVERT`,
//! `LOST_DELETE`.

use std::collections::BTreeSet;

use bytes::Bytes;
use types::{Error, LogVersion, ObjectId, OsdId, Result, StoreOp, StoreRead, StoreReadResult, Transaction, XattrMap};
use wire::{
    LogEntry, LogEntryKind, MissingObject, ObjectInfo, OpFailure, OpSuccess, SubOpResult, UnfoundFate,
    encode_object_info,
};

use crate::{
    pg::{Pending, Pg, remove_ops},
    turn::Turn,
    write::{ActiveList, OBJECT_INFO_XATTR, ObjectState, OpenOp},
};

impl Pg {
    /// OSDs that may have had writes of this PG and are neither there nor declared lost.
    pub(crate) fn absent_witnesses(&self) -> BTreeSet<OsdId> {
        let mut absent = BTreeSet::new();
        for interval in self.past.list() {
            for osd in interval.acting.iter().flatten() {
                let Some(state) = self.map.osds.get(osd) else { continue };
                if !state.up && state.lost_at <= interval.first {
                    absent.insert(*osd);
                }
            }
        }
        absent
    }

    /// The first object that is unfound and may be given up, with how many there are.
    fn unfound_to_give_up(&self) -> Result<Option<(ObjectId, usize)>> {
        let absent = self.absent_witnesses();
        let mut unfound = self.unfound_objects();
        let Some(first) = unfound.next().cloned() else { return Ok(None) };
        if !absent.is_empty() {
            let names: Vec<String> = absent.iter().map(|osd| format!("osd.{osd}")).collect();
            return Err(Error::invalid(format!(
                "{} may still have what is unfound in {}; start it, or declare it lost first (`ika osd lost`)",
                names.join(", "),
                self.pg
            )));
        }
        Ok(Some((first, 1 + unfound.count())))
    }

    /// Gives up the first unfound object; the answer says how many there were, and who wants the rest given up asks again.
    pub(crate) fn give_up_unfound(&mut self, open: OpenOp, fate: UnfoundFate, turn: &mut Turn<'_>) {
        if self.is_repeat(&open, &ObjectId::pg_meta(self.pg), turn) {
            return;
        }
        let (object, count) = match self.unfound_to_give_up() {
            Ok(Some(found)) => found,
            Ok(None) => {
                let (version, user_version) = (self.log.head(), self.info.last_user_version);
                let results = vec![number_of(0)];
                self.reply(&open, Ok(OpSuccess { version, user_version, results }), turn);
                return;
            }
            Err(error) => {
                self.reply(&open, Err(OpFailure { error, step: None }), turn);
                return;
            }
        };
        let own = self.missing.get(&object).and_then(|missing| missing.have);
        let elsewhere = self.peers.iter().filter_map(|(osd, peer)| {
            peer.missing.get(&object).and_then(|missing| missing.have).map(|have| (have, *osd))
        });
        match (fate, own, elsewhere.max()) {
            (UnfoundFate::Delete, ..) | (UnfoundFate::Revert, None, None) => {
                self.remove_unfound(open, object, count, turn)
            }
            (UnfoundFate::Revert, Some(_), _) => {
                let read = StoreRead::Meta { object };
                self.read(vec![read], Pending::RevertLoad(open.arrival), turn);
                self.writes.lists.insert(open.arrival, ActiveList { open, outcome: None });
            }
            (UnfoundFate::Revert, None, Some((have, osd))) => {
                let error = Error::invalid(format!(
                    "osd.{osd} has version {have} of {object} and this primary has none; let it lead first \
                     (`ika osd primary-temp {} {osd}`)",
                    self.pg
                ));
                self.reply(&open, Err(OpFailure { error, step: None }), turn);
            }
        }
    }

    fn given_up_entry(&self, open: &OpenOp, object: &ObjectId, kind: LogEntryKind, prior: LogVersion) -> LogEntry {
        LogEntry {
            kind,
            object: object.clone(),
            version: self.log.head().next_in(self.map.epoch()),
            prior_version: prior,
            user_version: self.info.last_user_version + 1,
            request: Some(open.op.request),
            failure: None,
            modified_ms: open.op.modified_ms,
            changed: None,
            rollback: Bytes::new(),
            outputs: Vec::new(),
        }
    }

    fn remove_unfound(&mut self, open: OpenOp, object: ObjectId, count: usize, turn: &mut Turn<'_>) {
        let prior = self.missing.get(&object).map_or(LogVersion::ZERO, |missing| missing.need);
        let entry = self.given_up_entry(&open, &object, LogEntryKind::Delete, prior);
        tracing::warn!(pg = %self.pg, %object, version = %prior, "an operator gives up an object that cannot be found");
        // Its bytes are not known any more; the count of objects is.
        self.info.objects = self.info.objects.saturating_sub(u64::from(!object.is_clone()));
        for peer in self.peers.values_mut() {
            peer.missing.remove(&object);
        }
        let change = remove_ops([object]);
        self.submit_given_up(open, entry, (change.clone(), change), vec![number_of(count)], turn);
    }

    /// The store has answered what the older version here is.
    pub(crate) fn continue_revert(&mut self, arrival: u64, results: Vec<Result<StoreReadResult>>, turn: &mut Turn<'_>) {
        let Some(ActiveList { open, .. }) = self.writes.lists.remove(&arrival) else { return };
        let state = match results.into_iter().next() {
            Some(Ok(StoreReadResult::Meta(meta))) => ObjectState::new(meta),
            Some(Err(error)) => Err(error),
            _ => Err(Error::internal("the store answered another question than it was asked")),
        };
        let outcome = state.and_then(|state| self.revert_unfound(&open, state, turn));
        if let Err(error) = outcome {
            self.reply(&open, Err(OpFailure { error, step: None }), turn);
        }
    }

    fn revert_unfound(&mut self, open: &OpenOp, state: ObjectState, turn: &mut Turn<'_>) -> Result<()> {
        let changed = || Error::retry("what is unfound has changed meanwhile; ask again");
        let (object, count) = self.unfound_to_give_up()?.ok_or_else(changed)?;
        let missing = *self.missing.get(&object).ok_or_else(changed)?;
        let existing =
            state.existing.filter(|existing| missing.have == Some(existing.info.version)).ok_or_else(changed)?;
        let entry = self.given_up_entry(open, &object, LogEntryKind::Modify, missing.need);
        tracing::warn!(
            pg = %self.pg, %object, lost = %missing.need, reverted_to = %existing.info.version,
            "an operator lets an object that cannot be found go back"
        );
        let info = ObjectInfo { version: entry.version, user_version: entry.user_version, ..existing.info };
        let xattrs = XattrMap::from([(OBJECT_INFO_XATTR.to_vec(), encode_object_info(&info))]);
        let own = Transaction { ops: vec![StoreOp::SetXattrs { object: object.clone(), xattrs }] };
        self.missing.remove(&object, &mut self.changes);
        let need = entry.version;
        for osd in self.write_members() {
            if !self.has_passed(osd, &object) {
                continue;
            }
            if let Some(peer) = self.peers.get_mut(&osd) {
                let have = peer.missing.get(&object).and_then(|missing| missing.have);
                peer.missing.insert(object.clone(), MissingObject { need, have, deleted: false });
            }
        }
        self.submit_given_up(open.clone(), entry, (own, Transaction::new()), vec![number_of(count)], turn);
        Ok(())
    }

    /// What an entry says of an object that is missing here: it is given up, or it is needed at the new version. No other
    /// entry is ever of a missing object, since such is not written.
    pub(crate) fn note_given_up(&mut self, entry: &LogEntry) {
        let Some(missing) = self.missing.get(&entry.object).copied() else { return };
        match entry.kind {
            LogEntryKind::Failed => {}
            LogEntryKind::Delete => self.missing.remove(&entry.object, &mut self.changes),
            LogEntryKind::Modify => {
                let missing = MissingObject { need: entry.version, ..missing };
                self.missing.insert(entry.object.clone(), missing, &mut self.changes);
            }
        }
    }
}

fn number_of(count: usize) -> SubOpResult {
    SubOpResult::Data(Bytes::from(count.to_string()))
}

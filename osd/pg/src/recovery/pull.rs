//! The primary fetches what it lacks; whoever is asked gives exactly the version asked for, or says that it cannot.

use types::{
    Epoch, LogVersion, ObjectId, OsdId, StoreReadResult,
    simulation::{Bug, planted},
};
use wire::{PgBody, PushSource};

use super::{Difference, Position, Pull, PullRequest};
use crate::{
    pg::{Pending, Pg},
    turn::Turn,
};

impl Pg {
    /// Who may have the version that is missing here: members that have it by their own account, then strays that do,
    /// then anybody with a copy. What is asked for is one version, and nobody gives another; so to ask in vain costs a
    /// message. A copy that is to be filled from the start may still hold the last good version of an object.
    pub(crate) fn source_of(&self, object: &ObjectId) -> Option<OsdId> {
        let need = self.missing.get(object)?.need;
        let failed = self.recovery.failed_sources.get(object);
        let may_be_asked = |osd: &OsdId| {
            let has_copy = self.peers.get(osd).is_some_and(|peer| peer.info.history.epoch_created > Epoch::ZERO);
            has_copy && self.map.is_up(*osd) && !failed.is_some_and(|failed| failed.contains(osd))
        };
        let should_have = |osd: &OsdId| {
            self.peers.get(osd).is_some_and(|peer| {
                peer.info.last_update >= need
                    && !peer.missing.contains_key(object)
                    && (peer.info.is_whole() || peer.info.backfill.is_past(object))
            })
        };
        let members = self.others_acting().chain(self.backfill_targets());
        let candidates: Vec<OsdId> = members.chain(self.peers.keys().copied()).filter(may_be_asked).collect();
        candidates.iter().find(|osd| should_have(osd)).or(candidates.first()).copied()
    }

    pub(crate) fn begin_pull(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        if self.recovery.pulls.contains_key(object) {
            return;
        }
        let (Some(from), Some(missing)) = (self.source_of(object), self.missing.get(object)) else { return };
        let (version, have) = (missing.need, missing.have);
        let pull = Pull { from, version, have, position: Position::default(), asked_at: turn.now };
        self.recovery.pulls.insert(object.clone(), pull);
        self.ask_part(object, turn);
    }

    /// Asks for the part at the pull's position.
    pub(crate) fn ask_part(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        let Some(pull) = self.recovery.pulls.get_mut(object) else { return };
        pull.asked_at = turn.now;
        let body = PgBody::Pull {
            object: object.clone(),
            version: pull.version,
            data_offset: pull.position.data_offset,
            omap_after: pull.position.omap_after.clone(),
            have: pull.have,
        };
        let from = pull.from;
        self.send(from, body, turn);
    }

    /// The part before is on disk here.
    pub(crate) fn continue_pull(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        let Some(receiving) = self.recovery.receiving.get(object) else { return };
        if let Some(pull) = self.recovery.pulls.get_mut(object) {
            pull.position = receiving.position.clone();
        }
        self.ask_part(object, turn);
    }

    /// Asked by the primary.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(crate) fn handle_pull(
        &mut self,
        from: OsdId,
        object: ObjectId,
        version: LogVersion,
        data_offset: u64,
        omap_after: Vec<u8>,
        have: Option<LogVersion>,
        turn: &mut Turn<'_>,
    ) {
        // A copy that counts as missing here may lie in its place all the same, damaged; it is given to nobody.
        if self.missing.get(&object).is_some_and(|missing| missing.have != Some(version)) {
            self.send(from, PgBody::PullFailed { object, version }, turn);
            return;
        }
        let position = Position { data_offset, omap_after };
        let difference = have.and_then(|base| Difference::of(&self.log, &object, base, version));
        let changes = difference.map(|difference| difference.part(&position, self.config.recovery_chunk_bytes));
        if changes.is_none() && have.is_some() && position != Position::default() {
            // The log was trimmed between two parts: what was begun cannot be gone on with.
            self.send(from, PgBody::PullFailed { object, version }, turn);
            return;
        }
        let reads = match &changes {
            Some(part) => part.reads(&object),
            None => self.part_reads(&object, &position),
        };
        let request = PullRequest { to: from, object, version, position, changes };
        self.read(reads, Pending::PullLoad(Box::new(request)), turn);
    }

    pub(crate) fn answer_pull(
        &mut self,
        request: PullRequest,
        results: Vec<types::Result<StoreReadResult>>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(part) = request.changes {
            let body = match part.fill(&request.object, &request.position, PushSource::Recovery, results) {
                Ok(changed) => PgBody::PushChanges(Box::new(changed)),
                Err(_) => PgBody::PullFailed { object: request.object, version: request.version },
            };
            self.send(request.to, body, turn);
            return;
        }
        let chunk = Self::part(&request.object, &request.position, PushSource::Recovery, results);
        let body = match chunk {
            Ok(Some(chunk)) if chunk.version == request.version => PgBody::Push(Box::new(chunk)),
            Ok(Some(mut chunk)) if planted(Bug::AnyVersionGiven) => {
                chunk.version = request.version;
                PgBody::Push(Box::new(chunk))
            }
            // DESIGN section 6, invariant 7: what cannot be proven to be the version asked for is not given.
            Ok(_) | Err(_) => PgBody::PullFailed { object: request.object.clone(), version: request.version },
        };
        self.send(request.to, body, turn);
    }

    pub(crate) fn hear_pull_failed(
        &mut self,
        from: OsdId,
        object: &ObjectId,
        version: LogVersion,
        turn: &mut Turn<'_>,
    ) {
        let pull = self.recovery.pulls.get_mut(object);
        if let Some(pull) = pull.filter(|pull| pull.from == from && pull.version == version) {
            // Changes alone it could not give; it may well have the whole.
            if pull.have.take().is_some() {
                pull.position = Position::default();
                self.ask_part(object, turn);
                return;
            }
            self.recovery.pulls.remove(object);
            self.recovery.failed_sources.entry(object.clone()).or_default().insert(from);
            self.note_source_failed(object, turn);
        }
    }

    /// The OSD may have what it had not before, or is gone: it is asked anew, or no longer.
    pub(crate) fn forget_source(&mut self, osd: OsdId) {
        self.recovery.failed_sources.retain(|_, failed| {
            failed.remove(&osd);
            !failed.is_empty()
        });
        if !self.peers.contains_key(&osd) {
            self.recovery.pulls.retain(|_, pull| pull.from != osd);
        }
    }
}

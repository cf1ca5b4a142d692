//! What becomes of a second look: the object is consistent after all, or its bad copies are marked, or it is recorded.
//!
//! A marked copy counts as missing, on its member's disk and here; recovery brings a good one in its place, from a copy
//! that is not marked. Then the object is looked at once more.

use std::collections::BTreeSet;

use types::{LogVersion, ObjectId, OsdId, limits};
use wire::{MissingObject, PgBody};

use super::{
    Chunk, Marking, Step,
    compare::{Cure, Verdict},
};
use crate::{
    pg::{Pg, remove_ops},
    turn::Turn,
};

impl Marking {
    /// What members are told.
    pub(super) fn order(&self) -> PgBody {
        PgBody::ScrubMark { object: self.object.clone(), version: self.version, deleted: self.deleted }
    }
}

impl Pg {
    /// The second look at one name.
    pub(super) fn take_verdicts(&mut self, mut chunk: Chunk, verdicts: Vec<Verdict>, turn: &mut Turn<'_>) {
        let may_repair = self.may_repair();
        let Some(run) = &mut self.scrub.run else { return };
        let is_new = |verdict: &&Verdict| verdict.cure.is_some() && !run.attempted.contains(&verdict.found.object);
        let next = verdicts.iter().find(is_new).filter(|_| may_repair);
        if let Some(Verdict { found, cure: Some(cure) }) = next {
            run.attempted.insert(found.object.clone());
            // Once it is done the whole name is looked at again.
            run.targets.push_front(found.object.clone());
            chunk.step = Step::Marking(self.begin_marking(&found.object, cure));
            chunk.asked_at = turn.now;
            self.send_marks(chunk, turn);
            return;
        }
        let still_wrong: BTreeSet<&ObjectId> = verdicts.iter().map(|verdict| &verdict.found.object).collect();
        let healed: Vec<ObjectId> = run
            .attempted
            .iter()
            .filter(|object| chunk.contains(object) && !still_wrong.contains(object))
            .cloned()
            .collect();
        for object in healed {
            run.attempted.remove(&object);
            run.repaired += 1;
        }
        for verdict in verdicts {
            run.found.retain(|known| known.object != verdict.found.object);
            if run.found.len() < limits::INCONSISTENT_OBJECTS_MAX {
                run.found.push(verdict.found);
            }
        }
        self.pump_all(turn);
    }

    fn begin_marking(&self, object: &ObjectId, cure: &Cure) -> Marking {
        let whoami = self.config.whoami;
        Marking {
            object: object.clone(),
            version: cure.version,
            deleted: cure.deleted,
            own: cure.bad.contains(&whoami),
            awaited: cure.bad.iter().copied().filter(|osd| *osd != whoami).collect(),
            taken: BTreeSet::new(),
        }
    }

    fn send_marks(&mut self, chunk: Chunk, turn: &mut Turn<'_>) {
        if let Step::Marking(marking) = &chunk.step {
            for osd in &marking.awaited {
                self.send(*osd, marking.order(), turn);
            }
        }
        if let Some(run) = &mut self.scrub.run {
            run.chunk = Some(chunk);
        }
    }

    /// A member's answer.
    pub(crate) fn hear_scrub_marked(&mut self, from: OsdId, object: &ObjectId, version: LogVersion, taken: bool) {
        let chunk = self.scrub.run.as_mut().and_then(|run| run.chunk.as_mut());
        let Some(Chunk { step: Step::Marking(marking), .. }) = chunk else { return };
        if marking.object == *object && marking.version == version && marking.awaited.remove(&from) && taken {
            marking.taken.insert(from);
        }
    }

    /// All marks are on disk: what is bad is missing from here on, in one turn, so that no bad copy is a source of another.
    pub(super) fn finish_marking(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(run) = &mut self.scrub.run else { return false };
        let Some(Chunk { step: Step::Marking(marking), .. }) = &run.chunk else { return false };
        if !marking.awaited.is_empty() {
            return false;
        }
        let missing = MissingObject { need: marking.version, have: None, deleted: false };
        let (object, own, deleted) = (marking.object.clone(), marking.own, marking.deleted);
        let taken = marking.taken.clone();
        run.chunk = None;
        if deleted {
            if own {
                self.commit_scrub_changes(remove_ops([object]), turn);
            }
        } else {
            for osd in taken {
                if let Some(peer) = self.peers.get_mut(&osd) {
                    peer.missing.insert(object.clone(), missing);
                }
            }
            if own && !self.missing.contains(&object) {
                self.missing.insert(object, missing, &mut self.changes);
                self.info_changed = true;
            }
        }
        self.pump_all(turn);
        true
    }
}

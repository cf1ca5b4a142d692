//! A member's part: a place, digests, and marks on its own copies.

use types::{LogVersion, ObjectId, OsdId, Transaction};
use wire::{LogEntryKind, MissingObject, PgBody, ScrubDepth};

use super::Place;
use crate::{
    Action, AfterCommit, ScrubPlace,
    pg::{Pending, Pg, remove_ops},
    turn::Turn,
};

impl Pg {
    /// Asked by the primary for a place.
    pub(crate) fn handle_scrub_reserve(&mut self, from: OsdId, turn: &mut Turn<'_>) {
        if !self.peering.is_replica() {
            return;
        }
        self.scrub.place_for = Some((from, turn.now + self.config.scrub.silence_max));
        match self.scrub.place {
            Place::Held => self.send(from, PgBody::ScrubReserved { granted: true }, turn),
            Place::Asked => {}
            Place::None => {
                self.scrub.place = Place::Asked;
                turn.act(Action::RequestScrubPlace);
            }
        }
    }

    /// The OSD's answer, to either role.
    pub(crate) fn handle_scrub_place(&mut self, answer: ScrubPlace, turn: &mut Turn<'_>) {
        let granted = answer == ScrubPlace::Granted;
        if self.scrub.place != Place::Asked {
            if granted && self.scrub.place == Place::None {
                turn.act(Action::ReleaseScrubPlace);
            }
            return;
        }
        self.scrub.place = if granted { Place::Held } else { Place::None };
        if let Some((from, _)) = self.scrub.place_for {
            self.send(from, PgBody::ScrubReserved { granted }, turn);
            if !granted {
                self.scrub.place_for = None;
            }
        } else if !granted {
            self.put_scrub_off(turn);
        }
    }

    /// The primary is done, or silent for so long that it must have forgotten.
    pub(crate) fn release_scrub_place(&mut self, turn: &mut Turn<'_>) {
        self.scrub.place_for = None;
        if std::mem::take(&mut self.scrub.place) != Place::None {
            turn.act(Action::ReleaseScrubPlace);
        }
    }

    pub(crate) fn expire_scrub_place(&mut self, turn: &mut Turn<'_>) {
        if self.scrub.place_for.is_some_and(|(_, until)| turn.now >= until) {
            self.release_scrub_place(turn);
        }
    }

    /// Asked by the primary what is here.
    pub(crate) fn handle_scrub_chunk(
        &mut self,
        from: OsdId,
        number: u64,
        begin: &types::Cursor,
        end: &types::Cursor,
        depth: ScrubDepth,
        turn: &mut Turn<'_>,
    ) {
        if !self.peering.is_replica() || !self.peering.activation_stored {
            return;
        }
        if let Some((_, until)) = &mut self.scrub.place_for {
            *until = turn.now + self.config.scrub.silence_max;
        }
        // A repeat of what is being answered.
        if self.scrub.job.as_ref().is_some_and(|job| job.number >= number && job.to == Some(from)) {
            return;
        }
        self.begin_digests(number, Some(from), begin, end, depth, turn);
    }

    /// The primary says that the copy here is not what others prove it to be.
    pub(crate) fn handle_scrub_mark(
        &mut self,
        from: OsdId,
        object: ObjectId,
        version: LogVersion,
        deleted: bool,
        turn: &mut Turn<'_>,
    ) {
        if !self.peering.is_replica() || !self.peering.activation_stored {
            return;
        }
        let newest = self.log.newest_of(&object);
        let agrees = match newest {
            Some(entry) => entry.version == version && (entry.kind == LogEntryKind::Delete) == deleted,
            None => !deleted && version <= self.log.head(),
        };
        let taken = agrees && self.is_past_cursor(&object);
        let mut transaction = Transaction::new();
        if taken && deleted {
            transaction = remove_ops([object.clone()]);
        } else if taken && !self.missing.contains(&object) {
            let missing = MissingObject { need: version, have: None, deleted: false };
            self.missing.insert(object.clone(), missing, &mut self.changes);
            self.info_changed = true;
        }
        let body = PgBody::ScrubMarked { object, version, taken };
        let then = vec![AfterCommit::Send { to: from, message: self.message(body) }];
        self.commit(transaction, Pending::Logged(self.log.head()), then, turn);
    }
}

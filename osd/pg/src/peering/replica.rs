//! What a member does that is told to serve.

use types::{
    Cursor, OsdId,
    simulation::{Bug, planted},
};
use wire::{ActivatePg, PgBody, PgInfo};

use super::Stage;
use crate::{
    AfterCommit,
    pg::{Pending, Pg, remove_ops},
    turn::Turn,
};

impl Pg {
    /// The primary's order to serve. Carried out once for each activation; a repeat is answered again.
    pub(crate) fn handle_activate(&mut self, from: OsdId, order: ActivatePg, turn: &mut Turn<'_>) {
        if !self.peering.interval_stored || !self.interval.is_member(self.config.whoami) {
            return;
        }
        let epoch = order.info.last_epoch_started;
        if self.peering.activated_in.is_some_and(|done| done >= epoch) {
            if self.peering.activated_in == Some(epoch) && self.peering.activation_stored {
                let body = self.activated_account();
                self.send(from, body, turn);
            }
            return;
        }
        let remove = match &order.backfill {
            Some(Cursor::Start) => {
                self.log.replace(&order.log, &mut self.changes);
                self.missing.clear(&mut self.changes);
                self.remember(&order.log.requests);
                self.info.backfill = Cursor::Start;
                Ok(Default::default())
            }
            Some(cursor) => {
                self.info.backfill = cursor.clone();
                self.merge_slice(&order.log)
            }
            None => {
                self.info.backfill = Cursor::End;
                self.merge_slice(&order.log)
            }
        };
        let remove = match remove {
            Ok(remove) => remove,
            Err(error) => {
                tracing::error!(pg = %self.pg, %from, %error, "the authoritative log does not join the log here");
                return;
            }
        };
        self.take_account(&order.info);
        self.past = crate::interval::PastIntervals::new(order.past_intervals);
        self.changes.put_past(self.past.list());
        self.peering.stage = Stage::Replica;
        self.peering.activated_in = Some(epoch);
        self.peering.activation_stored = false;
        self.info.last_update = self.log.head();
        self.info.log_tail = self.log.tail();
        let body = self.activated_account();
        if planted(Bug::ActivationAnsweredBeforeCommit) {
            self.send(from, body.clone(), turn);
        }
        let mut then = vec![AfterCommit::Send { to: from, message: self.message(body) }];
        if self.scrub.record.number > 0 {
            let note = self.message(PgBody::ScrubNote(self.scrub.record.clone()));
            then.push(AfterCommit::Send { to: from, message: note });
        }
        self.commit(remove_ops(remove), Pending::Activation, then, turn);
    }

    fn activated_account(&self) -> PgBody {
        PgBody::Activated { info: self.info.clone(), missing: self.missing.objects().clone() }
    }

    /// What the primary says of the PG, as far as it is not this copy's own.
    pub(crate) fn take_account(&mut self, info: &PgInfo) {
        self.info.last_epoch_started = info.last_epoch_started;
        self.info.last_interval_started = info.last_interval_started;
        self.info.last_user_version = info.last_user_version;
        self.info.objects = info.objects;
        self.info.bytes = info.bytes;
        self.take_history(info);
    }

    fn take_history(&mut self, info: &PgInfo) {
        let own = self.info.history.clone();
        self.info.history = info.history.clone();
        self.info.history.same_interval_since = own.same_interval_since;
        self.info.history.same_up_since = own.same_up_since;
        self.info.history.same_primary_since = own.same_primary_since;
        self.info_changed = true;
    }

    /// Everything is where it belongs.
    pub(crate) fn handle_clean(&mut self, info: &PgInfo) {
        if !self.peering.is_replica() || info.last_epoch_started != self.info.last_epoch_started {
            return;
        }
        // Counts come with writes: this message may overtake, or be overtaken by, some of them.
        self.take_history(info);
        self.past.clear();
        self.changes.put_past(self.past.list());
        self.peering.clean = true;
    }
}

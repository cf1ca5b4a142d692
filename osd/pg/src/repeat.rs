//! What is sent again: everything unanswered to an OSD whose connection broke, and by the clock whatever got no answer for
//! longer than a broken connection explains.

use types::{OsdId, Time};
use wire::PgBody;

use crate::{Action, peering::Stage, pg::Pg, turn::Turn};

impl Pg {
    /// What was sent to this OSD may be lost.
    pub(crate) fn repeat_to(&mut self, osd: OsdId, turn: &mut Turn<'_>) {
        if let Some(asked_at) = self.peering.queried.get_mut(&osd) {
            *asked_at = turn.now;
            self.send(osd, PgBody::QueryInfo, turn);
        }
        if self.peering.log_from.is_some_and(|(from, _)| from == osd) {
            self.peering.log_from = Some((osd, turn.now));
            self.ask_log(osd, turn);
        }
        if self.peering.stage == Stage::Activating {
            self.repeat_activation(osd, turn);
        }
        if !self.peering.stage.is_serving() {
            return;
        }
        let is_member = self.interval.is_member(osd);
        if is_member {
            let have = self.peers.get(&osd).map(|peer| peer.committed).unwrap_or_default();
            self.resend_writes(osd, have, turn);
            if self.interval.is_acting(osd) {
                self.request_lease(osd, turn);
            }
            if self.peering.clean {
                self.say_clean(osd, turn);
            }
            self.repeat_backfill(osd, turn.now, turn);
            self.repeat_scrub(Some(osd), turn.now, turn);
        }
        self.repeat_copies(Some(osd), turn.now, turn);
        self.repeat_reservation(turn);
    }

    /// The clock says that answers are late.
    pub(crate) fn retry(&mut self, turn: &mut Turn<'_>) {
        match self.peering.stage {
            Stage::Waiting | Stage::Replica | Stage::Incomplete => {}
            Stage::GetInfo | Stage::Down => {
                let asked: Vec<OsdId> = self.peering.queried.keys().copied().collect();
                for osd in asked {
                    self.send(osd, PgBody::QueryInfo, turn);
                }
            }
            Stage::WaitActing => self.repeat_acting_wish(turn),
            Stage::GetLog => {
                if let Some((from, _)) = self.peering.log_from {
                    self.ask_log(from, turn);
                }
            }
            Stage::WaitProof => self.want_up_thru(turn),
            Stage::Activating => {
                for osd in self.write_members() {
                    self.repeat_activation(osd, turn);
                }
                if self.peering.created_said {
                    turn.act(Action::Created);
                }
            }
            Stage::Active | Stage::Peered => {
                let late = Time::from_nanoseconds(
                    turn.now
                        .as_nanoseconds()
                        .saturating_sub(self.config.retry.as_nanos().try_into().unwrap_or(u64::MAX)),
                );
                self.repeat_oldest_write(turn);
                self.repeat_copies(None, late, turn);
                let targets: Vec<OsdId> = self.recovery.backfills.keys().copied().collect();
                for osd in targets {
                    self.repeat_backfill(osd, late, turn);
                }
                self.repeat_reservation(turn);
                self.repeat_acting_wish(turn);
                self.repeat_scrub(None, late, turn);
            }
        }
    }

    fn repeat_acting_wish(&self, turn: &mut Turn<'_>) {
        if let Some(wish) = &self.peering.acting_wanted {
            turn.act(Action::WantPgTemp(wish.clone()));
        }
    }

    /// Pulls and pushes of one OSD, or of all, that were sent at or before a time.
    fn repeat_copies(&mut self, of: Option<OsdId>, sent_before: Time, turn: &mut Turn<'_>) {
        let is_meant = |osd: OsdId| of.is_none_or(|of| of == osd);
        let pulls = self.recovery.pulls.iter();
        let pulls: Vec<_> = pulls
            .filter(|(_, pull)| is_meant(pull.from) && pull.asked_at <= sent_before)
            .map(|(object, _)| object.clone())
            .collect();
        for object in pulls {
            self.ask_part(&object, turn);
        }
        let pushes = self.recovery.pushes.iter();
        let pushes: Vec<_> = pushes
            .filter(|((_, target), push)| is_meant(*target) && push.sent_at <= sent_before)
            .map(|(key, _)| key.clone())
            .collect();
        for (object, target) in pushes {
            self.send_part(&object, target, turn);
        }
    }
}

//! The first question of an interval: what does everybody have? And the answers.

use std::{collections::BTreeSet, time::Duration};

use types::{
    Epoch, OsdId, Time,
    simulation::{Bug, planted},
};
use wire::{PastInterval, PgBody, PgInfo};

use super::Stage;
use crate::{
    interval::{Prior, Testimony, testimony},
    peer::Peer,
    pg::Pg,
    turn::Turn,
};

impl Pg {
    /// What this member says of itself.
    pub(crate) fn own_account(&mut self, now: Time) -> PgBody {
        self.info.last_update = self.log.head();
        self.info.log_tail = self.log.tail();
        self.info.last_complete = self.missing.complete_to(&self.log);
        PgBody::Info {
            info: self.info.clone(),
            past_intervals: self.past.list().to_vec(),
            lease_remaining: self.leases.granted_until.since(now),
        }
    }

    /// What is said of a copy that does not exist, or no longer.
    pub(crate) fn absent_account(pg: types::PgId) -> PgBody {
        PgBody::Info { info: PgInfo::empty(pg), past_intervals: Vec::new(), lease_remaining: Duration::ZERO }
    }

    /// A stray, or a member that was not asked yet, tells the primary what it has.
    pub(crate) fn announce(&mut self, turn: &mut Turn<'_>) {
        if let Some(primary) = self.interval.primary
            && primary != self.config.whoami
            && self.peering.interval_stored
            && self.is_booted()
        {
            self.answer_info(primary, turn);
        }
    }

    pub(crate) fn answer_info(&mut self, to: OsdId, turn: &mut Turn<'_>) {
        // Before that is durable, the account waits for it: it leaves with the commit of the interval.
        if self.peering.interval_stored {
            let body = self.own_account(turn.now);
            self.send(to, body, turn);
        }
    }

    /// The primary hears an account.
    pub(crate) fn hear_info(
        &mut self,
        from: OsdId,
        info: PgInfo,
        past_intervals: &[PastInterval],
        lease_remaining: Duration,
        turn: &mut Turn<'_>,
    ) {
        let serving_together = self.peering.stage >= Stage::Activating && self.interval.is_member(from);
        if serving_together {
            return;
        }
        if !planted(Bug::PastNotAdopted) {
            self.past.adopt(past_intervals, self.interval.since);
        }
        let earlier_grants_end = turn.now + lease_remaining;
        self.peers.insert(from, Peer::new(info, earlier_grants_end, turn.now));
        self.peering.queried.remove(&from);
        // It may be the one that has what nobody else has.
        self.forget_source(from);
    }

    /// The newest activation on all members that anybody has heard of.
    pub(crate) fn last_epoch_started(&self) -> Epoch {
        let of_peers = self.peers.values().map(|peer| peer.info.history.last_epoch_started);
        of_peers.max().unwrap_or(Epoch::ZERO).max(self.info.history.last_epoch_started)
    }

    /// The newest interval in which any of the accounts was activated, although nobody heard that all were.
    fn last_interval_activated(&self) -> Epoch {
        let of_peers = self.peers.values().map(|peer| peer.info.last_interval_started);
        of_peers.max().unwrap_or(Epoch::ZERO).max(self.info.last_interval_started)
    }

    fn testimony_of(&self, osd: OsdId, interval: &PastInterval) -> Testimony {
        if osd == self.config.whoami {
            return testimony(&self.info, interval);
        }
        self.peers.get(&osd).map_or(Testimony::Awaited, |peer| testimony(&peer.info, interval))
    }

    pub(crate) fn progress_get_info(&mut self, turn: &mut Turn<'_>) {
        let started = self.last_epoch_started();
        let prior = Prior::build(&self.past, &self.interval, &self.map, started, |osd, interval| {
            self.testimony_of(osd, interval)
        });
        let unheard: BTreeSet<OsdId> = prior
            .probe
            .iter()
            .copied()
            .filter(|osd| *osd != self.config.whoami && !self.peers.contains_key(osd))
            .collect();
        for osd in &unheard {
            if !self.peering.queried.contains_key(osd) {
                self.peering.queried.insert(*osd, turn.now);
                self.send(*osd, PgBody::QueryInfo, turn);
            }
        }
        self.peering.blocked_by.clear();
        if !unheard.is_empty() || !self.peering.interval_stored {
            self.peering.stage = Stage::GetInfo;
            return;
        }
        if !self.is_creating() {
            // A primary may die between the last member's activation and the news of it: then nobody has heard that the PG
            // ever was active. Since no account bounds the past from below, every interval in the list is asked about (no
            // `last_epoch_started` excuses one), and what must be shown is that nothing before the list could matter.
            // By induction over activations: the first one is that of a PG being created, whose order carries a list that
            // begins with its own interval, before which nobody was served; or it reaches to the pool's making. Each later
            // order carries the list of a primary that passed this check, and is on disk together with the activation it
            // names. So the list of whoever was activated last reaches back far enough, it has been adopted here with
            // the account, and it begins no later than that activation.
            let made = self.map.pools.get(&self.pg.pool).map_or(Epoch::ZERO, |pool| pool.created);
            let known_from = if started > Epoch::ZERO { started } else { made.max(self.last_interval_activated()) };
            let past_is_known = self.past.known_since(self.interval.since) <= known_from;
            if (!prior.blocked_by.is_empty() || !past_is_known) && !planted(Bug::DownMembersIgnored) {
                self.peering.blocked_by = prior.blocked_by;
                self.peering.stage = Stage::Down;
                return;
            }
        }
        self.want_up_thru(turn);
        self.choose_authority(turn);
    }
}

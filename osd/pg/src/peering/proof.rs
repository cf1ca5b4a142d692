//! What a primary must wait for although everybody agrees: the map's proof that it may serve, and the end of reads by
//! earlier primaries.

use types::{
    OsdId, Time,
    simulation::{Bug, planted},
};
use wire::PastInterval;

use super::Stage;
use crate::{Action, pg::Pg, turn::Turn};

impl Pg {
    pub(crate) fn is_proven(&self) -> bool {
        let state = self.map.osds.get(&self.config.whoami);
        state.is_some_and(|state| state.up_thru >= self.interval.since || planted(Bug::ProofIgnored))
    }

    /// Asked early, so that the answer comes while logs are exchanged; but only with the interval on disk, so that a
    /// primary whose `up_thru` proves that it may have served can testify after a crash.
    pub(crate) fn want_up_thru(&self, turn: &mut Turn<'_>) {
        if !self.is_proven() && self.peering.interval_stored {
            turn.act(Action::WantUpThru(self.interval.since));
        }
    }

    /// Everybody agrees on the log; or a newer map may prove more. What was known before in this interval stays true.
    pub(crate) fn begin_proof(&mut self, turn: &mut Turn<'_>) {
        let after = self.earlier_reads_end(turn.now);
        let known = self.peering.readable_after.unwrap_or(Time::FAR_FUTURE);
        self.peering.readable_after = Some(after.min(known));
        self.peering.stage = Stage::WaitProof;
    }

    /// When no earlier primary can still serve a read, on this OSD's clock.
    fn earlier_reads_end(&self, now: Time) -> Time {
        if self.is_creating() || planted(Bug::PriorLeaseIgnored) {
            return now;
        }
        let started = self.last_epoch_started();
        self.past.that_matter(started).map(|past| self.reads_of_interval_end(past)).max().unwrap_or(now)
    }

    /// FOUNDATIONS 11: no wait for a primary that is this OSD, that has seen the interval end, that came up again since, or
    /// that is proven dead. Otherwise the grant of any one acting member bounds what it may read by.
    fn reads_of_interval_end(&self, past: &PastInterval) -> Time {
        let Some(primary) = past.primary.filter(|osd| *osd != self.config.whoami) else { return Time::ZERO };
        if let Some(state) = self.map.osds.get(&primary) {
            let has_seen_the_end = state.up && (self.peers.contains_key(&primary) || state.up_from > past.last);
            if has_seen_the_end || state.dead_epoch > past.last {
                return Time::ZERO;
            }
        }
        let grant_end = |osd: OsdId| {
            if osd == self.config.whoami {
                Some(self.leases.granted_until)
            } else {
                self.peers.get(&osd).map(|peer| peer.earlier_grants_end)
            }
        };
        let ends = past.acting.iter().flatten().copied().filter(|osd| *osd != primary).filter_map(grant_end);
        ends.min().unwrap_or(self.interval_began + self.config.prior_lease)
    }

    pub(crate) fn progress_proof(&mut self, turn: &mut Turn<'_>) {
        let earlier_reads_ended = self.peering.readable_after.is_some_and(|after| turn.now >= after);
        if self.is_proven() && earlier_reads_ended {
            self.activate(turn);
        }
    }
}

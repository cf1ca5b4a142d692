//! Read leases (FOUNDATIONS 11): what this member granted, and what it was granted as primary.
//!
//! Durations only. The primary counts from when it sent the request, the giver from when it received it and ten per cent
//! longer; so the giver never thinks that a grant has ended while the primary still believes in it.
//!
//! Invariant: a primary serves a read only while the grant of every other acting member reaches past that moment.

use std::time::Duration;

use types::{
    OsdId, Time,
    simulation::{Bug, planted},
};
use wire::PgBody;

use crate::{config::with_margin, peering::Stage, pg::Pg, turn::Turn};

/// Grants.
#[derive(Debug)]
pub struct Leases {
    /// When the last grant that this member gave to anybody ends.
    pub granted_until: Time,
    /// As primary: when the next requests are due; `None` while nothing is served.
    pub renew_at: Option<Time>,
}

impl Leases {
    /// Of a member whose earlier grants end then.
    pub fn new(granted_until: Time) -> Self {
        Self { granted_until, renew_at: None }
    }

    /// What was granted outlives the interval; what was received does not.
    pub fn end_interval(&mut self) {
        self.renew_at = None;
    }
}

impl Pg {
    /// Until when the acting set lets this primary serve reads.
    pub(crate) fn leased_until(&self) -> Time {
        self.others_acting()
            .map(|osd| self.peers.get(&osd).map_or(Time::ZERO, |peer| peer.granted_until))
            .min()
            .unwrap_or(Time::FAR_FUTURE)
    }

    /// Whether a read may leave now.
    pub(crate) fn may_read(&self, now: Time) -> bool {
        self.peering.stage == Stage::Active && (now < self.leased_until() || planted(Bug::LeaseIgnored))
    }

    pub(crate) fn renew_leases(&mut self, turn: &mut Turn<'_>) {
        if self.leases.renew_at.is_none_or(|at| turn.now < at) || !self.is_primary() {
            return;
        }
        self.request_leases(turn);
    }

    pub(crate) fn request_leases(&mut self, turn: &mut Turn<'_>) {
        self.leases.renew_at = Some(turn.now + self.config.lease_renewal);
        let others: Vec<OsdId> = self.others_acting().collect();
        for osd in others {
            self.request_lease(osd, turn);
        }
    }

    pub(crate) fn request_lease(&self, osd: OsdId, turn: &mut Turn<'_>) {
        let body = PgBody::LeaseRequest {
            sent_nanoseconds: turn.now.as_nanoseconds(),
            duration: self.config.lease,
            committed_to: self.writes.committed_to,
        };
        self.send(osd, body, turn);
    }

    /// A member answers the primary, once it serves under it.
    pub(crate) fn grant_lease(&mut self, from: OsdId, sent_nanoseconds: u64, duration: Duration, turn: &mut Turn<'_>) {
        if !self.peering.is_replica() {
            return;
        }
        let duration = duration.min(self.config.lease);
        if !planted(Bug::LeaseForgottenByGiver) {
            self.leases.granted_until = self.leases.granted_until.max(turn.now + with_margin(duration));
        }
        self.send(from, PgBody::LeaseGrant { sent_nanoseconds, duration }, turn);
        // Said again with each grant: the word that it changed may have been lost.
        if self.is_space_told {
            self.send(from, PgBody::Space { fullness: self.fullness }, turn);
        }
    }

    /// The primary hears a grant: reads that waited for it go on.
    pub(crate) fn hear_grant(&mut self, from: OsdId, sent: Time, duration: Duration, turn: &mut Turn<'_>) {
        // A request that this primary cannot have sent yet is somebody's nonsense.
        if sent > turn.now {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            let sent = if planted(Bug::LeaseCountedFromReceipt) { turn.now } else { sent };
            peer.granted_until = peer.granted_until.max(sent + duration.min(self.config.lease));
        }
        self.release_reads(turn);
    }
}

//! Watching other OSDs: pings, answers, and who has been silent for too long (FOUNDATIONS 16).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use types::{BootNonce, OsdId, Time};
use wire::NetworkStack;

/// OSDs with the next higher numbers that are watched although no placement group is shared, so that everyone is
/// watched by somebody even while no pool exists.
pub(crate) const NEIGHBOURS: usize = 3;

#[derive(Debug, Clone, Copy)]
struct Watched {
    /// When it last answered, or when watching began.
    heard: Time,
    reported: bool,
    /// Where this life of its process said that it lives.
    network_stack: Option<(BootNonce, NetworkStack)>,
}

/// Who is watched, and what was heard.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    interval: Duration,
    grace: Duration,
    next: Time,
    watched: BTreeMap<OsdId, Watched>,
}

/// What a round of pings found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Whom to ping.
    pub ping: Vec<OsdId>,
    /// Who has been silent for longer than the grace, and for how long.
    pub silent: Vec<(OsdId, Duration)>,
}

impl Heartbeats {
    /// Watches nobody; the first round is due at once.
    pub fn new(now: Time, interval: Duration, grace: Duration) -> Self {
        Self { interval, grace, next: now, watched: BTreeMap::new() }
    }

    /// From now on silence is measured by this.
    pub fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// Watches these from now on; whom it watched before keeps what was heard.
    pub fn watch(&mut self, now: Time, osds: &BTreeSet<OsdId>) {
        self.watched.retain(|osd, _| osds.contains(osd));
        // The first answer of a new one says where it lives, and without that its death cannot be proven: ask at once.
        if osds.iter().any(|osd| !self.watched.contains_key(osd)) {
            self.hasten(now);
        }
        for osd in osds {
            self.watched.entry(*osd).or_insert(Watched { heard: now, reported: false, network_stack: None });
        }
    }

    /// Notes an answer. Says whether a report must be taken back.
    pub fn heard(&mut self, now: Time, osd: OsdId) -> bool {
        let Some(watched) = self.watched.get_mut(&osd) else {
            return false;
        };
        watched.heard = now;
        std::mem::take(&mut watched.reported)
    }

    /// Notes where an OSD lives, by its own word.
    pub fn note_network_stack(&mut self, osd: OsdId, nonce: BootNonce, network_stack: NetworkStack) {
        if let Some(watched) = self.watched.get_mut(&osd) {
            watched.network_stack = Some((nonce, network_stack));
        }
    }

    /// Where this life of an OSD lives; unknown when it has not said so.
    pub fn network_stack(&self, osd: OsdId, nonce: BootNonce) -> NetworkStack {
        let said = self.watched.get(&osd).and_then(|watched| watched.network_stack);
        said.filter(|(known, _)| *known == nonce).map_or(NetworkStack::default(), |(_, stack)| stack)
    }

    /// Somebody was reported for another reason than silence; an answer takes that back, too.
    pub fn note_reported(&mut self, osd: OsdId) {
        if let Some(watched) = self.watched.get_mut(&osd) {
            watched.reported = true;
        }
    }

    /// The next round is due at once.
    pub fn hasten(&mut self, now: Time) {
        self.next = self.next.min(now);
    }

    /// When the next round is due.
    pub fn deadline(&self) -> Time {
        self.next
    }

    /// A round, when it is due.
    pub fn round(&mut self, now: Time) -> Option<Round> {
        if now < self.next {
            return None;
        }
        // A round that comes late was delayed by this host, not by its peers: their silence does not count.
        let late = now.since(self.next);
        self.next = now + self.interval;
        let mut round = Round::default();
        for (osd, watched) in &mut self.watched {
            watched.heard = (watched.heard + late).min(now);
            round.ping.push(*osd);
            let silence = now.since(watched.heard);
            if silence > self.grace {
                watched.reported = true;
                round.silent.push((*osd, silence));
            }
        }
        Some(round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_beyond_the_grace_is_reported_and_taken_back() {
        let mut now = Time::ZERO;
        let mut heartbeats = Heartbeats::new(now, SECOND, 4 * SECOND);
        heartbeats.watch(now, &BTreeSet::from([OsdId(1), OsdId(2)]));
        for second in 0..=4 {
            let round = heartbeats.round(now).expect("a round is due every second");
            assert_eq!(round.silent, [], "second {second}");
            heartbeats.heard(now, OsdId(2));
            now = now + SECOND;
        }
        let round = heartbeats.round(now).expect("due");
        assert_eq!(round.silent, [(OsdId(1), 5 * SECOND)]);
        assert!(heartbeats.heard(now, OsdId(1)));
        assert!(!heartbeats.heard(now, OsdId(1)));
    }

    #[test]
    fn a_host_that_stood_still_accuses_nobody() {
        let mut now = Time::ZERO;
        let mut heartbeats = Heartbeats::new(now, SECOND, 4 * SECOND);
        heartbeats.watch(now, &BTreeSet::from([OsdId(1)]));
        heartbeats.round(now).expect("due");
        now = now + 60 * SECOND;
        assert_eq!(heartbeats.round(now).expect("due").silent, []);
    }
}

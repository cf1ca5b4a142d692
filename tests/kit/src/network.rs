//! The simulated network: what a message meets between two nodes, decided by a seed.
//!
//! Two kinds of link, as machines meet them. An *unordered* link is a datagram service: messages are lost, doubled,
//! delayed and overtaken one by one. An *ordered* link is a session of `net`: what arrives is a prefix of what was
//! sent, in order and once; a lost message ends the session, everything after it in flight is lost too, and both ends
//! hear of the reset some time later. What an end sends before it hears is lost, as into a dead socket.
//!
//! Owns: links' behaviour, cuts, sessions, which nodes are down. Does not know: the event queue (the caller queues the
//! packets that `send` returns and asks `arrive` when their time comes), nor what a message means.
//!
//! Invariants
//! 1. On an ordered link no message arrives after a later one of its direction, and none of an ended session.
//! 2. An end hears of a reset before it receives the first message of the next session.
//! 3. A cut link (one direction) delivers nothing, not even what was in flight when it was cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    marker::PhantomData,
    time::Duration,
};

use types::{SeededRandom, Time};

/// How often something happens, in parts of 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Chance(u64);

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);
    /// It happens each time.
    pub const ALWAYS: Self = Self(10_000);

    /// So many times in 10,000.
    pub fn per_ten_thousand(times: u64) -> Self {
        assert!(times <= 10_000, "{times} in 10,000 is more often than always");
        Self(times)
    }

    /// Whether it happens this time.
    pub fn happens(self, random: &mut SeededRandom) -> bool {
        self.0 > 0 && random.chance(self.0, 10_000)
    }
}

/// Whether a link keeps the order of what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// A session: in order, once, a prefix of what was sent.
    Ordered,
    /// Datagrams.
    Unordered,
}

/// How one direction between two nodes behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Session or datagrams.
    pub ordering: Ordering,
    /// The least time a message takes.
    pub delay_min: Duration,
    /// The most time a message takes, but for a slow one.
    pub delay_max: Duration,
    /// How often a message is lost; on an ordered link this ends the session.
    pub loss: Chance,
    /// How often a message arrives twice. Unordered links only.
    pub duplication: Chance,
    /// How often a message is slow: it takes up to `slow_delay_max` more. Later ones overtake it on an unordered
    /// link and wait behind it on an ordered one.
    pub slow: Chance,
    /// The most that a slow message takes in addition.
    pub slow_delay_max: Duration,
    /// The most time after which an end hears that its session has ended.
    pub reset_notice_delay_max: Duration,
}

impl Link {
    /// A session in a healthy machine room: 50 to 500 microseconds, nothing is lost.
    pub fn healthy() -> Self {
        Self {
            ordering: Ordering::Ordered,
            delay_min: Duration::from_micros(50),
            delay_max: Duration::from_micros(500),
            loss: Chance::NEVER,
            duplication: Chance::NEVER,
            slow: Chance::NEVER,
            slow_delay_max: Duration::ZERO,
            reset_notice_delay_max: Duration::from_millis(100),
        }
    }

    /// A session over a bad network: one message in 200 is up to a second late, one in 1,000 ends the session.
    pub fn rough() -> Self {
        Self {
            delay_max: Duration::from_millis(20),
            loss: Chance::per_ten_thousand(10),
            slow: Chance::per_ten_thousand(50),
            slow_delay_max: Duration::from_secs(1),
            reset_notice_delay_max: Duration::from_secs(2),
            ..Self::healthy()
        }
    }

    /// The same, as datagrams of which one in 100 is lost and one in 100 arrives twice.
    #[must_use]
    pub fn unordered(self) -> Self {
        let one_percent = Chance::per_ten_thousand(100);
        Self { ordering: Ordering::Unordered, loss: one_percent, duplication: one_percent, ..self }
    }
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<M> {
    /// A message, as it was sent.
    Message(M),
    /// The receiver's notice that its session with the sender has ended: what it had sent may be lost.
    SessionReset,
}

/// Something on its way. The caller queues it for `at` and then gives it to [`Network::arrive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<N, M> {
    /// When it arrives.
    pub at: Time,
    /// Who sent it; for a reset notice, the other end.
    pub from: N,
    /// Who receives it.
    pub to: N,
    /// What it is.
    pub content: Content<M>,
    session: u64,
}

/// What a node receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival<N, M> {
    /// Who sent it; for a reset notice, the other end.
    pub from: N,
    /// Who receives it.
    pub to: N,
    /// What it is.
    pub content: Content<M>,
}

/// What became of everything sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkCounts {
    /// Messages given to `send`.
    pub sent: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages lost by chance, by a cut or with their session.
    pub lost: u64,
    /// Messages that were doubled.
    pub duplicated: u64,
    /// Sessions that ended.
    pub resets: u64,
}

/// One end's view of the session with one other node.
#[derive(Debug, Clone, Copy, Default)]
struct End {
    /// The session that this end believes in. Behind the current one until it hears of the reset.
    session: u64,
    /// When this end hears, or heard, of the last reset.
    notice_at: Time,
    /// When the last message towards this end arrives.
    last_arrival: Time,
}

/// The network between nodes named `N` that exchange messages `M`.
///
/// Whatever a method returns in packets is to be queued for [`Packet::at`] and then given to [`Network::arrive`].
#[derive(Debug, Clone)]
pub struct Network<N, M> {
    random: SeededRandom,
    default_link: Link,
    links: BTreeMap<(N, N), Link>,
    cuts: BTreeSet<(N, N)>,
    down: BTreeSet<N>,
    /// The current session of each pair that has met, by (lesser, greater) node.
    sessions: BTreeMap<(N, N), u64>,
    /// By (this end, the other end).
    ends: BTreeMap<(N, N), End>,
    counts: NetworkCounts,
    message: PhantomData<fn() -> M>,
}

impl<N: Ord + Clone + Debug, M: Clone> Network<N, M> {
    /// A network of which every link behaves like `default_link`.
    pub fn new(random: SeededRandom, default_link: Link) -> Self {
        Self {
            random,
            default_link,
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            down: BTreeSet::new(),
            sessions: BTreeMap::new(),
            ends: BTreeMap::new(),
            counts: NetworkCounts::default(),
            message: PhantomData,
        }
    }

    /// From now on the direction `from` to `to` behaves like this.
    pub fn set_link(&mut self, from: N, to: N, link: Link) {
        self.links.insert((from, to), link);
    }

    /// From now on every link without a behaviour of its own behaves like this: faults are switched off so.
    pub fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    /// Cuts one direction and ends the session of the two. Whoever wants a full partition cuts both directions.
    #[must_use]
    pub fn cut(&mut self, now: Time, from: &N, to: &N) -> Vec<Packet<N, M>> {
        self.cuts.insert((from.clone(), to.clone()));
        self.reset(now, from, to)
    }

    /// Cuts both directions between each node of one side and each of the other.
    #[must_use]
    pub fn partition(&mut self, now: Time, side: &[N], other_side: &[N]) -> Vec<Packet<N, M>> {
        let mut packets = Vec::new();
        for near in side {
            for far in other_side {
                self.cuts.insert((far.clone(), near.clone()));
                packets.append(&mut self.cut(now, near, far));
            }
        }
        packets
    }

    /// Heals one direction.
    pub fn heal(&mut self, from: &N, to: &N) {
        self.cuts.remove(&(from.clone(), to.clone()));
    }

    /// Heals every cut. Nodes that are down stay down.
    pub fn heal_all(&mut self) {
        self.cuts.clear();
    }

    /// The node's process ends: its sessions end, and nothing reaches it until [`Network::restart`].
    #[must_use]
    pub fn crash(&mut self, now: Time, node: &N) -> Vec<Packet<N, M>> {
        self.down.insert(node.clone());
        self.reset_all(now, node)
    }

    /// The node's process runs again (or is replaced without having been seen down), with new sessions.
    #[must_use]
    pub fn restart(&mut self, now: Time, node: &N) -> Vec<Packet<N, M>> {
        self.down.remove(node);
        let mut packets = self.reset_all(now, node);
        // The new process has no session to lose: it begins with the current ones and hears nothing of the old.
        packets.retain(|packet| packet.to != *node);
        for other in self.known_peers(node) {
            let session = self.session(node, &other);
            *self.end_mut(node, &other) = End { session, ..End::default() };
        }
        packets
    }

    /// Whether nothing gets through in this direction.
    pub fn is_cut(&self, from: &N, to: &N) -> bool {
        self.down.contains(from) || self.down.contains(to) || self.cuts.contains(&(from.clone(), to.clone()))
    }

    /// What became of everything sent so far.
    pub fn counts(&self) -> NetworkCounts {
        self.counts
    }

    /// Sends a message. Returns nothing when it is lost, the message (twice when doubled), or the two notices of the
    /// session that its loss has ended. A node's message to itself arrives after `delay_min`.
    #[must_use]
    pub fn send(&mut self, now: Time, from: &N, to: &N, message: M) -> Vec<Packet<N, M>> {
        self.counts.sent += 1;
        let link = self.link(from, to);
        let session = self.session(from, to);
        let ordered = link.ordering == Ordering::Ordered;
        let packet = |at, message| Packet {
            at,
            from: from.clone(),
            to: to.clone(),
            content: Content::Message(message),
            session,
        };
        if from == to {
            return vec![packet(now + link.delay_min, message)];
        }
        if ordered && self.end(from, to).session < session {
            self.counts.lost += 1;
            return Vec::new();
        }
        if self.is_cut(from, to) || link.loss.happens(&mut self.random) {
            self.counts.lost += 1;
            return if ordered { self.reset(now, from, to) } else { Vec::new() };
        }
        let mut packets = Vec::with_capacity(2);
        if !ordered && link.duplication.happens(&mut self.random) {
            self.counts.duplicated += 1;
            packets.push(packet(self.arrival_time(now, &link, from, to), message.clone()));
        }
        packets.push(packet(self.arrival_time(now, &link, from, to), message));
        packets
    }

    /// Ends the session of two nodes. Returns the notices to both.
    #[must_use]
    pub fn reset(&mut self, now: Time, one: &N, other: &N) -> Vec<Packet<N, M>> {
        let session = self.session(one, other) + 1;
        self.sessions.insert(pair(one, other), session);
        self.counts.resets += 1;
        let mut packets = Vec::with_capacity(2);
        for (near, far) in [(one, other), (other, one)] {
            let link = self.link(near, far);
            if link.ordering == Ordering::Unordered {
                continue;
            }
            // At least half of the longest delay, so that a sender on a cut link does not spin in virtual time.
            let longest = link.reset_notice_delay_max;
            let at = now + self.duration_between(longest / 2, longest);
            let end = self.end_mut(near, far);
            end.notice_at = at;
            end.last_arrival = Time::ZERO;
            let (from, to) = (far.clone(), near.clone());
            packets.push(Packet { at, from, to, content: Content::SessionReset, session });
        }
        packets
    }

    /// Says what a packet whose time has come brings: `None` when it was lost on the way.
    pub fn arrive(&mut self, packet: Packet<N, M>) -> Option<Arrival<N, M>> {
        let Packet { from, to, content, session, .. } = packet;
        let current = session == self.session(&from, &to);
        match content {
            Content::Message(_) if self.is_cut(&from, &to) || !current => {
                self.counts.lost += 1;
                return None;
            }
            Content::Message(_) => self.counts.delivered += 1,
            // Of two resets in a row the second notice says all there is to say; a process that is down hears none.
            Content::SessionReset if !current || self.down.contains(&to) => return None,
            Content::SessionReset => self.end_mut(&to, &from).session = session,
        }
        Some(Arrival { from, to, content })
    }

    fn reset_all(&mut self, now: Time, node: &N) -> Vec<Packet<N, M>> {
        let peers = self.known_peers(node);
        peers.iter().flat_map(|other| self.reset(now, node, other)).collect()
    }

    fn known_peers(&self, node: &N) -> Vec<N> {
        let others = self.sessions.keys().filter_map(|(lesser, greater)| match node {
            _ if lesser == node => Some(greater),
            _ if greater == node => Some(lesser),
            _ => None,
        });
        others.filter(|other| *other != node).cloned().collect()
    }

    fn link(&self, from: &N, to: &N) -> Link {
        self.links.get(&(from.clone(), to.clone())).copied().unwrap_or(self.default_link)
    }

    fn session(&mut self, one: &N, other: &N) -> u64 {
        *self.sessions.entry(pair(one, other)).or_insert(0)
    }

    fn end(&self, near: &N, far: &N) -> End {
        self.ends.get(&(near.clone(), far.clone())).copied().unwrap_or_default()
    }

    fn end_mut(&mut self, near: &N, far: &N) -> &mut End {
        self.ends.entry((near.clone(), far.clone())).or_default()
    }

    fn arrival_time(&mut self, now: Time, link: &Link, from: &N, to: &N) -> Time {
        let mut at = now + self.duration_between(link.delay_min, link.delay_max);
        if link.slow.happens(&mut self.random) {
            at = at + self.duration_between(Duration::ZERO, link.slow_delay_max);
        }
        if link.ordering == Ordering::Ordered {
            let receiver = self.end_mut(to, from);
            at = at.max(receiver.last_arrival).max(receiver.notice_at);
            receiver.last_arrival = at;
        }
        at
    }

    fn duration_between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = u64::try_from(most.saturating_sub(least).as_nanos()).expect("delays are far below 584 years");
        least + Duration::from_nanos(self.random.below(width.saturating_add(1)))
    }
}

fn pair<N: Ord + Clone>(one: &N, other: &N) -> (N, N) {
    if one < other { (one.clone(), other.clone()) } else { (other.clone(), one.clone()) }
}

#[cfg(test)]
mod tests;

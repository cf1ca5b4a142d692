//! What goes wrong, and who is hit by it.

use map::{Death, Weight};
use osd_pg::{Event, Pg};
use tests_kit::{Chance, Link};
use types::{BootNonce, Epoch, OsdId};

use super::{Happening, Node, OSDS, World};
use crate::{member::Member, monitor::PG};

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    pub link: Link,
    pub crashes: bool,
    pub partitions: bool,
    pub moves: bool,
    pub wipes: bool,
    /// Blocks of copies rot, each object's on one OSD only: another copy is always there, if its OSD is.
    pub rot: bool,
}

impl Faults {
    pub fn none() -> Self {
        Self { link: Link::healthy(), crashes: false, partitions: false, moves: false, wipes: false, rot: false }
    }

    pub fn network() -> Self {
        let link = Link { loss: Chance::per_ten_thousand(100), ..Link::rough() };
        Self { link, ..Self::none() }
    }

    pub fn datagrams() -> Self {
        Self { link: Link::rough().unordered(), crashes: true, moves: true, ..Self::none() }
    }

    pub fn crashes() -> Self {
        Self { link: Link::rough(), crashes: true, ..Self::none() }
    }

    pub fn partitions() -> Self {
        Self { partitions: true, ..Self::none() }
    }

    pub fn moves() -> Self {
        Self { moves: true, wipes: true, ..Self::none() }
    }

    pub fn rot() -> Self {
        Self { rot: true, ..Self::none() }
    }

    pub fn rot_and_crashes() -> Self {
        Self { link: Link::rough(), crashes: true, moves: true, rot: true, ..Self::none() }
    }

    pub fn all() -> Self {
        Self { link: Link::rough(), crashes: true, partitions: true, moves: true, wipes: true, ..Self::none() }
    }
}

impl World {
    pub(super) fn crash_somebody(&mut self) {
        if self.faults_ended {
            return;
        }
        self.after(1500, 9000, Happening::Crash);
        if self.is_something_rotten() {
            return;
        }
        let osd = OsdId(u32::try_from(self.random.below(u64::from(OSDS))).expect("small"));
        if self.members[&osd].runs {
            let dead = if self.random.chance(1, 2) { Death::Proven } else { Death::Possible };
            self.crash(osd);
            // Now and then it is back before anybody noticed.
            if self.random.chance(3, 4) {
                self.after(300, 4000, Happening::MarkDown(osd, dead));
            }
            self.after(100, 12_000, Happening::Restart(osd));
        } else if self.random.chance(1, 3) {
            // A live one is thought dead.
            let osd = OsdId((osd.0 + 1) % OSDS);
            self.after(0, 10, Happening::MarkDown(osd, Death::Possible));
        }
    }

    pub(super) fn crash(&mut self, osd: OsdId) {
        let now = self.queue.now();
        let survivors = self.random.below(8);
        let member = self.members.get_mut(&osd).expect("a member");
        member.runs = false;
        member.life += 1;
        member.pg = None;
        member.waiting.clear();
        member.commits.clear();
        member.reservation += 1;
        member.store.crash(usize::try_from(survivors).expect("small"));
        self.deadlines.remove(&osd);
        self.note(format_args!("osd.{osd} crashes"));
        let packets = self.network.crash(now, &Node::Osd(osd));
        self.queue_packets(packets);
    }

    pub(super) fn restart(&mut self, osd: OsdId) {
        if self.members[&osd].runs {
            return;
        }
        let now = self.queue.now();
        self.note(format_args!("osd.{osd} restarts"));
        let packets = self.network.restart(now, &Node::Osd(osd));
        self.queue_packets(packets);
        let member = self.members.get_mut(&osd).expect("a member");
        member.runs = true;
        member.life += 1;
        member.nonce = BootNonce(member.nonce.0 + 1);
        member.restart_lease_end = now + member.config().prior_lease;
        let stored = member.stored();
        if let Some(epoch) = stored.epoch() {
            let mut actions = Vec::new();
            let map = self.monitor.map_of(epoch);
            let pg = Pg::open(member.config(), PG, stored, map, now, &mut actions).expect("open what was stored");
            member.pg = Some(pg);
            let newest = member.epoch;
            self.carry_out(osd, actions);
            for epoch in epoch.0 + 1..=newest.0 {
                let map = self.monitor.map_of(Epoch(epoch));
                self.give(osd, Event::NewMap(map));
            }
        }
        self.make_if_named(osd);
        let life = self.members[&osd].life;
        self.after(10, 1500, Happening::Boot(osd, life));
        self.after(1, 60, Happening::MapTo(Node::Osd(osd)));
    }

    pub(super) fn boot(&mut self, osd: OsdId, life: u64) {
        let member = &self.members[&osd];
        if member.life != life {
            return;
        }
        if self.cut_off.contains(&osd) {
            self.after(500, 1500, Happening::Boot(osd, life));
            return;
        }
        let state = &self.monitor.newest().osds[&osd];
        if state.up && state.nonce == member.nonce {
            return;
        }
        let (nonce, is_up) = (member.nonce, state.up);
        self.note(format_args!("osd.{osd} boots"));
        if is_up && self.random.chance(1, 2) {
            self.monitor.mark_down(osd, Death::Proven);
        }
        self.monitor.mark_up(osd, nonce);
        self.spread_maps();
    }

    pub(super) fn partition(&mut self) {
        if self.faults_ended {
            return;
        }
        self.after(4000, 14_000, Happening::Partition);
        if !self.cut_off.is_empty() {
            return;
        }
        let now = self.queue.now();
        // More often than not the primary, which could serve what it should not.
        let primary = self.monitor.newest().place(PG).acting_primary;
        let any = OsdId(u32::try_from(self.random.below(u64::from(OSDS))).expect("small"));
        let lone = primary.filter(|_| self.random.chance(2, 3)).unwrap_or(any);
        let others: Vec<Node> = (0..OSDS).map(OsdId).filter(|osd| *osd != lone).map(Node::Osd).collect();
        self.note(format_args!("osd.{lone} is cut off from the others and from the monitors"));
        let packets = self.network.partition(now, &[Node::Osd(lone)], &others);
        self.queue_packets(packets);
        self.cut_off.insert(lone);
        self.after(200, 3000, Happening::MarkDown(lone, Death::Possible));
        self.after(500, 12_000, Happening::Heal);
    }

    pub(super) fn move_somebody(&mut self) {
        if self.faults_ended {
            return;
        }
        self.after(2000, 12_000, Happening::Move);
        if self.is_something_rotten() {
            return;
        }
        let osd = OsdId(u32::try_from(self.random.below(u64::from(OSDS))).expect("small"));
        let out = self.monitor.newest().osds.values().filter(|state| !state.is_in()).count();
        let is_in = self.monitor.newest().osds[&osd].is_in();
        if !is_in {
            self.monitor.weigh(osd, Weight::ONE);
        } else if out < 2 {
            self.monitor.weigh(osd, Weight::ZERO);
        }
        self.spread_maps();
    }

    /// A device is lost. Only while the others have everything: nothing can be asked of copies that do not exist.
    pub(super) fn wipe_somebody(&mut self) {
        if self.faults_ended {
            return;
        }
        self.after(4000, 15_000, Happening::Wipe);
        let everybody = (0..OSDS).map(OsdId).collect();
        let osd = OsdId(u32::try_from(self.random.below(u64::from(OSDS))).expect("small"));
        if !self.monitor.all_up(&everybody) || !self.is_clean() || !self.members[&osd].runs {
            return;
        }
        self.note(format_args!("osd.{osd} is wiped"));
        self.crash(osd);
        let epoch = self.members[&osd].epoch;
        let member = self.members.get_mut(&osd).expect("a member");
        let fresh = Member::new(osd, epoch);
        *member = Member { life: member.life, nonce: member.nonce, runs: false, ..fresh };
        self.monitor.wipe(osd);
        self.monitor.mark_down(osd, Death::Proven);
        self.spread_maps();
        self.after(1000, 5000, Happening::Restart(osd));
    }

    /// Rot and a death at once are two faults of one object: its last good copy may be the one that dies. So something
    /// rots only while all have everything, and nobody dies or moves while something is rotten: the end of an interval may
    /// leave a write in one copy alone, until it is copied (docs/decisions/0062).
    pub(super) fn rot_something(&mut self) {
        if self.faults_ended {
            return;
        }
        self.after(200, 3000, Happening::Rot);
        let everybody = (0..OSDS).map(OsdId).collect();
        if !self.is_clean() || !self.monitor.all_up(&everybody) || self.members.values().any(|member| !member.runs) {
            return;
        }
        let osd = OsdId(u32::try_from(self.random.below(u64::from(OSDS))).expect("small"));
        let objects = self.members[&osd].objects();
        let of_this_osd: Vec<_> = objects.into_iter().filter(|object| object.hash % OSDS == osd.0).collect();
        if of_this_osd.is_empty() {
            return;
        }
        let at = usize::try_from(self.random.below(of_this_osd.len() as u64)).expect("few");
        if self.members[&osd].store.damage(&of_this_osd[at], 0) {
            self.rotted += 1;
            self.note(format_args!("{} rots on osd.{osd}", of_this_osd[at]));
        }
    }

    pub(super) fn is_something_rotten(&self) -> bool {
        self.faults.rot && self.members.values().any(Member::is_rotten)
    }

    pub(super) fn end_faults(&mut self) {
        self.note("the faults end");
        self.scrubbed_since_ms = self.queue.now().as_nanoseconds() / 1_000_000;
        self.faults_ended = true;
        let healthy = Link { ordering: self.faults.link.ordering, ..Link::healthy() };
        self.network.set_default_link(healthy);
        self.happen(Happening::Heal);
        for osd in (0..OSDS).map(OsdId) {
            self.monitor.weigh(osd, Weight::ONE);
            if !self.members[&osd].runs {
                self.restart(osd);
            }
        }
        self.spread_maps();
    }
}

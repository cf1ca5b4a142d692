//! Faults: what breaks next, and for how long. To add one: a variant of [`Fault`], its arm in [`World::make_fault`],
//! and its weight in the profiles that shall meet it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use types::OsdId;

use crate::{
    profile::Fault,
    world::{Happening, Node, World},
};

/// The shortest and longest time for which something stays broken, in microseconds.
const DURATION_MICROSECONDS: (u64, u64) = (500_000, 12_000_000);

/// What is broken now.
#[derive(Default)]
pub(crate) struct Faults {
    down: BTreeSet<Node>,
    made: BTreeMap<Fault, u64>,
}

impl Faults {
    /// How many of each kind.
    pub fn made(&self) -> &BTreeMap<Fault, u64> {
        &self.made
    }

    pub fn down(&self) -> Vec<Node> {
        self.down.iter().copied().collect()
    }
}

impl World {
    /// Makes one fault and plans the next.
    pub(crate) fn make_fault(&mut self) {
        let faults = self.scenario.profile.faults;
        let sum: u64 = faults.iter().map(|(_, weight)| weight).sum();
        if !self.faults_go_on() || sum == 0 {
            return;
        }
        let mut drawn = self.stage.random.below(sum);
        let chosen = faults.iter().find(|(_, weight)| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        let (fault, _) = *chosen.expect("a number below the sum of the weights hits one");
        if self.scenario.profile.rots() && self.would_be_second(fault) {
            self.plan_fault();
            return;
        }
        *self.faults.made.entry(fault).or_default() += 1;
        match fault {
            Fault::KillOsd => {
                let osd = self.some_osd();
                self.kill(Node::Osd(osd));
            }
            Fault::KillMonitor => {
                let mon = self.stage.some_monitor();
                self.kill(Node::Mon(mon));
            }
            Fault::PowerFailure => self.kill_everything(),
            Fault::PowerFailureAtReply => self.stage.is_trapped = true,
            Fault::CutLink => self.cut_link(),
            Fault::Partition => self.partition(),
            Fault::Freeze => {
                let (osd, until) = (self.some_osd(), self.some_duration());
                self.osds.freeze(&mut self.stage, osd, until);
            }
            Fault::SlowDisk => {
                let (osd, until) = (self.some_osd(), self.some_duration());
                self.osds.slow_down(&mut self.stage, osd, until);
            }
            Fault::FullDisk => {
                let (osd, until) = (self.some_osd(), self.some_duration());
                self.osds.fill(&mut self.stage, osd, until);
            }
            Fault::WipeDisk => self.wipe_disk(),
            Fault::RotBlock => {
                let osd = self.some_osd();
                self.osds.rot(&mut self.stage, osd);
            }
            Fault::Operator => self.operator.meddle(&mut self.stage, &self.scenario),
        }
        self.plan_fault();
    }

    /// Rot and a death at once are two faults of one object: its last good copy may be the one that dies. So something rots
    /// only while all is well, and nobody dies while something is rotten.
    fn would_be_second(&self, fault: Fault) -> bool {
        match fault {
            Fault::RotBlock => !self.faults.down.is_empty() || self.unclean().is_none_or(|unclean| !unclean.is_empty()),
            _ => self.osds.are_rotten(),
        }
    }

    pub(crate) fn plan_fault(&mut self) {
        let every = self.scenario.profile.fault_every;
        let microseconds = u64::try_from(every.as_micros()).expect("short");
        let next = self.stage.delay(microseconds / 4, microseconds * 7 / 4);
        self.stage.queue.schedule_after(next, Happening::Fault);
    }

    pub(crate) fn kill_everything(&mut self) {
        self.stage.note("power fails");
        let mons = (0..self.monitors.count()).map(Node::Mon);
        for node in self.osds.ids().into_iter().map(Node::Osd).chain(mons) {
            self.kill(node);
        }
    }

    fn kill(&mut self, node: Node) {
        let after = self.some_duration();
        self.kill_for(node, after);
    }

    pub(crate) fn kill_for(&mut self, node: Node, after: Duration) {
        if !self.faults.down.insert(node) {
            return;
        }
        let packets = self.stage.network.crash(self.stage.now(), &node);
        self.stage.put_on_the_way(packets);
        match node {
            Node::Osd(osd) => self.osds.crash(&mut self.stage, osd),
            Node::Mon(mon) => {
                self.stage.note(format_args!("{node} dies"));
                self.monitors.crash(&mut self.stage, mon);
            }
            Node::Client(_) | Node::Operator => unreachable!("clients are not killed"),
        }
        self.stage.queue.schedule_after(after, Happening::Restart(node));
    }

    /// A process that died begins anew.
    pub(crate) fn restart(&mut self, node: Node) {
        if !self.faults.down.remove(&node) {
            return;
        }
        let packets = self.stage.network.restart(self.stage.now(), &node);
        self.stage.put_on_the_way(packets);
        match node {
            Node::Osd(osd) => self.osds.restart(&mut self.stage, osd),
            Node::Mon(mon) => {
                self.stage.note(format_args!("{node} starts"));
                self.monitors.restart(&mut self.stage, mon);
            }
            Node::Client(_) | Node::Operator => unreachable!("clients are not killed"),
        }
    }

    /// Only while every group is clean: then each object is on as many other disks as its pool wants.
    fn wipe_disk(&mut self) {
        let all_clean = self.unclean().is_some_and(|unclean| unclean.is_empty());
        if !all_clean || !self.faults.down.is_empty() || !self.osds.all_have(self.monitors.newest_epoch()) {
            return;
        }
        let osd = self.some_osd();
        let after = self.some_duration();
        self.kill_for(Node::Osd(osd), after);
        self.osds.wipe(&mut self.stage, osd);
    }

    /// Cuts one or both directions between two nodes, one of them an OSD.
    fn cut_link(&mut self) {
        let one = Node::Osd(self.some_osd());
        let clients = u64::from(self.scenario.clients);
        let other = match self.stage.random.below(4) {
            0 => Node::Client(u32::try_from(self.stage.random.below(clients)).expect("few clients")),
            1 => Node::Mon(self.stage.some_monitor()),
            _ => Node::Osd(self.some_osd()),
        };
        if one != other {
            self.cut_between(&[one], &[other]);
        }
    }

    /// Cuts some OSDs, and perhaps some monitors, off from all others, for clients too or not.
    fn partition(&mut self) {
        let share = 1 + self.stage.random.below(3);
        let all_osds: Vec<Node> = self.osds.ids().into_iter().map(Node::Osd).collect();
        let mons: Vec<Node> = (0..self.monitors.count()).map(Node::Mon).collect();
        let mons = if self.stage.random.chance(1, 2) { mons } else { Vec::new() };
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for node in all_osds.into_iter().chain(mons) {
            if self.stage.random.chance(share, 6) { near.push(node) } else { far.push(node) }
        }
        if self.stage.random.chance(1, 2) {
            far.extend((0..self.scenario.clients).map(Node::Client));
        }
        self.cut_between(&near, &far);
    }

    /// Cuts both directions, or one of them.
    fn cut_between(&mut self, near: &[Node], far: &[Node]) {
        let which = self.stage.random.below(3);
        let heal_after = self.some_duration();
        for one in near {
            for other in far {
                if which != 1 {
                    self.cut(*one, *other, heal_after);
                }
                if which != 2 {
                    self.cut(*other, *one, heal_after);
                }
            }
        }
    }

    fn cut(&mut self, from: Node, to: Node, heal_after: Duration) {
        self.stage.note(format_args!("cut {from} -> {to}"));
        let packets = self.stage.network.cut(self.stage.now(), &from, &to);
        self.stage.put_on_the_way(packets);
        self.stage.queue.schedule_after(heal_after, Happening::Heal(from, to));
    }

    fn some_osd(&mut self) -> OsdId {
        let ids = self.osds.ids();
        ids[usize::try_from(self.stage.random.below(ids.len() as u64)).expect("few OSDs")]
    }

    fn some_duration(&mut self) -> Duration {
        let (least, most) = DURATION_MICROSECONDS;
        self.stage.delay(least, most)
    }
}

//! Faults: which process dies, which link is cut, and for how long.

use std::{collections::BTreeMap, time::Duration};

use types::OsdId;

use crate::world::{Happening, Node, World};

/// The shortest and longest time for which a process stays dead or a link cut, in microseconds.
const DURATION_MICROSECONDS: (u64, u64) = (500_000, 12_000_000);

/// What is broken now.
pub(crate) struct Faults {
    down: BTreeMap<Node, ()>,
    made: usize,
}

impl Faults {
    pub fn new() -> Self {
        Self { down: BTreeMap::new(), made: 0 }
    }

    pub fn made(&self) -> usize {
        self.made
    }

    pub fn down(&self) -> Vec<Node> {
        self.down.keys().copied().collect()
    }
}

impl World {
    /// Makes one fault and plans the next.
    pub(crate) fn make_fault(&mut self) {
        let Some(every) = self.profile.fault_every else { return };
        if !self.faults_go_on() {
            return;
        }
        self.faults.made += 1;
        match self.stage.random.below(10) {
            0..=4 => self.kill_osd(),
            5 => self.kill_monitor(),
            6 => self.kill_everything(),
            _ => self.cut_link(),
        }
        let microseconds = u64::try_from(every.as_micros()).expect("short");
        let next = self.stage.delay(microseconds / 4, microseconds * 7 / 4);
        self.stage.queue.schedule_after(next, Happening::Fault);
    }

    fn kill_osd(&mut self) {
        let ids = self.osds.ids();
        let chosen = ids[usize::try_from(self.stage.random.below(ids.len() as u64)).expect("few OSDs")];
        self.kill(Node::Osd(chosen));
    }

    fn kill_monitor(&mut self) {
        let chosen = self.stage.random.below(self.monitors.count() as u64);
        self.kill(Node::Mon(usize::try_from(chosen).expect("few monitors")));
    }

    fn kill_everything(&mut self) {
        self.stage.note("power fails");
        let mons = (0..self.monitors.count()).map(Node::Mon);
        for node in self.osds.ids().into_iter().map(Node::Osd).chain(mons) {
            self.kill(node);
        }
    }

    fn kill(&mut self, node: Node) {
        if self.faults.down.contains_key(&node) {
            return;
        }
        self.faults.down.insert(node, ());
        let packets = self.stage.network.crash(self.stage.now(), &node);
        self.stage.put_on_the_way(packets);
        match node {
            Node::Osd(osd) => self.osds.crash(&mut self.stage, osd),
            Node::Mon(mon) => {
                self.stage.note(format!("{node} dies"));
                self.monitors.crash(&mut self.stage, mon);
            }
            Node::Client(_) | Node::Operator => unreachable!("clients are not killed"),
        }
        let after = self.duration();
        self.stage.queue.schedule_after(after, Happening::Restart(node));
    }

    /// A process that died begins anew.
    pub(crate) fn restart(&mut self, node: Node) {
        if self.faults.down.remove(&node).is_none() {
            return;
        }
        let packets = self.stage.network.restart(self.stage.now(), &node);
        self.stage.put_on_the_way(packets);
        match node {
            Node::Osd(osd) => self.osds.restart(&mut self.stage, osd),
            Node::Mon(mon) => {
                self.stage.note(format!("{node} starts"));
                self.monitors.restart(&mut self.stage, mon);
            }
            Node::Client(_) | Node::Operator => unreachable!("clients are not killed"),
        }
    }

    /// Cuts one or both directions between two nodes, one of them an OSD.
    fn cut_link(&mut self) {
        let ids = self.osds.ids();
        let one = Node::Osd(self.pick(&ids));
        let clients = self.profile.clients;
        let other = match self.stage.random.below(4) {
            0 => Node::Client(u32::try_from(self.stage.random.below(u64::from(clients))).expect("few clients")),
            1 => Node::Mon(usize::try_from(self.stage.random.below(self.monitors.count() as u64)).expect("few")),
            _ => Node::Osd(self.pick(&ids)),
        };
        if one == other {
            return;
        }
        let mut directions = vec![(one, other)];
        if self.stage.random.chance(1, 2) {
            directions.push((other, one));
        }
        let heal_after = self.duration();
        for (from, to) in directions {
            self.stage.note(format!("cut {from} -> {to}"));
            let packets = self.stage.network.cut(self.stage.now(), &from, &to);
            self.stage.put_on_the_way(packets);
            self.stage.queue.schedule_after(heal_after, Happening::Heal(from, to));
        }
    }

    fn pick(&mut self, ids: &[OsdId]) -> OsdId {
        ids[usize::try_from(self.stage.random.below(ids.len() as u64)).expect("few OSDs")]
    }

    fn duration(&mut self) -> Duration {
        let (least, most) = DURATION_MICROSECONDS;
        self.stage.delay(least, most)
    }
}

//! Monitors: the real state and the real leader over a simple model of consensus.
//!
//! The model: one leader at a time; an entry is agreed on some milliseconds after it was proposed, if the leader and a
//! majority still live; the others apply it later. A leader that dies takes its proposal along or not, by the seed. A
//! monitor's log survives its crashes, as the real one's does.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use map::{Change, ClusterMap, ConfigOption, ConfigTarget, MonitorEntry, PublishedMap};
use mon_state::{Action, Checks, Event, Leader, Quorum, State, Token, decode_entry, encode_entry};
use types::{ClusterId, EntityKind, EntityName, Epoch, MonId, Uuid};
use wire::{ControlReply, ControlRequest};

use crate::{
    Scenario,
    world::{Happening, Letter, Node, Stage},
};

/// The next step of consensus.
#[derive(Debug, Clone)]
pub(crate) enum ConsensusStep {
    /// Somebody may lead now.
    Elect,
    /// The proposal of this term is agreed on.
    Agree { term: u64, entry: Bytes },
    /// This monitor applies what it has not.
    Apply { mon: usize },
}

#[derive(Debug, Default)]
struct Monitor {
    up: bool,
    state: State,
    subscribers: BTreeMap<Node, Epoch>,
}

struct Leading {
    mon: usize,
    term: u64,
    machine: Leader,
    /// Who asked, and for commands their number.
    asked: BTreeMap<Token, (Node, Option<u64>)>,
    token_next: u64,
}

/// All monitors.
pub(crate) struct Monitors {
    mons: Vec<Monitor>,
    /// What was agreed on.
    log: Vec<Bytes>,
    leading: Option<Leading>,
    term: u64,
    first: ClusterMap,
    wake_life: u64,
    wall_skew_ms: Vec<u64>,
}

impl Monitors {
    pub fn new(scenario: &Scenario, stage: &mut Stage) -> Self {
        let monitors = (0..scenario.mons).map(|index| {
            let name = char::from(b'a' + u8::try_from(index).expect("few monitors")).to_string();
            let port = 3300 + u16::try_from(index).expect("few monitors");
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            (MonId(index as u64 + 1), MonitorEntry { name, address })
        });
        let cluster = ClusterId(Uuid::from_random([7; 16]));
        let mut first =
            ClusterMap::first(cluster, monitors.collect(), stage.wall_ms()).expect("a first map can be made");
        for (option, value) in [
            (ConfigOption::OsdDownOutInterval, format!("{}s", scenario.down_out_ms / 1000)),
            (ConfigOption::OsdReportTimeout, "15s".to_owned()),
            (ConfigOption::OsdMaxBackfills, scenario.reservations_max.to_string()),
        ] {
            let (option, value) = (option.spec().name.to_owned(), Some(value));
            let change = Change::Configuration { option, target: ConfigTarget::GLOBAL, value };
            first.apply_change(&change).expect("a setting fits every map");
        }
        stage.queue.schedule_after(Duration::from_millis(10), Happening::Consensus(ConsensusStep::Elect));
        Self {
            mons: (0..scenario.mons).map(|_| Monitor { up: true, ..Monitor::default() }).collect(),
            log: Vec::new(),
            leading: None,
            term: 0,
            first,
            wake_life: 0,
            wall_skew_ms: scenario.wall_skew_ms.clone(),
        }
    }

    /// The newest map that a majority agreed on.
    pub fn newest_map(&self) -> Option<Arc<PublishedMap>> {
        self.mons.iter().filter_map(|mon| mon.state.map()).max_by_key(|map| map.epoch()).cloned()
    }

    /// Its number; zero before the first.
    pub fn newest_epoch(&self) -> Epoch {
        self.newest_map().map_or(Epoch::ZERO, |map| map.epoch())
    }

    /// Whether every monitor has applied all that was agreed on.
    pub fn all_agree(&self) -> bool {
        self.mons.iter().all(|mon| mon.state.sequence() == self.log.len() as u64)
    }

    pub fn count(&self) -> usize {
        self.mons.len()
    }

    pub fn describe(&self) -> String {
        let up = self.mons.iter().filter(|mon| mon.up).count();
        format!("{up} up, {} entries, leader {:?}", self.log.len(), self.leading.as_ref().map(|leading| leading.mon))
    }

    /// The process dies. What it had agreed to stays on its disk.
    pub fn crash(&mut self, stage: &mut Stage, mon: usize) {
        self.mons[mon].up = false;
        self.mons[mon].subscribers.clear();
        let leads = self.leading.as_ref().is_some_and(|leading| leading.mon == mon);
        if leads || !self.has_majority() {
            self.leading = None;
            self.call_election(stage);
        }
    }

    pub fn restart(&mut self, stage: &mut Stage, mon: usize) {
        self.mons[mon].up = true;
        let delay = stage.delay(1_000, 200_000);
        stage.queue.schedule_after(delay, Happening::Consensus(ConsensusStep::Apply { mon }));
        if self.leading.is_none() {
            self.call_election(stage);
        }
    }

    fn has_majority(&self) -> bool {
        self.mons.iter().filter(|mon| mon.up).count() * 2 > self.mons.len()
    }

    fn call_election(&self, stage: &mut Stage) {
        let delay = stage.delay(1_000_000, 2_500_000);
        stage.queue.schedule_after(delay, Happening::Consensus(ConsensusStep::Elect));
    }

    pub fn step(&mut self, stage: &mut Stage, step: ConsensusStep) -> Result<(), String> {
        match step {
            ConsensusStep::Elect => self.elect(stage),
            ConsensusStep::Agree { term, entry } => self.agree(stage, term, entry),
            ConsensusStep::Apply { mon } => {
                self.apply(stage, mon);
                Ok(())
            }
        }
    }

    fn elect(&mut self, stage: &mut Stage) -> Result<(), String> {
        if self.leading.is_some() || !self.has_majority() {
            return Ok(());
        }
        let candidates: Vec<usize> = (0..self.mons.len()).filter(|mon| self.mons[*mon].up).collect();
        let chosen = stage.random.below(candidates.len() as u64);
        let mon = candidates[usize::try_from(chosen).expect("few monitors")];
        self.term += 1;
        stage.note(format_args!("mon.{mon} leads in term {}", self.term));
        self.apply(stage, mon);
        let now = stage.clock_of(Node::Mon(mon)).local(stage.now());
        let machine = Leader::new(now, Some(self.first.clone()), Checks::On);
        self.leading = Some(Leading { mon, term: self.term, machine, asked: BTreeMap::new(), token_next: 0 });
        let members = candidates.iter().map(|mon| MonId(*mon as u64 + 1)).collect();
        let quorum = Quorum { leader: Some(MonId(mon as u64 + 1)), members, term: self.term };
        self.lead(stage, Event::Quorum(quorum));
        self.lead(stage, Event::Tick);
        Ok(())
    }

    fn agree(&mut self, stage: &mut Stage, term: u64, entry: Bytes) -> Result<(), String> {
        let leads = self.leading.as_ref().is_some_and(|leading| leading.term == term);
        if !leads {
            // The leader died with its proposal on the way: a majority has it, or nobody. Only the next leader may
            // have it, and only if that one has added nothing yet.
            if self.leading.is_none() && stage.random.chance(1, 2) {
                self.log.push(entry);
            }
            return Ok(());
        }
        if !self.has_majority() {
            return Ok(());
        }
        self.log.push(entry.clone());
        let leading = self.leading.as_ref().ok_or("somebody leads")?;
        let mon = leading.mon;
        let decoded = decode_entry(&entry).map_err(|error| format!("an agreed entry cannot be read: {error}"))?;
        let applied = self.mons[mon].state.apply(&decoded).map_err(|error| format!("apply an entry: {error}"))?;
        stage.note(format_args!("mon.{mon} applies {} epoch {}", applied.sequence, applied.epoch));
        self.publish(stage, mon);
        for other in (0..self.mons.len()).filter(|other| *other != mon) {
            let delay = stage.delay(500, 100_000);
            stage.queue.schedule_after(delay, Happening::Consensus(ConsensusStep::Apply { mon: other }));
        }
        self.lead(stage, Event::Applied(applied));
        Ok(())
    }

    /// A monitor applies everything that was agreed on and it has not seen.
    fn apply(&mut self, stage: &mut Stage, mon: usize) {
        if !self.mons[mon].up {
            return;
        }
        let from = usize::try_from(self.mons[mon].state.sequence()).expect("few entries");
        for entry in self.log.get(from..).unwrap_or_default() {
            let entry = decode_entry(entry).expect("an agreed entry can be read");
            self.mons[mon].state.apply(&entry).expect("an agreed entry can be applied");
        }
        self.publish(stage, mon);
    }

    fn publish(&mut self, stage: &mut Stage, mon: usize) {
        let monitor = &mut self.mons[mon];
        let epoch = monitor.state.epoch();
        for (node, sent) in &mut monitor.subscribers {
            while *sent < epoch {
                let share = monitor.state.share(*sent);
                let full = share.full.as_ref().map(|(epoch, _)| *epoch);
                let Some(reached) = share.increments.last().map(|(epoch, _)| *epoch).or(full) else { break };
                *sent = reached;
                stage.send(Node::Mon(mon), *node, Letter::Maps(share));
            }
        }
    }

    pub fn forget(&mut self, mon: usize, node: Node) {
        self.mons[mon].subscribers.remove(&node);
    }

    pub fn receive(&mut self, stage: &mut Stage, mon: usize, from: Node, letter: Letter) {
        if !self.mons[mon].up {
            return;
        }
        match letter {
            Letter::Subscribe { have } => {
                self.mons[mon].subscribers.insert(from, have);
                self.publish(stage, mon);
            }
            Letter::Ask { asker, request } => {
                if let ControlRequest::GetMaps { have } = *request {
                    let reply = Box::new(ControlReply::Maps(self.mons[mon].state.share(have)));
                    stage.send(Node::Mon(mon), asker, Letter::Answer { reply, command: None });
                    return;
                }
                let Some(leading) = &mut self.leading else { return };
                if leading.mon != mon {
                    stage.send(Node::Mon(mon), Node::Mon(leading.mon), Letter::Ask { asker, request });
                    return;
                }
                leading.token_next += 1;
                let token = Token(leading.token_next);
                let command = match &*request {
                    ControlRequest::Command(command) => Some(command.id.sequence),
                    _ => None,
                };
                leading.asked.insert(token, (asker, command));
                let asker = name_of(asker);
                self.lead(stage, Event::Request { token, asker, request: *request });
            }
            Letter::Data { .. } | Letter::Answer { .. } | Letter::Maps(_) => {}
        }
    }

    pub fn wake(&mut self, stage: &mut Stage, life: u64) {
        if life == self.wake_life {
            self.lead(stage, Event::Tick);
        }
    }

    /// Gives the leader an event and carries out what it wants.
    fn lead(&mut self, stage: &mut Stage, event: Event) {
        let Some(leading) = &mut self.leading else { return };
        let mon = leading.mon;
        let mut actions = Vec::new();
        let clock = stage.clock_of(Node::Mon(mon));
        let wall_ms = stage.wall_ms() + self.wall_skew_ms.get(mon).copied().unwrap_or(0);
        leading.machine.handle(clock.local(stage.now()), wall_ms, &self.mons[mon].state, event, &mut actions);
        for action in actions {
            match action {
                Action::Propose(entry) => {
                    let step = ConsensusStep::Agree { term: leading.term, entry: encode_entry(&entry) };
                    let delay = stage.delay(1_000, 20_000);
                    stage.queue.schedule_after(delay, Happening::Consensus(step));
                }
                Action::Answer { token, reply } | Action::AnswerIfLeading { token, reply } => {
                    if let Some((asker, command)) = leading.asked.remove(&token) {
                        let letter = Letter::Answer { reply: Box::new(reply), command };
                        stage.send(Node::Mon(mon), asker, letter);
                    }
                }
            }
        }
        self.wake_life += 1;
        let wake = Happening::Wake { node: Node::Mon(mon), life: self.wake_life };
        stage.queue.schedule_at(clock.global(leading.machine.deadline()), wake);
    }

    /// All monitors that applied the same entries hold the same bytes.
    pub fn judge(&self) -> Result<(), String> {
        let mut by_sequence: BTreeMap<u64, u32> = BTreeMap::new();
        for (index, mon) in self.mons.iter().enumerate() {
            let checksum = mon.state.checksum();
            let known = *by_sequence.entry(mon.state.sequence()).or_insert(checksum);
            if known != checksum {
                return Err(format!("mon.{index} holds another state after entry {}", mon.state.sequence()));
            }
        }
        Ok(())
    }
}

fn name_of(node: Node) -> EntityName {
    match node {
        Node::Osd(osd) => EntityName::osd(osd),
        Node::Mon(index) => EntityName::new(EntityKind::Mon, index.to_string()),
        Node::Client(client) => EntityName::new(EntityKind::Client, client.to_string()),
        Node::Operator => EntityName::new(EntityKind::Client, "admin"),
    }
}

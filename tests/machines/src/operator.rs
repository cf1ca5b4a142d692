//! The operator: founds the pool, and in some worlds changes things while they are under way.
//!
//! Commands go out one after the other, each repeated under its own number until it is answered, as `ika` does.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use types::OsdId;
use wire::{CommandId, CommandRequest, ControlReply, ControlRequest};

use crate::{
    Scenario,
    world::{Happening, Letter, Node, Stage},
};

/// How long the operator waits for an answer before the command goes to another monitor.
const PATIENCE: Duration = Duration::from_millis(500);
/// The pool that clients use.
pub(crate) const POOL: &str = "p";
/// The operator's number for command ids.
const ASKER: u64 = 1;

#[derive(Debug, Clone)]
struct Command {
    line: String,
    /// Whether the world cannot go on without it.
    is_founding: bool,
}

/// The operator.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    queue: VecDeque<Command>,
    sequence: u64,
    asked: bool,
    /// Pools beside the clients' that must exist in the end.
    pools: BTreeSet<String>,
    pools_made: u32,
    /// What must be taken back when faults end.
    flags: BTreeSet<&'static str>,
}

impl Operator {
    /// Everything that makes the pool.
    pub fn found(&mut self, scenario: &Scenario) {
        let mut lines = Vec::new();
        if scenario.has_racks {
            let racks: BTreeSet<u32> = scenario.osds.values().map(|place| place.rack).collect();
            lines.extend(racks.iter().map(|rack| format!("osd crush add-bucket rack{rack} rack root=default")));
            let hosts: BTreeSet<(u32, u32)> = scenario.osds.values().map(|place| (place.host, place.rack)).collect();
            let moves =
                hosts.iter().map(|(host, rack)| format!("osd crush move host{host} rack=rack{rack} root=default"));
            lines.extend(moves);
        }
        lines.push(format!("osd crush rule create-replicated apart default {}", scenario.domain));
        let (pg_num, size) = (scenario.pg_num, scenario.size);
        lines.push(format!("osd pool create {POOL} {pg_num} {pg_num} replicated --rule apart --size {size}"));
        self.queue = lines.into_iter().map(|line| Command { line, is_founding: true }).collect();
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Draws a change. Nothing here may make data unreachable for good.
    pub fn meddle(&mut self, stage: &mut Stage, scenario: &Scenario) {
        let osds: Vec<OsdId> = scenario.osds.keys().copied().collect();
        let draw =
            |stage: &mut Stage, bound: usize| usize::try_from(stage.random.below(bound as u64)).expect("a small bound");
        let osd = osds[draw(stage, osds.len())];
        let line = match draw(stage, 16) {
            0 | 1 => format!("osd out {osd}"),
            2 | 3 => format!("osd in {osd}"),
            4 => format!("osd reweight {osd} 0.{}", 1 + draw(stage, 9)),
            5 => format!("osd crush reweight osd.{osd} {}.5", draw(stage, 3)),
            6 => format!("osd primary-affinity {osd} 0.{}", draw(stage, 10)),
            7 => format!("osd down {osd}"),
            8 => {
                self.pools_made += 1;
                let name = format!("extra-{}", self.pools_made);
                let create = format!("osd pool create {name} {}", 1 + draw(stage, 4));
                if stage.random.chance(1, 2) {
                    // At once removed again: a late repeat of the creation must not bring it back.
                    self.push(stage, create);
                    format!("osd pool rm {name} {name} --yes-i-really-really-mean-it")
                } else {
                    self.pools.insert(name);
                    create
                }
            }
            9 => match self.pools.pop_first() {
                Some(name) => format!("osd pool rm {name} {name} --yes-i-really-really-mean-it"),
                None => return,
            },
            10 => format!("osd pool set {POOL} size {}", 2 + draw(stage, osds.len().min(3))),
            11 => format!("osd pool set {POOL} min_size {}", 1 + draw(stage, 2)),
            12 => {
                let flag = ["noout", "norecover", "nobackfill", "norebalance", "noin", "pause"][draw(stage, 6)];
                if self.flags.remove(flag) {
                    format!("osd unset {flag}")
                } else {
                    self.flags.insert(flag);
                    format!("osd set {flag}")
                }
            }
            13 => {
                let domain = ["osd", "host"][draw(stage, 2)];
                self.push(stage, format!("osd crush rule create-replicated by-{domain} default {domain}"));
                format!("osd pool set {POOL} crush_rule by-{domain}")
            }
            14 => {
                let pg = draw(stage, scenario.pg_num as usize);
                let other = osds[draw(stage, osds.len())];
                format!("osd pg-upmap-items 1.{pg:x} {osd} {other}")
            }
            _ => {
                let pg = draw(stage, scenario.pg_num as usize);
                format!("osd rm-pg-upmap-items 1.{pg:x}")
            }
        };
        self.push(stage, line);
    }

    /// Takes back what would keep the cluster from healing.
    pub fn settle(&mut self, stage: &mut Stage, scenario: &Scenario) {
        for flag in std::mem::take(&mut self.flags) {
            self.push(stage, format!("osd unset {flag}"));
        }
        if scenario.profile.faults.iter().any(|(fault, _)| *fault == crate::profile::Fault::Operator) {
            for osd in scenario.osds.keys() {
                self.push(stage, format!("osd in {osd}"));
                self.push(stage, format!("osd reweight {osd} 1"));
                self.push(stage, format!("osd crush reweight osd.{osd} 1"));
            }
            for seed in 0..scenario.pg_num {
                self.push(stage, format!("osd rm-pg-upmap-items 1.{seed:x}"));
            }
            self.push(stage, format!("osd pool set {POOL} crush_rule apart"));
            self.push(stage, format!("osd pool set {POOL} size {}", scenario.size));
        }
    }

    fn push(&mut self, stage: &mut Stage, line: String) {
        self.queue.push_back(Command { line, is_founding: false });
        self.ask_if_idle(stage);
    }

    /// Sends the command in front, unless it is on its way.
    pub fn ask_if_idle(&mut self, stage: &mut Stage) {
        if !self.asked && !self.queue.is_empty() {
            self.sequence += 1;
            self.ask(stage);
        }
    }

    /// Sends the command in front once more, if it is still this one.
    pub fn ask_again(&mut self, stage: &mut Stage, sequence: u64) {
        if self.asked && self.sequence == sequence {
            self.ask(stage);
        }
    }

    fn ask(&mut self, stage: &mut Stage) {
        let Some(command) = self.queue.front() else { return };
        self.asked = true;
        let request = ControlRequest::Command(CommandRequest {
            id: CommandId { asker: ASKER, sequence: self.sequence },
            prefix: command.line.clone(),
            arguments: std::collections::BTreeMap::new(),
            input: Bytes::new(),
        });
        stage.note(format_args!("operator: {}", command.line));
        let letter = Letter::Ask { asker: Node::Operator, request: Box::new(request) };
        let mon = stage.some_monitor();
        stage.send(Node::Operator, Node::Mon(mon), letter);
        stage.queue.schedule_after(PATIENCE, Happening::OperatorWaits { sequence: self.sequence });
    }

    /// Hears an answer. Answers to repeats of earlier commands come late; they carry no number, so a command counts
    /// as answered only when its own effect is due: the founding ones are judged by the map, the others by nobody.
    pub fn hear(&mut self, stage: &mut Stage, sequence: u64, reply: &ControlReply) -> Result<(), String> {
        if !self.asked || sequence != self.sequence {
            return Ok(());
        }
        let Some(command) = self.queue.front() else { return Ok(()) };
        if let ControlReply::Failed(error) = reply {
            if error.kind == types::ErrorKind::Retry {
                return Ok(());
            }
            if command.is_founding {
                return Err(format!("`{}` was refused: {error}", command.line));
            }
            stage.note(format_args!("operator was refused: {error}"));
            if let Some(name) = command.line.strip_prefix("osd pool create ") {
                self.pools.remove(name.split(' ').next().unwrap_or_default());
            }
        }
        self.queue.pop_front();
        self.asked = false;
        self.ask_if_idle(stage);
        Ok(())
    }

    /// Every pool that was made and not removed is there, and no other.
    pub fn judge(&self, pools: impl Iterator<Item = String>) -> Result<(), String> {
        let there: BTreeSet<String> = pools.filter(|name| name != POOL).collect();
        if there == self.pools {
            return Ok(());
        }
        Err(format!("there are the pools {there:?}; made and not removed: {:?}", self.pools))
    }
}

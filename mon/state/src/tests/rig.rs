//! Three states and a leader, in one thread.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use map::{ClusterMap, MonitorEntry};
use types::{BootNonce, ClusterId, EntityKind, EntityName, Epoch, MonId, OsdId, OsdUuid, Time, Uuid};
use wire::{CommandId, CommandRequest, ControlReply, ControlRequest, OsdBoot};

use crate::{Action, Applied, Checks, Event, Leader, Outcome, Quorum, State, Token, decode_entry, encode_entry};

pub(super) struct Rig {
    pub states: [State; 3],
    pub leader: Leader,
    pub now: Time,
    pub wall_ms: u64,
    token: u64,
    sequence: u64,
    /// Proposals are held back until `agree`.
    pub held: bool,
    proposals: Vec<crate::Entry>,
    pub answers: Vec<(Token, ControlReply)>,
}

pub(super) fn first_map() -> ClusterMap {
    let monitors: BTreeMap<MonId, MonitorEntry> = (1..=3)
        .map(|id| {
            let name = ["a", "b", "c"][usize::try_from(id).unwrap() - 1].to_owned();
            (MonId(id), MonitorEntry { name, address: address(3300 + u16::try_from(id).unwrap()) })
        })
        .collect();
    ClusterMap::first(ClusterId(Uuid::from_random([7; 16])), monitors, 1_000_000).unwrap()
}

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(super) fn uuid(number: u64) -> OsdUuid {
    let mut bits = [1; 16];
    bits[8..].copy_from_slice(&number.to_be_bytes());
    OsdUuid(Uuid::from_random(bits))
}

pub(super) fn boot(osd: u32, host: &str, nonce: u64, uuid_number: u64, total_bytes: u64) -> ControlRequest {
    ControlRequest::Boot(OsdBoot {
        osd: OsdId(osd),
        uuid: uuid(uuid_number),
        nonce: BootNonce(nonce),
        address: address(6800 + u16::try_from(osd % 1000 * 10 + u32::try_from(nonce % 10).unwrap()).unwrap()),
        host: host.to_owned(),
        total_bytes,
        newest_map: Epoch::ZERO,
    })
}

impl Rig {
    pub fn new() -> Self {
        let now = Time::from_milliseconds(1000);
        let mut rig = Self {
            states: std::array::from_fn(|_| State::new()),
            leader: Leader::new(now, Some(first_map()), Checks::On),
            now,
            wall_ms: 1_000_000,
            token: 0,
            sequence: 0,
            held: false,
            proposals: Vec::new(),
            answers: Vec::new(),
        };
        rig.hear(Event::Quorum(quorum(&[1, 2, 3])));
        rig
    }

    /// Another monitor takes over, with an empty memory.
    pub fn elect(&mut self) {
        let next = Leader::new(self.now, Some(first_map()), Checks::On);
        let mut actions = Vec::new();
        std::mem::replace(&mut self.leader, next).resign(&mut actions);
        self.proposals.clear();
        self.take(actions);
        self.hear(Event::Quorum(quorum(&[1, 2, 3])));
    }

    pub fn hear(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.leader.handle(self.now, self.wall_ms, &self.states[0], event, &mut actions);
        self.take(actions);
        if !self.held {
            self.agree();
        }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Propose(entry) => self.proposals.push(*entry),
                Action::Answer { token, reply } | Action::AnswerIfLeading { token, reply } => {
                    self.answers.push((token, reply));
                }
            }
        }
        assert!(self.proposals.len() <= 1, "one proposal in flight");
    }

    /// Applies what is proposed, on every monitor, until nothing is proposed any more.
    pub fn agree(&mut self) {
        while let Some(entry) = self.proposals.pop() {
            let applied = self.apply(&entry);
            assert_eq!(applied.outcome, Outcome::Done, "the leader plans on the newest state");
            let mut actions = Vec::new();
            self.leader.handle(self.now, self.wall_ms, &self.states[0], Event::Applied(applied), &mut actions);
            self.take(actions);
        }
    }

    pub fn apply(&mut self, entry: &crate::Entry) -> Applied {
        let bytes = encode_entry(entry);
        let mut outcomes = Vec::new();
        for state in &mut self.states {
            let decoded = decode_entry(&bytes).unwrap();
            assert_eq!(decoded, *entry);
            outcomes.push(state.apply(&decoded).unwrap());
            state.assert_invariants();
        }
        let snapshot = self.states[0].snapshot();
        for state in &self.states[1..] {
            assert_eq!(state.snapshot(), snapshot, "all monitors hold the same bytes");
        }
        assert_eq!(State::restore(&snapshot).unwrap().snapshot(), snapshot, "a snapshot restores to the same bytes");
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
        outcomes[0].clone()
    }

    pub fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.wall_ms += u64::try_from(duration.as_millis()).unwrap();
        self.hear(Event::Tick);
    }

    pub fn send(&mut self, asker: EntityName, request: ControlRequest) -> Token {
        self.token += 1;
        let token = Token(self.token);
        self.hear(Event::Request { token, asker, request });
        token
    }

    /// The answer, if it is there.
    pub fn answer(&mut self, token: Token) -> Option<ControlReply> {
        let found = self.answers.iter().position(|(answered, _)| *answered == token)?;
        Some(self.answers.remove(found).1)
    }

    pub fn ask(&mut self, asker: EntityName, request: ControlRequest) -> ControlReply {
        let token = self.send(asker, request);
        let reply = self.answer(token).expect("an answer");
        assert!(self.answer(token).is_none(), "one answer");
        reply
    }

    pub fn command_request(&mut self, line: &str) -> CommandRequest {
        self.sequence += 1;
        CommandRequest {
            id: CommandId { asker: 1, sequence: self.sequence },
            prefix: line.to_owned(),
            arguments: BTreeMap::new(),
            input: bytes::Bytes::new(),
        }
    }

    pub fn command(&mut self, line: &str) -> ControlReply {
        let request = self.command_request(line);
        self.ask(admin(), ControlRequest::Command(request))
    }

    pub fn map(&self) -> &ClusterMap {
        self.states[0].map().unwrap().map()
    }
}

pub(super) fn admin() -> EntityName {
    EntityName::new(EntityKind::Client, "admin")
}

pub(super) fn quorum(members: &[u64]) -> Quorum {
    Quorum {
        leader: members.first().map(|id| MonId(*id)),
        members: members.iter().map(|id| MonId(*id)).collect(),
        term: 4,
    }
}

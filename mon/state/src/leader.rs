//! The leading monitor: hears requests and reports, plans entries, answers when they have taken effect.
//!
//! Owns: the queue of requests that change something, the one proposal in flight, and the memory of reports. Does not
//! know: how entries are agreed on, which monitors there are beyond what it is told, sockets, clocks.
//!
//! A leader is made when this monitor has begun to lead and has applied all entries of earlier leaders, and dropped
//! when it leads no more. There is at most one proposal in flight, and it takes along everything that waits; so each
//! plan is made on the state with all earlier entries applied, and many commands share one synced write.
//!
//! Invariants
//! 1. A request that changes something is answered after its entry took effect here, hence on a majority.
//! 2. An answer that only looks leaves after the shell has confirmed that this monitor still leads (FOUNDATIONS 10).
//! 3. Whoever was accepted into the queue is answered exactly once, also when leadership is lost.
//! 4. The queue is bounded; whoever does not fit is told to try again.
//!
//! After a crash: nothing of it survives, and nothing has to.

use std::{collections::BTreeSet, collections::VecDeque, time::Duration};

use map::ClusterMap;
use types::{EntityName, Error, Time};
use wire::{CommandId, ControlReply, ControlRequest};

use crate::{
    entry::{Entry, MapStep},
    memory::{ClientBlock, Memory, Quorum},
    settings::Settings,
    state::{Applied, Outcome, State},
};

mod requests;
mod round;

/// Requests that wait for a plan. At a thousand a second this is some seconds of a stalled disk.
pub const QUEUE_MAX: usize = 8192;
/// Requests planned into one entry: it stays well below a message's bound, and a plan below 100 ms.
pub const REQUESTS_PER_ENTRY_MAX: usize = 1024;
/// Bytes of requests planned into one entry, unless a single one has more. An entry must fit a message of the consensus.
pub const REQUEST_BYTES_PER_ENTRY_MAX: usize = 2 << 20;
/// How often the leader looks at what time alone changes.
const TICK: Duration = Duration::from_millis(500);
/// A leader that was not asked for so long was suspended itself; then the silence of others proves nothing.
const SUSPENDED_AFTER: Duration = Duration::from_secs(3);

/// Names a request until it is answered; the shell's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What the leader hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody asks.
    Request {
        /// The shell's name for it.
        token: Token,
        /// Who asks, as proven to the session.
        asker: EntityName,
        /// What.
        request: ControlRequest,
    },
    /// The proposal was agreed on, and the state that comes with this event has it applied.
    Applied(Applied),
    /// The proposal came to nothing, or nobody knows: leadership was lost.
    ProposalLost,
    /// Which monitors agree has changed.
    Quorum(Quorum),
    /// The deadline has come.
    Tick,
}

/// What the leader wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Have it agreed on; then comes `Applied` or `ProposalLost`.
    Propose(Box<Entry>),
    /// May leave at once.
    Answer {
        /// Whose request.
        token: Token,
        /// The answer.
        reply: ControlReply,
    },
    /// May leave only after a quorum has confirmed, after this action, that this monitor leads; otherwise the asker
    /// is told to try again.
    AnswerIfLeading {
        /// Whose request.
        token: Token,
        /// The answer.
        reply: ControlReply,
    },
}

/// A request that waits for a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Work {
    token: Token,
    asker: EntityName,
    request: ControlRequest,
}

/// What is owed to a token once the entry has taken effect.
#[derive(Debug, Clone, PartialEq)]
enum Owed {
    Reply(ControlReply),
    ClientNumber,
}

#[derive(Debug)]
struct InFlight {
    sequence: u64,
    owed: Vec<(Token, Owed)>,
    clients: Option<ClientBlock>,
}

/// Whether a machine checks its invariants after each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// In tests and simulation.
    On,
    /// In production.
    Off,
}

/// The leading monitor's machine.
#[derive(Debug)]
pub struct Leader {
    memory: Memory,
    queue: VecDeque<Work>,
    in_flight: Option<InFlight>,
    /// The first map, proposed if the cluster was not founded yet.
    first: Option<Box<ClusterMap>>,
    /// Something was noted that may call for a decision before the next tick.
    attention: bool,
    next_tick: Time,
    heard_at: Time,
    checks: Checks,
}

impl Leader {
    /// A leader that begins now. `first` founds the cluster if nobody has.
    pub fn new(now: Time, first: Option<ClusterMap>, checks: Checks) -> Self {
        Self {
            memory: Memory::default(),
            queue: VecDeque::new(),
            in_flight: None,
            first: first.map(Box::new),
            attention: true,
            next_tick: now,
            heard_at: now,
            checks,
        }
    }

    /// Hears one event. `state` is what this monitor has applied, including what the event speaks of; `wall_ms` is
    /// its wall clock in milliseconds since 1970.
    pub fn handle(&mut self, now: Time, wall_ms: u64, state: &State, event: Event, actions: &mut Vec<Action>) {
        if now.since(self.heard_at) >= SUSPENDED_AFTER {
            self.memory.forgive_silence(now);
        }
        self.heard_at = now;
        self.memory.note_epoch(now, state.epoch());
        match event {
            Event::Request { token, asker, request } => {
                self.handle_request(now, state, Work { token, asker, request }, actions);
            }
            Event::Applied(applied) => self.handle_applied(applied, actions),
            Event::ProposalLost => self.handle_lost(actions),
            Event::Quorum(quorum) => self.memory.quorum = quorum,
            Event::Tick => {}
        }
        let tick = now >= self.next_tick;
        if self.in_flight.is_none() && (tick || self.attention || !self.queue.is_empty()) {
            self.attention = false;
            if tick {
                self.next_tick = now + TICK;
            }
            self.plan(now, wall_ms, state, actions);
        }
        if self.checks == Checks::On {
            self.assert_invariants(state);
        }
    }

    /// When the leader wants `Event::Tick`. Not while a proposal is in flight: nothing is planned before its end,
    /// which is an event of its own.
    pub fn deadline(&self) -> Time {
        if self.in_flight.is_some() { Time::FAR_FUTURE } else { self.next_tick }
    }

    /// Leadership is lost: everybody who waits is told to try again elsewhere.
    pub fn resign(mut self, actions: &mut Vec<Action>) {
        self.handle_lost(actions);
        for work in std::mem::take(&mut self.queue) {
            actions.push(Action::Answer { token: work.token, reply: ControlReply::Failed(leader_lost()) });
        }
    }

    fn handle_applied(&mut self, applied: Applied, actions: &mut Vec<Action>) {
        let Some(in_flight) = self.in_flight.take() else { return };
        if in_flight.sequence != applied.sequence {
            self.in_flight = Some(in_flight);
            return;
        }
        if applied.outcome == Outcome::Retry {
            answer_lost(in_flight, actions);
            return;
        }
        if let Some(block) = in_flight.clients {
            self.memory.clients = block;
        }
        for (token, owed) in in_flight.owed {
            let reply = match owed {
                Owed::Reply(reply) => reply,
                Owed::ClientNumber => match self.memory.clients.take() {
                    Some(id) => ControlReply::Client(id),
                    None => ControlReply::Failed(Error::retry("client numbers ran out for a moment; try again")),
                },
            };
            actions.push(Action::Answer { token, reply });
        }
        self.attention = true;
    }

    fn handle_lost(&mut self, actions: &mut Vec<Action>) {
        if let Some(in_flight) = self.in_flight.take() {
            answer_lost(in_flight, actions);
        }
    }

    /// Plans entries until one is in flight or nothing is left to plan.
    fn plan(&mut self, now: Time, wall_ms: u64, state: &State, actions: &mut Vec<Action>) {
        let Some(map) = state.map() else {
            self.plan_founding(wall_ms, state, actions);
            return;
        };
        let settings = Settings::of(map, self.memory.quorum.leader);
        loop {
            let batch_len = self.batch_len();
            let batch: Vec<Work> = self.queue.drain(..batch_len).collect();
            let planned = round::plan_round(round::Input {
                now,
                wall_ms,
                state,
                settings: &settings,
                memory: &self.memory,
                batch,
            });
            self.memory = planned.memory;
            for work in planned.again.into_iter().rev() {
                self.queue.push_front(work);
            }
            let Some(entry) = planned.entry else {
                for (token, owed) in planned.owed {
                    match owed {
                        Owed::Reply(reply) => actions.push(Action::AnswerIfLeading { token, reply }),
                        Owed::ClientNumber => actions.push(Action::Answer {
                            token,
                            reply: ControlReply::Failed(Error::retry("no client number could be reserved; try again")),
                        }),
                    }
                }
                if self.queue.is_empty() || batch_len == 0 {
                    return;
                }
                continue;
            };
            self.in_flight = Some(InFlight { sequence: entry.sequence, owed: planned.owed, clients: planned.clients });
            actions.push(Action::Propose(Box::new(entry)));
            return;
        }
    }

    /// How many requests the next entry takes: as many as the bounds allow, and one at least.
    fn batch_len(&self) -> usize {
        let mut bytes = 0;
        let fitting = self.queue.iter().take(REQUESTS_PER_ENTRY_MAX).take_while(|work| {
            bytes += request_bytes(&work.request);
            bytes <= REQUEST_BYTES_PER_ENTRY_MAX
        });
        fitting.count().max(1).min(self.queue.len())
    }

    fn plan_founding(&mut self, wall_ms: u64, state: &State, actions: &mut Vec<Action>) {
        let Some(first) = &self.first else { return };
        let entry = Entry {
            sequence: state.sequence() + 1,
            base: state.epoch(),
            time_ms: wall_ms.max(state.time_ms()),
            map: MapStep::Found(first.clone()),
            answers: Vec::new(),
            keys: Vec::new(),
            log: Vec::new(),
            forget_through: None,
        };
        self.in_flight = Some(InFlight { sequence: entry.sequence, owed: Vec::new(), clients: None });
        actions.push(Action::Propose(Box::new(entry)));
    }

    /// Panics when an invariant does not hold.
    pub fn assert_invariants(&self, state: &State) {
        assert!(self.queue.len() <= QUEUE_MAX + REQUESTS_PER_ENTRY_MAX, "the queue is bounded");
        let mut tokens = BTreeSet::new();
        for work in &self.queue {
            assert!(tokens.insert(work.token), "a request waits once");
        }
        if let Some(in_flight) = &self.in_flight {
            assert!(in_flight.sequence >= state.sequence(), "nothing overtakes the proposal in flight");
            for (token, _) in &in_flight.owed {
                assert!(tokens.insert(*token), "a request waits once");
            }
        }
        state.assert_invariants();
    }
}

fn answer_lost(in_flight: InFlight, actions: &mut Vec<Action>) {
    for (token, _) in in_flight.owed {
        actions.push(Action::Answer { token, reply: ControlReply::Failed(leader_lost()) });
    }
}

fn leader_lost() -> Error {
    Error::retry("the leading monitor changed before this took effect for sure; ask again with the same command number")
}

/// Bytes that a request may bring into an entry.
fn request_bytes(request: &ControlRequest) -> usize {
    match request {
        ControlRequest::Command(command) => {
            let arguments: usize = command.arguments.values().map(String::len).sum();
            command.prefix.len() + arguments + command.input.len()
        }
        ControlRequest::PgTemp { sets, .. } => sets.iter().map(|(_, set)| 16 + 4 * set.len()).sum(),
        ControlRequest::PgCreated { pgs } => 16 * pgs.len(),
        _ => 256,
    }
}

/// The command that a request carries.
fn command_id(request: &ControlRequest) -> Option<CommandId> {
    match request {
        ControlRequest::Command(command) => Some(command.id),
        _ => None,
    }
}

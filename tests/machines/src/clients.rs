//! Clients: the real table of operations, and a workload whose history can be judged.
//!
//! Each client reads and writes registers that all share, appends to an object of its own and counts in another by a
//! class's method, two operations in flight at most. Values are unique, so that a read says which write it saw.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use client_ops::{Action, Checks, Event, Settings, Submission, Table, Target};
use map::{PublishedMap, decode_increment, decode_map};
use tests_kit::{EventKey, OperationKey, RegisterHistory};
use types::{BootNonce, ClientId, Epoch, ErrorKind, Extent, ObjectName, OsdId, PoolId, SnapshotId};
use wire::{MapShare, Message, OpFailure, OpFlags, OpSuccess, SnapshotContext, SubOp, SubOpResult};

use crate::{
    Profile,
    osds::summary,
    world::{Happening, Letter, Node, Stage},
};

/// Operations of one client in flight.
const IN_FLIGHT_MAX: usize = 2;

/// What an operation in flight is, for the history.
#[derive(Debug, Clone, Copy)]
enum Doing {
    Read(OperationKey),
    Write(OperationKey),
    Append(u64),
    /// Counts by a class's method, to this.
    Count(u64),
}

struct Client {
    number: u32,
    table: Table,
    map: Option<Arc<PublishedMap>>,
    subscribed_to: Option<usize>,
    wake: Option<EventKey>,
    in_flight: BTreeMap<u64, Doing>,
    begun: u32,
    answered: usize,
    /// Acknowledged and sent appends, in order of sending.
    appended: Vec<u64>,
    /// What the client's counter holds once everything begun has taken effect.
    counted: u64,
    nonces: BTreeMap<OsdId, BootNonce>,
}

/// All clients and their common history.
pub(crate) struct Clients {
    clients: Vec<Client>,
    history: RegisterHistory<u32, u64>,
    pool: Option<PoolId>,
    profile: Profile,
    value_next: u64,
    handle_next: u64,
}

impl Clients {
    pub fn new(profile: &Profile) -> Self {
        let clients = (0..profile.clients).map(|number| Client {
            number,
            table: Table::new(ClientId(u64::from(number) + 1), Settings { checks: Checks::On, ..Settings::default() }),
            map: None,
            subscribed_to: None,
            wake: None,
            in_flight: BTreeMap::new(),
            begun: 0,
            answered: 0,
            appended: Vec::new(),
            counted: 0,
            nonces: BTreeMap::new(),
        });
        Self {
            clients: clients.collect(),
            history: RegisterHistory::new(0),
            pool: None,
            profile: profile.clone(),
            value_next: 0,
            handle_next: 0,
        }
    }

    /// The pool is there: everybody begins.
    pub fn start(&mut self, stage: &mut Stage, pool: PoolId) {
        self.pool = Some(pool);
        for client in 0..self.profile.clients {
            self.subscribe(stage, client);
            for _ in 0..IN_FLIGHT_MAX {
                let delay = stage.delay(1_000, 100_000);
                stage.queue.schedule_after(delay, Happening::ClientBegins { client });
            }
        }
    }

    pub fn answered(&self) -> usize {
        self.clients.iter().map(|client| client.answered).sum()
    }

    pub fn are_done(&self) -> bool {
        self.pool.is_some() && self.clients.iter().all(|client| self.is_done(client))
    }

    fn is_done(&self, client: &Client) -> bool {
        client.begun == self.profile.operations && client.in_flight.is_empty()
    }

    pub fn what_is_missing(&self) -> String {
        let waiting = self.clients.iter().filter(|client| !self.is_done(client));
        let lines = waiting.map(|client| {
            let epoch = client.map.as_ref().map_or(Epoch::ZERO, |map| map.epoch());
            format!("client.{} waits for {:?} in epoch {epoch}", client.number, client.in_flight)
        });
        lines.collect::<Vec<_>>().join(", ")
    }

    /// A client begins its next operation.
    pub fn begin(&mut self, stage: &mut Stage, number: u32) -> Result<(), String> {
        let Some(pool) = self.pool else { return Ok(()) };
        let operations = self.profile.operations;
        let client = &mut self.clients[number as usize];
        if client.begun == operations {
            return Ok(());
        }
        // A monitor that lags may have told it of a map from before the pool; who looks a pool up by name waits likewise.
        if !client.map.as_ref().is_some_and(|map| map.pools.contains_key(&pool)) {
            let again = Happening::ClientBegins { client: number };
            stage.queue.schedule_after(Duration::from_millis(100), again);
            return Ok(());
        }
        client.begun += 1;
        self.handle_next += 1;
        let handle = self.handle_next;
        let register = u32::try_from(stage.random.below(u64::from(self.profile.registers))).expect("few registers");
        let choice = stage.random.below(100);
        let (name, ops, doing) = if choice < 40 {
            let key = self.history.begin_read(stage.now(), u64::from(number), register);
            let everything = Extent { offset: 0, length: 64 };
            (register_name(register), vec![SubOp::Read(everything)], Doing::Read(key))
        } else if choice < 50 {
            client.counted += 1;
            let (class, method) = ("numeric".to_owned(), "add".to_owned());
            let input = Bytes::from_static(br#"{"key": "n", "value": "1"}"#);
            (counter_name(number), vec![SubOp::Call { class, method, input }], Doing::Count(client.counted))
        } else {
            self.value_next += 1;
            let value = self.value_next;
            let bytes = Bytes::copy_from_slice(&value.to_le_bytes());
            if choice < 80 {
                let key = self.history.begin_write(stage.now(), u64::from(number), register, value);
                (register_name(register), vec![SubOp::WriteFull(bytes)], Doing::Write(key))
            } else {
                client.appended.push(value);
                (log_name(number), vec![SubOp::Append(bytes)], Doing::Append(value))
            }
        };
        stage.note(format_args!("client.{number} begins {doing:?} on {name}"));
        client.in_flight.insert(handle, doing);
        let submission = Submission {
            handle,
            pool,
            target: Target::Object(name),
            ops,
            flags: OpFlags::default(),
            snapshot: SnapshotId::HEAD,
            snapshot_context: SnapshotContext::default(),
            modified_ms: stage.wall_ms(),
            deadline: None,
        };
        self.tell(stage, number, Event::Submit(Box::new(submission)))
    }

    pub fn subscribe(&mut self, stage: &mut Stage, number: u32) {
        let mon = usize::try_from(stage.random.below(self.profile.mons as u64)).expect("few monitors");
        let client = &mut self.clients[number as usize];
        client.subscribed_to = Some(mon);
        let have = client.map.as_ref().map_or(Epoch::ZERO, |map| map.epoch());
        stage.send(Node::Client(number), Node::Mon(mon), Letter::Subscribe { have });
    }

    pub fn wake(&mut self, stage: &mut Stage, number: u32) -> Result<(), String> {
        self.clients[number as usize].wake = None;
        self.tell(stage, number, Event::Tick)
    }

    pub fn receive(&mut self, stage: &mut Stage, number: u32, from: Node, letter: Letter) -> Result<(), String> {
        match letter {
            Letter::Maps(share) => self.take_maps(stage, number, &share),
            Letter::Data { message, .. } => {
                let Node::Osd(osd) = from else { return Ok(()) };
                stage.note(format_args!("{from} -> client.{number} {}", summary(&message)));
                match *message {
                    Message::ClientReply(reply) => self.tell(stage, number, Event::Reply { from: osd, reply }),
                    Message::MapShare(share) => self.take_maps(stage, number, &share),
                    _ => Ok(()),
                }
            }
            Letter::Ask { .. } | Letter::Answer { .. } | Letter::Subscribe { .. } => Ok(()),
        }
    }

    pub fn reset(&mut self, stage: &mut Stage, number: u32, from: Node) -> Result<(), String> {
        match from {
            Node::Osd(osd) => return self.tell(stage, number, Event::SessionReset(osd)),
            Node::Mon(mon) if self.clients[number as usize].subscribed_to == Some(mon) => {
                let delay = stage.delay(200_000, 400_000);
                stage.queue.schedule_after(delay, Happening::Subscribe { node: Node::Client(number), life: 0 });
            }
            Node::Mon(_) | Node::Client(_) | Node::Operator => {}
        }
        Ok(())
    }

    fn take_maps(&mut self, stage: &mut Stage, number: u32, share: &MapShare) -> Result<(), String> {
        let client = &mut self.clients[number as usize];
        let mut maps = Vec::new();
        let mut current = client.map.clone();
        let have = |current: &Option<Arc<PublishedMap>>| current.as_ref().map_or(Epoch::ZERO, |map| map.epoch());
        if let Some((epoch, bytes)) = &share.full
            && *epoch > have(&current)
        {
            let full = decode_map(bytes).and_then(PublishedMap::new).map_err(|error| error.to_string())?;
            maps.push(full.clone());
            current = Some(full);
        }
        for (epoch, bytes) in &share.increments {
            if let Some(map) = &current
                && *epoch == map.epoch().next()
            {
                let next =
                    decode_increment(bytes).and_then(|step| map.apply(&step)).map_err(|error| error.to_string())?;
                maps.push(next.clone());
                current = Some(next);
            }
        }
        client.map = current;
        for map in maps {
            let client = &mut self.clients[number as usize];
            client.nonces = map.osds.iter().map(|(osd, state)| (*osd, state.nonce)).collect();
            self.tell(stage, number, Event::NewMap(map))?;
        }
        Ok(())
    }

    fn tell(&mut self, stage: &mut Stage, number: u32, event: Event) -> Result<(), String> {
        let client = &mut self.clients[number as usize];
        let mut actions = Vec::new();
        client.table.handle(stage.now(), event, &mut actions);
        if let Some(wake) = client.wake.take() {
            stage.queue.cancel(wake);
        }
        if let Some(deadline) = client.table.deadline() {
            let wake = Happening::Wake { node: Node::Client(number), life: 0 };
            client.wake = Some(stage.queue.schedule_at(deadline, wake));
        }
        for action in actions {
            match action {
                Action::Send { to, op } => {
                    let nonce = self.clients[number as usize].nonces.get(&to).copied();
                    let message = Box::new(Message::ClientOp(op));
                    stage.send(Node::Client(number), Node::Osd(to), Letter::Data { nonce, message });
                }
                Action::Complete { handle, outcome } => self.complete(stage, number, handle, outcome)?,
                Action::WantMap { .. } => {
                    let delay = stage.delay(1_000, 50_000);
                    stage.queue.schedule_after(delay, Happening::Subscribe { node: Node::Client(number), life: 0 });
                }
                Action::Warn { handle, waiting_ms } => {
                    stage.note(format_args!("client.{number} waits {waiting_ms} ms for {handle}"));
                }
            }
        }
        Ok(())
    }

    fn complete(
        &mut self,
        stage: &mut Stage,
        number: u32,
        handle: u64,
        outcome: Result<OpSuccess, OpFailure>,
    ) -> Result<(), String> {
        let client = &mut self.clients[number as usize];
        let doing = client.in_flight.remove(&handle).ok_or("an operation was answered twice to its caller")?;
        client.answered += 1;
        match (doing, outcome) {
            (Doing::Write(key), Ok(_)) => self.history.acknowledge_write(stage.now(), key),
            (Doing::Append(value), Ok(success)) => {
                stage.note(format_args!("{value} is appended at {}", success.version))
            }
            (Doing::Count(expected), Ok(success)) => {
                // Also when the answer is a repeat: the output is remembered with the request.
                let counted = Bytes::from(expected.to_string());
                if success.results != [SubOpResult::Data(counted)] {
                    return Err(format!("client.{number} counted to {:?} instead of {expected}", success.results));
                }
            }
            (Doing::Read(key), Ok(success)) => {
                let [SubOpResult::Data(bytes)] = success.results.as_slice() else {
                    return Err(format!("a read was answered with {:?}", success.results));
                };
                self.history.finish_read(stage.now(), key, value_of(bytes)?);
            }
            (Doing::Read(key), Err(failure)) if failure.error.kind == ErrorKind::NotFound => {
                self.history.finish_read(stage.now(), key, 0);
            }
            (doing, Err(failure)) => {
                return Err(format!("client.{number}: {doing:?} failed: {} ({})", failure.error, failure.error.kind));
            }
        }
        let think = stage.delay(1_000, self.think_microseconds());
        stage.queue.schedule_after(think, Happening::ClientBegins { client: number });
        Ok(())
    }

    /// Think times spread the operations over the whole time of faults.
    fn think_microseconds(&self) -> u64 {
        let spread: Duration = self.profile.faults_for * 2 * 2 / self.profile.operations.max(1);
        u64::try_from(spread.as_micros()).expect("short").max(20_000)
    }

    /// The registers' history has an explanation.
    pub fn judge(&self) -> Result<(), String> {
        self.history
            .check()
            .map_err(|violations| violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// For each appended-to object, what must be in it, in order.
    pub fn expected_logs(&self) -> impl Iterator<Item = (ObjectName, &[u64])> {
        self.clients.iter().map(|client| (log_name(client.number), client.appended.as_slice()))
    }
}

fn register_name(register: u32) -> ObjectName {
    ObjectName::new(format!("register-{register}"))
}

fn counter_name(client: u32) -> ObjectName {
    ObjectName::new(format!("counter-of-client-{client}"))
}

fn log_name(client: u32) -> ObjectName {
    ObjectName::new(format!("log-of-client-{client}"))
}

fn value_of(bytes: &[u8]) -> Result<u64, String> {
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| format!("a register holds {} bytes", bytes.len()))?;
    Ok(u64::from_le_bytes(bytes))
}

//! Clients: the real table of operations under a workload whose answers can be judged, two operations in flight each.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use client_ops::{Action, Checks, Event, Settings, Submission, Table, Target};
use map::{PublishedMap, decode_increment, decode_map};
use tests_kit::EventKey;
use types::{BootNonce, ClientId, Epoch, OsdId, PoolId, SnapshotId};
use wire::{MapShare, Message, OpFlags, SnapshotContext};

use crate::{
    Scenario,
    workload::{Operation, Outcome, Workload},
    world::{Happening, Letter, Node, Stage},
};

/// Operations of one client in flight.
const IN_FLIGHT_MAX: usize = 2;

struct Client {
    number: u32,
    table: Table,
    map: Option<Arc<PublishedMap>>,
    subscribed_to: Option<usize>,
    wake: Option<EventKey>,
    /// Kinds of the operations in flight, by number.
    in_flight: BTreeMap<u64, usize>,
    begun: u32,
    answered: usize,
    nonces: BTreeMap<OsdId, BootNonce>,
}

/// All clients and what they do.
pub(crate) struct Clients {
    clients: Vec<Client>,
    workload: Workload,
    pool: Option<PoolId>,
    operations: u32,
    think_microseconds: u64,
    /// Whether the workload is over and what there is in the end is being looked at.
    looking: bool,
}

impl Clients {
    pub fn new(scenario: &Scenario) -> Self {
        let clients = (0..scenario.clients).map(|number| Client {
            number,
            table: Table::new(ClientId(u64::from(number) + 1), Settings { checks: Checks::On, ..Settings::default() }),
            map: None,
            subscribed_to: None,
            wake: None,
            in_flight: BTreeMap::new(),
            begun: 0,
            answered: 0,
            nonces: BTreeMap::new(),
        });
        // Think times spread the operations over the whole time of faults.
        let spread: Duration = scenario.faults_for * 4 / scenario.operations.max(1);
        Self {
            clients: clients.collect(),
            workload: Workload::new(scenario.clients),
            pool: None,
            operations: scenario.operations,
            think_microseconds: u64::try_from(spread.as_micros()).expect("short").max(20_000),
            looking: false,
        }
    }

    /// The pool is there: everybody begins.
    pub fn start(&mut self, stage: &mut Stage, pool: PoolId) {
        self.pool = Some(pool);
        for client in 0..self.count() {
            self.subscribe(stage, client);
            for _ in 0..IN_FLIGHT_MAX {
                let delay = stage.delay(1_000, 100_000);
                stage.queue.schedule_after(delay, Happening::ClientBegins { client });
            }
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.clients.len()).expect("few clients")
    }

    pub fn answered(&self) -> usize {
        self.clients.iter().map(|client| client.answered).sum()
    }

    pub fn are_done(&self) -> bool {
        self.pool.is_some() && self.clients.iter().all(|client| self.is_done(client))
    }

    fn is_done(&self, client: &Client) -> bool {
        client.begun >= self.operations && client.in_flight.is_empty()
    }

    pub fn what_is_missing(&self) -> String {
        let waiting = self.clients.iter().filter(|client| !self.is_done(client));
        let lines = waiting.map(|client| {
            let epoch = client.map.as_ref().map_or(Epoch::ZERO, |map| map.epoch());
            let open: Vec<&u64> = client.in_flight.keys().collect();
            format!("client.{} waits for {open:?} in epoch {epoch}", client.number)
        });
        lines.collect::<Vec<_>>().join(", ")
    }

    /// Everything that must be readable is read once more. Says whether there was something left to begin.
    pub fn look_at_all(&mut self, stage: &mut Stage) -> Result<bool, String> {
        if std::mem::replace(&mut self.looking, true) {
            return Ok(false);
        }
        let mut client = 0;
        let now = stage.now();
        while let Some((number, kind, operation)) = self.workload.begin_last(&mut stage.random, now) {
            client = (client + 1) % self.count();
            self.submit(stage, client, number, kind, operation)?;
        }
        Ok(true)
    }

    /// A client begins its next operation.
    pub fn begin(&mut self, stage: &mut Stage, number: u32) -> Result<(), String> {
        let Some(pool) = self.pool else { return Ok(()) };
        let client = &mut self.clients[number as usize];
        if client.begun >= self.operations {
            return Ok(());
        }
        // A monitor that lags may have told it of a map from before the pool; who looks a pool up by name waits likewise.
        if !client.map.as_ref().is_some_and(|map| map.pools.contains_key(&pool)) {
            let again = Happening::ClientBegins { client: number };
            stage.queue.schedule_after(Duration::from_millis(100), again);
            return Ok(());
        }
        client.begun += 1;
        let now = stage.now();
        let (operation_number, kind, operation) = self.workload.begin(&mut stage.random, now, number);
        self.submit(stage, number, operation_number, kind, operation)
    }

    fn submit(
        &mut self,
        stage: &mut Stage,
        number: u32,
        handle: u64,
        kind: usize,
        operation: Operation,
    ) -> Result<(), String> {
        stage.note(format_args!("client.{number} begins {handle} on {}: {:?}", operation.object, operation.ops));
        self.clients[number as usize].in_flight.insert(handle, kind);
        let submission = Submission {
            handle,
            pool: self.pool.ok_or("the pool was never made")?,
            target: Target::Object(operation.object),
            ops: operation.ops,
            flags: OpFlags::default(),
            snapshot: SnapshotId::HEAD,
            snapshot_context: SnapshotContext::default(),
            modified_ms: stage.wall_ms(),
            deadline: None,
        };
        self.tell(stage, number, Event::Submit(Box::new(submission)))
    }

    pub fn subscribe(&mut self, stage: &mut Stage, number: u32) {
        let mon = stage.some_monitor();
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
                stage.note_message(from, Node::Client(number), &message);
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
        let clock = stage.clock_of(Node::Client(number));
        client.table.handle(clock.local(stage.now()), event, &mut actions);
        if let Some(wake) = client.wake.take() {
            stage.queue.cancel(wake);
        }
        if let Some(deadline) = client.table.deadline() {
            let wake = Happening::Wake { node: Node::Client(number), life: 0 };
            client.wake = Some(stage.queue.schedule_at(clock.global(deadline), wake));
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

    fn complete(&mut self, stage: &mut Stage, number: u32, handle: u64, outcome: Outcome) -> Result<(), String> {
        let client = &mut self.clients[number as usize];
        let kind = client.in_flight.remove(&handle).ok_or("an operation was answered twice to its caller")?;
        client.answered += 1;
        stage.note(format_args!("client.{number} has the answer to {handle}: {outcome:?}"));
        self.workload.finish(stage.now(), handle, kind, outcome)?;
        if !self.looking {
            // In bursts: half of the operations follow at once, so that clients meet and logs are trimmed quickly.
            let at_once = stage.random.chance(1, 2);
            let think =
                if at_once { stage.delay(100, 10_000) } else { stage.delay(1_000, 2 * self.think_microseconds) };
            stage.queue.schedule_after(think, Happening::ClientBegins { client: number });
        }
        Ok(())
    }

    /// Everything that was answered has one explanation.
    pub fn judge(&self) -> Result<(), String> {
        self.workload.judge()
    }
}

//! Three monitors on loopback, each in a runtime of its own that can be killed like a process.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use bytes::Bytes;
use net::{ClusterKey, Identity, control::ControlClient};
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, interval, timeout},
};
use types::{BootNonce, ClusterId, EntityKind, EntityName, Epoch, ErrorKind, Uuid};
use wire::{CommandAnswer, CommandId, CommandRequest, ControlReply, ControlRequest};

use crate::{MonSettings, run};

/// For one command, elections and restarts included, on a busy machine.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

fn cluster() -> ClusterId {
    ClusterId(Uuid::from_random([9; 16]))
}

fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

struct Monitors {
    place: tempfile::TempDir,
    addresses: Vec<SocketAddr>,
    entries_per_snapshot: u64,
    running: BTreeMap<char, Runtime>,
}

impl Monitors {
    fn start(count: usize, entries_per_snapshot: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let addresses = free_addresses(count);
        let mut monitors = Self { place, addresses, entries_per_snapshot, running: BTreeMap::new() };
        for name in monitors.names() {
            monitors.begin(name);
        }
        monitors
    }

    fn names(&self) -> Vec<char> {
        ('a'..='z').take(self.addresses.len()).collect()
    }

    fn settings(&self, name: char) -> MonSettings {
        let data = self.place.path().join(format!("mon.{name}"));
        let key = ClusterKey::new([3; 32]);
        let mut settings = MonSettings::new(cluster(), key, name.to_string(), data, self.addresses.clone()).unwrap();
        settings.entries_per_snapshot = self.entries_per_snapshot;
        settings
    }

    /// Starts a monitor and waits until it serves.
    fn begin(&mut self, name: char) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (told, serving) = mpsc::sync_channel(1);
        let settings = self.settings(name);
        runtime.spawn(async move {
            let serves = move |address| told.send(address).unwrap();
            run(settings, serves, std::future::pending()).await.unwrap();
        });
        serving.recv_timeout(Duration::from_secs(30)).unwrap();
        self.running.insert(name, runtime);
    }

    /// Drops everything that a monitor does, in the middle of whatever it does.
    fn kill(&mut self, name: char) {
        let runtime = self.running.remove(&name).unwrap();
        runtime.shutdown_timeout(Duration::from_secs(30));
    }

    fn client(&self) -> ControlClient {
        let identity = Identity {
            cluster: cluster(),
            entity: EntityName::new(EntityKind::Client, "test"),
            nonce: BootNonce(77),
            key: ClusterKey::new([3; 32]),
        };
        ControlClient::new(identity, self.addresses.clone())
    }
}

struct Operator {
    client: ControlClient,
    asker: u64,
    sequence: u64,
}

impl Operator {
    fn request(&mut self, line: &str) -> CommandRequest {
        self.sequence += 1;
        CommandRequest {
            id: CommandId { asker: self.asker, sequence: self.sequence },
            prefix: line.to_owned(),
            arguments: BTreeMap::new(),
            input: Bytes::new(),
        }
    }

    /// Asks until there is an answer, as every client does.
    async fn ask(&self, request: CommandRequest) -> CommandAnswer {
        let deadline = Instant::now() + COMMAND_DEADLINE;
        let mut pace = interval(Duration::from_millis(100));
        loop {
            pace.tick().await;
            let reply = self.client.call(ControlRequest::Command(request.clone()), Duration::from_secs(20)).await;
            let error = match reply {
                Ok(ControlReply::Answer(answer)) => return answer,
                Ok(ControlReply::Failed(error)) | Err(error) => error,
                Ok(other) => panic!("{}: {other:?}", request.prefix),
            };
            assert_eq!(error.kind, ErrorKind::Retry, "{}: {error}", request.prefix);
            assert!(Instant::now() < deadline, "{}: {error}", request.prefix);
        }
    }

    async fn command(&mut self, line: &str) -> CommandAnswer {
        let request = self.request(line);
        self.ask(request).await
    }

    async fn json(&mut self, line: &str) -> Value {
        serde_json::from_slice(&self.command(line).await.output).unwrap()
    }

    async fn leader(&mut self) -> char {
        self.json("quorum_status").await["quorum_leader_name"].as_str().unwrap().chars().next().unwrap()
    }

    /// Waits until all these monitors have the same map; gives its epoch.
    async fn converged(&self, addresses: &[SocketAddr]) -> Epoch {
        let deadline = Instant::now() + COMMAND_DEADLINE;
        let mut pace = interval(Duration::from_millis(100));
        loop {
            pace.tick().await;
            let mut maps = BTreeSet::new();
            for address in addresses {
                let request = ControlRequest::GetMaps { have: Epoch::ZERO };
                if let Ok(ControlReply::Maps(share)) =
                    self.client.call_at(*address, request, Duration::from_secs(5)).await
                {
                    maps.insert(share.full);
                } else {
                    maps.insert(None);
                }
            }
            if let (1, Some(Some((epoch, _)))) = (maps.len(), maps.first()) {
                return *epoch;
            }
            assert!(Instant::now() < deadline, "the monitors hold different maps");
        }
    }
}

fn operator(monitors: &Monitors) -> Operator {
    Operator { client: monitors.client(), asker: 5, sequence: 0 }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn no_acknowledged_command_is_lost_when_leaders_die() {
    let mut monitors = Monitors::start(3, 5000);
    let runtime = runtime();
    let mut operator = operator(&monitors);
    let created = runtime.block_on(async {
        let request = operator.request("osd pool create demo 8");
        let first = operator.ask(request.clone()).await;
        assert_eq!(first.status, "pool 'demo' created");
        assert_eq!(operator.ask(request).await, first, "a repeat gets the first answer");
        operator.json("osd pool get demo all").await
    });
    let mut acknowledged = BTreeSet::new();
    for round in 0..60 {
        let key = format!("key{round:03}");
        runtime.block_on(operator.command(&format!("config-key set {key} value{round}")));
        acknowledged.insert(key);
        if round % 20 == 5 {
            let leader = runtime.block_on(operator.leader());
            monitors.kill(leader);
        }
        if round % 20 == 15 {
            let names = monitors.names();
            for name in names.into_iter().filter(|name| !monitors.running.contains_key(name)).collect::<Vec<_>>() {
                monitors.begin(name);
            }
        }
    }
    runtime.block_on(async {
        let keys = operator.json("config-key ls").await;
        let kept: BTreeSet<String> =
            keys.as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect();
        assert_eq!(kept, acknowledged);
        assert_eq!(operator.json("osd pool get demo all").await, created);
        operator.converged(&monitors.addresses).await;
        let client = operator
            .client
            .call(ControlRequest::NewClient(CommandId { asker: 5, sequence: 1 }), Duration::from_secs(20));
        assert!(matches!(client.await.unwrap(), ControlReply::Client(_)));
    });
}

#[test]
fn everything_is_there_after_all_were_killed_at_once_and_a_late_one_takes_a_snapshot() {
    let mut monitors = Monitors::start(3, 20);
    let runtime = runtime();
    let mut operator = operator(&monitors);
    runtime.block_on(operator.command("osd pool create demo 8"));
    let late = runtime.block_on(async {
        let leader = operator.leader().await;
        monitors.names().into_iter().find(|name| *name != leader).unwrap()
    });
    monitors.kill(late);
    runtime.block_on(async {
        for round in 0..100 {
            let flag = if round % 2 == 0 { "set" } else { "unset" };
            operator.command(&format!("osd {flag} noout")).await;
        }
        let status = operator.json("status").await;
        assert_eq!(status["osdmap"]["num_osds"], 0);
    });
    for name in monitors.running.keys().copied().collect::<Vec<_>>() {
        monitors.kill(name);
    }
    for name in monitors.names() {
        monitors.begin(name);
    }
    runtime.block_on(async {
        let pools = operator.json("osd pool ls").await;
        assert_eq!(pools, serde_json::json!(["demo"]));
        let epoch = operator.converged(&monitors.addresses).await;
        assert_eq!(epoch, Epoch(102), "epoch 1, the pool, a hundred flags, and nothing else");
    });
}

#[test]
fn subscribers_see_every_epoch_in_order_across_a_change_of_leader() {
    let mut monitors = Monitors::start(3, 5000);
    let runtime = runtime();
    let mut operator = operator(&monitors);
    runtime.block_on(operator.command("osd set noout"));
    let subscriber = monitors.client();
    let watching = runtime.spawn(async move {
        let mut have = Epoch::ZERO;
        while have < Epoch(22) {
            let Ok(mut stream) = subscriber.subscribe(have).await else { continue };
            while let Some(share) = stream.next().await {
                if let Some((epoch, bytes)) = share.full {
                    assert_eq!(have, Epoch::ZERO, "a full map comes first only");
                    assert_eq!(map::decode_map(&bytes).unwrap().epoch, epoch);
                    have = epoch;
                }
                for (epoch, bytes) in share.increments {
                    assert_eq!(epoch, have.next(), "no epoch is skipped");
                    assert_eq!(map::decode_increment(&bytes).unwrap().epoch, epoch);
                    have = epoch;
                }
                if have >= Epoch(22) {
                    break;
                }
            }
        }
        have
    });
    runtime.block_on(async {
        for round in 0..10 {
            operator.command(if round % 2 == 0 { "osd unset noout" } else { "osd set noout" }).await;
        }
    });
    let leader = runtime.block_on(operator.leader());
    monitors.kill(leader);
    runtime.block_on(async {
        for round in 0..10 {
            operator.command(if round % 2 == 0 { "osd unset noout" } else { "osd set noout" }).await;
        }
        let seen = timeout(COMMAND_DEADLINE, watching).await.unwrap().unwrap();
        assert_eq!(seen, Epoch(22));
    });
}

#[test]
fn one_monitor_alone_leads_and_stops_cleanly() {
    let place = tempfile::tempdir().unwrap();
    let addresses = free_addresses(1);
    let settings = |data: &Path| {
        let key = ClusterKey::new([3; 32]);
        MonSettings::new(cluster(), key, "a".to_owned(), data.to_owned(), addresses.clone()).unwrap()
    };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for round in 0..2 {
        let settings = settings(place.path());
        let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let shutdown = async move {
            stopping.await.unwrap();
        };
        let monitor = runtime.spawn(run(settings, |_| {}, shutdown));
        let identity = Identity {
            cluster: cluster(),
            entity: EntityName::new(EntityKind::Client, "test"),
            nonce: BootNonce(78),
            key: ClusterKey::new([3; 32]),
        };
        let mut operator =
            Operator { client: ControlClient::new(identity, addresses.clone()), asker: 6 + round, sequence: 0 };
        runtime.block_on(async {
            let pools = operator.json("osd pool ls").await;
            assert_eq!(pools.as_array().unwrap().len(), usize::try_from(round).unwrap());
            operator.command(&format!("osd pool create pool{round} 8")).await;
            stop.send(()).unwrap();
            timeout(COMMAND_DEADLINE, monitor).await.unwrap().unwrap().unwrap();
        });
    }
}

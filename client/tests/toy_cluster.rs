//! The library over real sockets, against a monitor and OSDs that are toys: they keep objects in memory, remember
//! requests, and go silent, break sessions or hand over their groups when a test says so.

#![expect(clippy::unwrap_used, reason = "the toys are part of the test: what fails in them fails it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use client::{Cluster, ClusterKey, CommandArguments, Config, ErrorKind, OpBuilder, Options, StripeLayout};
use futures::{StreamExt, TryStreamExt, future};
use map::{ClusterFlags, ClusterMap, OsdState, Pool, PoolFlags, PoolKind, PublishedMap, Weight};
use net::{
    Identity,
    control::{ControlHandler, ControlServer},
    data::{Listener, SessionSender},
};
use tokio::sync::mpsc;
use types::{
    BootNonce, ClientId, ClusterId, EntityKind, EntityName, Epoch, Error, LogVersion, ObjectId, ObjectName, OmapPage,
    OsdId, OsdUuid, PgId, PoolId, RequestId, Result, Uuid, XattrMap,
};
use wire::{
    ClientOp, ClientReply, CommandAnswer, ControlReply, ControlRequest, MapShare, Message, ObjectDigest, OpFailure,
    OpSuccess, OpTarget, SubOp, SubOpResult, VerifyPage,
};

const POOL: PoolId = PoolId(1);
const PG_NUM: u32 = 4;
const CLUSTER: ClusterId = ClusterId(Uuid([9; 16]));
const KEY: [u8; 32] = [7; 32];

#[derive(Debug, Clone, Default)]
struct ToyObject {
    data: BytesMut,
    xattrs: XattrMap,
    omap: BTreeMap<Vec<u8>, Bytes>,
    version: u64,
}

/// What all OSDs share: the truth.
#[derive(Debug, Default)]
struct Truth {
    objects: BTreeMap<ObjectName, ToyObject>,
    answers: BTreeMap<RequestId, Result<OpSuccess, OpFailure>>,
    version: u64,
    applied: u64,
}

impl Truth {
    fn carry_out(&mut self, op: &ClientOp) -> Result<OpSuccess, OpFailure> {
        if let Some(answer) = self.answers.get(&op.request) {
            return answer.clone();
        }
        let outcome = self.apply(op);
        if op.is_write() {
            self.applied += 1;
            self.answers.insert(op.request, outcome.clone());
        }
        outcome
    }

    fn apply(&mut self, op: &ClientOp) -> Result<OpSuccess, OpFailure> {
        let OpTarget::Object { name, .. } = &op.target else { return Ok(self.list(op)) };
        let mut object = self.objects.get(name).cloned();
        let mut results = Vec::new();
        for (step, sub_op) in op.ops.iter().enumerate() {
            let step = u32::try_from(step).ok();
            results.push(apply_step(&mut object, sub_op).map_err(|error| OpFailure { error, step })?);
        }
        if op.is_write() {
            self.version += 1;
            match object {
                Some(mut object) => {
                    object.version = self.version;
                    self.objects.insert(name.clone(), object);
                }
                None => drop(self.objects.remove(name)),
            }
        }
        let user_version = self.objects.get(name).map_or(0, |object| object.version);
        Ok(OpSuccess { version: LogVersion::ZERO, user_version, results })
    }

    /// One page with everything: the first group is told all names, the others none.
    fn list(&self, op: &ClientOp) -> OpSuccess {
        let names = if op.pg.seed == 0 { self.objects.keys().cloned().collect() } else { Vec::new() };
        let results = vec![SubOpResult::List { names, next: None }];
        OpSuccess { version: LogVersion::ZERO, user_version: 0, results }
    }
}

fn apply_step(object: &mut Option<ToyObject>, op: &SubOp) -> Result<SubOpResult> {
    let missing = || Error::not_found("the object does not exist");
    let held = |holds: bool| if holds { Ok(SubOpResult::Done) } else { Err(Error::exists("a guard did not hold")) };
    match op {
        SubOp::Remove => return object.take().map(|_| SubOpResult::Done).ok_or_else(missing),
        op if op.is_write() => drop(object.get_or_insert_default()),
        _ => {}
    }
    let object = object.as_mut().ok_or_else(missing)?;
    match op {
        SubOp::Read(extent) => {
            let at = |at: u64| usize::try_from(at).unwrap().min(object.data.len());
            return Ok(SubOpResult::Data(Bytes::copy_from_slice(&object.data[at(extent.offset)..at(extent.end())])));
        }
        SubOp::Stat => return Ok(SubOpResult::Stat { size: object.data.len() as u64, modified_ms: 1 }),
        SubOp::GetXattrs => return Ok(SubOpResult::Xattrs(object.xattrs.clone())),
        SubOp::GetXattr(name) => return object.xattrs.get(name).cloned().map(SubOpResult::Data).ok_or_else(missing),
        SubOp::OmapGet { after, prefix, keys_max } => {
            let behind = object.omap.iter().filter(|(key, _)| *key > after && key.starts_with(prefix));
            let mut entries: Vec<_> = behind.map(|(key, value)| (key.clone(), value.clone())).collect();
            let more = entries.len() > *keys_max as usize;
            entries.truncate(*keys_max as usize);
            return Ok(SubOpResult::Omap(OmapPage { entries, more }));
        }
        SubOp::AssertExists => return Ok(SubOpResult::Done),
        SubOp::AssertVersion(version) => return held(object.version == *version),
        SubOp::CompareXattr { name, value, .. } => {
            return held(object.xattrs.get(name).cloned().unwrap_or_default() == *value);
        }
        SubOp::Create { .. } => {}
        SubOp::Write { offset, data } => {
            let begin = usize::try_from(*offset).unwrap();
            let end = begin + data.len();
            let length = object.data.len().max(end);
            object.data.resize(length, 0);
            object.data[begin..end].copy_from_slice(data);
        }
        SubOp::WriteFull(data) => object.data = BytesMut::from(&data[..]),
        SubOp::Append(data) => object.data.extend_from_slice(data),
        SubOp::Truncate(size) => object.data.resize(usize::try_from(*size).unwrap(), 0),
        SubOp::SetXattr { name, value } => drop(object.xattrs.insert(name.clone(), value.clone())),
        SubOp::RemoveXattr(name) => drop(object.xattrs.remove(name)),
        SubOp::OmapSet(entries) => object.omap.extend(entries.clone()),
        other => panic!("the toy does not know {other:?}"),
    }
    Ok(SubOpResult::Done)
}

/// One OSD's moods.
#[derive(Debug, Default)]
struct Mood {
    /// Hears operations and says nothing.
    silent: AtomicBool,
    /// Closes the session instead of answering every n-th operation; zero never does.
    break_every: AtomicU64,
    heard: AtomicU64,
    /// What its copies are said to be.
    digest: Mutex<BTreeMap<ObjectId, u32>>,
}

struct Monitor {
    map: Mutex<Arc<PublishedMap>>,
    subscribers: Mutex<Vec<mpsc::Sender<MapShare>>>,
    next_client: AtomicU64,
    commands: Mutex<BTreeSet<String>>,
}

impl Monitor {
    fn share(&self, have: Epoch) -> MapShare {
        let map = self.map.lock().unwrap();
        let full = (map.epoch() > have).then(|| (map.epoch(), map::encode_map(map.map())));
        MapShare { newest: map.epoch(), full, increments: Vec::new() }
    }
}

#[async_trait::async_trait]
impl ControlHandler for Monitor {
    async fn handle(&self, _: EntityName, request: ControlRequest) -> ControlReply {
        match request {
            ControlRequest::NewClient(_) => {
                ControlReply::Client(ClientId(self.next_client.fetch_add(1, Ordering::Relaxed)))
            }
            ControlRequest::GetMaps { have } => ControlReply::Maps(self.share(have)),
            ControlRequest::Command(command) => {
                // Every command is refused once, as during an election.
                if self.commands.lock().unwrap().insert(command.prefix.clone()) {
                    return ControlReply::Failed(Error::retry("there is no leader"));
                }
                ControlReply::Answer(CommandAnswer { status: command.prefix, output: command.input })
            }
            other => ControlReply::Failed(Error::invalid(format!("{other:?}"))),
        }
    }

    async fn subscribe(&self, _: EntityName, have: Epoch) -> mpsc::Receiver<MapShare> {
        let (sender, receiver) = mpsc::channel(16);
        sender.send(self.share(have)).await.unwrap();
        self.subscribers.lock().unwrap().push(sender);
        receiver
    }
}

struct Toys {
    monitor: Arc<Monitor>,
    truth: Arc<Mutex<Truth>>,
    moods: Vec<Arc<Mood>>,
    config: Config,
}

impl Toys {
    /// A monitor and two OSDs; the first leads every group.
    async fn start() -> Self {
        let truth = Arc::new(Mutex::new(Truth::default()));
        let mut moods = Vec::new();
        let mut addresses = Vec::new();
        for osd in 0..2 {
            let mood = Arc::new(Mood::default());
            let identity = identity(EntityName::osd(OsdId(osd)), 1);
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), identity).unwrap();
            addresses.push(listener.local_address());
            tokio::spawn(serve(listener, Arc::clone(&truth), Arc::clone(&mood)));
            moods.push(mood);
        }
        let map = PublishedMap::new(first_map(&addresses)).unwrap();
        let monitor = Arc::new(Monitor {
            map: Mutex::new(map),
            subscribers: Mutex::default(),
            next_client: AtomicU64::new(1),
            commands: Mutex::default(),
        });
        let name = EntityName::new(EntityKind::Mon, "a");
        let handler = Arc::clone(&monitor) as Arc<dyn ControlHandler>;
        let address = "127.0.0.1:0".parse().unwrap();
        let server = ControlServer::start(address, identity(name, 1), handler, future::pending()).unwrap();
        let config = Config {
            cluster: CLUSTER,
            key: ClusterKey(KEY),
            name: EntityName::new(EntityKind::Client, "admin"),
            monitors: vec![server.local_address()],
        };
        Self { monitor, truth, moods, config }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    /// Publishes the next map.
    async fn change_map(&self, change: impl FnOnce(&mut ClusterMap)) {
        let next = {
            let mut map = self.monitor.map.lock().unwrap();
            let mut next = map.map().clone();
            next.epoch = next.epoch.next();
            change(&mut next);
            *map = PublishedMap::new(next).unwrap();
            map.epoch()
        };
        let share = self.monitor.share(next.previous());
        let subscribers = std::mem::take(&mut *self.monitor.subscribers.lock().unwrap());
        for subscriber in &subscribers {
            // One that is gone has no use for maps.
            let _ = subscriber.send(share.clone()).await;
        }
        self.monitor.subscribers.lock().unwrap().extend(subscribers);
    }
}

fn identity(entity: EntityName, nonce: u64) -> Identity {
    Identity { cluster: CLUSTER, entity, nonce: BootNonce(nonce), key: net::ClusterKey::new(KEY) }
}

async fn serve(mut listener: Listener, truth: Arc<Mutex<Truth>>, mood: Arc<Mood>) {
    loop {
        let session = listener.accept().await.unwrap();
        let (truth, mood) = (Arc::clone(&truth), Arc::clone(&mood));
        tokio::spawn(async move {
            let (sender, mut receiver) = (session.sender, session.receiver);
            while let Some(Ok(message)) = receiver.next().await {
                if !answer(message, &sender, &truth, &mood).await {
                    return;
                }
            }
        });
    }
}

/// Answers whether the session goes on.
async fn answer(message: Message, sender: &SessionSender, truth: &Mutex<Truth>, mood: &Mood) -> bool {
    let reply = match message {
        Message::ClientOp(op) => {
            let heard = mood.heard.fetch_add(1, Ordering::Relaxed) + 1;
            if mood.silent.load(Ordering::Relaxed) {
                return true;
            }
            let outcome = truth.lock().unwrap().carry_out(&op);
            let every = mood.break_every.load(Ordering::Relaxed);
            if every > 0 && heard.is_multiple_of(every) {
                return false;
            }
            Message::ClientReply(Box::new(ClientReply { request: op.request, epoch: op.epoch, outcome }))
        }
        Message::VerifyRequest(request) => {
            let digest = mood.digest.lock().unwrap();
            let of_group = digest.iter().filter(|_| request.pg.seed == 0);
            let objects = of_group.map(|(object, data_crc)| ObjectDigest {
                object: object.clone(),
                version: LogVersion::ZERO,
                size: 1,
                data_crc: *data_crc,
                xattrs_crc: 0,
                omap_crc: 0,
                damage: None,
            });
            Message::VerifyPage(VerifyPage {
                sequence: request.sequence,
                last_update: LogVersion::ZERO,
                present: true,
                objects: objects.collect(),
                next: None,
            })
        }
        other => panic!("clients do not say {other:?}"),
    };
    sender.send(&reply).await.is_ok()
}

fn first_map(addresses: &[SocketAddr]) -> ClusterMap {
    let mut map = ClusterMap::first(CLUSTER, BTreeMap::new(), 0).unwrap();
    map.epoch = Epoch(2);
    for (osd, address) in addresses.iter().enumerate() {
        let osd = u32::try_from(osd).unwrap();
        let state = OsdState {
            uuid: OsdUuid(Uuid([u8::try_from(osd).unwrap() + 1; 16])),
            up: true,
            weight: Weight::ONE,
            weight_before_out: None,
            primary_affinity: Weight::ONE,
            address: Some(*address),
            nonce: BootNonce(1),
            host: format!("host{osd}"),
            up_from: Epoch(1),
            up_thru: Epoch::ZERO,
            down_at: Epoch::ZERO,
            dead_epoch: Epoch::ZERO,
            last_clean_begin: Epoch::ZERO,
            last_clean_end: Epoch::ZERO,
            flags: ClusterFlags::default(),
            lost_at: Epoch::ZERO,
        };
        map.osds.insert(OsdId(osd), state);
    }
    map.pools.insert(POOL, Arc::new(pool("demo")));
    map.pool_next = PoolId(2);
    lead(&mut map, [0, 1]);
    map
}

fn pool(name: &str) -> Pool {
    Pool {
        id: POOL,
        name: name.into(),
        kind: PoolKind::Replicated,
        size: 2,
        min_size: 1,
        crush_rule: 0,
        object_hash: 2,
        pg_num: PG_NUM,
        pgp_num: PG_NUM,
        flags: PoolFlags::HASHPSPOOL,
        quota_bytes: 0,
        quota_objects: 0,
        applications: BTreeMap::new(),
        snapshot_sequence: 0,
        snapshots: BTreeMap::new(),
        removed_snapshots: types::SnapshotRanges::default(),
        options: BTreeMap::new(),
        created: Epoch(1),
        changed: Epoch(1),
    }
}

/// Gives every group this acting set.
fn lead(map: &mut ClusterMap, osds: [u32; 2]) {
    for seed in 0..PG_NUM {
        map.pg_temp.insert(PgId { pool: POOL, seed }, osds.map(OsdId).to_vec());
    }
}

#[tokio::test]
async fn stores_and_fetches_everything_an_object_has() {
    let toys = Toys::start().await;
    let cluster = Cluster::connect(&toys.config).await.unwrap();
    let pool = cluster.pool("demo").await.unwrap();
    assert_eq!(cluster.pool("none").await.unwrap_err().kind, ErrorKind::NotFound);

    let object = pool.object("greeting");
    object.write_full("hello").await.unwrap();
    object.append(" world").await.unwrap();
    object.write(0, "H").await.unwrap();
    assert_eq!(object.read_all().await.unwrap(), "Hello world");
    assert_eq!(object.read(6..100).await.unwrap(), "world");
    assert_eq!(object.stat().await.unwrap().size, 11);
    object.set_xattr("colour", "blue").await.unwrap();
    assert_eq!(object.xattr("colour").await.unwrap(), "blue");
    assert_eq!(object.xattr("shape").await.unwrap_err().kind, ErrorKind::NotFound);
    object.omap_set(BTreeMap::from([(b"k".to_vec(), Bytes::from_static(b"v"))])).await.unwrap();
    assert_eq!(object.omap_page("", "", 10).await.unwrap().entries, [(b"k".to_vec(), Bytes::from_static(b"v"))]);

    let guarded = OpBuilder::new().compare_xattr_equal("colour", "red").write_full("never");
    let failure = object.operate(guarded).await.unwrap_err();
    assert_eq!((failure.error.kind, failure.step), (ErrorKind::Exists, Some(0)));
    assert_eq!(object.read_all().await.unwrap(), "Hello world");

    // Larger than one read; written while nobody else does.
    let large = Bytes::from(vec![3; 20 << 20]);
    pool.object("large").write_full(large.clone()).await.unwrap();
    assert_eq!(pool.object("large").read_all().await.unwrap(), large);
    let striper = pool.striper(StripeLayout::default());
    striper.write_full("striped", large.clone()).await.unwrap();
    assert_eq!(striper.read("striped", 0..u64::MAX).await.unwrap(), large);
    striper.remove("striped").await.unwrap();

    let names: Vec<ObjectName> = pool.list().try_collect().await.unwrap();
    assert_eq!(names, [ObjectName::new("greeting"), ObjectName::new("large")]);
    object.remove().await.unwrap();
    assert_eq!(object.read_all().await.unwrap_err().kind, ErrorKind::NotFound);

    let too_large = Bytes::from(vec![0; (32 << 20) + 1]);
    assert_eq!(pool.object("x").write_full(too_large).await.unwrap_err().kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn commands_are_repeated_until_there_is_a_leader() {
    let toys = Toys::start().await;
    let cluster = Cluster::connect(&toys.config).await.unwrap();
    let answer = cluster.command("osd stat", CommandArguments::new(), "input").await.unwrap();
    assert_eq!((answer.status.as_str(), &answer.output[..]), ("osd stat", &b"input"[..]));
}

#[tokio::test]
async fn breaking_sessions_lose_repeat_and_reorder_nothing() {
    let toys = Toys::start().await;
    toys.moods[0].break_every.store(7, Ordering::Relaxed);
    let options = Options { operations_max: 16, ..Options::default() };
    let cluster = Cluster::connect_with(&toys.config, options).await.unwrap();
    let object = cluster.pool("demo").await.unwrap().object("log");
    let append = |number: u32| {
        let object = object.clone();
        async move { object.append(Bytes::copy_from_slice(&number.to_be_bytes())).await }
    };
    // Begun in order, many in flight.
    futures::stream::iter(0..150).map(append).buffered(16).try_collect::<()>().await.unwrap();
    toys.moods[0].break_every.store(0, Ordering::Relaxed);
    let data = object.read_all().await.unwrap();
    let numbers: Vec<u32> = data.chunks(4).map(|four| u32::from_be_bytes(four.try_into().unwrap())).collect();
    assert_eq!(numbers, (0..150).collect::<Vec<u32>>());
}

#[tokio::test]
async fn follows_the_primary_and_waits_for_pools_that_are_made() {
    let toys = Toys::start().await;
    let cluster = Cluster::connect(&toys.config).await.unwrap();
    let object = cluster.pool("demo").await.unwrap().object("x");
    toys.moods[0].silent.store(true, Ordering::Relaxed);
    let write = tokio::spawn(async move { object.write_full("moved").await });
    while toys.moods[0].heard.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    toys.change_map(|map| lead(map, [1, 0])).await;
    write.await.unwrap().unwrap();
    assert_eq!(toys.moods[1].heard.load(Ordering::Relaxed), 1);
    assert_eq!(toys.truth().applied, 1);

    let waiting = cluster.wait_for(|map| map.pools.values().any(|pool| pool.name == "renamed"));
    let renamed = toys.change_map(|map| drop(map.pools.insert(POOL, Arc::new(pool("renamed")))));
    let (map, ()) = tokio::join!(waiting, renamed);
    assert_eq!(map.unwrap().epoch(), Epoch(4));
    assert_eq!(cluster.pool("demo").await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(cluster.pool("renamed").await.unwrap().id(), POOL);
}

#[tokio::test]
async fn callers_who_leave_give_back_their_place_and_deadlines_say_what_is_unknown() {
    let toys = Toys::start().await;
    let mood = &toys.moods[0];
    let options = Options { operations_max: 1, ..Options::default() };
    let cluster = Cluster::connect_with(&toys.config, options).await.unwrap();
    let object = cluster.pool("demo").await.unwrap().object("x");
    mood.silent.store(true, Ordering::Relaxed);
    for round in 1..=3 {
        let write = object.write_full("given up");
        let heard = async {
            while mood.heard.load(Ordering::Relaxed) < round {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            outcome = write => panic!("a silent OSD answered {outcome:?}"),
            () = heard => {}
        }
    }
    mood.silent.store(false, Ordering::Relaxed);
    object.write_full("kept").await.unwrap();
    assert_eq!(object.read_all().await.unwrap(), "kept");

    let options = Options { timeout: Some(Duration::from_millis(200)), ..Options::default() };
    let impatient = Cluster::connect_with(&toys.config, options).await.unwrap();
    let object = impatient.pool("demo").await.unwrap().object("x");
    mood.silent.store(true, Ordering::Relaxed);
    let error = object.write_full("late").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Retry);
    assert!(error.message.contains("outcome unknown"), "{error}");
}

#[tokio::test]
async fn replicas_are_compared() {
    let toys = Toys::start().await;
    let cluster = Cluster::connect(&toys.config).await.unwrap();
    let object = ObjectId::head(POOL, 5, ObjectName::new("x"));
    for mood in &toys.moods {
        mood.digest.lock().unwrap().insert(object.clone(), 1);
    }
    let pg = PgId { pool: POOL, seed: 0 };
    let verdict = cluster.verify_pg(pg).await.unwrap();
    assert_eq!((verdict.objects, verdict.differences.len()), (1, 0));
    toys.moods[1].digest.lock().unwrap().insert(object, 2);
    let verdict = cluster.verify_pg(pg).await.unwrap();
    assert_eq!(verdict.differences.len(), 1, "{verdict:?}");
    assert!(verdict.differences[0].to_string().contains("osd.1 version 0'0 size 1 data 00000002"));
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_the_reason() {
    let toys = Toys::start().await;
    let wrong = Config { key: ClusterKey([8; 32]), ..toys.config.clone() };
    let error = Cluster::connect(&wrong).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("key"), "{error}");
}

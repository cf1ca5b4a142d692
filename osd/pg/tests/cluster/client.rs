//! Clients that know what every answer must be.
//!
//! Three kinds of work: *registers* that all share, judged by linearizability; *journals*, one for each client, to which it
//! appends numbered words with several requests in flight, and which must hold each acknowledged word once and in order; and
//! *toggles*, which it creates exclusively and removes in turn, so that a request carried out twice fails.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tests_kit::{OperationKey, RegisterHistory};
use types::{ClientId, Epoch, ErrorKind, Extent, ObjectName, RequestId, SeededRandom, SnapshotId, Time};
use wire::{ClientOp, ClientReply, OpFlags, OpTarget, SnapshotContext, SubOp, SubOpResult};

use crate::{
    album::{Album, Expected},
    monitor::PG,
};

const REGISTERS: u64 = 12;
const IN_FLIGHT_MAX: usize = 4;

pub enum Work {
    Write(OperationKey),
    Read(OperationKey),
    Append(u64),
    ReadJournal { acknowledged: u64 },
    Create,
    Remove,
    List { toggle: bool },
    Album(Expected),
}

pub struct Client {
    pub id: u64,
    pub epoch: Epoch,
    random: SeededRandom,
    next: u64,
    pub open: BTreeMap<u64, (ClientOp, Work)>,
    appended: u64,
    acknowledged: u64,
    toggle: Option<bool>,
    /// Whether it keeps one.
    has_album: bool,
    pub album: Album,
    pub done: u64,
    pub refused_as_damaged: u64,
}

pub type History = RegisterHistory<u64, u64>;

impl Client {
    pub fn new(id: u64, epoch: Epoch, random: SeededRandom, has_album: bool) -> Self {
        Self {
            id,
            epoch,
            random,
            next: 1,
            open: BTreeMap::new(),
            appended: 0,
            acknowledged: 0,
            toggle: Some(false),
            has_album,
            album: Album::new(id),
            done: 0,
            refused_as_damaged: 0,
        }
    }

    pub fn may_begin(&self) -> bool {
        self.open.len() < IN_FLIGHT_MAX
    }

    pub fn begin(&mut self, now: Time, map: &map::PublishedMap, history: &mut History) -> ClientOp {
        let register = self.random.below(REGISTERS);
        let journal_is_read = self.open.values().any(|(_, work)| matches!(work, Work::ReadJournal { .. }));
        // The first one only reads: a primary that is cut off takes its writes and keeps it waiting, but could answer reads.
        let kind = if self.id == 0 { 4 } else { self.random.below(if self.has_album { 16 } else { 12 }) };
        let (name, ops, work) = match kind {
            0..=3 => {
                let value = self.id * 1_000_000 + self.next;
                let size = 20 + self.random.below(300);
                let key = history.begin_write(now, self.id, register, value);
                (format!("register{register}"), write_register(value, size), Work::Write(key))
            }
            4 | 5 => {
                let key = history.begin_read(now, self.id, register);
                (format!("register{register}"), read_register(), Work::Read(key))
            }
            6 | 7 if self.toggle.is_some() => {
                let exists = self.toggle.take().expect("just looked");
                let (step, work) = if exists {
                    (SubOp::Remove, Work::Remove)
                } else {
                    (SubOp::Create { exclusive: true }, Work::Create)
                };
                (format!("toggle{}", self.id), vec![step], work)
            }
            8 if !journal_is_read => {
                let whole = Extent { offset: 0, length: 1 << 20 };
                let work = Work::ReadJournal { acknowledged: self.acknowledged };
                (format!("journal{}", self.id), vec![SubOp::Read(whole)], work)
            }
            9 if self.toggle.is_some() => {
                let toggle = self.toggle.take().expect("just looked");
                return self.list(toggle);
            }
            12..=15 if !self.album.is_busy => return self.open_album(map),
            _ => {
                self.appended += 1;
                let word = format!("{} ", self.appended);
                (format!("journal{}", self.id), vec![SubOp::Append(Bytes::from(word))], Work::Append(self.appended))
            }
        };
        let name = ObjectName::new(name);
        let (_, hash) = map.object_pg(PG.pool, &name).expect("the pool exists");
        self.open(OpTarget::Object { name, hash }, ops, work)
    }

    fn open_album(&mut self, map: &map::PublishedMap) -> ClientOp {
        let album = self.album.begin(&mut self.random);
        let name = ObjectName::new(format!("album{}", self.id));
        let (_, hash) = map.object_pg(PG.pool, &name).expect("the pool exists");
        let op = self.open(OpTarget::Object { name, hash }, album.ops, Work::Album(album.expected));
        let (kept, _) = self.open.get_mut(&op.request.sequence).expect("was just opened");
        kept.snapshot = album.snapshot;
        kept.snapshot_context = self.album.context();
        kept.clone()
    }

    fn list(&mut self, toggle: bool) -> ClientOp {
        let step = SubOp::ListObjects { begin: types::Cursor::Start, namespace: None, objects_max: 1000 };
        self.open(OpTarget::Pg, vec![step], Work::List { toggle })
    }

    fn open(&mut self, target: OpTarget, ops: Vec<SubOp>, work: Work) -> ClientOp {
        let sequence = self.next;
        self.next += 1;
        let lowest_open = self.open.keys().next().copied().unwrap_or(sequence);
        let op = ClientOp {
            request: RequestId { client: ClientId(self.id), sequence },
            lowest_open,
            epoch: self.epoch,
            pg: PG,
            target,
            snapshot: SnapshotId::HEAD,
            snapshot_context: SnapshotContext::default(),
            flags: OpFlags::default(),
            modified_ms: sequence,
            ops,
        };
        self.open.insert(sequence, (op.clone(), work));
        op
    }

    pub fn hear(&mut self, now: Time, reply: ClientReply, history: &mut History) {
        let Some((_, work)) = self.open.remove(&reply.request.sequence) else { return };
        self.done += 1;
        let request = reply.request;
        match (work, reply.outcome) {
            (Work::Album(expected), outcome) => {
                self.refused_as_damaged += u64::from(self.album.hear(&expected, request, &outcome));
            }
            // While the only good copies are away, a rotten one may be asked: no bytes, and no wrong ones.
            (Work::Read(_) | Work::ReadJournal { .. }, Err(failure)) if failure.error.kind == ErrorKind::Damaged => {
                self.refused_as_damaged += 1;
            }
            (Work::Write(key), Ok(_)) => history.acknowledge_write(now, key),
            (Work::Read(key), Ok(success)) => history.finish_read(now, key, register_value(&success.results)),
            (Work::Read(key), Err(failure)) if failure.error.kind == ErrorKind::NotFound => {
                history.finish_read(now, key, 0);
            }
            (Work::Append(word), Ok(_)) => self.acknowledged = self.acknowledged.max(word),
            (Work::ReadJournal { acknowledged }, Ok(success)) => self.check_journal(acknowledged, &success.results),
            (Work::ReadJournal { acknowledged }, Err(failure)) => {
                assert_eq!(
                    (failure.error.kind, acknowledged),
                    (ErrorKind::NotFound, 0),
                    "request {request} {failure:?}"
                );
            }
            (Work::Create, Ok(_)) => self.toggle = Some(true),
            (Work::Remove, Ok(_)) => self.toggle = Some(false),
            (Work::List { toggle }, Ok(success)) => {
                let [SubOpResult::List { names, next: None }] = success.results.as_slice() else {
                    panic!("the listing is one page")
                };
                let name = ObjectName::new(format!("toggle{}", self.id));
                assert_eq!(names.contains(&name), toggle, "request {request} lists what {} did", self.id);
                assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "no name twice");
                self.toggle = Some(toggle);
            }
            (_, Err(failure)) => panic!("request {request} failed: {failure:?}"),
        }
    }

    fn check_journal(&self, acknowledged: u64, results: &[SubOpResult]) {
        let [SubOpResult::Data(data)] = results else { panic!("a read has data") };
        let text = std::str::from_utf8(data).expect("words are text");
        let words: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let expected: Vec<u64> = (1..=words.len() as u64).collect();
        assert_eq!(words, expected, "journal {} holds each word once and in order", self.id);
        assert!(words.len() as u64 >= acknowledged, "journal {} lost acknowledged words", self.id);
    }

    /// What must be asked again, in the order in which it was asked first.
    pub fn again(&mut self) -> Vec<ClientOp> {
        let epoch = self.epoch;
        self.open
            .values_mut()
            .map(|(op, _)| {
                op.epoch = epoch;
                op.clone()
            })
            .collect()
    }
}

fn write_register(value: u64, size: u64) -> Vec<SubOp> {
    let text = format!("{value:0width$}", width = usize::try_from(size).expect("small"));
    let number = Bytes::from(value.to_string());
    let keys: BTreeMap<Vec<u8>, Bytes> =
        (0..size % 7).map(|key| (format!("key{key}").into_bytes(), number.clone())).collect();
    let mut ops = vec![
        SubOp::WriteFull(Bytes::from(text)),
        SubOp::SetXattr { name: b"value".to_vec(), value: number.clone() },
        SubOp::OmapClear,
        SubOp::OmapSetHeader(number),
    ];
    if !keys.is_empty() {
        ops.push(SubOp::OmapSet(keys));
    }
    ops
}

fn read_register() -> Vec<SubOp> {
    let whole = Extent { offset: 0, length: 1 << 20 };
    vec![
        SubOp::Read(whole),
        SubOp::GetXattr(b"value".to_vec()),
        SubOp::OmapGetHeader,
        SubOp::OmapGet { after: Vec::new(), prefix: Vec::new(), keys_max: 100 },
    ]
}

fn register_value(results: &[SubOpResult]) -> u64 {
    let [SubOpResult::Data(data), SubOpResult::Data(xattr), SubOpResult::Data(header), SubOpResult::Omap(page)] =
        results
    else {
        panic!("a register is read in four steps: {results:?}")
    };
    let number = |bytes: &Bytes| -> u64 { std::str::from_utf8(bytes).expect("text").parse().expect("a number") };
    let value = number(data);
    assert_eq!((number(xattr), number(header)), (value, value), "bytes, attribute and header are of one write");
    for (key, entry) in &page.entries {
        assert_eq!(number(entry), value, "omap key {} is of the same write", key.escape_ascii());
    }
    assert_eq!(page.entries.len() as u64, data.len() as u64 % 7, "all omap keys are of the same write");
    value
}

//! An object that one client alone writes, snapshots, looks back at, goes back in, and forgets snapshots of: so what it is
//! now and at each snapshot is known beforehand.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{ErrorKind, Extent, RequestId, SeededRandom, SnapshotId};
use wire::{OpFailure, OpSuccess, SnapshotContext, SubOp, SubOpResult};

/// Snapshots kept at once.
const SNAPSHOTS_MAX: usize = 6;
const BYTES_MAX: u64 = 300;
const WHOLE: Extent = Extent { offset: 0, length: 1 << 20 };

type Content = Option<Vec<u8>>;

/// What must be answered.
pub enum Expected {
    Done,
    Content(Content),
    Listed,
}

pub struct Album {
    content: Content,
    sequence: u64,
    kept: BTreeMap<u64, Content>,
    pub is_busy: bool,
    /// Snapshots that the client wants removed.
    pub removals: Vec<SnapshotId>,
    written: u64,
}

pub struct AlbumOp {
    pub ops: Vec<SubOp>,
    pub snapshot: SnapshotId,
    pub expected: Expected,
}

impl Album {
    /// Numbers of snapshots are the pool's; each client has its own thousands.
    pub fn new(client: u64) -> Self {
        Self {
            content: None,
            sequence: 1 + client * 100_000,
            kept: BTreeMap::new(),
            is_busy: false,
            removals: Vec::new(),
            written: 0,
        }
    }

    pub fn context(&self) -> SnapshotContext {
        if self.kept.is_empty() {
            return SnapshotContext { sequence: self.sequence, snapshots: Vec::new() };
        }
        SnapshotContext {
            sequence: self.sequence,
            snapshots: self.kept.keys().rev().copied().map(SnapshotId).collect(),
        }
    }

    fn any_snapshot(&self, random: &mut SeededRandom) -> Option<u64> {
        let count = self.kept.len() as u64;
        let at = usize::try_from(random.below(count.max(1))).expect("small");
        self.kept.keys().nth(at).copied()
    }

    pub fn begin(&mut self, random: &mut SeededRandom) -> AlbumOp {
        self.is_busy = true;
        if random.chance(1, 4) {
            self.sequence += 1 + random.below(2);
            self.kept.insert(self.sequence, self.content.clone());
        }
        if self.kept.len() > SNAPSHOTS_MAX || random.chance(1, 10) {
            let removed = self.any_snapshot(random);
            if let Some(removed) = removed {
                self.kept.remove(&removed);
                self.removals.push(SnapshotId(removed));
            }
        }
        let live = |ops, expected| AlbumOp { ops, snapshot: SnapshotId::HEAD, expected };
        let some = self.any_snapshot(random);
        match (random.below(20), some) {
            (0..=4, Some(snapshot)) => {
                let expected = Expected::Content(self.kept[&snapshot].clone());
                AlbumOp { ops: vec![SubOp::Read(WHOLE)], snapshot: SnapshotId(snapshot), expected }
            }
            (5 | 6, Some(snapshot)) => {
                self.content = self.kept[&snapshot].clone();
                live(vec![SubOp::Rollback(SnapshotId(snapshot))], Expected::Done)
            }
            (7 | 8, _) => live(vec![SubOp::ListSnapshots { after: SnapshotId(0) }], Expected::Listed),
            (9 | 10, _) => live(vec![SubOp::Read(WHOLE)], Expected::Content(self.content.clone())),
            (11, _) if self.content.take().is_some() => live(vec![SubOp::Remove], Expected::Done),
            (kind, _) => live(self.write(kind, random), Expected::Done),
        }
    }

    fn write(&mut self, kind: u64, random: &mut SeededRandom) -> Vec<SubOp> {
        self.written += 1;
        let data = format!("<{}>", self.written).repeat(1 + usize::try_from(random.below(30)).expect("small"));
        let offset = random.below(BYTES_MAX);
        let start = usize::try_from(offset).expect("small");
        let content = self.content.get_or_insert_default();
        match kind {
            12..=14 => {
                *content = data.clone().into_bytes();
                vec![SubOp::WriteFull(Bytes::from(data))]
            }
            15 => {
                content.resize(start, 0);
                vec![SubOp::Truncate(offset)]
            }
            _ => {
                let end = start + data.len();
                content.resize(content.len().max(end), 0);
                content[start..end].copy_from_slice(data.as_bytes());
                vec![SubOp::Write { offset, data: Bytes::from(data) }]
            }
        }
    }

    /// Judges an answer. Says whether it was refused because the only copies there were rotten.
    pub fn hear(&mut self, expected: &Expected, request: RequestId, outcome: &Result<OpSuccess, OpFailure>) -> bool {
        self.is_busy = false;
        let results = match outcome {
            Ok(success) => Ok(&success.results[..]),
            Err(failure) if failure.error.kind == ErrorKind::Damaged && !matches!(expected, Expected::Done) => {
                return true;
            }
            Err(failure) if failure.error.kind == ErrorKind::NotFound => Err(()),
            Err(failure) => panic!("request {request} failed: {failure:?}"),
        };
        match (expected, results) {
            (Expected::Done, Ok(_)) => {}
            (Expected::Content(Some(content)), Ok([SubOpResult::Data(data)])) => {
                assert_eq!(String::from_utf8_lossy(data), String::from_utf8_lossy(content), "request {request}");
            }
            (Expected::Content(None), Err(())) => {}
            (Expected::Listed, Ok([SubOpResult::Snapshots { sequence, clones, next: None }])) => {
                for (snapshot, content) in &self.kept {
                    let holders: Vec<_> =
                        clones.iter().filter(|clone| clone.snapshots.contains(&SnapshotId(*snapshot))).collect();
                    let is_live =
                        clones.last().is_some_and(|last| last.clone == SnapshotId::HEAD) && sequence < snapshot;
                    assert_eq!(
                        holders.len() + usize::from(is_live),
                        usize::from(content.is_some()),
                        "request {request}: {snapshot} in {clones:?}"
                    );
                    if let ([holder], Some(content)) = (&holders[..], content) {
                        assert_eq!(holder.size, content.len() as u64, "request {request}: {snapshot} in {clones:?}");
                    }
                }
            }
            (Expected::Listed, Err(())) => {
                assert!(self.content.is_none() && self.kept.values().all(Option::is_none), "request {request}");
            }
            (Expected::Content(expected), other) => panic!("request {request}: {other:?} instead of {expected:?}"),
            (_, other) => panic!("request {request} was answered with {other:?}"),
        }
        false
    }
}

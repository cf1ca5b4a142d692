//! What an operation must look at before it can be carried out, and the answers of the store to that.

use std::collections::BTreeMap;

use types::{Error, Extent, ObjectId, Result, SnapshotId, StoreRead, StoreReadResult, limits};
use wire::{SnapshotContext, SubOp};

use crate::snapshots::Candidates;

use super::{ObjectState, calls::CallOutcomes};

/// What the store said, and what class methods did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The object.
    pub state: ObjectState,
    /// Which snapshots it preserves, when it is a write: all that the operation and the pool name.
    pub context: SnapshotContext,
    /// The newest clone that is newer than those snapshots, if the object does not exist.
    pub newest_clone: Option<SnapshotId>,
    /// What a rollback may go back to.
    pub candidates: Candidates,
    /// Per step that asked for more: the answers, in the order of its questions.
    pub steps: BTreeMap<usize, Vec<StoreReadResult>>,
    /// Per step that is a call: what it came to.
    pub calls: CallOutcomes,
}

/// The questions of an operation: first the object itself unless it is known, then those of each step that needs more,
/// with its index.
pub fn reads_of(
    object: &ObjectId,
    ops: &[SubOp],
    is_known: bool,
    candidates: &Candidates,
) -> Vec<(Option<usize>, StoreRead)> {
    let mut reads = Vec::new();
    if !is_known {
        reads.push((None, StoreRead::Meta { object: object.clone() }));
    }
    for (index, op) in ops.iter().enumerate() {
        if let Some(Some(candidate)) = candidates.get(&index)
            && candidate.is_clone()
        {
            reads.push((Some(index), StoreRead::Meta { object: candidate.clone() }));
        }
        reads.extend(reads_of_step(object, op).into_iter().map(|read| (Some(index), read)));
    }
    reads
}

fn reads_of_step(object: &ObjectId, op: &SubOp) -> Vec<StoreRead> {
    let object = || object.clone();
    let page = |after: &[u8], prefix: &[u8], keys_max: u32| StoreRead::Omap {
        object: object(),
        after: after.to_vec(),
        prefix: prefix.to_vec(),
        keys_max: usize::try_from(keys_max).unwrap_or(usize::MAX).min(limits::PAGE_KEYS_MAX),
    };
    match op {
        SubOp::Read(extent) => vec![StoreRead::Data { object: object(), extent: *extent }],
        SubOp::SparseRead(extent) => vec![
            StoreRead::Extents { object: object(), extent: *extent },
            StoreRead::Data { object: object(), extent: *extent },
        ],
        SubOp::MapExtents(extent) => vec![StoreRead::Extents { object: object(), extent: *extent }],
        SubOp::Checksum { extent, .. } => {
            let length = if extent.length == 0 { limits::OBJECT_BYTES_MAX } else { extent.length };
            vec![StoreRead::Data { object: object(), extent: Extent { offset: extent.offset, length } }]
        }
        SubOp::CompareExtent { offset, data } => {
            let extent = Extent { offset: *offset, length: data.len() as u64 };
            vec![StoreRead::Data { object: object(), extent }]
        }
        SubOp::OmapGet { after, prefix, keys_max } | SubOp::OmapGetNames { after, prefix, keys_max } => {
            vec![page(after, prefix, *keys_max)]
        }
        SubOp::OmapGetRange { begin, keys_max, .. } if begin.is_empty() => vec![page(begin, b"", *keys_max)],
        // A page begins behind a key; the first one is asked for by its name.
        SubOp::OmapGetRange { begin, keys_max, .. } => {
            vec![StoreRead::OmapKeys { object: object(), keys: vec![begin.clone()] }, page(begin, b"", *keys_max)]
        }
        SubOp::TrimClone { clone, .. } => vec![StoreRead::Meta { object: object().at_snapshot(*clone) }],
        SubOp::OmapGetKeys(keys) => vec![StoreRead::OmapKeys { object: object(), keys: keys.clone() }],
        SubOp::CompareOmap { key, .. } => vec![StoreRead::OmapKeys { object: object(), keys: vec![key.clone()] }],
        _ => Vec::new(),
    }
}

impl Loaded {
    /// Puts the answers to [`reads_of`] where the plan looks for them. `known` is the object when it was not asked for.
    pub fn new(
        reads: &[(Option<usize>, StoreRead)],
        results: Vec<Result<StoreReadResult>>,
        known: Option<ObjectState>,
        calls: CallOutcomes,
    ) -> Result<Self> {
        let mut loaded = Self { state: known.unwrap_or_default(), calls, ..Self::default() };
        if reads.len() != results.len() {
            return Err(Error::internal("the store answered another number of questions than it was asked"));
        }
        for ((step, _), result) in reads.iter().zip(results) {
            match (step, result?) {
                (None, StoreReadResult::Meta(meta)) => loaded.state = ObjectState::new(meta)?,
                (None, StoreReadResult::List { objects, .. }) => {
                    let clones = objects.iter().filter(|listed| listed.generation == types::GENERATION_NONE);
                    loaded.newest_clone = clones.map(|clone| clone.snapshot).max();
                }
                (None, _) => return Err(Error::internal("the store answered another question than it was asked")),
                (Some(step), result) => loaded.steps.entry(*step).or_default().push(result),
            }
        }
        Ok(loaded)
    }
}

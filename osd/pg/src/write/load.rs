//! What an operation must look at before it can be carried out, and the answers of the store to that.

use std::collections::BTreeMap;

use types::{Error, Extent, ObjectId, Result, StoreRead, StoreReadResult};
use wire::SubOp;

use super::ObjectState;

/// What the store said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The object.
    pub state: ObjectState,
    /// Per step that asked for more: the answer.
    pub steps: BTreeMap<usize, StoreReadResult>,
}

/// The questions of an operation: first the object itself unless it is known, then one for each step that needs more,
/// with its index.
pub fn reads_of(object: &ObjectId, ops: &[SubOp], is_known: bool) -> Vec<(Option<usize>, StoreRead)> {
    let mut reads = Vec::new();
    if !is_known {
        reads.push((None, StoreRead::Meta { object: object.clone() }));
    }
    for (index, op) in ops.iter().enumerate() {
        if let Some(read) = read_of(object, op) {
            reads.push((Some(index), read));
        }
    }
    reads
}

fn read_of(object: &ObjectId, op: &SubOp) -> Option<StoreRead> {
    let object = || object.clone();
    match op {
        SubOp::Read(extent) => Some(StoreRead::Data { object: object(), extent: *extent }),
        SubOp::CompareExtent { offset, data } => {
            let extent = Extent { offset: *offset, length: data.len() as u64 };
            Some(StoreRead::Data { object: object(), extent })
        }
        SubOp::OmapGet { after, prefix, keys_max } => Some(StoreRead::Omap {
            object: object(),
            after: after.clone(),
            prefix: prefix.clone(),
            keys_max: usize::try_from(*keys_max).unwrap_or(usize::MAX).min(types::limits::PAGE_KEYS_MAX),
        }),
        SubOp::OmapGetKeys(keys) => Some(StoreRead::OmapKeys { object: object(), keys: keys.clone() }),
        SubOp::CompareOmap { key, .. } => Some(StoreRead::OmapKeys { object: object(), keys: vec![key.clone()] }),
        _ => None,
    }
}

impl Loaded {
    /// Puts the answers to [`reads_of`] where the plan looks for them. `known` is the object when it was not asked for.
    pub fn new(
        reads: &[(Option<usize>, StoreRead)],
        results: Vec<Result<StoreReadResult>>,
        known: Option<ObjectState>,
    ) -> Result<Self> {
        let mut loaded = Self { state: known.unwrap_or_default(), ..Self::default() };
        if reads.len() != results.len() {
            return Err(Error::internal("the store answered another number of questions than it was asked"));
        }
        for ((step, _), result) in reads.iter().zip(results) {
            match (step, result?) {
                (None, StoreReadResult::Meta(meta)) => loaded.state = ObjectState::new(meta)?,
                (None, _) => return Err(Error::internal("the store answered another question than it was asked")),
                (Some(step), result) => {
                    loaded.steps.insert(*step, result);
                }
            }
        }
        Ok(loaded)
    }
}

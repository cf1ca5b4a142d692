//! The meaning of operations: what a vector of steps answers, and what it changes. A pure function.
//!
//! Steps are carried out in order. Guards and reads of size, existence and attributes see what earlier steps of the same
//! operation did, and so do methods of classes; reads of bytes and omap see the object as it was before the operation, and
//! are refused behind a step that changes what they read, so that nobody can mistake one for the other.
//!
//! Invariants
//! 1. A plan that fails changes nothing.
//! 2. The transaction makes of the loaded object exactly `next`, on every member that has the loaded object.
//! 3. What a plan answers fits one reply.

mod change;
mod checksum;
mod look;
mod preserve;
mod watch;

use bytes::Bytes;
use types::{ClientId, Error, Extent, LogVersion, ObjectId, ObjectMeta, StoreOp, Transaction, limits};
use wire::{
    AllocationHint, ClientOp, ObjectInfo, OpFailure, Overlap, SnapshotContext, SubOp, SubOpResult, Watcher,
    encode_object_info,
};

use super::{
    Loaded, OBJECT_INFO_XATTR, ObjectState,
    calls::{may_change, sub_op_of, writes},
    object::Existing,
};

/// What a write leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The change for every whole copy.
    pub transaction: Transaction,
    /// The object afterwards.
    pub next: ObjectState,
    /// Which bytes changed, when only bytes did.
    pub changed: Option<Vec<Extent>>,
    /// What class methods that may write answered, by step.
    pub outputs: Vec<(u32, Bytes)>,
    /// What was made of the object before it changed.
    pub clone: Option<NewClone>,
    /// The entry of the object; that of a clone comes before it.
    pub version: LogVersion,
}

/// A clone that preserves what an object was.
#[derive(Debug, Clone, PartialEq)]
pub struct NewClone {
    /// Which object.
    pub object: ObjectId,
    /// What it is.
    pub info: ObjectInfo,
}

/// What an operation comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Per step.
    pub results: Vec<SubOpResult>,
    /// For a write.
    pub effect: Option<Effect>,
}

/// Version and user version that a write would get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The log entry.
    pub version: LogVersion,
    /// As users see it.
    pub user_version: u64,
}

/// Carries out the steps in mind.
pub fn plan(object: &ObjectId, op: &ClientOp, loaded: &Loaded, numbers: Numbers) -> Result<Plan, OpFailure> {
    let mut planner = Planner::new(object, op, loaded);
    let mut results = Vec::with_capacity(op.ops.len());
    let mut bytes = 0usize;
    for (index, step) in op.ops.iter().enumerate() {
        let blame = |error| OpFailure { error, step: u32::try_from(index).ok() };
        let result = planner.step(index, step).map_err(blame)?;
        bytes = bytes.saturating_add(answer_bytes(&result));
        if bytes > limits::OPERATION_PAYLOAD_BYTES_MAX {
            let limit = limits::OPERATION_PAYLOAD_BYTES_MAX;
            return Err(blame(Error::invalid(format!("the steps up to this one answer more than {limit} bytes"))));
        }
        results.push(result);
    }
    let effect = writes(op).then(|| planner.finish(op, numbers));
    Ok(Plan { results, effect })
}

/// Bytes that an answer adds to the reply, beyond what its own bounds hold small.
fn answer_bytes(result: &SubOpResult) -> usize {
    match result {
        SubOpResult::Data(data) | SubOpResult::Sparse { data, .. } => data.len(),
        SubOpResult::Xattrs(xattrs) => xattrs.iter().map(|(name, value)| name.len() + value.len()).sum(),
        SubOpResult::Omap(page) => page.entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
        SubOpResult::Done
        | SubOpResult::Watchers(_)
        | SubOpResult::Notified { .. }
        | SubOpResult::Stat { .. }
        | SubOpResult::Extents(_)
        | SubOpResult::Snapshots { .. }
        | SubOpResult::List { .. }
        | SubOpResult::Inconsistents { .. } => 0,
    }
}

/// Whether nothing of the object changes but who watches it.
fn changes_only_watches(ops: &[SubOp]) -> bool {
    ops.iter().all(|step| matches!(step, SubOp::Watch { .. } | SubOp::Unwatch { .. }) || !may_change(step))
}

struct Planner<'a> {
    client: ClientId,
    object: &'a ObjectId,
    loaded: &'a Loaded,
    now: Option<ObjectMeta>,
    user_version: u64,
    modified_ms: u64,
    allocation_hint: Option<AllocationHint>,
    watchers: Vec<Watcher>,
    transaction: Transaction,
    /// Bytes that changed; `None` once more than bytes did.
    changed: Option<Vec<Extent>>,
    bytes_touched: bool,
    omap_touched: bool,
    outputs: Vec<(u32, Bytes)>,
    output_bytes: usize,
    /// What will be made of the object as it was, and what the object still shares with it or with an older clone.
    preserved: Option<SnapshotContext>,
    overlap: Option<Overlap>,
}

impl<'a> Planner<'a> {
    fn new(object: &'a ObjectId, op: &ClientOp, loaded: &'a Loaded) -> Self {
        let existing = loaded.state.existing.as_ref();
        let (preserved, overlap) = preserve::beginning(op, loaded);
        Self {
            preserved,
            overlap,
            client: op.request.client,
            object,
            loaded,
            now: existing.map(|existing| existing.meta.clone()),
            user_version: existing.map_or(0, |existing| existing.info.user_version),
            modified_ms: existing.map_or(op.modified_ms, |existing| existing.info.modified_ms),
            allocation_hint: existing.and_then(|existing| existing.info.allocation_hint),
            watchers: existing.map(|existing| existing.info.watchers.clone()).unwrap_or_default(),
            transaction: Transaction::new(),
            changed: Some(Vec::new()),
            bytes_touched: false,
            omap_touched: false,
            outputs: Vec::new(),
            output_bytes: 0,
        }
    }

    fn existing(&self) -> Result<&ObjectMeta, Error> {
        self.now.as_ref().ok_or_else(|| Error::not_found(format!("object {} does not exist", self.object.name)))
    }

    /// The object, made when it does not exist.
    fn made(&mut self) -> &mut ObjectMeta {
        if self.now.is_none() {
            self.transaction.push(StoreOp::Touch { object: self.object.clone() });
            self.changed = None;
        }
        self.now.get_or_insert_default()
    }

    fn step(&mut self, index: usize, step: &SubOp) -> Result<SubOpResult, Error> {
        match step {
            SubOp::Call { .. } => self.call(index, step),
            SubOp::Watch { cookie, timeout_ms } => self.watch(*cookie, *timeout_ms),
            SubOp::Unwatch { cookie } => self.unwatch(*cookie),
            SubOp::Rollback(snapshot) => self.roll_back(index, *snapshot).map(|()| SubOpResult::Done),
            _ if step.is_write() => self.write(step).map(|()| SubOpResult::Done),
            _ => self.look(index, step),
        }
    }

    /// A method has run already, on what this plan has come to by now; its effects are carried out as steps are.
    fn call(&mut self, index: usize, step: &SubOp) -> Result<SubOpResult, Error> {
        let outcome = match self.loaded.calls.get(&index) {
            Some(outcome) => outcome.as_ref().map_err(Clone::clone)?,
            None => return Err(Error::internal("a class's method was not run")),
        };
        for effect in &outcome.effects {
            self.write(&sub_op_of(effect))?;
        }
        if may_change(step) {
            self.output_bytes += outcome.output.len();
            if self.output_bytes > limits::CALL_OUTPUTS_REMEMBERED_BYTES_MAX {
                let limit = limits::CALL_OUTPUTS_REMEMBERED_BYTES_MAX;
                return Err(Error::invalid(format!(
                    "the methods that may write answer more than {limit} bytes in one operation; send several"
                )));
            }
            let index = u32::try_from(index).expect("steps are bounded by SUB_OPERATIONS_MAX");
            self.outputs.push((index, outcome.output.clone()));
        }
        Ok(SubOpResult::Data(outcome.output.clone()))
    }

    fn finish(mut self, op: &ClientOp, numbers: Numbers) -> Effect {
        let (user_version, modified_ms) = if changes_only_watches(&op.ops) {
            (self.user_version, self.modified_ms)
        } else {
            (numbers.user_version, op.modified_ms)
        };
        let clone = self.make_clone(op, numbers.version);
        let version = match &clone {
            Some(clone) => clone.info.version.next_in(numbers.version.epoch),
            None => numbers.version,
        };
        let snapshot_context = SnapshotContext { sequence: self.sequence(op), snapshots: Vec::new() };
        let existing = self.now.take().map(|meta| {
            let info = ObjectInfo {
                version,
                user_version,
                modified_ms,
                size: meta.size,
                snapshot_context,
                allocation_hint: self.allocation_hint,
                watchers: self.watchers,
                overlap: self.overlap.and_then(preserve::bounded),
                cloned_at: None,
            };
            Existing { meta, info }
        });
        if let Some(existing) = &existing {
            let xattrs = [(OBJECT_INFO_XATTR.to_vec(), encode_object_info(&existing.info))].into();
            self.transaction.push(StoreOp::SetXattrs { object: self.object.clone(), xattrs });
        }
        Effect {
            transaction: self.transaction,
            next: ObjectState { existing },
            changed: self.changed,
            outputs: self.outputs,
            clone,
            version,
        }
    }
}

#[cfg(test)]
mod tests;

//! Calls of object classes: which steps they are, and their running beside the object (DESIGN section 6).
//!
//! The machine names what is to be run; the shell runs it where the store's answers are, and the machine plans with
//! what came of it. Running is a pure function of the store's answers and the time.

use std::collections::BTreeMap;

use osd_classes::{Access, Circumstances, Effect, ObjectView, Outcome, Registry, Source};
use types::{Error, Extent, ObjectId, RequestId, Result, StoreRead, StoreReadResult, limits};
use wire::{ClientOp, SubOp};

use super::ObjectState;

/// What each call came to, by its step. Steps behind a call that failed are not run.
pub type CallOutcomes = BTreeMap<usize, Result<Outcome>>;

/// Whether the step may change the object: for a call, whether the method may. A method that does not exist changes
/// nothing.
pub fn may_change(step: &SubOp) -> bool {
    match step {
        SubOp::Call { class, method, .. } => Registry::built_in().access(class, method) == Some(Access::Write),
        _ => step.is_write(),
    }
}

/// Whether the operation is a write.
pub fn writes(op: &ClientOp) -> bool {
    op.ops.iter().any(may_change)
}

/// The calls of one operation.
#[derive(Debug, Clone)]
pub struct ClassCalls {
    object: ObjectId,
    known: Option<ObjectState>,
    request: RequestId,
    ops: Vec<SubOp>,
}

impl ClassCalls {
    /// The operation's calls; `None` when it has none. `known` is the object where the machine knows it.
    pub(crate) fn of(object: &ObjectId, op: &ClientOp, known: Option<&ObjectState>) -> Option<Box<Self>> {
        let calls = op.ops.iter().any(|step| matches!(step, SubOp::Call { .. }));
        calls.then(|| {
            Box::new(Self { object: object.clone(), known: known.cloned(), request: op.request, ops: op.ops.clone() })
        })
    }

    /// Runs the methods in order, each on what the steps before it leave. `source` answers for the store, as of one
    /// moment; `now_ms` is the wall clock in milliseconds since 1970.
    pub fn run(&self, now_ms: u64, source: &Source<'_>) -> CallOutcomes {
        let mut outcomes = CallOutcomes::new();
        let state = match self.state(source) {
            Ok(state) => state,
            Err(error) => {
                let first = self.ops.iter().position(|step| matches!(step, SubOp::Call { .. }));
                outcomes.extend(first.map(|first| (first, Err(error))));
                return outcomes;
            }
        };
        let user_version = state.existing.as_ref().map_or(0, |existing| existing.info.user_version);
        let circumstances = Circumstances { now_ms, request: self.request, user_version };
        let mut view = ObjectView::new(self.object.clone(), state.existing.map(|existing| existing.meta), source);
        let mut bytes_left = limits::CALL_EFFECT_BYTES_MAX;
        for (index, step) in self.ops.iter().enumerate() {
            let SubOp::Call { class, method, input } = step else {
                effects_of(step, &view).iter().for_each(|effect| view.apply(effect));
                continue;
            };
            let outcome = Registry::built_in().call((class, method), &mut view, circumstances, input, bytes_left);
            let failed = outcome.is_err();
            if let Ok(outcome) = &outcome {
                bytes_left -= outcome.effects.iter().map(Effect::bytes).sum::<usize>();
            }
            outcomes.insert(index, outcome);
            if failed {
                break;
            }
        }
        outcomes
    }

    fn state(&self, source: &Source<'_>) -> Result<ObjectState> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        match source(&StoreRead::Meta { object: self.object.clone() })? {
            StoreReadResult::Meta(meta) => ObjectState::new(meta),
            _ => Err(Error::internal("the store answered another question than it was asked")),
        }
    }
}

/// What a step that is no call does to the object, for the calls behind it. Whether the step may be done at all is
/// the plan's to say; a plan that refuses it does not look at those calls.
fn effects_of(step: &SubOp, view: &ObjectView<'_>) -> Vec<Effect> {
    match step {
        SubOp::Create { .. } | SubOp::SetAllocationHint(_) => vec![Effect::Create],
        SubOp::Write { offset, data } => vec![Effect::Write { offset: *offset, data: data.clone() }],
        SubOp::WriteSame { extent, data } => {
            let repeats = usize::try_from(extent.length).unwrap_or(0).min(limits::OPERATION_PAYLOAD_BYTES_MAX);
            let data = data.repeat(repeats.checked_div(data.len()).unwrap_or(0));
            vec![Effect::Write { offset: extent.offset, data: data.into() }]
        }
        SubOp::WriteFull(data) => vec![Effect::Truncate(0), Effect::Write { offset: 0, data: data.clone() }],
        SubOp::Append(data) => {
            vec![Effect::Write { offset: view.meta().map_or(0, |meta| meta.size), data: data.clone() }]
        }
        SubOp::Zero(extent) => vec![Effect::Zero(Extent { offset: extent.offset, length: extent.length })],
        SubOp::Truncate(size) => vec![Effect::Truncate(*size)],
        SubOp::Remove => vec![Effect::Remove],
        SubOp::SetXattr { name, value } => vec![Effect::SetXattr { name: name.clone(), value: value.clone() }],
        SubOp::RemoveXattr(name) => vec![Effect::RemoveXattr(name.clone())],
        SubOp::ClearXattrs => {
            let names = view.meta().into_iter().flat_map(|meta| meta.xattrs.keys());
            names.map(|name| Effect::RemoveXattr(name.clone())).collect()
        }
        SubOp::OmapSet(entries) => vec![Effect::OmapSet(entries.clone())],
        SubOp::OmapRemoveKeys(keys) => vec![Effect::OmapRemove(keys.clone())],
        SubOp::OmapRemoveRange(begin, end) => vec![Effect::OmapRemoveRange(begin.clone(), end.clone())],
        SubOp::OmapClear => vec![Effect::OmapClear],
        SubOp::OmapSetHeader(header) => vec![Effect::OmapSetHeader(header.clone())],
        _ => Vec::new(),
    }
}

/// The step that does what a method did.
pub(crate) fn sub_op_of(effect: &Effect) -> SubOp {
    match effect {
        Effect::Create => SubOp::Create { exclusive: false },
        Effect::Write { offset, data } => SubOp::Write { offset: *offset, data: data.clone() },
        Effect::Zero(extent) => SubOp::Zero(*extent),
        Effect::Truncate(size) => SubOp::Truncate(*size),
        Effect::Remove => SubOp::Remove,
        Effect::SetXattr { name, value } => SubOp::SetXattr { name: name.clone(), value: value.clone() },
        Effect::RemoveXattr(name) => SubOp::RemoveXattr(name.clone()),
        Effect::OmapSet(entries) => SubOp::OmapSet(entries.clone()),
        Effect::OmapRemove(keys) => SubOp::OmapRemoveKeys(keys.clone()),
        Effect::OmapRemoveRange(begin, end) => SubOp::OmapRemoveRange(begin.clone(), end.clone()),
        Effect::OmapClear => SubOp::OmapClear,
        Effect::OmapSetHeader(header) => SubOp::OmapSetHeader(header.clone()),
    }
}

//! Permits for clients' operations (FOUNDATIONS 20): so many, and so many bytes, per session and per daemon.
//!
//! An operation takes its permit when the receiver hands it out and gives it back when its answer has been written
//! to the socket. An operation that is never answered gives it back when the client says, by `lowest_open`, that it no
//! longer waits for it, or when the session ends. Nothing but clients' operations ever takes a permit.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;
use types::RequestId;
use wire::{ClientOp, SubOp};

/// How many operations of clients may be inside at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Operations of one session.
    pub session_ops: usize,
    /// Bytes of one session's operations and of the answers they ask for.
    pub session_bytes: usize,
    /// Operations of all sessions of a listener.
    pub total_ops: usize,
    /// Bytes of all of them.
    pub total_bytes: usize,
}

impl Default for AdmissionLimits {
    /// A session: four of the largest operations, or a deep queue of small ones. A daemon: what it may keep in memory
    /// beside its caches on a small machine.
    fn default() -> Self {
        Self { session_ops: 1024, session_bytes: 128 << 20, total_ops: 16_384, total_bytes: 512 << 20 }
    }
}

/// What any operation costs besides its data: its frame's body and its bookkeeping.
const OPERATION_BYTES: usize = 1024;
/// What a key or a name of a listing is counted for: usual ones are shorter.
const PAGE_KEY_BYTES: usize = 256;

/// Bytes that an operation brings and asks for.
fn cost(op: &ClientOp) -> usize {
    let page = |keys: u32| usize::try_from(keys).unwrap_or(usize::MAX).saturating_mul(PAGE_KEY_BYTES);
    let step = |step: &SubOp| match step {
        SubOp::Read(extent) => usize::try_from(extent.length).unwrap_or(usize::MAX),
        SubOp::Write { data, .. } | SubOp::WriteFull(data) | SubOp::Append(data) => data.len(),
        SubOp::OmapSet(entries) => entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
        SubOp::OmapGet { keys_max, .. } => page(*keys_max),
        SubOp::ListObjects { objects_max, .. } => page(*objects_max),
        // Each names the copies of all members.
        SubOp::ListInconsistent { objects_max, .. } => page(*objects_max).saturating_mul(4),
        _ => 0,
    };
    op.ops.iter().map(step).fold(OPERATION_BYTES, usize::saturating_add)
}

#[derive(Debug, Default, Clone, Copy)]
struct Used {
    ops: usize,
    bytes: usize,
}

impl Used {
    /// Whether there is room; something alone always fits, so that a cost above the limit does not wait for ever.
    fn has_room(self, bytes: usize, ops_max: usize, bytes_max: usize) -> bool {
        self.ops == 0 || self.ops < ops_max && self.bytes.saturating_add(bytes) <= bytes_max
    }

    fn take(&mut self, bytes: usize) {
        self.ops += 1;
        self.bytes += bytes;
    }

    fn give_back(&mut self, bytes: usize) {
        self.ops -= 1;
        self.bytes -= bytes;
    }
}

/// The permits of a daemon.
#[derive(Debug)]
pub(super) struct Admission {
    limits: AdmissionLimits,
    total: Mutex<Used>,
    freed: Notify,
}

impl Admission {
    pub(super) fn new(limits: AdmissionLimits) -> Arc<Self> {
        Arc::new(Self { limits, total: Mutex::default(), freed: Notify::new() })
    }
}

#[derive(Debug, Default)]
struct Held {
    used: Used,
    costs: BTreeMap<RequestId, usize>,
}

/// The permits of a session.
#[derive(Debug)]
pub(super) struct SessionPermits {
    admission: Arc<Admission>,
    held: Mutex<Held>,
}

impl SessionPermits {
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        Self { admission, held: Mutex::default() }
    }

    /// Waits until the operation may come in. A repeat of one that is inside takes nothing.
    pub(super) async fn admit(&self, op: &ClientOp) {
        let cost = cost(op);
        loop {
            let freed = self.admission.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.try_admit(op, cost) {
                return;
            }
            freed.await;
        }
    }

    fn try_admit(&self, op: &ClientOp, cost: usize) -> bool {
        let limits = self.admission.limits;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = self.admission.total.lock().unwrap_or_else(PoisonError::into_inner);
        let first = RequestId { client: op.request.client, sequence: 0 };
        let closed_end = RequestId { client: op.request.client, sequence: op.lowest_open };
        let mut is_freed = false;
        while let Some((&request, &cost)) = held.costs.range(first..closed_end).next() {
            held.costs.remove(&request);
            held.used.give_back(cost);
            total.give_back(cost);
            is_freed = true;
        }
        if is_freed {
            self.admission.freed.notify_waiters();
        }
        if held.costs.contains_key(&op.request) {
            return true;
        }
        let has_room = held.used.has_room(cost, limits.session_ops, limits.session_bytes)
            && total.has_room(cost, limits.total_ops, limits.total_bytes);
        if has_room {
            held.costs.insert(op.request, cost);
            held.used.take(cost);
            total.take(cost);
        }
        has_room
    }

    /// Its answer has been written, or there will be none.
    pub(super) fn release(&self, request: RequestId) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cost) = held.costs.remove(&request) {
            held.used.give_back(cost);
            self.admission.total.lock().unwrap_or_else(PoisonError::into_inner).give_back(cost);
            self.admission.freed.notify_waiters();
        }
    }
}

impl Drop for SessionPermits {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut total = self.admission.total.lock().unwrap_or_else(PoisonError::into_inner);
        for cost in held.costs.values() {
            total.give_back(*cost);
        }
        drop(total);
        self.admission.freed.notify_waiters();
    }
}

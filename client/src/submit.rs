//! From a caller's future to the driver task and back.
//!
//! Owns: the permits that bound what is in flight, the numbers that name operations to the table, and the list of
//! operations whose callers went away. Does not know: maps, OSDs.
//!
//! Invariants
//! 1. A permit is held from before the driver hears of an operation until the table has forgotten its caller.
//! 2. A future that is dropped leaves a word for the driver, which needs neither a wait nor room in a queue.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client_ops::{Submission, Target, check_operation};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use types::{Error, PoolId, SnapshotId};
use wire::{OpFailure, OpFlags, OpSuccess, SnapshotContext, SubOp};

use crate::driver::Request;

/// The unit in which bytes in flight are counted, so that a semaphore's 32 bits count them.
const PERMIT_BYTES: usize = 4096;

pub(crate) type Outcome = Result<OpSuccess, OpFailure>;

/// An operation on its way to the driver.
pub(crate) struct Submitted {
    pub submission: Submission,
    pub answer: oneshot::Sender<Outcome>,
    /// Given back when the operation is over.
    pub permits: [OwnedSemaphorePermit; 2],
}

/// Operations whose callers went away. Bounded by the permits.
#[derive(Debug, Default)]
pub(crate) struct GivenUp {
    handles: Mutex<Vec<u64>>,
    pub changed: Notify,
}

impl GivenUp {
    pub fn take(&self) -> Vec<u64> {
        mem::take(&mut self.handles.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, handle: u64) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
        self.changed.notify_one();
    }
}

/// What every pool and object of a cluster sends its operations through.
#[derive(Debug)]
pub(crate) struct Submitter {
    pub requests: mpsc::Sender<Request>,
    pub given_up: Arc<GivenUp>,
    operations: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    bytes_permits: usize,
    next_handle: AtomicU64,
    timeout: Option<Duration>,
}

/// Which of an object's states an operation is about.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    /// Which is read; `HEAD` is the live object.
    pub read: SnapshotId,
    /// Which a write preserves.
    pub preserved: Arc<SnapshotContext>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { read: SnapshotId::HEAD, preserved: Arc::default() }
    }
}

/// Waits for the answer; tells the driver when nobody does any more.
struct Waiting<'a> {
    handle: u64,
    answer: oneshot::Receiver<Outcome>,
    given_up: Option<&'a GivenUp>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Closed first: a driver that hears of the operation only after the word sees that nobody waits.
        self.answer.close();
        if let Some(given_up) = self.given_up {
            given_up.push(self.handle);
        }
    }
}

impl Submitter {
    pub fn new(
        requests: mpsc::Sender<Request>,
        operations_max: usize,
        bytes_max: usize,
        timeout: Option<Duration>,
    ) -> Self {
        let bytes_permits = bytes_max.div_ceil(PERMIT_BYTES);
        Self {
            requests,
            given_up: Arc::default(),
            operations: Arc::new(Semaphore::new(operations_max)),
            bytes: Arc::new(Semaphore::new(bytes_permits)),
            bytes_permits,
            next_handle: AtomicU64::new(1),
            timeout,
        }
    }

    /// Carries out one operation on live things that preserves what the pool says.
    pub async fn submit(&self, pool: PoolId, target: Target, ops: Vec<SubOp>, flags: OpFlags) -> Outcome {
        self.submit_at(pool, target, ops, flags, Snapshots::default()).await
    }

    /// Carries out one operation.
    pub async fn submit_at(
        &self,
        pool: PoolId,
        target: Target,
        ops: Vec<SubOp>,
        flags: OpFlags,
        snapshots: Snapshots,
    ) -> Outcome {
        let failed = |error| OpFailure { error, step: None };
        let bytes = check_operation(&target, &ops).map_err(failed)?;
        let deadline = self.timeout.map(|timeout| telemetry::clock::boot_clock_now() + timeout);
        // More than all permits would wait for ever; the table counts the same way.
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES).min(self.bytes_permits)).unwrap_or(u32::MAX);
        let closed = |_| failed(Error::closed("the connection to the cluster was closed"));
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(permits).await.map_err(closed)?;
        let operation = Arc::clone(&self.operations).acquire_owned().await.map_err(closed)?;

        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        let submission = Submission {
            handle,
            pool,
            target,
            ops,
            flags,
            snapshot: snapshots.read,
            snapshot_context: Arc::unwrap_or_clone(snapshots.preserved),
            modified_ms: telemetry::clock::wall_clock_milliseconds(),
            deadline,
        };
        let submitted = Submitted { submission, answer, permits: [bytes, operation] };
        let gone = || failed(Error::closed("the connection to the cluster was closed"));
        self.requests.send(Request::Submit(Box::new(submitted))).await.map_err(|_| gone())?;
        let mut waiting = Waiting { handle, answer: receiver, given_up: Some(&self.given_up) };
        let outcome = (&mut waiting.answer).await;
        waiting.given_up = None;
        outcome.unwrap_or_else(|_| Err(gone()))
    }
}

/// The error of an operation, with the step that is to blame when there are several.
pub(crate) fn error_of(failure: OpFailure) -> Error {
    failure.error
}

//! Clients' operations: from their arrival to their answer.
//!
//! Owns: the operations that wait, one queue per object in use, and the writes that are on their way to disks.
//! Does not know: how members agree, how copies are made; it only asks whether an object may be used.
//!
//! Invariants
//! 1. Operations on one object are carried out in the order of their arrival; different objects do not wait for each other.
//! 2. A write begins only when no read of the object is under way; a read only when no write of it is.
//! 3. Writes are answered in version order, each when everybody has it on disk.
//! 4. A request is in at most one of: waiting, in a queue, in flight. A repeat replaces where the answer goes.

mod admit;
mod calls;
mod load;
mod object;
mod plan;
mod replicate;

use std::collections::{BTreeMap, VecDeque};

use types::{ClientId, LogVersion, ObjectId, OsdId, RequestId, StoreRead, Time};
use wire::{ClientOp, OpFailure, Replicate, SubOpResult};

use crate::{SessionId, snapshots::Candidates};

pub use calls::{CallOutcomes, ClassCalls};
pub(crate) use calls::{may_change, writes};
pub use load::{Loaded, reads_of};
pub use object::{Existing, ObjectState};
pub use plan::{Numbers, plan};

/// The attribute that holds an object's [`wire::ObjectInfo`]. Users cannot name it: their names may not begin with a zero
/// byte.
pub const OBJECT_INFO_XATTR: &[u8] = b"\0info";

/// An operation that has no answer yet.
#[derive(Debug, Clone)]
pub struct OpenOp {
    /// The count of its arrival: the order in which operations take effect.
    pub arrival: u64,
    /// Where the answer goes.
    pub session: SessionId,
    /// What is asked.
    pub op: Box<ClientOp>,
}

/// What is under way for one object.
#[derive(Debug, Default)]
pub struct ObjectQueue {
    /// The object as the newest write left it, known while anything is under way.
    pub state: Option<ObjectState>,
    /// Operations that have not begun.
    pub waiting: VecDeque<OpenOp>,
    /// Whether the write in front has asked the store for what it must look at.
    pub loading: bool,
    /// What it has asked for, with the step that asks.
    pub asked: Vec<(Option<usize>, StoreRead)>,
    /// What the write in front may go back to, once that is known.
    pub candidates: Option<Candidates>,
    /// Reads that have begun.
    pub reads: u32,
    /// Writes that are not on everybody's disk.
    pub in_flight: u32,
}

impl ObjectQueue {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.loading && self.reads == 0 && self.in_flight == 0
    }
}

/// A write on its way to disks.
#[derive(Debug)]
pub struct InFlight {
    /// Whose it is.
    pub open: OpenOp,
    /// The live object of the name that it changes, whose turn it has.
    pub object: ObjectId,
    /// What is sent to members.
    pub replicate: Box<Replicate>,
    /// Backfill targets that got the log entry only; a repeat must not bring more than the first time did.
    pub log_only: Vec<OsdId>,
    /// The answer.
    pub outcome: Result<Vec<SubOpResult>, OpFailure>,
    /// The object's version as users see it.
    pub user_version: u64,
    /// When it was last sent.
    pub sent_at: Time,
}

/// A read that has begun.
#[derive(Debug)]
pub struct ActiveRead {
    /// Whose it is.
    pub open: OpenOp,
    /// The live object of its name, whose turn it has.
    pub object: ObjectId,
    /// The object that is read: the same, or a clone of it.
    pub source: ObjectId,
    /// The objects of a listing of clones.
    pub listed: Vec<ObjectId>,
    /// The answer, once the store gave it; it leaves under a lease.
    pub outcome: Option<Result<wire::OpSuccess, OpFailure>>,
}

/// A listing that has begun.
#[derive(Debug)]
pub struct ActiveList {
    /// Whose it is.
    pub open: OpenOp,
    /// The answer, once the store gave it, and the version that must be on everybody's disk before it leaves.
    pub outcome: Option<(LogVersion, Vec<SubOpResult>)>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Writes {
    /// Operations that came while the PG could not serve.
    pub waiting: VecDeque<OpenOp>,
    /// Per object.
    pub objects: BTreeMap<ObjectId, ObjectQueue>,
    /// In version order.
    pub in_flight: VecDeque<InFlight>,
    /// Versions of requests in flight.
    pub in_flight_requests: BTreeMap<RequestId, LogVersion>,
    /// By arrival.
    pub reads: BTreeMap<u64, ActiveRead>,
    /// By arrival.
    pub lists: BTreeMap<u64, ActiveList>,
    /// Everything up to here is on this OSD's disk.
    pub own_committed: LogVersion,
    /// As primary: everything up to here is on everybody's disk.
    pub committed_to: LogVersion,
    /// The next arrival's count.
    pub arrival_next: u64,
    /// What each client said last, in this interval, of the requests that it still waits for.
    pub lowest_open: BTreeMap<ClientId, u64>,
}

/// Clients whose `lowest_open` is known at once. Ids are given in order and never again, so those dropped beyond it are the
/// oldest; without the figure a client's stale operation is still caught while the log or the table remembers it.
const CLIENTS_KNOWN_MAX: usize = 10_000;

impl Writes {
    /// Whether the operation is a late copy, from a session of the past, of one whose answer the client has: the memory
    /// of it may be gone, so it must not be carried out. Notes what the client says of its requests.
    pub fn is_given_up(&mut self, op: &ClientOp) -> bool {
        let known = self.lowest_open.entry(op.request.client).or_default();
        if op.request.sequence < *known {
            return true;
        }
        *known = op.lowest_open.max(*known);
        if self.lowest_open.len() > CLIENTS_KNOWN_MAX {
            self.lowest_open.pop_first();
        }
        false
    }

    /// The interval ended: what has no answer, in the order of arrival.
    pub fn take_open_ops(&mut self) -> Vec<OpenOp> {
        let old = std::mem::take(self);
        self.arrival_next = old.arrival_next;
        let mut open: Vec<OpenOp> = old.waiting.into();
        open.extend(old.objects.into_values().flat_map(|queue| queue.waiting));
        open.extend(old.in_flight.into_iter().map(|write| write.open));
        open.extend(old.reads.into_values().map(|read| read.open));
        open.extend(old.lists.into_values().map(|list| list.open));
        open.sort_by_key(|open| open.arrival);
        open
    }
}

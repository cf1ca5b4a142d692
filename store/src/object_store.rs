//! The one trait behind which every store stands, and what a transaction must be to be taken.
//!
//! Semantics that all implementations share, to the byte (the model test compares them):
//! 1. A transaction is atomic; transactions take effect in the order of the calls of `submit`. A refused one
//!    (kind `Invalid` or `Full`) has no effect at all and does not hold up those behind it.
//! 2. Reads answer from everything submitted before, committed or not. A crash leaves a prefix of the submitted
//!    transactions that contains at least every one whose `done` was called with `Ok`.
//! 3. Object data is kept in units of [`UNIT_BYTES`]. A unit holds data once a byte of it was written, and until a
//!    `Zero` covers all its bytes below the object's size, or a `Truncate` leaves it past the end. The read
//!    `Extents` tells exactly these units, merged, cut to the asked range and to the size.
//! 4. A `Write` of no bytes and a `Zero` of no bytes only make the object exist.
//! 5. A unit whose stored bytes fail their checksum is *damaged*: reads that touch it answer kind `Damaged`, with
//!    object, offset, expected and found; all else goes on. A write of a part of the unit leaves it damaged; what
//!    replaces all of it (`Write`, or `Zero` and `Truncate` that drop it) heals it. A clone is damaged alike.
//! 6. After the first failed write or flush of the device everything is refused with kind `Closed` until the
//!    store is opened again; the message names device and error.

use bytes::Bytes;
use types::{Error, Result, StoreOp, StoreRead, StoreReadResult, StoreUsage, Transaction, limits};

/// Bytes in the smallest piece of object data with a place and a checksum of its own. 4 KiB is what file systems
/// and databases write, and the smallest write that all devices take.
pub const UNIT_BYTES: u64 = 4096;

/// Called exactly once: when the transaction is durable, or has failed.
pub type CommitCallback = Box<dyn FnOnce(Result<()>) + Send>;

/// Changes to the OSD's own small values: a key, and its value or that it goes.
pub type ConfigChanges = Vec<(Vec<u8>, Option<Bytes>)>;

/// One partition of a store. See the module's rules for what all of them promise.
pub trait ObjectStore: Send + Sync {
    /// Queues a transaction. The order of the calls is the order of effect.
    ///
    /// `done` comes from a thread of the store (from the caller itself, when the transaction is refused at once,
    /// and in the memory twins); it must not block and must not call the store's waiting methods.
    fn submit(&self, transaction: Transaction, done: CommitCallback);

    /// Answers from everything submitted before. May wait for the disk: shells ask [`Self::try_read`] first.
    fn read(&self, read: &StoreRead) -> Result<StoreReadResult>;

    /// The same answer, only where memory has it; `None` means that it would wait.
    fn try_read(&self, read: &StoreRead) -> Option<Result<StoreReadResult>>;

    /// How full the store is.
    fn usage(&self) -> Result<StoreUsage>;

    /// Changes the OSD's own small values (newest maps, its superblock), atomically, ordered with `submit`.
    fn submit_config(&self, changes: ConfigChanges, done: CommitCallback);

    /// One of the OSD's own small values.
    fn read_config(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// The OSD's own small values whose keys begin with `prefix`, in key order.
    fn list_config(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>>;

    /// Ends in order: everything submitted is durable, and later calls are refused with kind `Closed`.
    fn close(&self) -> Result<()>;
}

/// Refuses a transaction that no store could carry out, before any of it takes effect.
///
/// The store bounds what its format must hold: object sizes, and the lengths of keys. Bounds on whole requests
/// (sums of attributes, batches) are the protocol's.
pub fn check_transaction(transaction: &Transaction) -> Result<()> {
    transaction.ops.iter().try_for_each(check_op)
}

fn check_op(op: &StoreOp) -> Result<()> {
    match op {
        StoreOp::Write { object, offset, data } => check_range(object, *offset, data.len() as u64),
        StoreOp::Zero { object, extent } => check_range(object, extent.offset, extent.length),
        StoreOp::Truncate { object, size } => check_range(object, *size, 0),
        StoreOp::SetXattrs { object, xattrs } => xattrs.iter().try_for_each(|(name, value)| {
            check_length(object, "attribute's name", name.len(), limits::XATTR_NAME_BYTES_MAX)?;
            check_length(object, "attribute", value.len(), limits::XATTR_VALUE_BYTES_MAX)
        }),
        StoreOp::OmapSet { object, entries } => entries.iter().try_for_each(|(key, value)| {
            check_length(object, "omap key", key.len(), limits::OMAP_KEY_BYTES_MAX)?;
            check_length(object, "omap value", value.len(), limits::OMAP_VALUE_BYTES_MAX)
        }),
        StoreOp::OmapSetHeader { object, header } => {
            check_length(object, "omap header", header.len(), limits::OMAP_VALUE_BYTES_MAX)
        }
        StoreOp::Touch { object } | StoreOp::Clone { target: object, .. } => {
            check_length(object, "name", object.name.name.len(), limits::OBJECT_NAME_BYTES_MAX)
        }
        StoreOp::Remove { .. }
        | StoreOp::RemoveXattr { .. }
        | StoreOp::OmapRemove { .. }
        | StoreOp::OmapRemoveRange { .. }
        | StoreOp::OmapClear { .. } => Ok(()),
    }
}

fn check_range(object: &types::ObjectId, offset: u64, length: u64) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= limits::OBJECT_BYTES_MAX => Ok(()),
        _ => Err(Error::invalid(format!(
            "{length} bytes at offset {offset} of object {object} would end past the limit of {} bytes for one object",
            limits::OBJECT_BYTES_MAX
        ))),
    }
}

fn check_length(object: &types::ObjectId, what: &str, length: usize, limit: usize) -> Result<()> {
    if length <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!("the {what} of object {object} has {length} bytes; the limit is {limit}")))
}

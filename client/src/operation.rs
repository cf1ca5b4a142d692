//! An operation under construction: one atomic vector of steps on one object.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;
use types::{Extent, SnapshotId};
use wire::{AllocationHint, ChecksumKind, Comparison, OpFlags, SubOp};

/// Steps that take effect together or not at all, in order; each has its own result.
///
/// ```no_run
/// # async fn tour(object: client::Object) -> Result<(), client::OpFailure> {
/// // Count up only if nobody else did.
/// object.operate(client::OpBuilder::new().compare_xattr_equal("count", "6").set_xattr("count", "7")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing until it is handed to `Object::operate`"]
pub struct OpBuilder {
    pub(crate) ops: Vec<SubOp>,
    pub(crate) flags: OpFlags,
    /// In place of the pool handle's.
    pub(crate) snapshot_context: Option<Arc<wire::SnapshotContext>>,
}

impl OpBuilder {
    /// No steps yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any step, as the wire knows it.
    pub fn step(mut self, op: SubOp) -> Self {
        self.ops.push(op);
        self
    }

    /// Fails with `Full` at once instead of waiting for space.
    pub fn full_try(mut self) -> Self {
        self.flags = OpFlags(self.flags.0 | OpFlags::FULL_TRY.0);
        self
    }

    /// Preserves the snapshots of this context, whatever the pool's handle says. For pools of self-managed snapshots.
    pub fn snapshot_context(mut self, context: &crate::SnapshotContext) -> Self {
        self.snapshot_context = Some(Arc::new(context.to_wire()));
        self
    }

    /// Makes the object what it was at a snapshot; the first step that writes.
    pub fn rollback(self, snapshot: SnapshotId) -> Self {
        self.step(SubOp::Rollback(snapshot))
    }

    /// Reads bytes; what lies past the end is left out. Answers `Data`.
    pub fn read(self, range: Range<u64>) -> Self {
        self.step(SubOp::Read(extent(&range)))
    }

    /// Asks for size and time. Answers `Stat`.
    pub fn stat(self) -> Self {
        self.step(SubOp::Stat)
    }

    /// Asks for an attribute. Answers `Data`, or fails with `NotFound`.
    pub fn get_xattr(self, name: impl AsRef<[u8]>) -> Self {
        self.step(SubOp::GetXattr(name.as_ref().to_vec()))
    }

    /// Asks for all attributes. Answers `Xattrs`.
    pub fn get_xattrs(self) -> Self {
        self.step(SubOp::GetXattrs)
    }

    /// Asks for omap entries by key. Answers `Omap` with those that exist.
    pub fn omap_get_keys(self, keys: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.step(SubOp::OmapGetKeys(keys.into_iter().map(Into::into).collect()))
    }

    /// The parts of a range that hold data, with their bytes. Answers `Sparse`.
    pub fn sparse_read(self, range: Range<u64>) -> Self {
        self.step(SubOp::SparseRead(extent(&range)))
    }

    /// The parts of a range that hold data. Answers `Extents`.
    pub fn map_extents(self, range: Range<u64>) -> Self {
        self.step(SubOp::MapExtents(extent(&range)))
    }

    /// A checksum of each chunk of a range within the object. Answers `Data`: the sums, little-endian, one after the
    /// other. An empty range is all from its start on, a `chunk` of zero one chunk of everything.
    pub fn checksum(self, kind: ChecksumKind, seed: u64, range: Range<u64>, chunk: u32) -> Self {
        self.step(SubOp::Checksum { kind, seed, extent: extent(&range), chunk })
    }

    /// Runs a method of an object class. Answers `Data`. The steps before it are seen by the method, its effects by
    /// the steps behind it, and all of it takes effect together or not at all.
    pub fn call(self, class: impl Into<String>, method: impl Into<String>, input: impl Into<Bytes>) -> Self {
        self.step(SubOp::Call { class: class.into(), method: method.into(), input: input.into() })
    }

    /// Omap entries from `begin` (inclusive) to `end` (exclusive; empty is no end). Answers `Omap`.
    pub fn omap_get_range(self, begin: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>, keys_max: u32) -> Self {
        self.step(SubOp::OmapGetRange { begin: begin.into(), end: end.into(), keys_max })
    }

    /// Goes on only if the object exists.
    pub fn assert_exists(self) -> Self {
        self.step(SubOp::AssertExists)
    }

    /// Goes on only if the object's user version is this.
    pub fn assert_version(self, version: u64) -> Self {
        self.step(SubOp::AssertVersion(version))
    }

    /// Goes on only if these bytes stand there.
    pub fn compare_extent(self, offset: u64, data: impl Into<Bytes>) -> Self {
        self.step(SubOp::CompareExtent { offset, data: data.into() })
    }

    /// Goes on only if `attribute <comparison> value`; an absent attribute compares as empty.
    pub fn compare_xattr(self, name: impl AsRef<[u8]>, comparison: Comparison, value: impl Into<Bytes>) -> Self {
        self.step(SubOp::CompareXattr { name: name.as_ref().to_vec(), comparison, value: value.into() })
    }

    /// Goes on only if the attribute is this; an absent attribute is empty.
    pub fn compare_xattr_equal(self, name: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Self {
        self.compare_xattr(name, Comparison::Equal, value)
    }

    /// Goes on only if `omap value <comparison> value`; an absent key compares as empty.
    pub fn compare_omap(self, key: impl Into<Vec<u8>>, comparison: Comparison, value: impl Into<Bytes>) -> Self {
        self.step(SubOp::CompareOmap { key: key.into(), comparison, value: value.into() })
    }

    /// Goes on only if `attribute as a decimal number <comparison> value`; an absent attribute is zero.
    pub fn compare_xattr_number(self, name: impl AsRef<[u8]>, comparison: Comparison, value: u64) -> Self {
        self.step(SubOp::CompareXattrNumber { name: name.as_ref().to_vec(), comparison, value })
    }

    /// Makes the object exist.
    pub fn create(self) -> Self {
        self.step(SubOp::Create { exclusive: false })
    }

    /// Makes the object, or fails with `Exists`.
    pub fn create_exclusive(self) -> Self {
        self.step(SubOp::Create { exclusive: true })
    }

    /// Replaces bytes; a gap reads as zeroes.
    pub fn write_at(self, offset: u64, data: impl Into<Bytes>) -> Self {
        self.step(SubOp::Write { offset, data: data.into() })
    }

    /// Fills a range with repeats of some bytes; its length must be a multiple of theirs.
    pub fn write_same(self, range: Range<u64>, data: impl Into<Bytes>) -> Self {
        self.step(SubOp::WriteSame { extent: extent(&range), data: data.into() })
    }

    /// Replaces all bytes.
    pub fn write_full(self, data: impl Into<Bytes>) -> Self {
        self.step(SubOp::WriteFull(data.into()))
    }

    /// Adds bytes behind the end.
    pub fn append(self, data: impl Into<Bytes>) -> Self {
        self.step(SubOp::Append(data.into()))
    }

    /// Makes a range read as zeroes.
    pub fn zero(self, range: Range<u64>) -> Self {
        self.step(SubOp::Zero(extent(&range)))
    }

    /// Cuts or grows the object.
    pub fn truncate(self, size: u64) -> Self {
        self.step(SubOp::Truncate(size))
    }

    /// Removes the object, or fails with `NotFound`.
    pub fn remove(self) -> Self {
        self.step(SubOp::Remove)
    }

    /// Sets an attribute.
    pub fn set_xattr(self, name: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Self {
        self.step(SubOp::SetXattr { name: name.as_ref().to_vec(), value: value.into() })
    }

    /// Removes an attribute.
    pub fn remove_xattr(self, name: impl AsRef<[u8]>) -> Self {
        self.step(SubOp::RemoveXattr(name.as_ref().to_vec()))
    }

    /// Removes all attributes.
    pub fn clear_xattrs(self) -> Self {
        self.step(SubOp::ClearXattrs)
    }

    /// Says how the object is going to be used.
    pub fn set_allocation_hint(self, hint: AllocationHint) -> Self {
        self.step(SubOp::SetAllocationHint(hint))
    }

    /// Sets omap keys.
    pub fn omap_set(self, entries: BTreeMap<Vec<u8>, Bytes>) -> Self {
        self.step(SubOp::OmapSet(entries))
    }

    /// Removes omap keys.
    pub fn omap_remove(self, keys: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.step(SubOp::OmapRemoveKeys(keys.into_iter().map(Into::into).collect()))
    }

    /// Removes the omap keys from `begin` (inclusive) to `end` (exclusive).
    pub fn omap_remove_range(self, begin: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        self.step(SubOp::OmapRemoveRange(begin.into(), end.into()))
    }

    /// Sets the omap header.
    pub fn set_omap_header(self, header: impl Into<Bytes>) -> Self {
        self.step(SubOp::OmapSetHeader(header.into()))
    }

    /// Removes all omap keys and the header.
    pub fn omap_clear(self) -> Self {
        self.step(SubOp::OmapClear)
    }
}

/// An empty range where the end lies before the start.
pub(crate) fn extent(range: &Range<u64>) -> Extent {
    Extent { offset: range.start, length: range.end.saturating_sub(range.start) }
}

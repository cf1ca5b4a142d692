//! The limits of `types::limits`, checked on everything that arrives.
//!
//! A stored or replicated object is held to the same bounds as a client's: whoever stored it was held to them too.

use bytes::Bytes;
use types::{Error, Extent, ObjectId, ObjectName, OmapPage, Result, StoreOp, XattrMap, limits};

use crate::{
    BackfillPage, ChangedPart, ClientOp, ClientReply, CommandRequest, ControlRequest, MapShare, Notification, OpTarget,
    PgBody, PushChunk, SubOp, SubOpResult, VerifyPage, VerifyRequest,
};

/// Bytes of user attributes and of ours: the reserved ones of an object fit in one attribute's bound.
const XATTR_SUM_WITH_RESERVED_BYTES_MAX: usize = limits::XATTR_SUM_BYTES_MAX + limits::XATTR_VALUE_BYTES_MAX;

fn bound(what: &str, length: usize, limit: usize) -> Result<()> {
    if length <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!("the {what} is {length}; the limit is {limit}")))
}

fn bound_page(what: &str, count: u32, limit: usize) -> Result<()> {
    bound(what, usize::try_from(count).unwrap_or(usize::MAX), limit)
}

fn check_object_end(offset: u64, length: u64) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= limits::OBJECT_BYTES_MAX => Ok(()),
        _ => Err(Error::invalid(format!(
            "offset {offset} and length {length} reach beyond the largest object of {} bytes",
            limits::OBJECT_BYTES_MAX
        ))),
    }
}

fn check_xattr(name: &[u8], value: &Bytes) -> Result<()> {
    bound("attribute name's length", name.len(), limits::XATTR_NAME_BYTES_MAX)?;
    bound("attribute value's length", value.len(), limits::XATTR_VALUE_BYTES_MAX)
}

fn check_xattrs(xattrs: &XattrMap) -> Result<()> {
    let mut sum = 0usize;
    for (name, value) in xattrs {
        check_xattr(name, value)?;
        sum = sum.saturating_add(name.len() + value.len());
    }
    bound("sum of attribute bytes", sum, XATTR_SUM_WITH_RESERVED_BYTES_MAX)
}

fn check_omap_key(key: &[u8]) -> Result<()> {
    bound("omap key's length", key.len(), limits::OMAP_KEY_BYTES_MAX)
}

fn check_omap_keys(keys: &[Vec<u8>]) -> Result<()> {
    keys.iter().try_for_each(|key| check_omap_key(key))
}

fn check_omap_value(value: &Bytes) -> Result<()> {
    bound("omap value's length", value.len(), limits::OMAP_VALUE_BYTES_MAX)
}

fn check_omap_batch<'a>(entries: impl Iterator<Item = (&'a Vec<u8>, &'a Bytes)>) -> Result<()> {
    let mut sum = 0usize;
    for (key, value) in entries {
        check_omap_key(key)?;
        check_omap_value(value)?;
        sum = sum.saturating_add(key.len() + value.len());
    }
    bound("sum of omap keys and values", sum, limits::OMAP_BATCH_BYTES_MAX)
}

pub(super) fn check_object_name(name: &ObjectName) -> Result<()> {
    name.check()
}

/// An empty name is a placement group's metadata; otherwise the bounds are those of names.
pub(super) fn check_object_id(object: &ObjectId) -> Result<()> {
    if !object.is_pg_meta() {
        return object.name.check();
    }
    if object.name == ObjectName::default() {
        return Ok(());
    }
    Err(Error::invalid("an object without a name has a namespace or a key"))
}

pub(super) fn check_omap_page(page: &OmapPage) -> Result<()> {
    bound("number of keys in a page", page.entries.len(), limits::PAGE_KEYS_MAX)?;
    for (key, value) in &page.entries {
        check_omap_key(key)?;
        check_omap_value(value)?;
    }
    Ok(())
}

pub(super) fn check_store_op(op: &StoreOp) -> Result<()> {
    match op {
        StoreOp::Write { offset, data, .. } => check_object_end(*offset, data.len() as u64),
        StoreOp::Zero { extent: Extent { offset, length }, .. } => check_object_end(*offset, *length),
        StoreOp::Truncate { size, .. } => check_object_end(*size, 0),
        StoreOp::SetXattrs { xattrs, .. } => check_xattrs(xattrs),
        StoreOp::RemoveXattr { name, .. } => check_xattr(name, &Bytes::new()),
        StoreOp::OmapSet { entries, .. } => check_omap_batch(entries.iter()),
        StoreOp::OmapRemove { keys, .. } => check_omap_keys(keys),
        StoreOp::OmapRemoveRange { begin, end, .. } => check_omap_key(begin).and_then(|()| check_omap_key(end)),
        StoreOp::OmapSetHeader { header, .. } => check_omap_value(header),
        StoreOp::Touch { .. } | StoreOp::Remove { .. } | StoreOp::Clone { .. } | StoreOp::OmapClear { .. } => Ok(()),
    }
}

pub(super) fn check_sub_op(op: &SubOp) -> Result<()> {
    match op {
        SubOp::Call { class, method, .. } => {
            bound("length of a class's name", class.len(), limits::CLASS_NAME_BYTES_MAX)?;
            bound("length of a method's name", method.len(), limits::CLASS_NAME_BYTES_MAX)
        }
        SubOp::OmapGetRange { begin, end, keys_max } => {
            check_omap_key(begin)?;
            check_omap_key(end)?;
            bound_page("number of keys asked for", *keys_max, limits::PAGE_KEYS_MAX)
        }
        SubOp::OmapGet { after, prefix, keys_max } | SubOp::OmapGetNames { after, prefix, keys_max } => {
            check_omap_key(after)?;
            check_omap_key(prefix)?;
            bound_page("number of keys asked for", *keys_max, limits::PAGE_KEYS_MAX)
        }
        SubOp::OmapGetKeys(keys) => {
            bound("number of keys asked for", keys.len(), limits::PAGE_KEYS_MAX)?;
            check_omap_keys(keys)
        }
        SubOp::OmapRemoveKeys(keys) => {
            bound("number of keys removed", keys.len(), limits::PAGE_KEYS_MAX)?;
            check_omap_keys(keys)
        }
        SubOp::OmapRemoveRange(begin, end) => check_omap_key(begin).and_then(|()| check_omap_key(end)),
        SubOp::GetXattr(name) | SubOp::RemoveXattr(name) | SubOp::CompareXattrNumber { name, .. } => {
            check_xattr(name, &Bytes::new())
        }
        SubOp::CompareXattr { name, value, .. } | SubOp::SetXattr { name, value } => check_xattr(name, value),
        SubOp::CompareOmap { key, value, .. } => check_omap_key(key).and_then(|()| check_omap_value(value)),
        SubOp::CompareExtent { offset, data } | SubOp::Write { offset, data } => {
            check_object_end(*offset, data.len() as u64)
        }
        SubOp::Zero(extent) | SubOp::WriteSame { extent, .. } => check_object_end(extent.offset, extent.length),
        SubOp::Truncate(size) => check_object_end(*size, 0),
        SubOp::OmapSet(entries) => check_omap_batch(entries.iter()),
        SubOp::OmapSetHeader(header) => check_omap_value(header),
        SubOp::ListObjects { namespace, objects_max, .. } => {
            let length = namespace.as_ref().map_or(0, Vec::len);
            bound("namespace's length", length, limits::NAMESPACE_BYTES_MAX)?;
            bound_page("number of objects asked for", *objects_max, limits::PAGE_KEYS_MAX)
        }
        SubOp::ListInconsistent { objects_max, .. } => {
            bound_page("number of inconsistent objects asked for", *objects_max, limits::INCONSISTENT_PAGE_OBJECTS)
        }
        SubOp::Watch { timeout_ms, .. } => check_watch_timeout(*timeout_ms),
        SubOp::Notify { timeout_ms, payload } => {
            bound_page("notification's time-out in milliseconds", *timeout_ms, limits::NOTIFY_TIMEOUT_MS_MAX as usize)?;
            bound("length of a notification", payload.len(), limits::NOTIFY_PAYLOAD_BYTES_MAX)
        }
        SubOp::NotifyAcknowledge { payload, .. } => {
            bound("length of a watcher's answer", payload.len(), limits::NOTIFY_ANSWER_BYTES_MAX)
        }
        SubOp::Unwatch { .. }
        | SubOp::Rollback(_)
        | SubOp::ListSnapshots { .. }
        | SubOp::TrimClone { .. }
        | SubOp::WatchPing { .. }
        | SubOp::ListWatchers
        | SubOp::Read(_)
        | SubOp::SparseRead(_)
        | SubOp::MapExtents(_)
        | SubOp::Checksum { .. }
        | SubOp::ClearXattrs
        | SubOp::SetAllocationHint(_)
        | SubOp::ScrubPg(_)
        | SubOp::QueryPg
        | SubOp::MarkUnfoundLost(_)
        | SubOp::Stat
        | SubOp::GetXattrs
        | SubOp::OmapGetHeader
        | SubOp::AssertExists
        | SubOp::AssertVersion(_)
        | SubOp::Create { .. }
        | SubOp::WriteFull(_)
        | SubOp::Append(_)
        | SubOp::Remove
        | SubOp::OmapClear => Ok(()),
    }
}

/// Bytes that a step brings or asks for, beyond what its own bounds hold small.
fn sub_op_bytes(op: &SubOp) -> u64 {
    match op {
        SubOp::Read(extent) | SubOp::SparseRead(extent) | SubOp::WriteSame { extent, .. } => extent.length,
        SubOp::Call { input, .. } => input.len() as u64,
        SubOp::Write { data, .. }
        | SubOp::WriteFull(data)
        | SubOp::Append(data)
        | SubOp::CompareExtent { data, .. } => data.len() as u64,
        SubOp::OmapSet(entries) => entries.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum(),
        SubOp::SetXattr { value, .. } | SubOp::CompareXattr { value, .. } | SubOp::CompareOmap { value, .. } => {
            value.len() as u64
        }
        SubOp::OmapSetHeader(header) => header.len() as u64,
        _ => 0,
    }
}

pub(super) fn check_client_op(op: &ClientOp) -> Result<()> {
    bound("number of sub-operations", op.ops.len(), limits::SUB_OPERATIONS_MAX)?;
    if op.ops.is_empty() {
        return Err(Error::invalid("an operation has no sub-operation"));
    }
    let snapshots = op.snapshot_context.snapshots.len();
    bound("number of snapshots to preserve", snapshots, limits::SNAPSHOTS_IN_CONTEXT_MAX)?;
    let bytes = op.ops.iter().map(sub_op_bytes).fold(0u64, u64::saturating_add);
    if bytes > limits::OPERATION_PAYLOAD_BYTES_MAX as u64 {
        let limit = limits::OPERATION_PAYLOAD_BYTES_MAX;
        return Err(Error::invalid(format!("the operation brings or asks for {bytes} bytes; the limit is {limit}")));
    }
    match op.target {
        OpTarget::Pg if op.ops.len() > 1 || !op.ops.iter().all(SubOp::is_of_pg) => {
            Err(Error::invalid("an operation on a placement group is not exactly one step that is for such"))
        }
        OpTarget::Object { .. } if op.ops.iter().any(SubOp::is_of_pg) => {
            Err(Error::invalid("a step for a placement group is asked of an object"))
        }
        _ => Ok(()),
    }
}

fn check_watch_timeout(timeout_ms: u32) -> Result<()> {
    let bounds = limits::WATCH_TIMEOUT_MS_MIN..=limits::WATCH_TIMEOUT_MS_MAX;
    if bounds.contains(&timeout_ms) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(Error::invalid(format!("a watch's time-out is from {least} to {most} milliseconds, not {timeout_ms}")))
}

pub(super) fn check_notification(notification: &Notification) -> Result<()> {
    bound("length of a notification", notification.payload.len(), limits::NOTIFY_PAYLOAD_BYTES_MAX)
}

pub(super) fn check_sub_op_result(result: &SubOpResult) -> Result<()> {
    match result {
        SubOpResult::Data(data) => bound("result's length", data.len(), limits::OPERATION_PAYLOAD_BYTES_MAX),
        SubOpResult::Xattrs(xattrs) => check_xattrs(xattrs),
        SubOpResult::Inconsistents { objects, .. } => {
            bound("number of inconsistent objects", objects.len(), limits::INCONSISTENT_PAGE_OBJECTS)
        }
        SubOpResult::List { names, .. } => bound("number of names in a page", names.len(), limits::PAGE_KEYS_MAX),
        SubOpResult::Sparse { extents, data } => {
            bound("result's length", data.len(), limits::OPERATION_PAYLOAD_BYTES_MAX)?;
            extents.iter().try_for_each(|extent| check_object_end(extent.offset, extent.length))
        }
        SubOpResult::Watchers(watchers) => bound("number of watchers", watchers.len(), limits::WATCHERS_PER_OBJECT_MAX),
        SubOpResult::Notified { answers, missed } => {
            bound("number of watchers", answers.len() + missed.len(), limits::WATCHERS_PER_OBJECT_MAX)?;
            let length = |payload: &Bytes| bound("watcher's answer", payload.len(), limits::NOTIFY_ANSWER_BYTES_MAX);
            answers.iter().try_for_each(|answer| length(&answer.payload))
        }
        // The live object is one more.
        SubOpResult::Snapshots { clones, .. } => {
            bound("number of clones in a page", clones.len(), limits::CLONES_PAGE_MAX + 1)
        }
        SubOpResult::Extents(extents) => {
            extents.iter().try_for_each(|extent| check_object_end(extent.offset, extent.length))
        }
        SubOpResult::Done | SubOpResult::Stat { .. } | SubOpResult::Omap(_) => Ok(()),
    }
}

pub(super) fn check_client_reply(reply: &ClientReply) -> Result<()> {
    let Ok(success) = &reply.outcome else { return Ok(()) };
    bound("number of results", success.results.len(), limits::SUB_OPERATIONS_MAX)?;
    let data = |result: &SubOpResult| match result {
        SubOpResult::Data(data) | SubOpResult::Sparse { data, .. } => data.len(),
        _ => 0,
    };
    bound("sum of data results", success.results.iter().map(data).sum(), limits::OPERATION_PAYLOAD_BYTES_MAX)
}

pub(super) fn check_push_chunk(chunk: &PushChunk) -> Result<()> {
    check_object_end(chunk.data_offset, chunk.data.len() as u64)?;
    bound("pushed data's length", chunk.data.len(), limits::OPERATION_PAYLOAD_BYTES_MAX)?;
    check_xattrs(&chunk.xattrs)?;
    check_omap_value(&chunk.omap_header)?;
    check_omap_key(&chunk.omap_after)?;
    check_omap_batch(chunk.omap.iter())
}

pub(super) fn check_changed_part(changed: &ChangedPart) -> Result<()> {
    bound("number of changed extents", changed.extents.len(), limits::CHANGED_EXTENTS_PER_PART_MAX)?;
    let mut end_before = None;
    let mut sum = 0u64;
    for extent in &changed.extents {
        check_object_end(extent.offset, extent.length)?;
        if extent.length == 0 || end_before.is_some_and(|end| extent.offset <= end) {
            return Err(Error::invalid("changed extents are not in order, or empty, or touch each other"));
        }
        end_before = Some(extent.end());
        sum += extent.length;
    }
    if sum != changed.part.data.len() as u64 {
        let brought = changed.part.data.len();
        return Err(Error::invalid(format!("changed extents of {sum} bytes come with {brought} bytes")));
    }
    if !changed.part.omap.is_empty() || changed.part.info.is_none() {
        return Err(Error::invalid("changed extents come with what changes alone never bring, or without the account"));
    }
    Ok(())
}

pub(super) fn check_backfill_page(page: &BackfillPage) -> Result<()> {
    bound("number of objects in a scan's page", page.objects.len(), limits::SCAN_PAGE_OBJECTS)
}

pub(super) fn check_pg_body(body: &PgBody) -> Result<()> {
    match body {
        PgBody::BackfillScan { objects_max, .. } => {
            bound_page("number of objects asked for", *objects_max, limits::SCAN_PAGE_OBJECTS)
        }
        PgBody::ScrubDigests { objects, .. } => {
            bound("number of objects in a scrub's answer", objects.len(), limits::SCAN_PAGE_OBJECTS)
        }
        PgBody::Pull { omap_after, .. } | PgBody::Pushed { omap_after, .. } => check_omap_key(omap_after),
        _ => Ok(()),
    }
}

pub(super) fn check_verify_request(request: &VerifyRequest) -> Result<()> {
    bound_page("number of objects asked for", request.objects_max, limits::SCAN_PAGE_OBJECTS)
}

pub(super) fn check_verify_page(page: &VerifyPage) -> Result<()> {
    bound("number of objects in a scan's page", page.objects.len(), limits::SCAN_PAGE_OBJECTS)
}

pub(super) fn check_map_share(share: &MapShare) -> Result<()> {
    bound("number of increments", share.increments.len(), limits::MAP_INCREMENTS_PER_MESSAGE_MAX)
}

pub(super) fn check_command(command: &CommandRequest) -> Result<()> {
    let arguments: usize = command.arguments.iter().map(|(name, value)| name.len() + value.len()).sum();
    bound("length of a command's words", command.prefix.len() + arguments, limits::COMMAND_BYTES_MAX)
}

/// A request is passed on once: whoever is not the leader any more refuses it instead.
pub(super) fn check_forwarded(request: &ControlRequest) -> Result<()> {
    match request {
        ControlRequest::Forwarded { request, .. } if matches!(**request, ControlRequest::Forwarded { .. }) => {
            Err(Error::invalid("a request was passed on twice"))
        }
        _ => Ok(()),
    }
}

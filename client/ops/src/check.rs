//! What no OSD would accept is refused here, so that it never leaves: a decoder that refuses a frame closes the
//! session, and the repeat of such an operation would close the next one, for ever.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{Error, Extent, Result, limits};
use wire::SubOp;

use crate::Target;

/// Refuses what is empty, mixed up, or beyond a limit of `types::limits`. Answers the payload bytes.
pub fn check_operation(target: &Target, ops: &[SubOp]) -> Result<usize> {
    if ops.is_empty() {
        return Err(Error::invalid("an operation needs at least one step"));
    }
    if ops.len() > limits::SUB_OPERATIONS_MAX {
        let limit = limits::SUB_OPERATIONS_MAX;
        return Err(Error::invalid(format!("the operation has {} steps; the limit is {limit}", ops.len())));
    }
    let on_object = matches!(target, Target::Object(_));
    if let Target::Object(name) = target {
        name.check()?;
    }
    let mut bytes = 0usize;
    for op in ops {
        if op.is_of_pg() == on_object {
            return Err(Error::invalid(
                "listings, scrubs and questions about them go to placement groups, all other steps go to objects",
            ));
        }
        bytes = bytes.saturating_add(check_step(op)?);
    }
    bound("operation's payload", bytes, limits::OPERATION_PAYLOAD_BYTES_MAX)?;
    Ok(bytes)
}

fn check_step(op: &SubOp) -> Result<usize> {
    match op {
        SubOp::Read(extent) => {
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
            bound("range to read", length, limits::OPERATION_PAYLOAD_BYTES_MAX)?;
            // What comes back counts against the same permits as what goes out.
            Ok(length)
        }
        SubOp::ListInconsistent { objects_max, .. } => {
            let count = usize::try_from(*objects_max).unwrap_or(usize::MAX);
            bound("page of inconsistent objects", count, limits::INCONSISTENT_PAGE_OBJECTS).map(|_| 0)
        }
        SubOp::SparseRead(extent) => {
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
            bound("range to read", length, limits::OPERATION_PAYLOAD_BYTES_MAX)
        }
        SubOp::WriteSame { extent, data } => {
            check_extent(*extent)?;
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
            bound("range to fill", length, limits::OPERATION_PAYLOAD_BYTES_MAX)?;
            if data.is_empty() || !length.is_multiple_of(data.len()) {
                return Err(Error::invalid(format!(
                    "{length} bytes cannot be filled with whole repeats of {} bytes",
                    data.len()
                )));
            }
            // The OSD unfolds it, so it counts as what it becomes.
            Ok(length)
        }
        SubOp::Call { class, method, input } => {
            bound("class's name", class.len(), limits::CLASS_NAME_BYTES_MAX)?;
            bound("method's name", method.len(), limits::CLASS_NAME_BYTES_MAX)?;
            Ok(input.len())
        }
        SubOp::OmapGetRange { begin, end, keys_max } => {
            check_page(*keys_max)?;
            bound("omap key", begin.len(), limits::OMAP_KEY_BYTES_MAX)?;
            bound("omap key", end.len(), limits::OMAP_KEY_BYTES_MAX)
        }
        SubOp::Watch { timeout_ms, .. } => {
            let (least, most) = (limits::WATCH_TIMEOUT_MS_MIN, limits::WATCH_TIMEOUT_MS_MAX);
            if !(least..=most).contains(timeout_ms) {
                return Err(Error::invalid(format!(
                    "a watch's time-out is from {least} to {most} milliseconds, not {timeout_ms}"
                )));
            }
            Ok(0)
        }
        SubOp::Notify { timeout_ms, payload } => {
            if *timeout_ms > limits::NOTIFY_TIMEOUT_MS_MAX {
                let most = limits::NOTIFY_TIMEOUT_MS_MAX;
                return Err(Error::invalid(format!(
                    "a notification waits for {most} milliseconds at most, not {timeout_ms}"
                )));
            }
            bound("notification", payload.len(), limits::NOTIFY_PAYLOAD_BYTES_MAX)
        }
        SubOp::NotifyAcknowledge { payload, .. } => {
            bound("answer to a notification", payload.len(), limits::NOTIFY_ANSWER_BYTES_MAX)
        }
        SubOp::Unwatch { .. } | SubOp::WatchPing { .. } | SubOp::ListWatchers => Ok(0),
        SubOp::CompareXattrNumber { name, .. } => check_xattr_name(name),
        SubOp::MapExtents(_)
        | SubOp::Checksum { .. }
        | SubOp::ClearXattrs
        | SubOp::Rollback(_)
        | SubOp::ListSnapshots { .. }
        | SubOp::TrimClone { .. }
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
        | SubOp::Remove
        | SubOp::OmapClear => Ok(0),
        SubOp::GetXattr(name) | SubOp::RemoveXattr(name) => check_xattr_name(name),
        SubOp::OmapGet { after, prefix, keys_max } | SubOp::OmapGetNames { after, prefix, keys_max } => {
            check_page(*keys_max)?;
            bound("omap key", after.len(), limits::OMAP_KEY_BYTES_MAX)?;
            bound("omap key prefix", prefix.len(), limits::OMAP_KEY_BYTES_MAX)
        }
        SubOp::OmapGetKeys(keys) | SubOp::OmapRemoveKeys(keys) => check_keys(keys),
        SubOp::CompareExtent { offset, data } | SubOp::Write { offset, data } => {
            check_extent(Extent { offset: *offset, length: data.len() as u64 })?;
            Ok(data.len())
        }
        SubOp::CompareXattr { name, value, .. } | SubOp::SetXattr { name, value } => {
            bound("xattr value", value.len(), limits::XATTR_VALUE_BYTES_MAX)?;
            Ok(check_xattr_name(name)? + value.len())
        }
        SubOp::CompareOmap { key, value, .. } => {
            check_key(key)?;
            bound("omap value", value.len(), limits::OMAP_VALUE_BYTES_MAX)
        }
        SubOp::WriteFull(data) => {
            check_extent(Extent { offset: 0, length: data.len() as u64 })?;
            Ok(data.len())
        }
        SubOp::Append(data) => Ok(data.len()),
        SubOp::Zero(extent) => check_extent(*extent),
        SubOp::Truncate(size) => check_extent(Extent { offset: 0, length: *size }),
        SubOp::OmapSet(entries) => check_entries(entries),
        SubOp::OmapRemoveRange(begin, end) => {
            bound("omap key", begin.len(), limits::OMAP_KEY_BYTES_MAX)?;
            bound("omap key", end.len(), limits::OMAP_KEY_BYTES_MAX)
        }
        SubOp::OmapSetHeader(header) => bound("omap header", header.len(), limits::OMAP_VALUE_BYTES_MAX),
        SubOp::ListObjects { namespace, objects_max, .. } => {
            check_page(*objects_max)?;
            bound("namespace", namespace.as_ref().map_or(0, Vec::len), limits::NAMESPACE_BYTES_MAX)
        }
    }
}

fn bound(what: &str, length: usize, limit: usize) -> Result<usize> {
    if length <= limit {
        return Ok(length);
    }
    Err(Error::invalid(format!("the {what} has {length} bytes; the limit is {limit}")))
}

fn check_extent(extent: Extent) -> Result<usize> {
    let limit = limits::OBJECT_BYTES_MAX;
    match extent.offset.checked_add(extent.length) {
        Some(end) if end <= limit => Ok(0),
        _ => Err(Error::invalid(format!(
            "bytes {} and {} more reach beyond the largest object, which has {limit} bytes; stripe it",
            extent.offset, extent.length
        ))),
    }
}

fn check_xattr_name(name: &[u8]) -> Result<usize> {
    if name.is_empty() {
        return Err(Error::invalid("an xattr's name must not be empty"));
    }
    bound("xattr name", name.len(), limits::XATTR_NAME_BYTES_MAX)
}

fn check_key(key: &[u8]) -> Result<usize> {
    if key.is_empty() {
        return Err(Error::invalid("an omap key must not be empty"));
    }
    bound("omap key", key.len(), limits::OMAP_KEY_BYTES_MAX)
}

fn check_keys(keys: &[Vec<u8>]) -> Result<usize> {
    if keys.len() > limits::PAGE_KEYS_MAX {
        let limit = limits::PAGE_KEYS_MAX;
        return Err(Error::invalid(format!("the step names {} omap keys; the limit is {limit}", keys.len())));
    }
    let mut sum = 0usize;
    for key in keys {
        sum += check_key(key)?;
    }
    bound("list of omap keys", sum, limits::FRAME_BODY_BYTES_MAX / 2)
}

fn check_entries(entries: &BTreeMap<Vec<u8>, Bytes>) -> Result<usize> {
    let mut sum = 0usize;
    for (key, value) in entries {
        bound("omap value", value.len(), limits::OMAP_VALUE_BYTES_MAX)?;
        sum += check_key(key)? + value.len();
    }
    bound("omap update", sum, limits::OMAP_BATCH_BYTES_MAX)
}

fn check_page(count: u32) -> Result<()> {
    let limit = limits::PAGE_KEYS_MAX;
    match usize::try_from(count) {
        Ok(count) if (1..=limit).contains(&count) => Ok(()),
        _ => Err(Error::invalid(format!("a page holds from 1 to {limit} entries, not {count}"))),
    }
}

#[cfg(test)]
mod tests {
    use types::{Cursor, ErrorKind, ObjectName, PgId, PoolId};

    use super::*;

    fn object() -> Target {
        Target::Object(ObjectName::new("x"))
    }

    fn refused(op: SubOp) -> bool {
        match check_operation(&object(), &[op]) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Invalid);
                true
            }
        }
    }

    #[test]
    fn both_sides_of_each_bound() {
        let zeroes = |length: usize| Bytes::from(vec![0; length]);
        let pass_and_fail = [
            (
                SubOp::WriteFull(zeroes(limits::OPERATION_PAYLOAD_BYTES_MAX)),
                SubOp::WriteFull(zeroes(limits::OPERATION_PAYLOAD_BYTES_MAX + 1)),
            ),
            (
                SubOp::Write { offset: limits::OBJECT_BYTES_MAX - 4, data: zeroes(4) },
                SubOp::Write { offset: limits::OBJECT_BYTES_MAX - 4, data: zeroes(5) },
            ),
            (SubOp::Truncate(limits::OBJECT_BYTES_MAX), SubOp::Truncate(limits::OBJECT_BYTES_MAX + 1)),
            (
                SubOp::GetXattr(vec![1; limits::XATTR_NAME_BYTES_MAX]),
                SubOp::GetXattr(vec![1; limits::XATTR_NAME_BYTES_MAX + 1]),
            ),
            (SubOp::GetXattr(vec![1]), SubOp::GetXattr(vec![])),
            (
                SubOp::SetXattr { name: vec![1], value: zeroes(limits::XATTR_VALUE_BYTES_MAX) },
                SubOp::SetXattr { name: vec![1], value: zeroes(limits::XATTR_VALUE_BYTES_MAX + 1) },
            ),
            (
                SubOp::OmapSet(BTreeMap::from([(vec![1], zeroes(limits::OMAP_VALUE_BYTES_MAX))])),
                SubOp::OmapSet(BTreeMap::from([(vec![1], zeroes(limits::OMAP_VALUE_BYTES_MAX + 1))])),
            ),
            (
                SubOp::OmapGet { after: vec![], prefix: vec![], keys_max: 1000 },
                SubOp::OmapGet { after: vec![], prefix: vec![], keys_max: 1001 },
            ),
            (SubOp::Zero(Extent { offset: 0, length: 1 }), SubOp::Zero(Extent { offset: u64::MAX, length: 2 })),
        ];
        for (pass, fail) in pass_and_fail {
            assert!(!refused(pass.clone()), "{pass:?}");
            assert!(refused(fail.clone()), "{fail:?}");
        }
        assert!(check_operation(&object(), &[]).is_err());
        assert!(check_operation(&object(), &vec![SubOp::Stat; limits::SUB_OPERATIONS_MAX]).is_ok());
        assert!(check_operation(&object(), &vec![SubOp::Stat; limits::SUB_OPERATIONS_MAX + 1]).is_err());
    }

    #[test]
    fn listings_and_object_steps_do_not_mix() {
        let list = SubOp::ListObjects { begin: Cursor::Start, namespace: None, objects_max: 10 };
        let pg = Target::Pg(PgId { pool: PoolId(1), seed: 0 });
        assert!(check_operation(&pg, std::slice::from_ref(&list)).is_ok());
        assert!(check_operation(&pg, &[SubOp::Stat]).is_err());
        assert!(refused(list));
    }
}

//! The placement tree as the monitors use it: OSDs by number, errors in the shared words.
//!
//! Owns: conventions on top of the crush crate: the root new OSDs come under, weights from sizes, names of places.
//! Does not know: who is up, pools.

use std::collections::BTreeSet;

use crush::{CrushMap, ErrorKind};
use types::{Error, OsdId, Result};

/// The root under which hosts of new OSDs are put. Ceph's name.
pub(crate) const ROOT: &str = "default";
/// Least weight of a device, 0.0001 in 16.16: a device of a few megabytes still takes part.
const WEIGHT_MIN: u32 = 7;

/// The crush crate's error in the shared words.
pub(crate) fn from_crush(error: crush::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::not_found(error.message()),
        ErrorKind::Exists => Error::exists(error.message()),
        ErrorKind::Invalid
        | ErrorKind::InUse
        | ErrorKind::NotEmpty
        | ErrorKind::Cycle
        | ErrorKind::Range
        | ErrorKind::Damaged => Error::invalid(error.message()),
    }
}

/// The number of an OSD in the tree.
pub(crate) fn device_of(osd: OsdId) -> i32 {
    i32::try_from(osd.0).expect("OSD numbers are below OSD_COUNT_MAX, which fits")
}

/// The OSD of a device in the tree.
pub(crate) fn osd_of(item: i32) -> Option<OsdId> {
    u32::try_from(item).ok().map(OsdId)
}

pub(crate) fn check_bucket_name(name: &str) -> Result<()> {
    if crush::is_valid_name(name) && name.len() <= map::HOST_NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{name}` is no name of a place; it would be 1 to {} letters, digits, `-`, `_` and `.`",
        map::HOST_NAME_BYTES_MAX
    )))
}

pub(crate) fn contains_osd(crush: &CrushMap, osd: OsdId) -> bool {
    crush.parent_of(device_of(osd)).is_some()
}

/// 1.0 for each TiB.
pub(crate) fn weight_of_bytes(bytes: u64) -> u32 {
    u32::try_from(bytes >> 24).unwrap_or(u32::MAX >> 1).max(WEIGHT_MIN)
}

/// The tree with this OSD below its host, below the root `default`. A host that lies elsewhere already stays there.
pub(crate) fn with_osd(crush: &CrushMap, osd: OsdId, weight: u32, host: &str) -> Result<CrushMap> {
    let mut changed = crush.clone();
    if let Some(bucket) = crush.item_by_name(host) {
        let is_host = crush.item_type(bucket) == crush.type_by_name("host");
        if !is_host {
            return Err(Error::invalid(format!("`{host}` is a place in the tree already, and not a host")));
        }
        if crush.parent_of(bucket).is_some() {
            changed.add_osd(device_of(osd), weight, &[("host", host)]).map_err(from_crush)?;
            return Ok(changed);
        }
    }
    changed.add_osd(device_of(osd), weight, &[("host", host), ("root", ROOT)]).map_err(from_crush)?;
    Ok(changed)
}

/// The buckets above an OSD, the nearest first.
pub(crate) fn ancestors(crush: &CrushMap, osd: OsdId) -> Vec<i32> {
    let mut buckets = Vec::new();
    let mut at = device_of(osd);
    while let Some(parent) = crush.parent_of(at) {
        buckets.push(parent);
        at = parent;
        if buckets.len() > crush::DEPTH_MAX {
            break;
        }
    }
    buckets
}

/// The OSDs below a bucket at any depth.
pub(crate) fn osds_below(crush: &CrushMap, bucket: i32) -> BTreeSet<OsdId> {
    let mut osds = BTreeSet::new();
    let mut pending = vec![bucket];
    let mut seen = BTreeSet::new();
    while let Some(item) = pending.pop() {
        if let Some(osd) = osd_of(item) {
            osds.insert(osd);
        } else if seen.insert(item) {
            pending.extend(crush.bucket(item).map(|bucket| bucket.items().to_vec()).unwrap_or_default());
        }
    }
    osds
}

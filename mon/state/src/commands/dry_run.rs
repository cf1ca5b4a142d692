//! `--dry-run`: what a change of placement would move, without changing anything.
//!
//! Owns: the comparison of the map as it is with the map as it would be, and the bound on how much of that a monitor
//! computes. Does not know: the changes.

use std::collections::BTreeMap;

use map::{ClusterMap, Mapping, Movement, PublishedMap, Volume, copies_by_osd, movement};
use serde_json::{Value, json};
use types::{Error, PoolId, Result};
use wire::CommandAnswer;

use super::view::{View, answer_json};
use crate::draft::Draft;

/// Placement groups that a monitor compares: a quarter of a second of its time. Larger clusters are compared without one.
const GROUPS_MAX: u64 = 1 << 15;

fn volume_json(volume: Volume) -> Value {
    json!({ "copies": volume.copies, "bytes": volume.bytes })
}

/// The answer of a command that was only tried.
pub(crate) fn answer(view: &View<'_>, before: ClusterMap, draft: &Draft) -> Result<CommandAnswer> {
    if view.pg_count() > GROUPS_MAX {
        return Err(Error::invalid(format!(
            "the cluster has {} placement groups; a monitor compares at most {GROUPS_MAX}; \
             `osd getmap` and `osdmaptool` compare without it",
            view.pg_count()
        )));
    }
    let before = Mapping::of(&PublishedMap::new(before)?);
    let after = PublishedMap::new(draft.map().clone())?;
    let mut followed = before.clone();
    followed.follow(&after);
    let bytes = bytes_per_group(view);
    let found = movement(&before, &followed, |pg| bytes.get(&pg.pool).copied().unwrap_or(0));
    // Copies that had a place and would have none: those groups are degraded until there is one again.
    let homeless = copies(&before).saturating_sub(copies(&followed));
    let mut answer = answer_json(&movement_json(view, &found, homeless));
    answer.status = sentence(&found, homeless);
    Ok(answer)
}

fn copies(mapping: &Mapping) -> u64 {
    copies_by_osd(mapping).values().flat_map(BTreeMap::values).sum()
}

/// Groups of a pool have about the same size; the digest knows the sum.
fn bytes_per_group(view: &View<'_>) -> BTreeMap<PoolId, u64> {
    let pools = view.digest().map(|digest| digest.pools.as_slice()).unwrap_or_default();
    let groups = |pool: &PoolId| view.map.map().pools.get(pool).map_or(1, |pool| u64::from(pool.pg_num).max(1));
    pools.iter().map(|(pool, _, bytes)| (*pool, bytes / groups(pool))).collect()
}

fn movement_json(view: &View<'_>, found: &Movement, homeless: u64) -> Value {
    let osds = found.osds.iter().map(|(osd, moved)| {
        json!({ "osd": osd, "arriving": volume_json(moved.arriving), "leaving": volume_json(moved.leaving) })
    });
    json!({
        "dry_run": true,
        "num_pgs": found.pgs,
        "num_pgs_moved": found.pgs_moved,
        "num_copies_without_place": homeless,
        "moved": volume_json(found.moved),
        "lower_bound": volume_json(found.lower_bound),
        "total": volume_json(found.total),
        "statistics_age_ms": view.digest_age_ms(),
        "osds": osds.collect::<Vec<_>>(),
    })
}

fn sentence(found: &Movement, homeless: u64) -> String {
    let mut text = format!(
        "nothing was changed; it would move {} copies of {} placement groups, {} bytes (at least {} copies, {} bytes, must move \
         for every OSD to get its share)",
        found.moved.copies, found.pgs_moved, found.moved.bytes, found.lower_bound.copies, found.lower_bound.bytes
    );
    if homeless > 0 {
        text += &format!("; {homeless} copies would have no place");
    }
    text
}

//! Exceptions that have outlived their reason.
//!
//! Owns: which exceptions of a map do nothing or point nowhere, as the changes that remove them. The monitors append these
//! to what they publish anyway. Does not know: failure domains; whether an exception breaks its rule is for the planner.

use types::{OsdId, PgId};

use crate::{Change, ClusterMap, Placement, Placer, PublishedMap, Weight};

/// The changes that remove what is stale.
///
/// Temporary sets: nobody of them is up, or they equal the up set. Temporary primaries: down, or the up primary anyway while no
/// temporary set is in force. Whole-set exceptions: a target is out, or CRUSH says the same by itself. Replacements: the one
/// replaced is no longer in the set, or the replacement is out, or is in the set anyway. Upmap primaries: out or not in the set.
///
/// Only groups with exceptions are placed, so this is cheap enough for every publication.
pub fn stale_exceptions(map: &PublishedMap) -> Vec<Change> {
    let mut placer = map.placer();
    let mut changes = Vec::new();
    for (pg, members) in &map.pg_temp {
        let place = placer.place(*pg);
        let someone_up = members.iter().any(|osd| map.is_up(*osd));
        let asked: Vec<_> = members.iter().map(|osd| (*osd != crate::HOLE).then_some(*osd)).collect();
        if !someone_up || asked == place.up {
            changes.push(Change::PgTemp(*pg, None));
        }
    }
    for (pg, primary) in &map.primary_temp {
        let mut redundant = || !map.pg_temp.contains_key(pg) && placer.place(*pg).up_primary == Some(*primary);
        if !map.is_up(*primary) || redundant() {
            changes.push(Change::PrimaryTemp(*pg, None));
        }
    }
    for (pg, targets) in &map.pg_upmap {
        let raw = raw_of(&mut placer, map, *pg);
        if targets.iter().any(|osd| is_out(map, *osd)) || targets.iter().map(|osd| Some(*osd)).eq(raw) {
            changes.push(Change::PgUpmap(*pg, None));
        }
    }
    for (pg, pairs) in &map.pg_upmap_items {
        let kept = effective_replacements(map, *pg, raw_of(&mut placer, map, *pg), pairs);
        if kept.len() != pairs.len() {
            changes.push(Change::PgUpmapItems(*pg, Some(kept).filter(|kept| !kept.is_empty())));
        }
    }
    for (pg, primary) in &map.pg_upmap_primary {
        let Placement { up, raw, .. } = placer.place(*pg);
        let member = up.contains(&Some(*primary)) || raw.contains(&Some(*primary));
        if is_out(map, *primary) || !member {
            changes.push(Change::PgUpmapPrimary(*pg, None));
        }
    }
    changes
}

/// What CRUSH says of a group.
fn raw_of(placer: &mut Placer<'_>, map: &ClusterMap, pg: PgId) -> Vec<Option<OsdId>> {
    map.pools.get(&pg.pool).map_or_else(Vec::new, |pool| placer.raw(pool, pg))
}

fn is_out(map: &ClusterMap, osd: OsdId) -> bool {
    map.osds.get(&osd).is_none_or(|state| state.weight == Weight::ZERO)
}

/// The replacements that do something, applied one after the other as placement does.
fn effective_replacements(
    map: &ClusterMap,
    pg: PgId,
    raw: Vec<Option<OsdId>>,
    pairs: &[(OsdId, OsdId)],
) -> Vec<(OsdId, OsdId)> {
    let mut members = match map.pg_upmap.get(&pg) {
        Some(targets) if targets.iter().any(|osd| is_out(map, *osd)) => raw,
        Some(targets) => targets.iter().map(|osd| Some(*osd)).collect(),
        None => raw,
    };
    let mut kept = Vec::new();
    for (from, to) in pairs.iter().copied() {
        let place = members.iter().position(|member| *member == Some(from));
        if let Some(place) = place
            && !members.contains(&Some(to))
            && !is_out(map, to)
        {
            members[place] = Some(to);
            kept.push((from, to));
        }
    }
    kept
}

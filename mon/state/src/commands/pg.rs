//! Placement groups: where they are by the map, and how they are by the manager's digest.

use std::collections::{BTreeMap, BTreeSet};

use map::{ClusterMap, PgCondition, Placement, Pool};
use serde_json::{Value, json};
use types::{ObjectName, OsdId, PgId, Result, limits};
use wire::{CommandAnswer, PgStateFlags, PgStatistics};

use super::{
    Arguments,
    view::{View, answer_json, pool_by_name},
};

/// What a set looks like in JSON: a hole is Ceph's 2147483647.
const NONE: u32 = 0x7fff_ffff;

fn set(osds: &[Option<OsdId>]) -> Vec<u32> {
    osds.iter().map(|osd| osd.map_or(NONE, |osd| osd.0)).collect()
}

fn primary(osd: Option<OsdId>) -> i64 {
    osd.map_or(-1, |osd| i64::from(osd.0))
}

pub(super) fn osd_map(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let pool = pool_by_name(map, arguments.text("pool"))?;
    let mut name = ObjectName::new(arguments.text("object"));
    if let Some(namespace) = arguments.text_if("nspace") {
        name.namespace = namespace.as_bytes().to_vec();
    }
    name.check()?;
    let (pg, hash) = view.map.object_pg(pool.id, &name)?;
    let place = view.map.place(pg);
    let mut answer = answer_json(&json!({
        "epoch": map.epoch,
        "pool": pool.name,
        "pool_id": pool.id,
        "objname": arguments.text("object"),
        "raw_pgid": format!("{}.{hash:x}", pool.id),
        "pgid": pg,
        "up": set(&place.up),
        "up_primary": primary(place.up_primary),
        "acting": set(&place.acting),
        "acting_primary": primary(place.acting_primary),
    }));
    answer.status = format!(
        "osdmap e{} pool '{}' ({}) object '{}' -> pg {}.{hash:x} ({pg}) -> up ({}, p{}) acting ({}, p{})",
        map.epoch,
        pool.name,
        pool.id,
        arguments.text("object"),
        pool.id,
        brackets(&place.up),
        primary(place.up_primary),
        brackets(&place.acting),
        primary(place.acting_primary)
    );
    Ok(answer)
}

fn brackets(osds: &[Option<OsdId>]) -> String {
    let names: Vec<String> = osds.iter().map(|osd| osd.map_or("NONE".to_owned(), |osd| osd.to_string())).collect();
    format!("[{}]", names.join(","))
}

pub(super) fn map_of(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let pg = arguments.pg("pgid");
    let exists = view.map.map().pools.get(&pg.pool).is_some_and(|pool| pg.seed < pool.pg_num);
    if !exists {
        return Err(types::Error::not_found(format!("there is no placement group {pg}")));
    }
    let place = view.map.place(pg);
    Ok(answer_json(&json!({
        "epoch": view.map.epoch(),
        "raw_pgid": pg,
        "pgid": pg,
        "up": set(&place.up),
        "acting": set(&place.acting),
    })))
}

/// How many placement groups are in which state. Those that nobody reported, or all when the digest is stale, are
/// `unknown`.
pub(super) fn states(view: &View<'_>) -> BTreeMap<String, u64> {
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    let total = view.pg_count();
    let mut reported = 0;
    if let Some(digest) = view.fresh_digest() {
        for (state, count) in &digest.pg_states {
            *states.entry(state.to_string()).or_default() += u64::from(*count);
            reported += u64::from(*count);
        }
    }
    if total > reported {
        *states.entry(PgStateFlags::default().to_string()).or_default() += total - reported;
    }
    states
}

pub(super) fn stat(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let states = states(view);
    let by_state: Vec<Value> = states.iter().map(|(name, count)| json!({ "name": name, "num": count })).collect();
    let usage = super::df::Usage::of(view);
    let words: Vec<String> = states.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let mut answer = answer_json(&json!({
        "pg_ready": view.fresh_digest().is_some(),
        "pg_summary": {
            "num_pg_by_state": by_state,
            "num_pgs": view.pg_count(),
            "num_objects": usage.objects,
            "num_bytes": usage.stored_bytes,
            "total_bytes": usage.total_bytes,
            "total_avail_bytes": usage.available_bytes(),
            "total_used_bytes": usage.used_bytes,
            "total_used_raw_bytes": usage.used_bytes,
        },
        "digest_age_ms": view.digest_age_ms(),
    }));
    answer.status = format!("{} pgs: {}", view.pg_count(), words.join(", "));
    Ok(answer)
}

fn pg_json(pg: PgId, place: &Placement, reported: Option<&PgStatistics>, otherwise: &str) -> Value {
    let mut row = json!({
        "pgid": pg,
        "state": reported.map_or_else(|| otherwise.to_owned(), |reported| reported.state.to_string()),
        "up": set(&place.up),
        "up_primary": primary(place.up_primary),
        "acting": set(&place.acting),
        "acting_primary": primary(place.acting_primary),
    });
    if let Some(reported) = reported {
        row["version"] = json!(reported.last_update.to_string());
        row["reported_epoch"] = json!(reported.epoch);
        row["last_epoch_clean"] = json!(reported.last_epoch_clean);
        row["stat_sum"] = json!({
            "num_bytes": reported.bytes,
            "num_objects": reported.objects,
            "num_objects_degraded": reported.degraded_copies,
            "num_objects_misplaced": reported.misplaced_copies,
            "num_objects_unfound": reported.unfound_objects,
            "num_scrub_errors": reported.scrub.as_ref().map_or(0, |scrub| scrub.errors),
            "num_objects_repaired": reported.scrub.as_ref().map_or(0, |scrub| scrub.repaired),
        });
        if let Some(scrub) = &reported.scrub {
            row["last_scrub"] = json!(scrub.scrub_version.to_string());
            row["last_scrub_stamp_ms"] = json!(scrub.scrub_stamp_ms);
            row["last_deep_scrub"] = json!(scrub.deep_version.to_string());
            row["last_deep_scrub_stamp_ms"] = json!(scrub.deep_stamp_ms);
        }
    }
    row
}

/// Whether a group that the digest does not list is clean for sure: every group was reported, and all that are not clean are
/// listed.
fn lists_all_unclean(view: &View<'_>) -> bool {
    view.fresh_digest().is_some_and(|digest| {
        // Those that are scrubbed or inconsistent are clean, too, and listed all the same.
        let clean = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
        let unclean = digest.pg_states.iter().filter(|(state, _)| *state != clean);
        let unclean: u64 = unclean.map(|(_, count)| u64::from(*count)).sum();
        let reported: u64 = digest.pg_states.iter().map(|(_, count)| u64::from(*count)).sum();
        unclean == digest.pgs_not_clean.len() as u64 && reported == view.pg_count()
    })
}

fn reported<'a>(view: &'a View<'_>) -> BTreeMap<PgId, &'a PgStatistics> {
    view.fresh_digest().into_iter().flat_map(|digest| &digest.pgs_not_clean).map(|row| (row.pg, row)).collect()
}

/// What is known of each group's condition on the published map; groups of which nothing is known are not there.
pub(super) fn conditions(view: &View<'_>) -> BTreeMap<PgId, PgCondition> {
    if view.settled_digest().is_none() {
        return BTreeMap::new();
    }
    let (complete, reported) = (lists_all_unclean(view), reported(view));
    let mut placer = view.map.placer();
    let mut conditions = BTreeMap::new();
    for pg in view.map.map().pgs() {
        if let Some(row) = reported.get(&pg) {
            let acting: BTreeSet<OsdId> = row.acting.iter().copied().collect();
            // Which copies of a degraded group are whole is not in its report: only the primary's is taken for it.
            let degraded = row.state.contains(PgStateFlags::DEGRADED);
            let whole = if degraded { row.acting.first().copied().into_iter().collect() } else { acting.clone() };
            let condition = PgCondition {
                active: row.state.contains(PgStateFlags::ACTIVE),
                clean: row.state.contains(PgStateFlags::CLEAN),
                acting,
                up: row.up.iter().copied().collect(),
                whole,
            };
            conditions.insert(pg, condition);
        } else if complete {
            let place = placer.place(pg);
            let acting: BTreeSet<OsdId> = place.acting_osds().collect();
            let up = place.up_osds().collect();
            conditions.insert(pg, PgCondition { active: true, clean: true, whole: acting.clone(), acting, up });
        }
    }
    conditions
}

fn rows<'m>(view: &View<'_>, pools: impl Iterator<Item = &'m Pool>) -> Vec<Value> {
    let otherwise = if lists_all_unclean(view) { "active+clean" } else { "unknown" };
    let reported = reported(view);
    let mut placer = view.map.placer();
    let mut rows = Vec::new();
    for pool in pools {
        for seed in 0..pool.pg_num.min(limits::POOL_PG_NUM_MAX) {
            let pg = PgId { pool: pool.id, seed };
            rows.push(pg_json(pg, &placer.place(pg), reported.get(&pg).copied(), otherwise));
        }
    }
    rows
}

pub(super) fn dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map: &ClusterMap = view.map.map();
    let rows = rows(view, map.pools.values().map(AsRef::as_ref));
    Ok(answer_json(&json!({
        "pg_ready": view.fresh_digest().is_some(),
        "pg_map": { "version": map.epoch, "last_osdmap_epoch": map.epoch, "pg_stats": rows },
        "digest_age_ms": view.digest_age_ms(),
    })))
}

/// The groups of a pool that are inconsistent; refused when that is not known of all of them.
pub(super) fn list_inconsistent(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let pool = pool_by_name(view.map.map(), arguments.text("pool"))?;
    if !lists_all_unclean(view) {
        return Err(types::Error::retry(
            "the manager's figures do not cover every placement group now; `pg stat` shows when they do",
        ));
    }
    let listed = reported(view);
    let inconsistent = listed.values().filter(|row| row.pg.pool == pool.id);
    let inconsistent = inconsistent.filter(|row| row.state.contains(PgStateFlags::INCONSISTENT));
    Ok(answer_json(&json!(inconsistent.map(|row| row.pg).collect::<Vec<PgId>>())))
}

pub(super) fn ls_by_pool(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let pool = pool_by_name(view.map.map(), arguments.text("poolstr"))?;
    Ok(answer_json(&json!({
        "pg_ready": view.fresh_digest().is_some(),
        "pg_stats": rows(view, std::iter::once(pool.as_ref())),
    })))
}

//! Pools: made, changed, removed.
//!
//! Owns: what a pool's settings may be, and which of them can be changed by this release. A setting without effect is
//! refused, never kept silently.

use std::{collections::BTreeMap, sync::Arc};

use map::{Change, ClusterMap, Pool, PoolFlags, PoolKind};
use serde_json::{Value, json};
use types::{Error, Result, limits};
use wire::CommandAnswer;

use super::{
    Arguments,
    suggest::nearest,
    view::{View, answer_json, answer_status, answer_value, pool_by_name},
};
use crate::{draft::Draft, hierarchy, settings::Settings};

/// The placement rule of new pools.
const DEFAULT_RULE: u32 = 0;
/// Ceph's number of the hash that places names: rjenkins.
const OBJECT_HASH_RJENKINS: u32 = 2;
/// Applications of one pool; Ceph's `MAX_POOL_APPLICATIONS`.
const APPLICATIONS_MAX: usize = 4;
/// What `osd pool get` knows, in the order in which `all` shows it.
const SETTINGS: &[&str] = &["size", "min_size", "pg_num", "pgp_num", "crush_rule", "hashpspool", "nodelete"];

/// Ceph: min_size is size - size / 2 unless it is set.
fn min_size_of(size: u32) -> u32 {
    size - size / 2
}

pub(super) fn create(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("pool");
    check_name(name)?;
    if draft.map().pools.values().any(|pool| pool.name == name) {
        return Ok(answer_status(format!("pool '{name}' already exists")));
    }
    if arguments.text_if("pool_type") == Some("erasure") {
        return Err(Error::invalid("erasure-coded pools are not there yet; make a replicated one"));
    }
    let settings = view.settings;
    let size = arguments.small_integer_if("size").unwrap_or(settings.pool_default_size());
    let pg_num = arguments.small_integer_if("pg_num").unwrap_or(settings.pool_default_pg_num());
    let pgp_num = arguments.small_integer_if("pgp_num").unwrap_or(pg_num);
    if pgp_num > pg_num {
        return Err(Error::invalid(format!("pgp_num is {pgp_num}; it would be at most pg_num, which is {pg_num}")));
    }
    // Ceph: for a replicated pool the word behind the type is the rule.
    let rule_name = arguments.text_if("rule").or_else(|| arguments.text_if("erasure_code_profile"));
    let crush_rule = match rule_name {
        Some(rule) => rule_by_name(draft.map(), rule)?,
        None => DEFAULT_RULE,
    };
    check_pgs_per_osd(settings, draft.map(), u64::from(pg_num) * u64::from(size))?;
    let map = draft.map();
    let pool = Pool {
        id: map.pool_next,
        name: name.to_owned(),
        kind: PoolKind::Replicated,
        size,
        min_size: min_size_of(size),
        crush_rule,
        object_hash: OBJECT_HASH_RJENKINS,
        pg_num,
        pgp_num,
        flags: PoolFlags::HASHPSPOOL,
        quota_bytes: 0,
        quota_objects: 0,
        applications: BTreeMap::new(),
        snapshot_sequence: 0,
        snapshots: BTreeMap::new(),
        removed_snapshots: types::SnapshotRanges::default(),
        options: BTreeMap::new(),
        created: map.epoch,
        changed: map.epoch,
    };
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    Ok(answer_status(format!("pool '{name}' created")))
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > limits::POOL_NAME_BYTES_MAX || name.is_empty() {
        return Err(Error::invalid(format!("a pool's name has 1 to {} bytes", limits::POOL_NAME_BYTES_MAX)));
    }
    if name.chars().any(|letter| letter.is_control() || letter.is_whitespace() || letter == '/') {
        return Err(Error::invalid(format!(
            "`{name}` is no pool name; it has no blanks, slashes or control characters"
        )));
    }
    Ok(())
}

fn rule_by_name(map: &ClusterMap, name: &str) -> Result<u32> {
    map.crush.rule_by_name(name).ok_or_else(|| {
        let names: Vec<&str> = map.crush.rules().filter_map(|(id, _)| map.crush.rule_name(id)).collect();
        Error::not_found(format!("there is no placement rule `{name}`; there is {}", names.join(", ")))
    })
}

/// Ceph: `mon_max_pg_per_osd`, over the OSDs that are in, but as if there were enough for one copy each.
fn check_pgs_per_osd(settings: &Settings, map: &ClusterMap, more: u64) -> Result<()> {
    let present: u64 = map.pools.values().map(|pool| u64::from(pool.pg_num) * u64::from(pool.size)).sum();
    let osds_in = map.osds.values().filter(|osd| osd.is_in()).count();
    let osds = u64::try_from(osds_in).unwrap_or(u64::MAX).max(u64::from(settings.pool_default_size()));
    let most = osds.saturating_mul(u64::from(settings.pgs_per_osd_max()));
    if present + more > most {
        return Err(Error::invalid(format!(
            "{more} more copies of placement groups would make {} on {osds} OSDs; at most {} for each OSD are good, \
             so choose fewer placement groups",
            present + more,
            settings.pgs_per_osd_max()
        )));
    }
    Ok(())
}

pub(super) fn ls(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    if arguments.text_if("detail").is_some() {
        return answer_value(&map::views::pools(map));
    }
    let names: Vec<&str> = map.pools.values().map(|pool| pool.name.as_str()).collect();
    answer_value(&names)
}

pub(super) fn rm(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("pool");
    if !view.settings.is_pool_removal_allowed() {
        return Err(Error::denied("pool deletion is disabled; `config set mon mon_allow_pool_delete true` allows it"));
    }
    let Some(pool) = draft.map().pools.values().find(|pool| pool.name == name) else {
        return Ok(answer_status(format!("pool '{name}' does not exist")));
    };
    let confirmed = arguments.is_confirmed("yes_i_really_really_mean_it");
    if arguments.text_if("pool2") != Some(name) || !confirmed {
        return Err(Error::invalid(format!(
            "this destroys all data in pool '{name}' for ever; to do so, give its name twice and add \
             --yes-i-really-really-mean-it"
        )));
    }
    if pool.flags.contains(PoolFlags::NO_DELETE) {
        return Err(Error::denied(format!("pool '{name}' has nodelete set; unset it first")));
    }
    draft.change(Change::PoolRemove(pool.id))?;
    Ok(answer_status(format!("pool '{name}' removed")))
}

pub(super) fn rename(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (from, to) = (arguments.text("srcpool"), arguments.text("destpool"));
    check_name(to)?;
    let mut pool = Pool::clone(pool_by_name(draft.map(), from)?);
    if from != to && draft.map().pools.values().any(|other| other.name == to) {
        return Err(Error::exists(format!("pool '{to}' exists already")));
    }
    to.clone_into(&mut pool.name);
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    Ok(answer_status(format!("pool '{from}' renamed to '{to}'")))
}

fn setting(map: &ClusterMap, pool: &Pool, name: &str) -> Option<Value> {
    Some(match name {
        "size" => json!(pool.size),
        "min_size" => json!(pool.min_size),
        "pg_num" => json!(pool.pg_num),
        "pgp_num" => json!(pool.pgp_num),
        "crush_rule" => json!(map.crush.rule_name(pool.crush_rule)),
        "hashpspool" => json!(pool.flags.contains(PoolFlags::HASHPSPOOL)),
        "nodelete" => json!(pool.flags.contains(PoolFlags::NO_DELETE)),
        _ => return None,
    })
}

fn unknown_setting(name: &str) -> Error {
    match nearest(name, SETTINGS.iter().copied()) {
        Some(other) => Error::invalid(format!("a pool has no setting `{name}`; did you mean `{other}`?")),
        None => Error::invalid(format!("a pool has no setting `{name}`; there is {}", SETTINGS.join(", "))),
    }
}

pub(super) fn get(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let pool = pool_by_name(map, arguments.text("pool"))?;
    let wanted = arguments.text("var");
    let names: Vec<&str> = if wanted == "all" { SETTINGS.to_vec() } else { vec![wanted] };
    let mut answer = json!({ "pool": pool.name, "pool_id": pool.id });
    for name in names {
        answer[name] = setting(map, pool, name).ok_or_else(|| unknown_setting(name))?;
    }
    Ok(answer_json(&answer))
}

pub(super) fn set(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut pool = Pool::clone(pool_by_name(draft.map(), arguments.text("pool"))?);
    let (name, value) = (arguments.text("var"), arguments.text("val"));
    match name {
        "size" => return set_size(view, draft, pool, arguments),
        "min_size" => {
            let size = pool.size;
            pool.min_size = number(name, value, 1, size)?;
        }
        "crush_rule" => pool.crush_rule = rule_by_name(draft.map(), value)?,
        "nodelete" => {
            let flag = PoolFlags::NO_DELETE;
            pool.flags = if switch(name, value)? { pool.flags.with(flag) } else { pool.flags.without(flag) };
        }
        "pg_num" | "pgp_num" => {
            return Err(Error::invalid(format!(
                "{name} of pool '{}' is fixed at {}: this release does not split or merge placement groups; make a new pool",
                pool.name, pool.pg_num
            )));
        }
        "hashpspool" => return Err(Error::invalid("hashpspool is always on; without it pools would share placement")),
        other => return Err(unknown_setting(other)),
    }
    let sentence = format!("set pool {} {name} to {value}", pool.id);
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    Ok(answer_status(sentence))
}

fn set_size(view: &View<'_>, draft: &mut Draft, mut pool: Pool, arguments: &Arguments) -> Result<CommandAnswer> {
    let value = arguments.text("val");
    let size = number("size", value, 1, limits::POOL_SIZE_MAX)?;
    if size == 1 && pool.size != 1 && !arguments.is_confirmed("yes_i_really_mean_it") {
        return Err(Error::invalid(format!(
            "with size 1 a single device that breaks loses data of pool '{}'; add --yes-i-really-mean-it",
            pool.name
        )));
    }
    if size > pool.size {
        let more = u64::from(pool.pg_num) * u64::from(size - pool.size);
        check_pgs_per_osd(view.settings, draft.map(), more)?;
    }
    pool.size = size;
    pool.min_size = min_size_of(size);
    let id = pool.id;
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    // Exceptions that name more OSDs than the pool has copies now would be wrong; placement makes new ones if needed.
    let most = usize::try_from(size).unwrap_or(usize::MAX);
    let of_pool = |table: &BTreeMap<types::PgId, Vec<types::OsdId>>| {
        let longer = table.iter().filter(|(pg, set)| pg.pool == id && set.len() > most);
        longer.map(|(pg, _)| *pg).collect::<Vec<_>>()
    };
    let (temporary, upmaps) = (of_pool(&draft.map().pg_temp), of_pool(&draft.map().pg_upmap));
    for pg in temporary {
        draft.change(Change::PgTemp(pg, None))?;
    }
    for pg in upmaps {
        draft.change(Change::PgUpmap(pg, None))?;
    }
    Ok(answer_status(format!("set pool {id} size to {value}")))
}

fn number(name: &str, text: &str, min: u32, max: u32) -> Result<u32> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| Error::invalid(format!("{name} is `{text}`; it would be a whole number from {min} to {max}")))
}

fn switch(name: &str, text: &str) -> Result<bool> {
    match text {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Error::invalid(format!("{name} is `{text}`; it would be true or false"))),
    }
}

pub(super) fn set_quota(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut pool = Pool::clone(pool_by_name(draft.map(), arguments.text("pool"))?);
    let (field, value) = (arguments.text("field"), arguments.integer("val"));
    match field {
        "max_objects" => pool.quota_objects = value,
        _ => pool.quota_bytes = value,
    }
    let sentence = format!("set-quota {field} = {value} for pool {}", pool.name);
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    Ok(answer_status(sentence))
}

pub(super) fn get_quota(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let pool = pool_by_name(view.map.map(), arguments.text("pool"))?;
    Ok(answer_json(&json!({
        "pool_name": pool.name,
        "pool_id": pool.id,
        "quota_max_objects": pool.quota_objects,
        "quota_max_bytes": pool.quota_bytes,
    })))
}

pub(super) fn application_enable(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut pool = Pool::clone(pool_by_name(draft.map(), arguments.text("pool"))?);
    let app = arguments.text("app");
    hierarchy::check_bucket_name(app).map_err(|_| {
        Error::invalid(format!("`{app}` is no application; it would be rbd, rgw, cephfs or a word of your own"))
    })?;
    let others = pool.applications.keys().any(|other| other != app);
    if others && !arguments.is_confirmed("yes_i_really_mean_it") {
        return Err(Error::invalid(format!(
            "pool '{}' is for something else already; add --yes-i-really-mean-it to use it for {app} too",
            pool.name
        )));
    }
    pool.applications.entry(app.to_owned()).or_default();
    if pool.applications.len() > APPLICATIONS_MAX {
        return Err(Error::invalid(format!("a pool is for at most {APPLICATIONS_MAX} applications")));
    }
    let sentence = format!("enabled application '{app}' on pool '{}'", pool.name);
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    Ok(answer_status(sentence))
}

pub(super) fn application_disable(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut pool = Pool::clone(pool_by_name(draft.map(), arguments.text("pool"))?);
    let app = arguments.text("app");
    if !arguments.is_confirmed("yes_i_really_mean_it") {
        return Err(Error::invalid(format!(
            "clients of {app} may lose access to pool '{}'; add --yes-i-really-mean-it",
            pool.name
        )));
    }
    if pool.applications.remove(app).is_none() {
        return Ok(answer_status(format!("application '{app}' is not enabled on pool '{}'", pool.name)));
    }
    let sentence = format!("disabled application '{app}' on pool '{}'", pool.name);
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    Ok(answer_status(sentence))
}

pub(super) fn application_get(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let answer = match arguments.text_if("pool") {
        Some(name) => json!(pool_by_name(map, name)?.applications),
        None => super::view::object(map.pools.values().map(|pool| (pool.name.clone(), json!(pool.applications)))),
    };
    Ok(answer_json(&answer))
}

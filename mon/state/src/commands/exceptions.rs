//! Exceptions to placement: temporary sets and upmaps, as an operator or the balancer sets them.

use std::{collections::BTreeSet, sync::Arc};

use map::{Change, ClusterMap, Pool, UPMAP_ITEMS_PER_PG_MAX};
use types::{Error, OsdId, PgId, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    view::{View, answer_status},
};
use crate::draft::Draft;

fn pool_of(map: &ClusterMap, pg: PgId) -> Result<&Arc<Pool>> {
    let pool = map.pools.get(&pg.pool).ok_or_else(|| Error::not_found(format!("there is no pool {}", pg.pool)))?;
    if pg.seed >= pool.pg_num {
        return Err(Error::not_found(format!(
            "there is no placement group {pg}; pool `{}` has {} from {}.0 to {}.{:x}",
            pool.name,
            pool.pg_num,
            pg.pool,
            pg.pool,
            pool.pg_num - 1
        )));
    }
    Ok(pool)
}

fn check_osds(map: &ClusterMap, osds: &[OsdId]) -> Result<()> {
    match osds.iter().find(|osd| !map.osds.contains_key(osd)) {
        Some(osd) => Err(Error::not_found(format!("osd.{osd} does not exist"))),
        None => Ok(()),
    }
}

fn check_distinct(osds: &[OsdId]) -> Result<()> {
    let distinct: BTreeSet<&OsdId> = osds.iter().collect();
    if distinct.len() == osds.len() { Ok(()) } else { Err(Error::invalid("an OSD is named twice")) }
}

fn list(osds: &[OsdId]) -> String {
    let names: Vec<String> = osds.iter().map(OsdId::to_string).collect();
    format!("[{}]", names.join(","))
}

pub(super) fn pg_temp(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (pg, osds) = (arguments.pg("pgid"), arguments.osds("id"));
    let pool = pool_of(draft.map(), pg)?;
    if osds.len() > usize::try_from(pool.size).unwrap_or(usize::MAX) {
        return Err(Error::invalid(format!("{} OSDs are more than the pool's size of {}", osds.len(), pool.size)));
    }
    check_osds(draft.map(), osds)?;
    check_distinct(osds)?;
    draft.change(Change::PgTemp(pg, (!osds.is_empty()).then(|| osds.to_vec())))?;
    Ok(answer_status(format!("set {pg} pg_temp mapping to {}", list(osds))))
}

pub(super) fn primary_temp(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (pg, osd) = (arguments.pg("pgid"), arguments.osd("id"));
    pool_of(draft.map(), pg)?;
    check_osds(draft.map(), &[osd])?;
    draft.change(Change::PrimaryTemp(pg, Some(osd)))?;
    Ok(answer_status(format!("set {pg} primary_temp mapping to {osd}")))
}

pub(super) fn rm_primary_temp(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let pg = arguments.pg("pgid");
    pool_of(draft.map(), pg)?;
    draft.change(Change::PrimaryTemp(pg, None))?;
    Ok(answer_status(format!("clear {pg} primary_temp mapping")))
}

pub(super) fn pg_upmap(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (pg, osds) = (arguments.pg("pgid"), arguments.osds("id"));
    let pool = pool_of(draft.map(), pg)?;
    if osds.len() != usize::try_from(pool.size).unwrap_or(usize::MAX) {
        return Err(Error::invalid(format!(
            "{} OSDs are named, but pool `{}` has size {}",
            osds.len(),
            pool.name,
            pool.size
        )));
    }
    check_osds(draft.map(), osds)?;
    check_distinct(osds)?;
    draft.change(Change::PgUpmap(pg, Some(osds.to_vec())))?;
    Ok(answer_status(format!("set {pg} pg_upmap mapping to {}", list(osds))))
}

pub(super) fn rm_pg_upmap(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let pg = arguments.pg("pgid");
    pool_of(draft.map(), pg)?;
    draft.change(Change::PgUpmap(pg, None))?;
    Ok(answer_status(format!("clear {pg} pg_upmap mapping")))
}

pub(super) fn pg_upmap_items(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (pg, osds) = (arguments.pg("pgid"), arguments.osds("id"));
    pool_of(draft.map(), pg)?;
    if !osds.len().is_multiple_of(2) {
        return Err(Error::invalid(format!("{} OSDs make no pairs of from and to", osds.len())));
    }
    if osds.len() / 2 > UPMAP_ITEMS_PER_PG_MAX {
        return Err(Error::invalid(format!("{} pairs; at most {UPMAP_ITEMS_PER_PG_MAX}", osds.len() / 2)));
    }
    check_osds(draft.map(), osds)?;
    let pairs: Vec<(OsdId, OsdId)> = osds.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let froms: Vec<OsdId> = pairs.iter().map(|(from, _)| *from).collect();
    let tos: Vec<OsdId> = pairs.iter().map(|(_, to)| *to).collect();
    check_distinct(&froms)?;
    check_distinct(&tos)?;
    if let Some((same, _)) = pairs.iter().find(|(from, to)| from == to) {
        return Err(Error::invalid(format!("osd.{same} would be replaced by itself")));
    }
    let text: Vec<String> = pairs.iter().map(|(from, to)| format!("{from}->{to}")).collect();
    draft.change(Change::PgUpmapItems(pg, Some(pairs)))?;
    Ok(answer_status(format!("set {pg} pg_upmap_items mapping to [{}]", text.join(","))))
}

pub(super) fn rm_pg_upmap_items(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let pg = arguments.pg("pgid");
    pool_of(draft.map(), pg)?;
    draft.change(Change::PgUpmapItems(pg, None))?;
    Ok(answer_status(format!("clear {pg} pg_upmap_items mapping")))
}

pub(super) fn pg_upmap_primary(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (pg, osd) = (arguments.pg("pgid"), arguments.osd("id"));
    pool_of(draft.map(), pg)?;
    check_osds(draft.map(), &[osd])?;
    if !view.map.place(pg).up.contains(&Some(osd)) {
        return Err(Error::invalid(format!("osd.{osd} is not in the up set of {pg}")));
    }
    draft.change(Change::PgUpmapPrimary(pg, Some(osd)))?;
    Ok(answer_status(format!("change primary for pg {pg} to osd.{osd}")))
}

pub(super) fn rm_pg_upmap_primary(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let pg = arguments.pg("pgid");
    pool_of(draft.map(), pg)?;
    draft.change(Change::PgUpmapPrimary(pg, None))?;
    Ok(answer_status(format!("clear {pg} pg_upmap_primary mapping")))
}

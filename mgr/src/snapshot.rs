//! What the dashboard's page is told each second: the cluster at one moment, as JSON.
//!
//! Owns: the fields' names, which `mgr/dashboard/src/` reads. Pure: map, figures and the monitors' word in, values out.

use std::collections::BTreeMap;

use map::{ClusterFlags, PublishedMap};
use serde::Serialize;
use types::{OsdId, PoolId, Time};
use wire::{IoCounters, OsdStatistics, PgStateFlags};

use crate::{
    buckets::BucketRow,
    collector::{Figures, PoolFigures},
    history::Point,
    standing::{HealthCheck, Standing},
};

/// Placement groups drawn one by one; beyond it only states are counted. As many squares fill a large screen.
const PGS_DRAWN_MAX: usize = 16_384;
/// Placement groups that need care, listed with what is wrong.
const PGS_LISTED_MAX: usize = 50;

/// Everything that the page shows, but the past.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot<'a> {
    cluster: String,
    version: &'static str,
    epoch: u32,
    flags: Vec<&'static str>,
    health: Health<'a>,
    monitors: Vec<Monitor<'a>>,
    managers: Vec<Manager<'a>>,
    capacity: Capacity,
    io: Point,
    copies: u64,
    unfound: u64,
    tree: Vec<TreeRow<'a>>,
    pools: Vec<PoolRow<'a>>,
    states: Vec<StateRow>,
    /// Per pool and placement group the place of its state among `states`; `None` when there are too many to draw.
    grid: Option<Vec<Vec<usize>>>,
    unclean: Vec<UncleanRow>,
    unclean_count: usize,
    buckets: Option<&'a [BucketRow]>,
}

#[derive(Debug, Serialize)]
struct Health<'a> {
    /// `None` until the monitors answered once.
    status: Option<&'a str>,
    checks: &'a [HealthCheck],
    /// How old the monitors' answer is, in milliseconds.
    age_ms: Option<u128>,
}

#[derive(Debug, Serialize)]
struct Monitor<'a> {
    name: &'a str,
    address: String,
    in_quorum: bool,
    leads: bool,
}

#[derive(Debug, Serialize)]
struct Manager<'a> {
    name: &'a str,
    active: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Capacity {
    total: u64,
    used: u64,
    stored: u64,
    objects: u64,
}

/// A bucket or an OSD of the CRUSH hierarchy; rows come in the order of a tree that is written down.
#[derive(Debug, Serialize)]
struct TreeRow<'a> {
    name: String,
    kind: &'a str,
    depth: usize,
    /// 1.0 for each TiB.
    weight: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    osd: Option<OsdRow<'a>>,
}

#[derive(Debug, Serialize)]
struct OsdRow<'a> {
    id: u32,
    up: bool,
    #[serde(rename = "in")]
    inside: bool,
    reweight: f64,
    class: &'a str,
    total: u64,
    used: u64,
    pgs: u32,
    commit_us: u64,
    slow_ops: u32,
}

#[derive(Debug, Serialize)]
struct PoolRow<'a> {
    id: u64,
    name: &'a str,
    size: u32,
    min_size: u32,
    pg_num: u32,
    rule: &'a str,
    objects: u64,
    stored: u64,
    used: u64,
    available: u64,
    rates: Rates,
    /// Groups that are neither clean nor only being scrubbed.
    unclean: usize,
}

#[derive(Debug, Serialize)]
struct Rates {
    read_ops: u64,
    read_bytes: u64,
    write_ops: u64,
    write_bytes: u64,
}

impl From<IoCounters> for Rates {
    fn from(rates: IoCounters) -> Self {
        let IoCounters { read_ops, read_bytes, write_ops, write_bytes, .. } = rates;
        Self { read_ops, read_bytes, write_ops, write_bytes }
    }
}

#[derive(Debug, Serialize)]
struct StateRow {
    name: String,
    count: u32,
    /// What colour it has: `clean`, `busy`, `degraded`, `stuck` or `unknown`.
    mood: &'static str,
}

#[derive(Debug, Serialize)]
struct UncleanRow {
    pg: String,
    state: String,
    acting: Vec<u32>,
    objects: u64,
    degraded: u64,
    misplaced: u64,
    unfound: u64,
}

/// How a state is shown. The worst that is in it decides.
fn mood(state: PgStateFlags) -> &'static str {
    let has_one_of = |flags: &[PgStateFlags]| flags.iter().any(|flag| state.contains(*flag));
    if state == PgStateFlags::default() {
        return "unknown";
    }
    let stuck = [PgStateFlags::STALE, PgStateFlags::DOWN, PgStateFlags::INCOMPLETE, PgStateFlags::INCONSISTENT];
    if has_one_of(&stuck)
        || !state.contains(PgStateFlags::ACTIVE) && !has_one_of(&[PgStateFlags::CREATING, PgStateFlags::PEERING])
    {
        "stuck"
    } else if has_one_of(&[PgStateFlags::DEGRADED, PgStateFlags::UNDERSIZED]) {
        "degraded"
    } else if state.is_healthy() {
        "clean"
    } else {
        "busy"
    }
}

/// What a snapshot is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub now: Time,
    pub map: &'a PublishedMap,
    pub figures: &'a Figures,
    pub standing: Option<&'a Standing>,
    pub buckets: Option<&'a [BucketRow]>,
    pub point: Point,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn of(sources: &Sources<'a>) -> Self {
        let Sources { map, figures, standing, .. } = *sources;
        let digest = &figures.digest;
        let osds: BTreeMap<OsdId, &OsdStatistics> = digest.osds.iter().map(|osd| (osd.osd, osd)).collect();
        let capacity = capacity(figures);
        let states: Vec<StateRow> = digest
            .pg_states
            .iter()
            .map(|(state, count)| StateRow { name: state.to_string(), count: *count, mood: mood(*state) })
            .collect();
        Self {
            cluster: map.cluster.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            epoch: map.epoch().0,
            flags: ClusterFlags::names(map.flags).collect(),
            health: Health {
                status: standing.map(|standing| standing.status.as_str()),
                checks: standing.map_or(&[], |standing| &standing.checks),
                age_ms: standing.map(|standing| sources.now.since(standing.at).as_millis()),
            },
            monitors: monitors(map, standing),
            managers: managers(map),
            capacity,
            io: sources.point,
            copies: digest.copies,
            unfound: digest.unfound_objects,
            tree: tree(map, &osds),
            pools: pools(map, figures, capacity),
            grid: grid(figures),
            states,
            unclean: unclean(figures),
            unclean_count: digest.pgs_not_clean.iter().filter(|pg| !pg.state.is_healthy()).count(),
            buckets: sources.buckets,
        }
    }
}

fn capacity(figures: &Figures) -> Capacity {
    let sum = |of: fn(&OsdStatistics) -> u64| figures.digest.osds.iter().map(of).sum();
    Capacity {
        total: sum(|osd| osd.usage.total_bytes),
        used: sum(|osd| osd.usage.used_bytes),
        stored: figures.pools.values().map(|pool| pool.bytes).sum(),
        objects: figures.pools.values().map(|pool| pool.objects).sum(),
    }
}

fn monitors<'a>(map: &'a PublishedMap, standing: Option<&Standing>) -> Vec<Monitor<'a>> {
    let monitor = |entry: &'a map::MonitorEntry| Monitor {
        name: &entry.name,
        address: entry.address.to_string(),
        in_quorum: standing.is_some_and(|standing| standing.quorum.contains(&entry.name)),
        leads: standing.is_some_and(|standing| standing.leader.as_ref() == Some(&entry.name)),
    };
    map.map().monitors.values().map(monitor).collect()
}

fn managers(map: &PublishedMap) -> Vec<Manager<'_>> {
    let managers = &map.map().managers;
    let active = managers.active.iter().map(|entry| Manager { name: &entry.name, active: true });
    let standbys = managers.standbys.keys().map(|name| Manager { name, active: false });
    active.chain(standbys).collect()
}

fn tree<'a>(map: &'a PublishedMap, osds: &BTreeMap<OsdId, &OsdStatistics>) -> Vec<TreeRow<'a>> {
    let crush = &map.map().crush;
    let rows = crush.tree(false).into_iter().map(|row| {
        let osd = u32::try_from(row.item).ok();
        let name = || crush.name(row.item).unwrap_or_default().to_owned();
        TreeRow {
            name: osd.map_or_else(name, |osd| format!("osd.{osd}")),
            kind: crush.item_type(row.item).and_then(|kind| crush.type_name(kind)).unwrap_or_default(),
            depth: row.depth,
            weight: f64::from(row.weight) / 65_536.0,
            osd: osd.map(|osd| osd_row(map, osds, OsdId(osd), crush.class_of(row.item).unwrap_or_default())),
        }
    });
    rows.collect()
}

fn osd_row<'a>(map: &PublishedMap, osds: &BTreeMap<OsdId, &OsdStatistics>, id: OsdId, class: &'a str) -> OsdRow<'a> {
    let state = map.map().osds.get(&id);
    let said = osds.get(&id);
    let is_up = state.is_some_and(|state| state.up);
    OsdRow {
        id: id.0,
        up: is_up,
        inside: state.is_some_and(map::OsdState::is_in),
        reweight: state.map_or(0.0, |state| f64::from(state.weight.0) / 65_536.0),
        class,
        total: said.map_or(0, |said| said.usage.total_bytes),
        used: said.map_or(0, |said| said.usage.used_bytes),
        pgs: said.map_or(0, |said| said.pgs),
        commit_us: said.filter(|_| is_up).map_or(0, |said| said.commit_latency_microseconds),
        slow_ops: said.filter(|_| is_up).map_or(0, |said| said.slow_ops),
    }
}

fn pools<'a>(map: &'a PublishedMap, figures: &Figures, capacity: Capacity) -> Vec<PoolRow<'a>> {
    let nothing = PoolFigures::default();
    let row = |(id, pool): (&PoolId, &'a std::sync::Arc<map::Pool>)| {
        let own = figures.pools.get(id).unwrap_or(&nothing);
        PoolRow {
            id: id.0,
            name: &pool.name,
            size: pool.size,
            min_size: pool.min_size,
            pg_num: pool.pg_num,
            rule: map.map().crush.rule_name(pool.crush_rule).unwrap_or_default(),
            objects: own.objects,
            stored: own.bytes,
            used: own.bytes.saturating_mul(u64::from(pool.size)),
            available: capacity.total.saturating_sub(capacity.used) / u64::from(pool.size.max(1)),
            rates: own.rates.into(),
            unclean: own.states.iter().filter(|state| !state.is_healthy()).count(),
        }
    };
    map.map().pools.iter().map(row).collect()
}

fn grid(figures: &Figures) -> Option<Vec<Vec<usize>>> {
    let count: usize = figures.pools.values().map(|pool| pool.states.len()).sum();
    if count > PGS_DRAWN_MAX {
        return None;
    }
    let places: BTreeMap<PgStateFlags, usize> =
        figures.digest.pg_states.iter().enumerate().map(|(place, (state, _))| (*state, place)).collect();
    let of_pool = |pool: &PoolFigures| pool.states.iter().filter_map(|state| places.get(state).copied()).collect();
    Some(figures.pools.values().map(of_pool).collect())
}

fn unclean(figures: &Figures) -> Vec<UncleanRow> {
    let rows = figures.digest.pgs_not_clean.iter().filter(|pg| !pg.state.is_healthy()).take(PGS_LISTED_MAX);
    rows.map(|pg| UncleanRow {
        pg: pg.pg.to_string(),
        state: pg.state.to_string(),
        acting: pg.acting.iter().map(|osd| osd.0).collect(),
        objects: pg.objects,
        degraded: pg.degraded_copies,
        misplaced: pg.misplaced_copies,
        unfound: pg.unfound_objects,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Collector, sample};

    #[test]
    fn the_page_is_told_what_the_map_and_the_reports_say() {
        let map = sample::map();
        let mut collector = Collector::default();
        let now = Time::from_milliseconds(10_000);
        collector.note(now, sample::report(OsdId(0), &map, 0));
        let figures = collector.figures(now, &map);
        let point = Point::of(1, &figures.digest);
        let sources = Sources { now, map: &map, figures: &figures, standing: None, buckets: None, point };
        let shown = serde_json::to_value(Snapshot::of(&sources)).unwrap();
        assert_eq!(shown["capacity"], json!({ "total": 1 << 30, "used": 1 << 28, "stored": 16_384, "objects": 40 }));
        let names: Vec<&str> =
            shown["tree"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(names, ["default", "host0", "osd.0", "osd.2", "host1", "osd.1"]);
        assert_eq!(shown["tree"][3]["osd"]["up"], false);
        assert_eq!(shown["managers"], json!([{ "name": "x", "active": true }, { "name": "y", "active": false }]));
        assert_eq!(shown["grid"][0].as_array().unwrap().len(), 4);
        let counted: u64 = shown["states"].as_array().unwrap().iter().filter_map(|row| row["count"].as_u64()).sum();
        assert_eq!(counted, 4);
        assert_eq!(shown["health"]["status"], json!(null));
    }

    #[test]
    fn the_worst_flag_gives_the_mood() {
        let active = PgStateFlags::ACTIVE;
        let clean = active.with(PgStateFlags::CLEAN);
        assert_eq!(mood(clean), "clean");
        assert_eq!(mood(clean.with(PgStateFlags::SCRUBBING)), "clean");
        assert_eq!(mood(active.with(PgStateFlags::REMAPPED).with(PgStateFlags::BACKFILLING)), "busy");
        assert_eq!(mood(active.with(PgStateFlags::UNDERSIZED)), "degraded");
        assert_eq!(mood(clean.with(PgStateFlags::INCONSISTENT)), "stuck");
        assert_eq!(mood(PgStateFlags::PEERED.with(PgStateFlags::UNDERSIZED)), "stuck");
        assert_eq!(mood(PgStateFlags::PEERING), "busy");
        assert_eq!(mood(PgStateFlags::default()), "unknown");
    }
}

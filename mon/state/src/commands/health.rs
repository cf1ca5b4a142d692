//! What is wrong, as functions of the replicated state and the leader's memory, under Ceph's codes.
//!
//! Owns: the list of checks. Each check is one function that finds nothing or one [`Check`]. Does not know: what was
//! wrong before (`services/health.rs`), or how mutes come and go (`health_mute.rs`).

use std::collections::BTreeMap;

use map::{ClusterFlags, PoolFlags};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::Result;
use wire::{CommandAnswer, PgStateFlags, PgStatistics};

use super::{
    Arguments, df, health_mute, mon, osd_state,
    view::{View, answer_json, object, pool_name},
};
use crate::services::quotas;

/// Lines of detail of one check; the count says how many there are in all.
const DETAIL_MAX: usize = 50;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Severity {
    Warning,
    Error,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Warning => "HEALTH_WARN",
            Self::Error => "HEALTH_ERR",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub code: &'static str,
    pub severity: Severity,
    pub summary: String,
    pub count: u64,
    pub detail: Vec<String>,
}

impl Check {
    fn new(code: &'static str, severity: Severity, summary: String, detail: Vec<String>) -> Self {
        let count = u64::try_from(detail.len()).unwrap_or(u64::MAX);
        Self { code, severity, summary, count, detail: detail.into_iter().take(DETAIL_MAX).collect() }
    }
}

/// The codes of all checks.
pub(crate) const CODES: &[&str] = &[
    "MGR_DIGEST_STALE",
    "MGR_DOWN",
    "MON_DOWN",
    "OBJECT_UNFOUND",
    "OSDMAP_FLAGS",
    "OSD_BACKFILLFULL",
    "OSD_DOWN",
    "OSD_FULL",
    "OSD_HOST_DOWN",
    "OSD_NEARFULL",
    "PG_AVAILABILITY",
    "PG_DAMAGED",
    "PG_DEGRADED",
    "POOL_FULL",
    "SLOW_OPS",
    "TOO_FEW_OSDS",
];

/// Everything that is wrong, in order of codes.
pub(crate) fn checks(view: &View<'_>) -> Vec<Check> {
    let mut checks: Vec<Check> = [
        mon_down(view),
        mgr_down(view),
        osd_down(view),
        osd_host_down(view),
        osdmap_flags(view),
        too_few_osds(view),
        osd_full(view, "OSD_FULL", Severity::Error),
        osd_full(view, "OSD_BACKFILLFULL", Severity::Warning),
        osd_full(view, "OSD_NEARFULL", Severity::Warning),
        slow_ops(view),
        pg_statistics_stale(view),
        pg_availability(view),
        pg_degraded(view),
        pg_damaged(view),
        osd_scrub_errors(view),
        object_unfound(view),
        pool_full(view),
    ]
    .into_iter()
    .flatten()
    .collect();
    checks.sort_by_key(|check| check.code);
    checks
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn mon_down(view: &View<'_>) -> Option<Check> {
    let monitors = &view.map.map().monitors;
    let quorum = &view.memory.quorum.members;
    if quorum.is_empty() {
        return None;
    }
    let detail: Vec<String> = monitors
        .iter()
        .filter(|(id, _)| !quorum.contains(id))
        .map(|(id, monitor)| {
            format!("mon.{} (rank {id}) addr {} is down (out of quorum)", monitor.name, monitor.address)
        })
        .collect();
    let summary =
        format!("{}/{} mons down, quorum {}", detail.len(), monitors.len(), mon::quorum_names(view).join(","));
    (!detail.is_empty()).then(|| Check::new("MON_DOWN", Severity::Warning, summary, detail))
}

fn mgr_down(view: &View<'_>) -> Option<Check> {
    let managers = &view.map.map().managers;
    // A cluster without any OSD has nothing to collect and is not blamed for having no manager.
    if managers.active.is_some() || view.map.map().osds.is_empty() {
        return None;
    }
    Some(Check::new(
        "MGR_DOWN",
        Severity::Warning,
        "no active mgr".to_owned(),
        vec!["no manager sent a beacon".to_owned()],
    ))
}

fn osd_down(view: &View<'_>) -> Option<Check> {
    let map = view.map.map();
    let detail: Vec<String> = map
        .osds
        .iter()
        .filter(|(_, osd)| !osd.up && osd.is_in())
        .map(|(id, osd)| format!("osd.{id} (host={}) is down", osd.host))
        .collect();
    let summary = format!("{} down", plural(detail.len(), "osds", "osds"));
    (!detail.is_empty()).then(|| Check::new("OSD_DOWN", Severity::Warning, summary, detail))
}

fn osd_host_down(view: &View<'_>) -> Option<Check> {
    let mut hosts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for osd in view.map.map().osds.values().filter(|osd| osd.is_in()) {
        let (count, up) = hosts.entry(osd.host.as_str()).or_default();
        *count += 1;
        *up += usize::from(osd.up);
    }
    let detail: Vec<String> = hosts
        .iter()
        .filter(|(_, (_, up))| *up == 0)
        .map(|(host, (count, _))| format!("host {host} ({}) is down", plural(*count, "osd", "osds")))
        .collect();
    let summary = format!("{} down", plural(detail.len(), "host", "hosts"));
    (!detail.is_empty()).then(|| Check::new("OSD_HOST_DOWN", Severity::Warning, summary, detail))
}

fn osdmap_flags(view: &View<'_>) -> Option<Check> {
    let flags = view.map.map().flags;
    if flags == ClusterFlags::default() {
        return None;
    }
    let names = osd_state::flag_names(flags);
    let detail = names.split(',').map(|name| format!("flag {name} is set")).collect();
    Some(Check::new("OSDMAP_FLAGS", Severity::Warning, format!("{names} flag(s) set"), detail))
}

fn too_few_osds(view: &View<'_>) -> Option<Check> {
    let map = view.map.map();
    let largest = map.pools.values().map(|pool| pool.size).max().unwrap_or(0);
    let wanted = usize::try_from(largest.max(view.settings.pool_default_size())).unwrap_or(usize::MAX);
    if map.osds.len() >= wanted {
        return None;
    }
    let summary = format!("OSD count {} < osd_pool_default_size {wanted}", map.osds.len());
    Some(Check::new("TOO_FEW_OSDS", Severity::Warning, summary.clone(), vec![summary]))
}

fn osd_full(view: &View<'_>, code: &'static str, severity: Severity) -> Option<Check> {
    let ratios = view.map.map().full_ratios;
    let (from, below, word) = match code {
        "OSD_FULL" => (ratios.full_permille, u32::MAX, "full"),
        "OSD_BACKFILLFULL" => (ratios.backfillfull_permille, ratios.full_permille, "backfillfull"),
        _ => (ratios.nearfull_permille, ratios.backfillfull_permille, "near full"),
    };
    let permille = |usage: &types::StoreUsage| match usage.total_bytes {
        0 => 0,
        total => u128::from(usage.used_bytes) * 1000 / u128::from(total),
    };
    let detail: Vec<String> = df::usages(view)
        .iter()
        .filter(|(_, usage)| (u128::from(from)..u128::from(below)).contains(&permille(usage)) && usage.total_bytes > 0)
        .map(|(id, usage)| format!("osd.{id} is {word}: {} of 1000 used", permille(usage)))
        .collect();
    let summary = format!("{} {word}", plural(detail.len(), "osd(s)", "osd(s)"));
    (!detail.is_empty()).then(|| Check::new(code, severity, summary, detail))
}

fn slow_ops(view: &View<'_>) -> Option<Check> {
    let digest = view.fresh_digest()?;
    let slow: Vec<_> = digest.osds.iter().filter(|osd| osd.slow_ops > 0).collect();
    let total: u64 = slow.iter().map(|osd| u64::from(osd.slow_ops)).sum();
    let detail: Vec<String> = slow.iter().map(|osd| format!("osd.{} has {} slow ops", osd.osd, osd.slow_ops)).collect();
    let summary = format!("{total} slow ops, {} affected", plural(detail.len(), "osd", "osds"));
    (!detail.is_empty()).then(|| Check::new("SLOW_OPS", Severity::Warning, summary, detail))
}

/// Nobody knows how the placement groups are. Ceph shows them as `unknown` under PG_AVAILABILITY.
fn pg_statistics_stale(view: &View<'_>) -> Option<Check> {
    if view.fresh_digest().is_some() || view.pg_count() == 0 {
        return None;
    }
    let sentence = match view.digest_age_ms() {
        Some(age_ms) => format!("the manager's figures are {} s old", age_ms / 1000),
        None => "the manager sent no figures since the leading monitor began".to_owned(),
    };
    let summary = format!("state of {} pgs unknown", view.pg_count());
    Some(Check::new("MGR_DIGEST_STALE", Severity::Warning, summary, vec![sentence]))
}

fn describe(view: &View<'_>, row: &PgStatistics) -> String {
    let acting: Vec<String> = row.acting.iter().map(ToString::to_string).collect();
    format!(
        "pg {} of pool '{}' is {}, acting [{}]",
        row.pg,
        pool_name(view.map.map(), row.pg.pool),
        row.state,
        acting.join(",")
    )
}

/// One check over the groups for whose state `is` holds; the states' counts decide, the listed groups are the detail.
fn pg_check(
    view: &View<'_>,
    code: &'static str,
    severity: Severity,
    what: &str,
    is: impl Fn(PgStateFlags) -> bool,
) -> Option<Check> {
    let digest = view.fresh_digest()?;
    let count: u64 = digest.pg_states.iter().filter(|(state, _)| is(*state)).map(|(_, count)| u64::from(*count)).sum();
    if count == 0 {
        return None;
    }
    let rows = digest.pgs_not_clean.iter().filter(|row| is(row.state));
    let detail: Vec<String> = rows.map(|row| describe(view, row)).take(DETAIL_MAX).collect();
    Some(Check { code, severity, summary: format!("{what}: {count} pgs {}", pg_words(view, &is)), count, detail })
}

/// `undersized, degraded`: the words that occur among the groups for which `is` holds.
fn pg_words(view: &View<'_>, is: &impl Fn(PgStateFlags) -> bool) -> String {
    let mut all = PgStateFlags::default();
    for (state, _) in view.fresh_digest().iter().flat_map(|digest| &digest.pg_states).filter(|(state, _)| is(*state)) {
        all = all.with(*state);
    }
    let quiet = [PgStateFlags::ACTIVE, PgStateFlags::CLEAN];
    let names: Vec<&str> = PgStateFlags::NAMES
        .iter()
        .filter(|(_, flag)| all.contains(*flag) && !quiet.contains(flag))
        .map(|(name, _)| *name)
        .collect();
    if names.is_empty() { "unknown".to_owned() } else { names.join(", ") }
}

fn pg_availability(view: &View<'_>) -> Option<Check> {
    let reported: u64 = view.fresh_digest()?.pg_states.iter().map(|(_, count)| u64::from(*count)).sum();
    let unknown = view.pg_count().saturating_sub(reported);
    let is = |state: PgStateFlags| !state.contains(PgStateFlags::ACTIVE) || state.contains(PgStateFlags::STALE);
    let known = pg_check(view, "PG_AVAILABILITY", Severity::Warning, "Reduced data availability", is);
    match (known, unknown) {
        (known, 0) => known,
        (Some(mut check), unknown) => {
            check.count += unknown;
            check.summary += &format!(", {unknown} unknown");
            Some(check)
        }
        (None, unknown) => {
            let summary = format!("Reduced data availability: {unknown} pgs unknown");
            let detail = vec![format!("{unknown} pgs were reported by no OSD")];
            Some(Check { code: "PG_AVAILABILITY", severity: Severity::Warning, summary, count: unknown, detail })
        }
    }
}

fn pg_degraded(view: &View<'_>) -> Option<Check> {
    let digest = view.fresh_digest()?;
    let what = format!("Degraded data redundancy: {}/{} objects degraded", digest.degraded_copies, digest.copies);
    pg_check(view, "PG_DEGRADED", Severity::Warning, &what, |state| {
        state.contains(PgStateFlags::DEGRADED) || state.contains(PgStateFlags::UNDERSIZED)
    })
}

fn pg_damaged(view: &View<'_>) -> Option<Check> {
    pg_check(view, "PG_DAMAGED", Severity::Error, "Possible data damage", |state| {
        state.contains(PgStateFlags::INCONSISTENT)
    })
}

fn osd_scrub_errors(view: &View<'_>) -> Option<Check> {
    let digest = view.fresh_digest()?;
    if digest.scrub_errors == 0 {
        return None;
    }
    let errors = |row: &PgStatistics| row.scrub.as_ref().map_or(0, |scrub| scrub.errors);
    let rows = digest.pgs_not_clean.iter().filter(|row| errors(row) > 0);
    let detail = rows.map(|row| format!("pg {} has {} inconsistent objects", row.pg, errors(row))).collect();
    let summary = format!("{} scrub errors", digest.scrub_errors);
    let mut check = Check::new("OSD_SCRUB_ERRORS", Severity::Error, summary, detail);
    check.count = digest.scrub_errors;
    Some(check)
}

fn object_unfound(view: &View<'_>) -> Option<Check> {
    let digest = view.fresh_digest()?;
    if digest.unfound_objects == 0 {
        return None;
    }
    let rows = digest.pgs_not_clean.iter().filter(|row| row.unfound_objects > 0);
    let detail = rows.map(|row| format!("pg {} has {} unfound objects", row.pg, row.unfound_objects)).collect();
    let summary = format!("{} objects unfound", digest.unfound_objects);
    let mut check = Check::new("OBJECT_UNFOUND", Severity::Error, summary, detail);
    check.count = digest.unfound_objects;
    Some(check)
}

fn pool_full(view: &View<'_>) -> Option<Check> {
    let full = view.map.map().pools.values().filter(|pool| pool.flags.contains(PoolFlags::FULL_QUOTA));
    let detail: Vec<String> =
        full.map(|pool| format!("pool '{}' is full (reached its quota{})", pool.name, quotas::bounds(pool))).collect();
    let summary = format!("{} full", plural(detail.len(), "pool(s)", "pool(s)"));
    (!detail.is_empty()).then(|| Check::new("POOL_FULL", Severity::Warning, summary, detail))
}

/// Ceph's `health` object.
pub(super) fn health_json(view: &View<'_>) -> Result<Value> {
    let mutes = health_mute::mutes(view.state)?;
    let checks = checks(view);
    let counting = checks.iter().filter(|check| !mutes.contains_key(check.code));
    let worst = counting.map(|check| check.severity).max();
    let checks = checks.iter().map(|check| {
        let detail: Vec<Value> = check.detail.iter().map(|message| json!({ "message": message })).collect();
        let value = json!({
            "severity": check.severity.name(),
            "summary": { "message": check.summary, "count": check.count },
            "detail": detail,
            "muted": mutes.contains_key(check.code),
        });
        (check.code.to_owned(), value)
    });
    Ok(json!({
        "status": worst.map_or("HEALTH_OK", Severity::name),
        "checks": object(checks),
        "mutes": health_mute::mutes_json(&mutes),
    }))
}

pub(super) fn health(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    Ok(answer_json(&health_json(view)?))
}

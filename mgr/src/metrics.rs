//! `/metrics`: the cluster under the names that Ceph's manager gives its figures, for everything that exists here.
//!
//! Owns: the names. A name that Ceph has means what it means there, so that rules and dashboards written for Ceph go on
//! working; what does not exist here has no sample rather than a zero. Names of our own begin with `ika_` or are those
//! that every process exports.

mod exposition;

use std::time::Duration;

use map::{ClusterFlags, ClusterMap, PublishedMap};
use telemetry::ProcessStatistics;
use types::OsdId;
use wire::{OsdStatistics, PgStateFlags};

use crate::{
    collector::{Figures, PoolFigures},
    standing::Standing,
};
use exposition::{Exposition, Kind};

/// Flags of the whole cluster that have a figure each, as in Ceph's `OSD_FLAGS`.
const FLAGS: [&str; 9] =
    ["noup", "nodown", "noout", "noin", "nobackfill", "norebalance", "norecover", "noscrub", "nodeep-scrub"];

/// What Ceph's exporters call this software's release.
const VERSION: &str = concat!("ika version ", env!("CARGO_PKG_VERSION"));

/// This process's own figures: what a manager on standby has to tell.
pub(crate) fn process_text(process: Option<&ProcessStatistics>, is_active: bool) -> String {
    let mut text = Exposition::default();
    own(&mut text, process, is_active);
    text.finish()
}

/// Everything that the working manager knows.
pub(crate) fn cluster_text(
    process: Option<&ProcessStatistics>,
    map: &PublishedMap,
    figures: &Figures,
    standing: Option<&Standing>,
) -> String {
    let mut text = Exposition::default();
    own(&mut text, process, true);
    health(&mut text, figures, standing);
    daemons(&mut text, map, standing);
    capacity(&mut text, figures);
    osds(&mut text, map, figures);
    placement_groups(&mut text, figures);
    pools(&mut text, map, figures);
    text.finish()
}

fn own(text: &mut Exposition, process: Option<&ProcessStatistics>, is_active: bool) {
    text.family("ika_mgr_active", Kind::Gauge, "Whether this manager collects; the others stand by")
        .sample(&[], u8::from(is_active));
    let Some(process) = process else { return };
    let seconds = |time: Duration| time.as_secs_f64();
    text.family("process_cpu_seconds_total", Kind::Counter, "Processor time of this manager")
        .sample(&[], seconds(process.cpu_time()));
    text.family("process_resident_memory_bytes", Kind::Gauge, "Memory of this manager that is in RAM")
        .sample(&[], process.resident_bytes);
    text.family("process_threads", Kind::Gauge, "Threads of this manager").sample(&[], process.threads);
}

fn health(text: &mut Exposition, figures: &Figures, standing: Option<&Standing>) {
    if let Some(standing) = standing {
        let status = match standing.status.as_str() {
            "HEALTH_OK" => 0,
            "HEALTH_WARN" => 1,
            _ => 2,
        };
        text.family("ceph_health_status", Kind::Gauge, "Cluster health: 0 is HEALTH_OK, 1 HEALTH_WARN, 2 HEALTH_ERR")
            .sample(&[], status);
        let mut family =
            text.family("ceph_health_detail", Kind::Gauge, "Checks that do not hold, by name; 0 when muted");
        for check in &standing.checks {
            let labels: [exposition::Label<'_>; 2] = [("name", &check.code), ("severity", &check.severity)];
            family.sample(&labels, u8::from(!check.muted));
        }
    }
    let slow: u64 = figures.digest.osds.iter().map(|osd| u64::from(osd.slow_ops)).sum();
    text.family("ceph_healthcheck_slow_ops", Kind::Gauge, "Client operations that wait for more than 30 seconds")
        .sample(&[], slow);
    let mut family = text.family("ceph_daemon_health_metrics", Kind::Gauge, "Health of single daemons, by type");
    for osd in &figures.digest.osds {
        family.sample(&[("type", &"SLOW_OPS"), ("ceph_daemon", &format_args!("osd.{}", osd.osd))], osd.slow_ops);
    }
}

fn daemons(text: &mut Exposition, map: &ClusterMap, standing: Option<&Standing>) {
    if let Some(standing) = standing {
        let mut family = text.family("ceph_mon_quorum_status", Kind::Gauge, "Whether the monitor is in quorum");
        for monitor in map.monitors.values() {
            let daemon = format_args!("mon.{}", monitor.name).to_string();
            family.sample(&[("ceph_daemon", &daemon)], u8::from(standing.quorum.contains(&monitor.name)));
        }
    }
    let mut family = text.family("ceph_mon_metadata", Kind::Gauge, "Monitors");
    for (rank, monitor) in &map.monitors {
        let daemon = format!("mon.{}", monitor.name);
        let address = monitor.address.ip();
        let labels: [exposition::Label<'_>; 5] = [
            ("ceph_daemon", &daemon),
            ("hostname", &address),
            ("public_addr", &address),
            ("rank", rank),
            ("ceph_version", &VERSION),
        ];
        family.sample(&labels, 1);
    }
    let managers: Vec<_> = map
        .managers
        .active
        .iter()
        .map(|entry| (entry, 1))
        .chain(map.managers.standbys.values().map(|entry| (entry, 0)))
        .map(|(entry, active)| (format!("mgr.{}", entry.name), entry.address.ip(), active))
        .collect();
    let mut family = text.family("ceph_mgr_metadata", Kind::Gauge, "Managers");
    for (daemon, address, _) in &managers {
        family.sample(&[("ceph_daemon", daemon), ("hostname", address), ("ceph_version", &VERSION)], 1);
    }
    let mut family = text.family("ceph_mgr_status", Kind::Gauge, "Whether the manager is active (1) or stands by (0)");
    for (daemon, _, active) in &managers {
        family.sample(&[("ceph_daemon", daemon)], active);
    }
    for name in ["ceph_mgr_module_status", "ceph_mgr_module_can_run"] {
        let mut family = text.family(name, Kind::Gauge, "Parts of the manager: all are always on here");
        for module in ["dashboard", "prometheus"] {
            family.sample(&[("name", &module)], 1);
        }
    }
}

fn capacity(text: &mut Exposition, figures: &Figures) {
    let sum = |of: fn(&OsdStatistics) -> u64| figures.digest.osds.iter().map(of).sum::<u64>();
    let used = sum(|osd| osd.usage.used_bytes);
    text.family("ceph_cluster_total_bytes", Kind::Gauge, "Bytes of all devices")
        .sample(&[], sum(|osd| osd.usage.total_bytes));
    text.family("ceph_cluster_total_used_bytes", Kind::Gauge, "Bytes in use on all devices").sample(&[], used);
    text.family("ceph_cluster_total_used_raw_bytes", Kind::Gauge, "Bytes in use on all devices, all copies counted")
        .sample(&[], used);
    for (name, help, value) in [
        ("ceph_num_objects_degraded", "Copies that are missing", figures.digest.degraded_copies),
        ("ceph_num_objects_misplaced", "Copies that are not where they belong", figures.digest.misplaced_copies),
        ("ceph_num_objects_unfound", "Objects of which no good copy is found", figures.digest.unfound_objects),
    ] {
        text.family(name, Kind::Gauge, help).sample(&[], value);
    }
}

fn osds(text: &mut Exposition, map: &ClusterMap, figures: &Figures) {
    let daemon = |osd: &OsdId| format!("osd.{osd}");
    let mut family = text.family("ceph_osd_metadata", Kind::Gauge, "OSDs");
    for (osd, state) in &map.osds {
        let class = i32::try_from(osd.0).ok().and_then(|item| map.crush.class_of(item)).unwrap_or_default();
        // Of an OSD that is down the map has no address.
        let address = state.address.map(|address| address.ip().to_string()).unwrap_or_default();
        let name = daemon(osd);
        let labels: [exposition::Label<'_>; 9] = [
            ("ceph_daemon", &name),
            ("hostname", &state.host),
            ("device_class", &class),
            ("public_addr", &address),
            ("cluster_addr", &address),
            ("front_iface", &""),
            ("back_iface", &""),
            ("objectstore", &"ika"),
            ("ceph_version", &VERSION),
        ];
        family.sample(&labels, 1);
    }
    let mut family = text.family("ceph_osd_up", Kind::Gauge, "Whether the OSD serves");
    for (osd, state) in &map.osds {
        family.sample(&[("ceph_daemon", &daemon(osd))], u8::from(state.up));
    }
    let mut family = text.family("ceph_osd_in", Kind::Gauge, "Whether placement counts on the OSD");
    for (osd, state) in &map.osds {
        family.sample(&[("ceph_daemon", &daemon(osd))], u8::from(state.is_in()));
    }
    let mut family = text.family("ceph_osd_weight", Kind::Gauge, "In/out weight, 0 to 1");
    for (osd, state) in &map.osds {
        family.sample(&[("ceph_daemon", &daemon(osd))], f64::from(state.weight.0) / 65_536.0);
    }
    for flag in FLAGS {
        let set = map.flags.names().any(|name| name == flag);
        text.family(&format!("ceph_osd_flag_{}", flag.replace('-', "_")), Kind::Gauge, "Whether the flag is set")
            .sample(&[], u8::from(set));
    }
    osd_figures(text, figures);
}

fn osd_figures(text: &mut Exposition, figures: &Figures) {
    type Of = fn(&OsdStatistics) -> u64;
    let latency: Of = |osd| osd.commit_latency_microseconds / 1000;
    let rows: [(&str, Kind, &str, Of); 6] = [
        ("ceph_osd_numpg", Kind::Gauge, "Placement groups on the OSD", |osd| osd.pgs.into()),
        ("ceph_osd_commit_latency_ms", Kind::Gauge, "Milliseconds that a commit takes, recent mean", latency),
        // As with BlueStore: what is committed is applied.
        ("ceph_osd_apply_latency_ms", Kind::Gauge, "The same: what is committed can be read", latency),
        ("ceph_osd_stat_bytes", Kind::Gauge, "Bytes of the device", |osd| osd.usage.total_bytes),
        ("ceph_osd_stat_bytes_used", Kind::Gauge, "Bytes in use on the device", |osd| osd.usage.used_bytes),
        ("ceph_osd_recovery_bytes", Kind::Counter, "Bytes brought to other OSDs or fetched from them", |osd| {
            osd.recovered_bytes
        }),
    ];
    for (name, kind, help, of) in rows {
        let mut family = text.family(name, kind, help);
        for osd in &figures.digest.osds {
            family.sample(&[("ceph_daemon", &format_args!("osd.{}", osd.osd))], of(osd));
        }
    }
}

fn placement_groups(text: &mut Exposition, figures: &Figures) {
    let mut family = text.family("ceph_pg_total", Kind::Gauge, "Placement groups of the pool");
    for (pool, figures) in &figures.pools {
        family.sample(&[("pool_id", pool)], figures.states.len());
    }
    let count =
        |pool: &PoolFigures, is: &dyn Fn(PgStateFlags) -> bool| pool.states.iter().filter(|state| is(**state)).count();
    for (name, flag) in PgStateFlags::NAMES {
        let mut family = text.family(&format!("ceph_pg_{name}"), Kind::Gauge, "Placement groups in this state");
        for (pool, figures) in &figures.pools {
            family.sample(&[("pool_id", pool)], count(figures, &|state| state.contains(flag)));
        }
    }
    let mut family = text.family("ceph_pg_unknown", Kind::Gauge, "Placement groups that nobody reported");
    for (pool, figures) in &figures.pools {
        family.sample(&[("pool_id", pool)], count(figures, &|state| state == PgStateFlags::default()));
    }
}

fn pools(text: &mut Exposition, map: &ClusterMap, figures: &Figures) {
    let total: u64 = figures.digest.osds.iter().map(|osd| osd.usage.total_bytes).sum();
    let used: u64 = figures.digest.osds.iter().map(|osd| osd.usage.used_bytes).sum();
    let free = total.saturating_sub(used);
    let mut family = text.family("ceph_pool_metadata", Kind::Gauge, "Pools");
    for pool in map.pools.values() {
        let (kind, description) = match &pool.kind {
            map::PoolKind::Replicated => ("replicated", format!("replica:{}", pool.size)),
            map::PoolKind::Erasure { data_shards, parity_shards } => {
                ("erasure", format!("ec:{data_shards}+{parity_shards}"))
            }
        };
        let labels: [exposition::Label<'_>; 4] =
            [("pool_id", &pool.id), ("name", &pool.name), ("type", &kind), ("description", &description)];
        family.sample(&labels, 1);
    }
    type Of<'a> = &'a dyn Fn(&map::Pool, &PoolFigures) -> u64;
    let raw = |pool: &map::Pool, own: &PoolFigures| own.bytes.saturating_mul(u64::from(pool.size));
    let rows: [(&str, Kind, &str, Of<'_>); 17] = [
        ("stored", Kind::Gauge, "Bytes of user data, one copy counted", &|_, own| own.bytes),
        ("stored_raw", Kind::Gauge, "Bytes of user data, all copies counted", &raw),
        ("bytes_used", Kind::Gauge, "Bytes of user data, all copies counted", &raw),
        ("objects", Kind::Gauge, "Objects", &|_, own| own.objects),
        ("max_avail", Kind::Gauge, "Bytes that still fit if all OSDs fill alike", &|pool, _| {
            free / u64::from(pool.size.max(1))
        }),
        ("avail_raw", Kind::Gauge, "Bytes that are free for all copies", &|_, _| free),
        ("quota_bytes", Kind::Gauge, "Most bytes; 0 is no quota", &|pool, _| pool.quota_bytes),
        ("quota_objects", Kind::Gauge, "Most objects; 0 is no quota", &|pool, _| pool.quota_objects),
        ("rd", Kind::Counter, "Client reads since this manager collects", &|_, own| own.done.read_ops),
        ("rd_bytes", Kind::Counter, "Their bytes", &|_, own| own.done.read_bytes),
        ("wr", Kind::Counter, "Client writes since this manager collects", &|_, own| own.done.write_ops),
        ("wr_bytes", Kind::Counter, "Their bytes", &|_, own| own.done.write_bytes),
        ("num_objects_recovered", Kind::Counter, "Objects recovered since this manager collects", &|_, own| {
            own.done.recovered_objects
        }),
        ("num_bytes_recovered", Kind::Counter, "Their bytes", &|_, own| own.done.recovered_bytes),
        ("recovering_objects_per_sec", Kind::Gauge, "Objects recovered per second", &|_, own| {
            own.rates.recovered_objects
        }),
        ("recovering_bytes_per_sec", Kind::Gauge, "Their bytes", &|_, own| own.rates.recovered_bytes),
        ("size", Kind::Gauge, "Copies that the pool wants", &|pool, _| pool.size.into()),
    ];
    let nothing = PoolFigures::default();
    let own = |pool: &map::Pool| figures.pools.get(&pool.id).unwrap_or(&nothing);
    for (name, kind, help, of) in rows {
        let mut family = text.family(&format!("ceph_pool_{name}"), kind, help);
        for pool in map.pools.values() {
            family.sample(&[("pool_id", &pool.id)], of(pool, own(pool)));
        }
    }
    let mut family = text.family("ceph_pool_percent_used", Kind::Gauge, "Share of what the pool could hold, 0 to 1");
    for pool in map.pools.values() {
        family.sample(&[("pool_id", &pool.id)], share(raw(pool, own(pool)), free));
    }
}

/// The part that `used` is of itself and `free`.
#[expect(clippy::cast_precision_loss, reason = "a share of four digits is shown")]
fn share(used: u64, free: u64) -> f64 {
    match used.saturating_add(free) {
        0 => 0.0,
        all => used as f64 / all as f64,
    }
}

/// Every flag of [`FLAGS`] is one of the cluster's.
const _: () = assert!(FLAGS.len() + 1 == ClusterFlags::NAMES.len(), "`pause` alone has no figure in Ceph");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use types::Time;

    use super::*;
    use crate::{Collector, sample, standing::HealthCheck};

    fn sample_text() -> String {
        let map = sample::map();
        let mut collector = Collector::default();
        let now = Time::from_milliseconds(10_000);
        collector.note(now, sample::report(OsdId(0), &map, 5));
        collector.note(now, sample::report(OsdId(0), &map, 8));
        let check = HealthCheck {
            code: "OSD_DOWN".to_owned(),
            severity: "HEALTH_WARN".to_owned(),
            message: "1 osds down".to_owned(),
            count: 1,
            detail: Vec::new(),
            muted: false,
        };
        let standing = Standing {
            at: now,
            status: "HEALTH_WARN".to_owned(),
            checks: vec![check],
            quorum: vec!["a".to_owned()],
            leader: Some("a".to_owned()),
        };
        cluster_text(None, &map, &collector.figures(now, &map), Some(&standing))
    }

    #[test]
    fn figures_have_the_names_of_ceph() {
        let text = sample_text();
        for line in [
            "ceph_health_status 1",
            "ceph_health_detail{name=\"OSD_DOWN\",severity=\"HEALTH_WARN\"} 1",
            "ceph_mon_quorum_status{ceph_daemon=\"mon.a\"} 1",
            "ceph_mon_quorum_status{ceph_daemon=\"mon.b\"} 0",
            "ceph_mgr_status{ceph_daemon=\"mgr.y\"} 0",
            "ceph_osd_up{ceph_daemon=\"osd.2\"} 0",
            "ceph_osd_weight{ceph_daemon=\"osd.1\"} 1",
            "ceph_osd_flag_nodeep_scrub 0",
            "ceph_osd_numpg{ceph_daemon=\"osd.0\"} 4",
            "ceph_cluster_total_bytes 1073741824",
            "ceph_pg_total{pool_id=\"1\"} 4",
            "ceph_pool_metadata{pool_id=\"1\",name=\"a \\\"pool\\\"\",type=\"replicated\",description=\"replica:2\"} 1",
            "ceph_pool_stored{pool_id=\"1\"} 16384",
            "ceph_pool_stored_raw{pool_id=\"1\"} 32768",
            "ceph_pool_wr{pool_id=\"1\"} 3",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn each_family_and_each_series_stands_once() {
        let text = sample_text();
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with("# HELP")) {
            let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
            assert!(seen.insert(series), "{series} stands twice");
        }
        assert!(text.lines().filter(|line| line.starts_with("# TYPE")).count() > 60);
    }

    #[test]
    fn a_standby_tells_of_itself_only() {
        let text = process_text(ProcessStatistics::own().ok().as_ref(), false);
        assert!(text.contains("ika_mgr_active 0\n") && text.contains("process_resident_memory_bytes "));
        assert!(!text.contains("ceph_"), "{text}");
    }
}

//! From reports to figures: pure, so that tests feed it and read it.
//!
//! Invariants
//! 1. A placement group counts with what its present primary said last; what an earlier primary said is forgotten.
//! 2. Whoever was not heard for [`REPORT_AGE_MAX`] is not counted as if it still held: the group is stale.
//! 3. What a pool has done never decreases while this manager collects.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use map::{ClusterMap, PublishedMap};
use types::{OsdId, PgId, PoolId, Time};
use wire::{ClusterDigest, IoCounters, OsdStatistics, PgStateFlags, PgStatistics, StatisticsReport};

/// OSDs report every 2 s; five missed reports mean that what they said no longer holds.
pub const REPORT_AGE_MAX: Duration = Duration::from_secs(10);
/// Rates are means over this long: short enough to follow, long enough to span several reports.
const RATE_WINDOW: Duration = Duration::from_secs(6);
/// Groups that are not active and clean, listed one by one in a digest; beyond it they are only counted.
const PGS_LISTED_MAX: usize = 1000;

#[derive(Debug, Clone)]
struct Reported<T> {
    at: Time,
    what: T,
}

/// What is known of one pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolFigures {
    /// Objects.
    pub objects: u64,
    /// Bytes of user data, one copy counted.
    pub bytes: u64,
    /// Per second, over the last few seconds.
    pub rates: IoCounters,
    /// Since this manager collects.
    pub done: IoCounters,
    /// The state of each placement group, by seed.
    pub states: Vec<PgStateFlags>,
}

/// What is known of the cluster at one moment.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// What the monitors are told.
    pub digest: ClusterDigest,
    /// Every pool of the map.
    pub pools: BTreeMap<PoolId, PoolFigures>,
}

/// What was reported, and what came of it.
#[derive(Debug, Default)]
pub struct Collector {
    osds: BTreeMap<OsdId, Reported<OsdStatistics>>,
    pgs: BTreeMap<PgId, (OsdId, Reported<PgStatistics>)>,
    /// What each report of the last [`RATE_WINDOW`] added.
    progress: VecDeque<(Time, BTreeMap<PoolId, IoCounters>)>,
    done: BTreeMap<PoolId, IoCounters>,
}

impl Collector {
    /// Notes a report.
    pub fn note(&mut self, now: Time, report: StatisticsReport) {
        let reporter = report.osd.osd;
        let mut progress: BTreeMap<PoolId, IoCounters> = BTreeMap::new();
        for pg in report.pgs {
            // Counters begin anew with each primary; the first report of one has no "before".
            if let Some((osd, before)) = self.pgs.get(&pg.pg)
                && *osd == reporter
            {
                add(progress.entry(pg.pg.pool).or_default(), &difference(&before.what.io, &pg.io));
            }
            self.pgs.insert(pg.pg, (reporter, Reported { at: now, what: pg }));
        }
        for (pool, progress) in &progress {
            add(self.done.entry(*pool).or_default(), progress);
        }
        self.osds.insert(reporter, Reported { at: now, what: report.osd });
        self.progress.push_back((now, progress));
        self.forget_old_progress(now);
    }

    /// What is known now, of what the map says there is.
    pub fn figures(&mut self, now: Time, map: &PublishedMap) -> Figures {
        self.forget_what_is_gone(map);
        self.forget_old_progress(now);
        let rates = self.rates();
        let mut digest = ClusterDigest {
            osds: self.osds.values().map(|report| report.what.clone()).collect(),
            ..ClusterDigest::default()
        };
        let mut states: BTreeMap<PgStateFlags, u32> = BTreeMap::new();
        let mut pools: BTreeMap<PoolId, PoolFigures> = BTreeMap::new();
        for pool in map.pools.values() {
            let figures = pools.entry(pool.id).or_default();
            figures.rates = rates.get(&pool.id).copied().unwrap_or_default();
            figures.done = self.done.get(&pool.id).copied().unwrap_or_default();
            add(&mut digest.rates, &figures.rates);
            for seed in 0..pool.pg_num {
                let pg = PgId { pool: pool.id, seed };
                let statistics = self.state_of(now, map, pg);
                *states.entry(statistics.state).or_default() += 1;
                figures.states.push(statistics.state);
                figures.objects += statistics.objects;
                figures.bytes += statistics.bytes;
                digest.copies += statistics.objects * u64::from(pool.size);
                digest.degraded_copies += statistics.degraded_copies;
                digest.misplaced_copies += statistics.misplaced_copies;
                digest.unfound_objects += statistics.unfound_objects;
                digest.scrub_errors += statistics.scrub.as_ref().map_or(0, |scrub| scrub.errors);
                let clean = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
                if statistics.state != clean && digest.pgs_not_clean.len() < PGS_LISTED_MAX {
                    digest.pgs_not_clean.push(statistics);
                }
            }
        }
        digest.pg_states = states.into_iter().collect();
        digest.pools = pools.iter().map(|(pool, figures)| (*pool, figures.objects, figures.bytes)).collect();
        Figures { digest, pools }
    }

    fn state_of(&self, now: Time, map: &PublishedMap, pg: PgId) -> PgStatistics {
        let placement = map.place(pg);
        let Some((reporter, report)) = self.pgs.get(&pg) else {
            let state = if map.creating_pgs.contains(&pg) { PgStateFlags::CREATING } else { PgStateFlags::default() };
            return PgStatistics {
                pg,
                state,
                epoch: map.epoch(),
                last_update: types::LogVersion::ZERO,
                up: placement.up.into_iter().flatten().collect(),
                acting: placement.acting.into_iter().flatten().collect(),
                objects: 0,
                bytes: 0,
                degraded_copies: 0,
                misplaced_copies: 0,
                unfound_objects: 0,
                last_epoch_clean: types::Epoch::ZERO,
                io: IoCounters::default(),
                scrub: None,
            };
        };
        let mut statistics = report.what.clone();
        let from_primary = placement.acting_primary == Some(*reporter);
        if !from_primary || now.since(report.at) > REPORT_AGE_MAX {
            statistics.state = PgStateFlags::STALE.with(without_service(statistics.state));
        }
        statistics
    }

    fn forget_what_is_gone(&mut self, map: &ClusterMap) {
        self.osds.retain(|osd, _| map.osds.contains_key(osd));
        self.pgs.retain(|pg, _| map.pools.get(&pg.pool).is_some_and(|pool| pg.seed < pool.pg_num));
        self.done.retain(|pool, _| map.pools.contains_key(pool));
    }

    fn forget_old_progress(&mut self, now: Time) {
        while self.progress.front().is_some_and(|(at, _)| now.since(*at) >= RATE_WINDOW) {
            self.progress.pop_front();
        }
    }

    /// Means over the whole window: each report tells of the time before it, so a shorter divisor would tell too much.
    fn rates(&self) -> BTreeMap<PoolId, IoCounters> {
        let mut rates: BTreeMap<PoolId, IoCounters> = BTreeMap::new();
        for (pool, progress) in self.progress.iter().flat_map(|(_, progress)| progress) {
            add(rates.entry(*pool).or_default(), progress);
        }
        for figure in rates.values_mut().flat_map(figures) {
            *figure /= RATE_WINDOW.as_secs();
        }
        rates
    }
}

/// A state without the claim that the group serves.
fn without_service(state: PgStateFlags) -> PgStateFlags {
    PgStateFlags(state.0 & !(PgStateFlags::CLEAN.0 | PgStateFlags::STALE.0))
}

fn figures(counters: &mut IoCounters) -> [&mut u64; 6] {
    let IoCounters { read_ops, read_bytes, write_ops, write_bytes, recovered_objects, recovered_bytes } = counters;
    [read_ops, read_bytes, write_ops, write_bytes, recovered_objects, recovered_bytes]
}

fn add(sum: &mut IoCounters, other: &IoCounters) {
    let mut other = *other;
    for (figure, more) in figures(sum).into_iter().zip(figures(&mut other)) {
        *figure = figure.saturating_add(*more);
    }
}

/// What was done between two reports of one primary; all of the later one when it restarted in between.
fn difference(before: &IoCounters, after: &IoCounters) -> IoCounters {
    let (mut before, mut after) = (*before, *after);
    for (figure, less) in figures(&mut after).into_iter().zip(figures(&mut before)) {
        *figure = figure.checked_sub(*less).unwrap_or(*figure);
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_restarted_primary_counts_from_its_own_start() {
        let before = IoCounters { write_ops: 100, write_bytes: 4096, ..IoCounters::default() };
        let after = IoCounters { write_ops: 130, write_bytes: 10, ..IoCounters::default() };
        let done = difference(&before, &after);
        assert_eq!((done.write_ops, done.write_bytes), (30, 10));
    }

    #[test]
    fn a_stale_group_is_not_called_clean() {
        let clean = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
        assert_eq!(without_service(clean), PgStateFlags::ACTIVE);
    }

    #[test]
    fn rates_are_means_over_the_window_and_end_with_the_reports() {
        let map = sample::map();
        let mut collector = Collector::default();
        let at = |seconds: u64| Time::from_milliseconds(1_000_000 + seconds * 1000);
        for round in 0..10 {
            collector.note(at(round * 2), sample::report(OsdId(0), &map, 600 * round));
        }
        let figures = collector.figures(at(18), &map);
        let pool = &figures.pools[&PoolId(1)];
        assert_eq!(pool.rates.write_ops, 300, "600 more with each report, a report every two seconds");
        assert_eq!(figures.digest.rates.write_ops, 300);
        assert_eq!(pool.done.write_ops, 5400);
        assert_eq!(pool.states.len(), 4);
        // The reporter died: nothing is written, whatever was.
        let figures = collector.figures(at(60), &map);
        assert_eq!((figures.digest.rates.write_ops, figures.pools[&PoolId(1)].done.write_ops), (0, 5400));
        assert!(figures.pools[&PoolId(1)].states.iter().all(|state| state.contains(PgStateFlags::STALE)));
    }

    #[test]
    fn what_a_pool_has_done_survives_a_change_of_primary() {
        let map = sample::map();
        let mut collector = Collector::default();
        collector.note(Time::from_milliseconds(1000), sample::report(OsdId(0), &map, 100));
        collector.note(Time::from_milliseconds(3000), sample::report(OsdId(0), &map, 150));
        // Another primary, with counters of its own.
        collector.note(Time::from_milliseconds(5000), sample::report(OsdId(1), &map, 10));
        collector.note(Time::from_milliseconds(7000), sample::report(OsdId(1), &map, 30));
        let figures = collector.figures(Time::from_milliseconds(7000), &map);
        assert_eq!(figures.pools[&PoolId(1)].done.write_ops, 70);
    }
}

//! From reports to a digest: pure, so that tests feed it and read it.
//!
//! Invariants
//! 1. A placement group counts with what its present primary said last; what an earlier primary said is forgotten.
//! 2. Whoever was not heard for [`REPORT_AGE_MAX`] is not counted as if it still held: the group is stale.

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

/// What was reported, and what came of it.
#[derive(Debug, Default)]
pub struct Collector {
    osds: BTreeMap<OsdId, Reported<OsdStatistics>>,
    pgs: BTreeMap<PgId, (OsdId, Reported<PgStatistics>)>,
    progress: VecDeque<(Time, IoCounters)>,
}

impl Collector {
    /// Notes a report.
    pub fn note(&mut self, now: Time, report: StatisticsReport) {
        let reporter = report.osd.osd;
        let mut progress = IoCounters::default();
        for pg in report.pgs {
            // Counters begin anew with each primary; the first report of one has no "before".
            if let Some((osd, before)) = self.pgs.get(&pg.pg)
                && *osd == reporter
            {
                add(&mut progress, &difference(&before.what.io, &pg.io));
            }
            self.pgs.insert(pg.pg, (reporter, Reported { at: now, what: pg }));
        }
        self.osds.insert(reporter, Reported { at: now, what: report.osd });
        self.progress.push_back((now, progress));
        while self.progress.front().is_some_and(|(at, _)| now.since(*at) > RATE_WINDOW) {
            self.progress.pop_front();
        }
    }

    /// What is known now, of what the map says there is.
    pub fn digest(&mut self, now: Time, map: &PublishedMap) -> ClusterDigest {
        self.forget_what_is_gone(map);
        let mut digest = ClusterDigest {
            osds: self.osds.values().map(|report| report.what.clone()).collect(),
            rates: self.rates(now),
            ..ClusterDigest::default()
        };
        let mut states: BTreeMap<PgStateFlags, u32> = BTreeMap::new();
        let mut pools: BTreeMap<PoolId, (u64, u64)> = BTreeMap::new();
        for pool in map.pools.values() {
            let totals = pools.entry(pool.id).or_default();
            for seed in 0..pool.pg_num {
                let pg = PgId { pool: pool.id, seed };
                let statistics = self.state_of(now, map, pg);
                *states.entry(statistics.state).or_default() += 1;
                totals.0 += statistics.objects;
                totals.1 += statistics.bytes;
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
        digest.pools = pools.into_iter().map(|(pool, (objects, bytes))| (pool, objects, bytes)).collect();
        digest
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
    }

    fn rates(&self, now: Time) -> IoCounters {
        let Some((first, _)) = self.progress.front() else { return IoCounters::default() };
        let mut sum = IoCounters::default();
        for (_, progress) in &self.progress {
            add(&mut sum, progress);
        }
        let milliseconds = u64::try_from(now.since(*first).as_millis()).unwrap_or(u64::MAX).max(1000);
        for figure in figures(&mut sum) {
            *figure = figure.saturating_mul(1000) / milliseconds;
        }
        sum
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
}

//! The last minutes as curves: a point a second, kept in memory by the manager that works.
//!
//! A manager that takes over begins with an empty history; whoever wants to look back for days scrapes `/metrics`.

use std::collections::VecDeque;

use serde::Serialize;
use wire::ClusterDigest;

/// A quarter of an hour, a point a second: 80 bytes each.
const POINTS_MAX: usize = 900;

/// One moment of every curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Point {
    /// In milliseconds since 1970, by the manager's wall clock.
    pub at_ms: u64,
    /// Client reads per second.
    pub read_ops: u64,
    /// Their bytes per second.
    pub read_bytes: u64,
    /// Client writes per second.
    pub write_ops: u64,
    /// Their bytes per second.
    pub write_bytes: u64,
    /// Objects recovered per second.
    pub recovered_objects: u64,
    /// Their bytes per second.
    pub recovered_bytes: u64,
    /// Copies missing.
    pub degraded: u64,
    /// Copies misplaced.
    pub misplaced: u64,
}

impl Point {
    pub(crate) fn of(at_ms: u64, digest: &ClusterDigest) -> Self {
        Self {
            at_ms,
            read_ops: digest.rates.read_ops,
            read_bytes: digest.rates.read_bytes,
            write_ops: digest.rates.write_ops,
            write_bytes: digest.rates.write_bytes,
            recovered_objects: digest.rates.recovered_objects,
            recovered_bytes: digest.rates.recovered_bytes,
            degraded: digest.degraded_copies,
            misplaced: digest.misplaced_copies,
        }
    }
}

/// The points, oldest first.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct History {
    points: VecDeque<Point>,
}

impl History {
    /// Adds the newest. A clock that was set back begins a new history: curves go one way.
    pub(crate) fn add(&mut self, point: Point) {
        if self.points.back().is_some_and(|last| last.at_ms >= point.at_ms) {
            self.points.clear();
        }
        if self.points.len() >= POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_points_go_and_time_runs_forwards() {
        let mut history = History::default();
        let digest = ClusterDigest::default();
        let count = u64::try_from(POINTS_MAX).unwrap();
        for second in 0..count + 5 {
            history.add(Point::of(second * 1000, &digest));
        }
        assert_eq!((history.points.len(), history.points[0].at_ms), (POINTS_MAX, 5000));
        history.add(Point::of(1000, &digest));
        assert_eq!(history.points.len(), 1);
    }
}

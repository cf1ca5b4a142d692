//! What the manager's pages read: the newest figures, maps and words of the monitors, in one place.
//!
//! Owns: who may see what is decided elsewhere (`http/`); here is only what there is to see. The beat of the manager
//! writes, requests read; nothing waits under the lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use client::PasswordHash;
use map::PublishedMap;
use telemetry::{ProcessStatistics, clock::boot_clock_now};
use tokio::sync::watch;

use crate::{
    buckets::BucketRow,
    collector::Figures,
    history::{History, Point},
    metrics,
    snapshot::{Snapshot, Sources},
    standing::Standing,
};

/// Whether this manager works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It would take over.
    #[default]
    Standby,
    /// It collects.
    Active,
}

#[derive(Debug, Default)]
struct View {
    role: Role,
    map: Option<Arc<PublishedMap>>,
    figures: Arc<Figures>,
    standing: Option<Arc<Standing>>,
    history: History,
    buckets: Option<Arc<[BucketRow]>>,
    password: Option<PasswordHash>,
}

/// Everything that pages and figures are made of.
#[derive(Debug)]
pub(crate) struct Board {
    view: Mutex<View>,
    /// The newest snapshot, as JSON; empty before the first.
    snapshots: watch::Sender<Bytes>,
}

impl Default for Board {
    fn default() -> Self {
        Self { view: Mutex::default(), snapshots: watch::Sender::new(Bytes::new()) }
    }
}

impl Board {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn role(&self) -> Role {
        self.view().role
    }

    /// This manager stands by; what it knew is forgotten.
    pub fn stand_by(&self) {
        let mut view = self.view();
        if view.role == Role::Active {
            *view = View { password: view.password.take(), ..View::default() };
        }
    }

    /// This manager works, and knows that now. `at_ms` is the time of day in milliseconds since 1970.
    pub fn publish(&self, at_ms: u64, map: Arc<PublishedMap>, figures: Figures) {
        let mut view = self.view();
        let point = Point::of(at_ms, &figures.digest);
        view.role = Role::Active;
        view.history.add(point);
        view.map = Some(Arc::clone(&map));
        view.figures = Arc::new(figures);
        if self.is_watched() {
            let sources = Sources {
                now: boot_clock_now(),
                map: &map,
                figures: &view.figures,
                standing: view.standing.as_deref(),
                buckets: view.buckets.as_deref(),
                point,
            };
            self.snapshots.send_replace(to_json(&Snapshot::of(&sources)));
        }
    }

    /// Whether any page is open.
    pub fn is_watched(&self) -> bool {
        self.snapshots.receiver_count() > 0
    }

    /// The past as JSON, and the snapshots from now on.
    pub fn watch(&self) -> (Bytes, watch::Receiver<Bytes>) {
        let updates = self.snapshots.subscribe();
        (to_json(&self.view().history), updates)
    }

    pub fn set_standing(&self, standing: Standing) {
        self.view().standing = Some(Arc::new(standing));
    }

    pub fn set_buckets(&self, buckets: Vec<BucketRow>) {
        self.view().buckets = Some(buckets.into());
    }

    /// What is kept of the password, as far as was heard.
    pub fn password(&self) -> Option<PasswordHash> {
        self.view().password.clone()
    }

    pub fn set_password(&self, password: Option<PasswordHash>) {
        self.view().password = password;
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        let process = match ProcessStatistics::own() {
            Ok(process) => Some(process),
            Err(error) => {
                tracing::warn!(%error, "this process's figures are left out");
                None
            }
        };
        let (role, map, figures, standing) = {
            let view = self.view();
            (view.role, view.map.clone(), Arc::clone(&view.figures), view.standing.clone())
        };
        match map {
            Some(map) => metrics::cluster_text(process.as_ref(), &map, &figures, standing.as_deref()),
            None => metrics::process_text(process.as_ref(), role == Role::Active),
        }
    }
}

fn to_json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("names and numbers can be written as JSON").into()
}

#[cfg(test)]
mod tests {
    use types::{OsdId, Time};

    use super::*;
    use crate::{Collector, sample};

    #[test]
    fn a_manager_that_stands_by_again_forgets_the_cluster() {
        let board = Board::default();
        assert!(!board.metrics().contains("ceph_"));
        let map = sample::map();
        let mut collector = Collector::default();
        collector.note(Time::from_milliseconds(1), sample::report(OsdId(0), &map, 0));
        let figures = || Collector::default().figures(Time::from_milliseconds(1), &map);
        board.publish(1000, Arc::clone(&map), figures());
        assert!(board.snapshots.borrow().is_empty(), "nobody looks, so nothing is drawn");
        let (past, mut updates) = board.watch();
        assert!(String::from_utf8_lossy(&past).contains("\"at_ms\":1000"));
        board.publish(2000, Arc::clone(&map), figures());
        assert!(String::from_utf8_lossy(&updates.borrow_and_update()).contains("\"at_ms\":2000"));
        assert!(board.metrics().contains("ceph_osd_up") && board.role() == Role::Active);
        board.stand_by();
        assert!(!board.metrics().contains("ceph_") && board.role() == Role::Standby);
        assert_eq!(&board.watch().0[..], b"[]");
    }
}

//! The manager: hears what OSDs report and makes of it what operators ask for.
//!
//! Owns: the newest report of each OSD and placement group, rates, the digest for the monitors, `/metrics`, the
//! dashboard. Does not know: how to change anything; it shows and proposes, the monitors decide. A manager that dies
//! loses nothing but a few minutes of curves: OSDs report again to whoever is active.
//!
//! `collector`, `history`, `standing`, `snapshot` and `metrics` are pure: reports, maps and answers in, values out.

mod board;
mod buckets;
mod collector;
mod history;
mod http;
mod inquiries;
mod metrics;
mod run;
mod settings;
mod snapshot;
mod standing;

pub use buckets::{BucketRow, BucketSource};
pub use collector::{Collector, Figures, PoolFigures};
pub use run::run;
pub use settings::{DashboardSettings, ManagerSettings};

#[cfg(test)]
mod sample;

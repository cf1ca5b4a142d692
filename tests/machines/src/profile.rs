//! How rough a simulated world is.

use std::time::Duration;

use osd_pg::Planted;
use tests_kit::Link;

/// The world's size, its workload and its faults.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Monitors.
    pub mons: usize,
    /// OSDs, each on a host of its own.
    pub osds: u32,
    /// Placement groups of the pool.
    pub pg_num: u32,
    /// Copies.
    pub size: u32,
    /// Clients.
    pub clients: u32,
    /// Operations of each client.
    pub operations: u32,
    /// Objects that clients share as registers.
    pub registers: u32,
    /// What the network does to messages.
    pub link: Link,
    /// How long faults go on; no new ones begin after it.
    pub faults_for: Duration,
    /// Mean time between two faults; `None` is a quiet world.
    pub fault_every: Option<Duration>,
    /// Entries that a placement group's log keeps, so that short runs need both recovery by log and by scan.
    pub log_entries_max: usize,
    /// How long after the last fault everything must be clean and every operation answered.
    pub converge_within: Duration,
    /// The bug to carry out.
    pub planted: Planted,
}

impl Profile {
    /// No faults, a healthy network.
    pub fn quiet() -> Self {
        Self {
            mons: 3,
            osds: 3,
            pg_num: 4,
            size: 3,
            clients: 2,
            operations: 40,
            registers: 6,
            link: Link::healthy(),
            faults_for: Duration::ZERO,
            fault_every: None,
            log_entries_max: 3000,
            converge_within: Duration::from_secs(60),
            planted: Planted::None,
        }
    }

    /// Crashes of monitors and OSDs, cut links, lost, late and overtaking messages.
    pub fn rough() -> Self {
        Self {
            osds: 4,
            clients: 3,
            operations: 60,
            link: Link::rough(),
            faults_for: Duration::from_secs(30),
            fault_every: Some(Duration::from_secs(2)),
            log_entries_max: 3000,
            converge_within: Duration::from_secs(300),
            ..Self::quiet()
        }
    }

    /// As `rough`, with logs so short that absent OSDs are filled by scanning.
    pub fn rough_with_short_logs() -> Self {
        Self { log_entries_max: 12, ..Self::rough() }
    }
}

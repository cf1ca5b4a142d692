//! One world's size, shape and numbers, drawn from a seed within a profile.

use std::{collections::BTreeMap, time::Duration};

use tests_kit::{HostClock, Link};
use types::{OsdId, Seed, SeededRandom};

use crate::{
    profile::{Clocks, Links, Profile},
    world::Node,
};

/// How far wall clocks are apart at most, in milliseconds.
const WALL_SKEW_MS_MAX: u64 = 300_000;
/// How much clocks gain or lose at most, in millionths: two such clocks stay within the lease's margin of ten per cent.
const DRIFT_PPM_MAX: u64 = 30_000;

/// Where an OSD stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its host's number.
    pub host: u32,
    /// Its rack's number.
    pub rack: u32,
}

/// A world before anything has happened.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The profile that it was drawn for.
    pub profile: Profile,
    /// Monitors.
    pub mons: usize,
    /// OSDs and where they stand.
    pub osds: BTreeMap<OsdId, Place>,
    /// What keeps two copies apart: `osd`, `host` or `rack`.
    pub domain: &'static str,
    /// Whether the racks are made in the hierarchy.
    pub has_racks: bool,
    /// Placement groups of the pool.
    pub pg_num: u32,
    /// Copies.
    pub size: u32,
    /// Clients.
    pub clients: u32,
    /// Operations of each client.
    pub operations: u32,
    /// The network.
    pub link: Link,
    /// The network between OSDs, where it is another one.
    pub osd_link: Option<Link>,
    /// How long faults go on.
    pub faults_for: Duration,
    /// How long after the last fault everything must be clean and every operation answered.
    pub converge_within: Duration,
    /// Entries that a log keeps: few, so that short runs need recovery by log and by scan.
    pub log_entries_max: usize,
    /// Answers remembered beyond the log.
    pub requests_remembered_max: usize,
    /// Bytes of one part of a copied object.
    pub recovery_chunk_bytes: u64,
    /// Objects of one page of a scan.
    pub scan_page_objects: usize,
    /// Placement groups that may recover on an OSD at once.
    pub reservations_max: usize,
    /// After how long an OSD that is down is out, in milliseconds.
    pub down_out_ms: u64,
    /// Clocks that are not exact.
    pub clocks: BTreeMap<Node, HostClock>,
    /// How far each monitor's wall clock is ahead, in milliseconds.
    pub wall_skew_ms: Vec<u64>,
}

impl Scenario {
    /// Draws the world of a seed.
    pub fn draw(profile: &Profile, seed: Seed) -> Self {
        // The world's own events are drawn from the seed itself; its shape from a part of it.
        let mut random = SeededRandom::new(seed).fork().fork();
        let pick = |random: &mut SeededRandom, choices: &[u64]| {
            choices[usize::try_from(random.below(choices.len() as u64)).expect("few choices")]
        };
        let few = |value: u64| u32::try_from(value).expect("a small number");
        let osd_count = match random.below(20) {
            0..11 => 3 + random.below(3),
            11..18 => 6 + random.below(7),
            _ => 13 + random.below(18),
        };
        let hosts = if random.chance(1, 2) { osd_count } else { 3.max(osd_count.div_ceil(1 + random.below(3))) };
        let racks = 1 + random.below(hosts.min(5));
        let osds: BTreeMap<OsdId, Place> = (0..osd_count)
            .map(|osd| (OsdId(few(osd)), Place { host: few(osd % hosts), rack: few(osd % hosts % racks) }))
            .collect();
        let size = pick(&mut random, &[2, 3, 3, 3, 3, 4]).min(osd_count);
        let domain = match random.below(3) {
            0 if racks >= size => "rack",
            0 | 1 if hosts >= size => "host",
            _ if hosts < osd_count => "osd",
            _ => "host",
        };
        let link = match profile.links {
            Links::Healthy => Link::healthy(),
            Links::Flaky => Link::rough(),
        };
        let clients = few(2 + random.below(3));
        let mut scenario = Self {
            profile: *profile,
            mons: usize::try_from(pick(&mut random, &[1, 2, 3, 3, 3, 3, 4, 5])).expect("few monitors"),
            osds,
            domain,
            has_racks: racks > 1,
            pg_num: few(pick(&mut random, &[1, 2, 4, 4, 8])),
            size: few(size),
            clients,
            operations: few(30 + random.below(60)),
            link,
            osd_link: None,
            faults_for: Duration::from_secs(10 + random.below(30)),
            converge_within: Duration::from_secs(400),
            log_entries_max: usize::try_from(pick(&mut random, &[6, 12, 40, 3000])).expect("a small number"),
            requests_remembered_max: 3000,
            recovery_chunk_bytes: pick(&mut random, &[24, 100, 1 << 20]),
            scan_page_objects: usize::try_from(pick(&mut random, &[1, 3, 30])).expect("a small number"),
            reservations_max: usize::try_from(pick(&mut random, &[1, 4])).expect("a small number"),
            down_out_ms: pick(&mut random, &[8_000, 600_000, 600_000]),
            clocks: BTreeMap::new(),
            wall_skew_ms: Vec::new(),
        };
        if profile.links == Links::Flaky && random.chance(1, 5) {
            scenario.osd_link = Some(link.unordered());
        }
        if profile.clocks == Clocks::Skewed {
            scenario.skew_clocks(&mut random);
        }
        scenario
    }

    fn skew_clocks(&mut self, random: &mut SeededRandom) {
        let mons = (0..self.mons).map(Node::Mon);
        let osds = self.osds.keys().copied().map(Node::Osd);
        for node in mons.chain(osds).chain((0..self.clients).map(Node::Client)) {
            let drift = i32::try_from(random.below(2 * DRIFT_PPM_MAX + 1)).expect("small");
            let drift = drift - i32::try_from(DRIFT_PPM_MAX).expect("small");
            self.clocks.insert(node, HostClock::new(Duration::from_secs(random.below(1_000_000)), drift));
        }
        self.wall_skew_ms = (0..self.mons).map(|_| random.below(WALL_SKEW_MS_MAX)).collect();
    }
}

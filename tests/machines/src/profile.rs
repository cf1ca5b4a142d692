//! Profiles: what kinds of misfortune a world meets. What exactly happens in it, the seed says (`scenario.rs`).

use std::time::Duration;

/// One kind of misfortune.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An OSD's process dies, and of what was not flushed a prefix survives; sometimes its host dies with it.
    KillOsd,
    /// A monitor's process dies.
    KillMonitor,
    /// Everything dies at once.
    PowerFailure,
    /// Everything dies just after the next write was acknowledged: the moment at which a promise is tested hardest.
    PowerFailureAtReply,
    /// One or both directions between two nodes are cut.
    CutLink,
    /// Some nodes are cut off from all others, in one or both directions.
    Partition,
    /// An OSD's process stands still, its clock goes on.
    Freeze,
    /// An OSD's disk takes up to seconds for what takes milliseconds.
    SlowDisk,
    /// An OSD's disk is filled by something else, until that goes away.
    FullDisk,
    /// An OSD that everybody can do without loses its disk and comes back with an empty one.
    WipeDisk,
    /// A block of an object on one disk no longer has its checksum.
    RotBlock,
    /// An operator changes weights, states, rules, flags, exceptions, or pools.
    Operator,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::KillOsd,
        Self::KillMonitor,
        Self::PowerFailure,
        Self::PowerFailureAtReply,
        Self::CutLink,
        Self::Partition,
        Self::Freeze,
        Self::SlowDisk,
        Self::FullDisk,
        Self::WipeDisk,
        Self::RotBlock,
        Self::Operator,
    ];
}

/// What the network does to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Sessions that deliver everything within half a millisecond.
    Healthy,
    /// Sessions that are slow and break.
    Flaky,
}

/// How the clocks of hosts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// All alike.
    Exact,
    /// Each from an origin of its own, up to three per cent too fast or too slow, wall clocks minutes apart.
    Skewed,
}

/// A kind of world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its name, for `--profile`.
    pub name: &'static str,
    /// The network.
    pub links: Links,
    /// The clocks.
    pub clocks: Clocks,
    /// How likely each fault is, relative to the others.
    pub faults: &'static [(Fault, u64)],
    /// Mean time between two faults.
    pub fault_every: Duration,
}

const fn profile(name: &'static str, links: Links, faults: &'static [(Fault, u64)], every_ms: u64) -> Profile {
    Profile { name, links, clocks: Clocks::Exact, faults, fault_every: Duration::from_millis(every_ms) }
}

/// All profiles. A seed without a profile gets the one of its number, modulo their count.
pub const PROFILES: [Profile; 10] = [
    profile("quiet", Links::Healthy, &[], 1_000),
    profile("flaky", Links::Flaky, &[(Fault::CutLink, 1)], 4_000),
    profile(
        "crashes",
        Links::Flaky,
        &[
            (Fault::KillOsd, 6),
            (Fault::KillMonitor, 1),
            (Fault::PowerFailure, 1),
            (Fault::PowerFailureAtReply, 2),
            (Fault::Freeze, 1),
        ],
        2_000,
    ),
    profile(
        "partitions",
        Links::Healthy,
        &[(Fault::CutLink, 3), (Fault::Partition, 4), (Fault::Freeze, 2), (Fault::KillOsd, 1)],
        2_000,
    ),
    profile(
        "slow-disks",
        Links::Healthy,
        &[
            (Fault::SlowDisk, 4),
            (Fault::KillOsd, 2),
            (Fault::PowerFailureAtReply, 2),
            (Fault::Freeze, 1),
            (Fault::CutLink, 1),
        ],
        1_500,
    ),
    profile("wiped-disks", Links::Healthy, &[(Fault::WipeDisk, 3), (Fault::KillOsd, 1)], 3_000),
    profile("full-disks", Links::Healthy, &[(Fault::FullDisk, 4), (Fault::KillOsd, 1)], 2_000),
    profile("churn", Links::Flaky, &[(Fault::Operator, 8), (Fault::KillOsd, 2), (Fault::CutLink, 1)], 1_000),
    Profile {
        clocks: Clocks::Skewed,
        ..profile(
            "clocks",
            Links::Flaky,
            &[(Fault::Partition, 3), (Fault::Freeze, 3), (Fault::KillOsd, 3), (Fault::CutLink, 2)],
            2_000,
        )
    },
    Profile {
        clocks: Clocks::Skewed,
        ..profile(
            "everything",
            Links::Flaky,
            &[
                (Fault::KillOsd, 6),
                (Fault::KillMonitor, 1),
                (Fault::PowerFailure, 1),
                (Fault::PowerFailureAtReply, 1),
                (Fault::CutLink, 3),
                (Fault::Partition, 2),
                (Fault::Freeze, 2),
                (Fault::SlowDisk, 2),
                (Fault::FullDisk, 1),
                (Fault::WipeDisk, 1),
                (Fault::Operator, 4),
            ],
            1_500,
        )
    },
];

/// Blocks rot and scrubs follow each other within seconds; at the end every byte was read again and is right. Not one of
/// [`PROFILES`], since a world of scrubs is another world for every seed.
pub const ROTTING: Profile =
    profile("rotting", Links::Flaky, &[(Fault::RotBlock, 5), (Fault::KillOsd, 2), (Fault::KillMonitor, 1)], 700);

impl Profile {
    /// Whether blocks rot.
    pub fn rots(&self) -> bool {
        self.faults.iter().any(|(fault, _)| *fault == Fault::RotBlock)
    }

    /// The profile of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().chain([&ROTTING]).find(|profile| profile.name == name)
    }

    /// The profile that a seed gets when nobody asks for one.
    pub fn of_seed(seed: u64) -> &'static Self {
        let count = PROFILES.len() as u64;
        &PROFILES[usize::try_from(seed % count).expect("few profiles")]
    }
}

//! One seed from its beginning to its end, and what became of it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    rc::Rc,
    sync::Once,
    time::Duration,
};

use tests_kit::EventLog;
use types::{Seed, Time};

use crate::{
    profile::{Fault, Profile},
    recorder::Recorder,
    scenario::Scenario,
    world::World,
};

/// Lines kept of a failed run's story.
const STORY_LINES: usize = 4_000;

/// What a run was like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The course of events in short; two runs of one seed have the same.
    pub digest: u64,
    /// Virtual time from begin to end.
    pub virtual_time: Duration,
    /// Events: packets that arrived, timers, disks that were done, faults.
    pub events: u64,
    /// Operations that clients had answered.
    pub operations: usize,
    /// Faults that were made, by kind.
    pub faults: BTreeMap<Fault, u64>,
}

impl Report {
    /// Adds another run's figures.
    pub fn add(&mut self, other: &Self) {
        self.digest = self.digest.wrapping_mul(0x0100_0000_01b3) ^ other.digest;
        self.virtual_time += other.virtual_time;
        self.events += other.events;
        self.operations += other.operations;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }
}

/// Why a run failed, with the end of its story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: Seed,
    /// The profile.
    pub profile: &'static str,
    /// What is wrong: a judge's sentence, or the invariant that a machine found broken.
    pub reason: String,
    /// The last events, if somebody listened.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        let Self { seed, profile, reason, .. } = self;
        writeln!(f, "seed {seed} of profile {profile}: {reason}")?;
        write!(f, "replay: ./dev replay {seed} --profile {profile}")
    }
}

/// Runs one seed. A failed one is run once more for its story.
pub fn run(seed: Seed, profile: &Profile) -> Result<Report, Failure> {
    run_silently(seed, profile).map_err(|reason| {
        let lines = Rc::new(RefCell::new(EventLog::new(STORY_LINES)));
        let again = run_until(seed, profile, Recorder::log(Rc::clone(&lines)), Time::FAR_FUTURE);
        let story: Vec<String> = lines.borrow().lines().map(str::to_owned).collect();
        let reason = match again {
            Err(same) if same == reason => reason,
            other => format!("{reason}; but run once more it came to {other:?}"),
        };
        Failure { seed, profile: profile.name, reason, story }
    })
}

/// Runs one seed; only the reason of a failure is known.
pub fn run_silently(seed: Seed, profile: &Profile) -> Result<Report, String> {
    run_until(seed, profile, Recorder::none(), Time::FAR_FUTURE)
}

/// Runs one seed for a listener, up to a time.
pub fn run_until(seed: Seed, profile: &Profile, recorder: Recorder, until: Time) -> Result<Report, String> {
    catch(|| {
        let mut world = World::new(seed, Scenario::draw(profile, seed), recorder);
        let outcome = world.live(until);
        outcome.map(|()| world.report())
    })
}

/// Runs one seed up to a time and says where the copies of a placement group stand then.
pub fn describe_at(seed: Seed, profile: &Profile, until: Time, pg: types::PgId) -> Vec<String> {
    let mut world = World::new(seed, Scenario::draw(profile, seed), Recorder::none());
    // The failure itself was shown by the run before; a panic leaves no world to look at.
    let lived = catch(|| world.live(until));
    match lived {
        Err(reason) if !reason.starts_with("not converged") => vec![reason],
        _ => world.osds.describe_pg(pg),
    }
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A machine's broken invariant is a panic; here it becomes a reason like any other.
fn catch<T>(live: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if CATCHING.get() {
                MESSAGE.set(panic.payload_as_str().unwrap_or("a panic without words").to_owned());
            } else {
                before(panic);
            }
        }));
    });
    CATCHING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(live));
    CATCHING.set(false);
    outcome.unwrap_or_else(|_| Err(MESSAGE.take()))
}

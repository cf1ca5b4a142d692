//! Which seeds a randomised test runs, and how its failure is replayed.
//!
//! `IKA_SEED=7` runs one seed, `IKA_SEEDS=0..5000` a range, neither the test's own default. A seed that failed is
//! remembered beside the test binary and runs first the next time, until it passes.

use std::{
    env,
    ops::Range,
    panic::resume_unwind,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use types::Seed;

/// How much a test does: the first number in an ordinary run, the second in a long one (`./dev test --long`).
#[must_use]
pub fn count(usual: u64, long: u64) -> u64 {
    if env::var_os("IKA_LONG").is_some() { long } else { usual }
}

/// Runs the test body once per seed, in order; a failing seed's panic ends the test after its replay line is printed.
///
/// `defaults` are the seeds of an ordinary run.
pub fn for_each_seed(defaults: Range<u64>, mut run: impl FnMut(Seed)) {
    let test = Test::current();
    for seed in test.seeds(defaults) {
        let failure = FailureNotice { test: &test, seed };
        run(seed);
        failure.withdraw();
    }
}

/// As [`for_each_seed`], on as many threads as the machine has cores. Each seed still runs on one thread.
pub fn for_each_seed_in_parallel(defaults: Range<u64>, run: impl Fn(Seed) + Sync) {
    let test = Test::current();
    let seeds = test.seeds(defaults);
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let failure = FailureNotice { test: &test, seed };
            // The flag goes up before the seed runs on, so that a panic leaves it up and the others stop.
            let flag = RaiseOnPanic(&failed);
            run(seed);
            drop(flag);
            failure.withdraw();
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
    let outcome = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join()).filter_map(Result::err).next()
    });
    if let Some(panic) = outcome {
        resume_unwind(panic);
    }
}

struct RaiseOnPanic<'a>(&'a AtomicBool);

impl Drop for RaiseOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// The test that is running: cargo names the package, the harness names the thread after the test.
struct Test {
    package: String,
    name: String,
}

impl Test {
    fn current() -> Self {
        Self {
            package: env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "PACKAGE".to_owned()),
            name: thread::current().name().unwrap_or("").to_owned(),
        }
    }

    fn seeds(&self, defaults: Range<u64>) -> Vec<Seed> {
        let one = env::var("IKA_SEED").ok();
        let range = env::var("IKA_SEEDS").ok();
        let asked = chosen_range(one.as_deref(), range.as_deref()).unwrap_or_else(|sentence| panic!("{sentence}"));
        let remembered = if asked.is_none() { self.remembered() } else { Vec::new() };
        let range = asked.unwrap_or(defaults);
        println!("{} {}: seeds {}..{}, first {remembered:?}", self.package, self.name, range.start, range.end);
        let rest = range.filter(|seed| !remembered.contains(seed));
        remembered.iter().copied().chain(rest).map(Seed).collect()
    }

    fn memory_path(&self) -> Option<PathBuf> {
        let folder = env::current_exe().ok()?.parent()?.join("failed-seeds");
        let file: String =
            self.name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        Some(folder.join(format!("{}-{file}", self.package)))
    }

    fn remembered(&self) -> Vec<u64> {
        let text = self.memory_path().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn remember(&self, seed: Seed) {
        let mut seeds = self.remembered();
        if !seeds.contains(&seed.0) {
            seeds.push(seed.0);
            self.write_memory(&seeds);
        }
    }

    fn forget(&self, seed: Seed) {
        let mut seeds = self.remembered();
        if seeds.contains(&seed.0) {
            seeds.retain(|other| *other != seed.0);
            self.write_memory(&seeds);
        }
    }

    fn write_memory(&self, seeds: &[u64]) {
        let Some(path) = self.memory_path() else { return };
        let text: String = seeds.iter().map(|seed| format!("{seed}\n")).collect();
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.and_then(|()| std::fs::write(&path, text)) {
            eprintln!("the failed seeds could not be kept in {}: {error}", path.display());
        }
    }
}

/// Prints the replay line when it is dropped by a panic.
struct FailureNotice<'a> {
    test: &'a Test,
    seed: Seed,
}

impl FailureNotice<'_> {
    fn withdraw(self) {
        self.test.forget(self.seed);
    }
}

impl Drop for FailureNotice<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Test { package, name } = self.test;
            println!(
                "seed {} failed; replay: IKA_SEED={} cargo test -p {package} {name} -- --nocapture",
                self.seed, self.seed
            );
            self.test.remember(self.seed);
        }
    }
}

/// The seeds that the environment asks for, if it does.
fn chosen_range(one: Option<&str>, range: Option<&str>) -> Result<Option<Range<u64>>, String> {
    if let Some(text) = one {
        let seed: u64 = text.parse().map_err(|_| format!("IKA_SEED is `{text}`; it would be a number like 7"))?;
        let end = seed.checked_add(1).ok_or("IKA_SEED must be below 18446744073709551615")?;
        return Ok(Some(seed..end));
    }
    let Some(text) = range else { return Ok(None) };
    let refuse = || format!("IKA_SEEDS is `{text}`; it would be a range like 0..1000 that is not empty");
    let (begin, end) = text.split_once("..").ok_or_else(refuse)?;
    let range = begin.parse().map_err(|_| refuse())?..end.parse().map_err(|_| refuse())?;
    if range.is_empty() { Err(refuse()) } else { Ok(Some(range)) }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, panic::catch_unwind, sync::Mutex};

    use super::*;

    #[test]
    fn the_environment_chooses_one_seed_or_a_range() {
        assert_eq!(chosen_range(None, None), Ok(None));
        assert_eq!(chosen_range(Some("7"), None), Ok(Some(7..8)));
        assert_eq!(chosen_range(Some("7"), Some("1..9")), Ok(Some(7..8)));
        assert_eq!(chosen_range(None, Some("1..9")), Ok(Some(1..9)));
        for wrong in ["", "5", "9..1", "3..3", "a..b"] {
            assert!(chosen_range(None, Some(wrong)).unwrap_err().contains("0..1000"), "{wrong}");
        }
        assert!(chosen_range(Some("x"), None).is_err());
        assert!(chosen_range(Some("18446744073709551615"), None).is_err());
    }

    #[test]
    fn parallel_runs_take_every_seed_once() {
        let seen = Mutex::new(Vec::new());
        for_each_seed_in_parallel(0..100, |seed| seen.lock().unwrap().push(seed.0));
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len());
        if env::var_os("IKA_SEED").is_none() && env::var_os("IKA_SEEDS").is_none() {
            assert_eq!(seen.len(), 100);
        }
    }

    #[test]
    fn a_failed_seed_is_remembered_until_it_passes() {
        if env::var_os("IKA_SEED").is_some() || env::var_os("IKA_SEEDS").is_some() {
            return;
        }
        let failing = catch_unwind(|| for_each_seed_in_parallel(10..20, |seed| assert!(seed.0 != 17, "planted")));
        assert!(failing.is_err());
        let mut order = Vec::new();
        for_each_seed(10..20, |seed| order.push(seed.0));
        assert_eq!(order[..3], [17, 10, 11]);
        assert_eq!(order.len(), 10);
        order.clear();
        for_each_seed(10..20, |seed| order.push(seed.0));
        assert_eq!(order[0], 10);
    }
}

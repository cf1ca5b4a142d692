//! Many seeds in a row, in as many sittings as it takes: what is done and what failed is kept in a file.
//!
//! The file holds one line per revision: the seeds passed, as ranges, the figures so far, and the failed seeds, which
//! go first in the next sitting. Another revision begins anew, but for the failed seeds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use types::Seed;

use crate::{
    profile::Profile,
    run::{Report, run_silently},
};

/// What shall be run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// The profile of all of them; without one each seed has its own.
    pub profile: Option<&'static Profile>,
    /// Threads.
    pub threads: usize,
    /// Where progress is kept, and of which revision.
    pub state: Option<(PathBuf, String)>,
}

/// What has been run.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Seeds that passed at this revision.
    pub passed: BTreeSet<u64>,
    /// Seeds that failed, with the reason, at this or an earlier revision, and did not pass since.
    pub failed: BTreeMap<u64, String>,
    /// Sums over all that passed.
    pub report: Report,
    /// Time that threads spent on it.
    pub spent: Duration,
}

impl Campaign {
    /// The profile of a seed.
    pub fn profile_of(&self, seed: u64) -> &'static Profile {
        self.profile.unwrap_or_else(|| Profile::of_seed(seed))
    }

    /// Runs what is left, until it is done or `enough` says so. `tell` hears each failure and, now and then, the state.
    pub fn run(
        &self,
        clock: impl Fn() -> Duration + Sync,
        enough: impl Fn() -> bool + Sync,
        tell: impl Fn(&Progress, Option<(u64, &str)>) + Sync,
    ) -> Progress {
        let progress = self.load();
        let first: Vec<u64> = progress.failed.keys().copied().collect();
        let rest: Vec<u64> = self
            .seeds
            .clone()
            .filter(|seed| !progress.passed.contains(seed) && !progress.failed.contains_key(seed))
            .collect();
        let todo: Vec<u64> = first.into_iter().chain(rest).collect();
        let progress = Mutex::new(progress);
        let next = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let work = || {
            while !stop.load(Ordering::Relaxed) && !enough() {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(seed) = usize::try_from(at).ok().and_then(|at| todo.get(at)).copied() else { return };
                let begun = clock();
                let outcome = run_silently(Seed(seed), self.profile_of(seed));
                let spent = clock().saturating_sub(begun);
                let mut progress = progress.lock().expect("no holder of this lock panics");
                progress.spent += spent;
                match outcome {
                    Ok(report) => {
                        progress.failed.remove(&seed);
                        progress.passed.insert(seed);
                        progress.report.add(&report);
                        if progress.passed.len().is_multiple_of(500) {
                            self.save(&progress);
                            tell(&progress, None);
                        }
                    }
                    Err(reason) => {
                        progress.failed.insert(seed, reason.clone());
                        self.save(&progress);
                        tell(&progress, Some((seed, &reason)));
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let progress = progress.into_inner().expect("no holder of this lock panics");
        self.save(&progress);
        progress
    }

    fn load(&self) -> Progress {
        let Some((path, revision)) = &self.state else { return Progress::default() };
        let text = fs::read_to_string(path).unwrap_or_default();
        Progress::parse(&text, revision)
    }

    fn save(&self, progress: &Progress) {
        let Some((path, revision)) = &self.state else { return };
        let saved = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| write(path, progress, revision));
        if let Err(error) = saved {
            eprintln!("the progress could not be kept in {}: {error}", path.display());
        }
    }
}

fn write(path: &Path, progress: &Progress, revision: &str) -> std::io::Result<()> {
    let beside = path.with_extension("part");
    fs::write(&beside, progress.render(revision))?;
    fs::rename(&beside, path)
}

impl Progress {
    fn render(&self, revision: &str) -> String {
        let Report { digest, virtual_time, events, operations, faults } = &self.report;
        let mut text = format!("revision {revision}\n");
        let mut line = |words: std::fmt::Arguments<'_>| {
            text.write_fmt(words).expect("a string takes everything");
            text.push('\n');
        };
        line(format_args!("spent {}", self.spent.as_millis()));
        line(format_args!("sum {digest} {} {events} {operations}", virtual_time.as_millis()));
        for (fault, count) in faults {
            line(format_args!("fault {fault:?} {count}"));
        }
        for range in ranges(&self.passed) {
            line(format_args!("passed {}..{}", range.start, range.end));
        }
        for (seed, reason) in &self.failed {
            line(format_args!("failed {seed} {}", reason.lines().next().unwrap_or_default()));
        }
        text
    }

    fn parse(text: &str, revision: &str) -> Self {
        let mut progress = Self::default();
        let is_ours = text.lines().next() == Some(&format!("revision {revision}"));
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let numbers: Vec<u64> = rest.split([' ', '.']).filter_map(|number| number.parse().ok()).collect();
            match (word, numbers.as_slice()) {
                ("failed", [seed, ..]) => {
                    let reason = rest.split_once(' ').map_or("", |(_, reason)| reason);
                    progress.failed.insert(*seed, reason.to_owned());
                }
                _ if !is_ours => {}
                ("passed", [begin, end]) => progress.passed.extend(*begin..*end),
                ("spent", [milliseconds]) => progress.spent = Duration::from_millis(*milliseconds),
                ("sum", [digest, milliseconds, events, operations]) => {
                    progress.report.digest = *digest;
                    progress.report.virtual_time = Duration::from_millis(*milliseconds);
                    progress.report.events = *events;
                    progress.report.operations = usize::try_from(*operations).unwrap_or(usize::MAX);
                }
                ("fault", [count]) => {
                    let name = rest.split(' ').next().unwrap_or_default();
                    if let Some(fault) = crate::profile::Fault::ALL.iter().find(|fault| format!("{fault:?}") == name) {
                        progress.report.faults.insert(*fault, *count);
                    }
                }
                _ => {}
            }
        }
        progress
    }
}

/// Neighbouring numbers as ranges.
fn ranges(numbers: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.end == *number => last.end += 1,
            _ => ranges.push(*number..number + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_a_sitting_and_failed_seeds_a_revision() {
        let mut progress = Progress { spent: Duration::from_secs(3), ..Progress::default() };
        progress.passed.extend([1, 2, 3, 7]);
        progress.failed.insert(5, "not converged: 1.0 is peering".to_owned());
        progress.report.events = 12;
        progress.report.faults.insert(crate::profile::Fault::KillOsd, 4);
        let text = progress.render("abc");
        let same = Progress::parse(&text, "abc");
        assert_eq!((same.passed, &same.failed), (progress.passed.clone(), &progress.failed));
        assert_eq!(same.report, progress.report);
        let other = Progress::parse(&text, "abd");
        assert!(other.passed.is_empty() && other.report.events == 0);
        assert_eq!(other.failed, progress.failed);
        assert_eq!(ranges(&progress.passed), [1..4, 7..8]);
    }
}

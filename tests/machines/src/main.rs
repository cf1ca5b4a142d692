//! The simulator's own command line, behind `./dev sim` and `./dev replay`.
//!
//! Owns: words into settings, figures into lines. The settings have been checked by `./dev` already; this reads them
//! once more in their plainest form, `--name value`.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{BufRead, stdin},
    ops::Range,
    path::PathBuf,
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use tests_machines::{Campaign, Coverage, PROFILES, Profile, Progress, Recorder, describe_at, run_until};
use types::{PgId, Seed, Time};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Asked::parse(&words).and_then(|asked| asked.carry_out()) {
        Ok(code) => code,
        Err(sentence) => {
            eprintln!("sim: {sentence}");
            ExitCode::from(2)
        }
    }
}

/// Words of the command line: the first one, those without a name, and the named ones.
struct Asked {
    word: String,
    plain: Vec<String>,
    named: BTreeMap<String, String>,
}

/// Names that stand alone.
const SWITCHES: [&str; 2] = ["coverage", "step"];

impl Asked {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut words = words.iter();
        let word = words.next().ok_or("say `run`, `planted` or `replay`")?.clone();
        let (mut plain, mut named) = (Vec::new(), BTreeMap::new());
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                None => plain.push(word.clone()),
                Some(name) if SWITCHES.contains(&name) => drop(named.insert(name.to_owned(), String::new())),
                Some(name) => {
                    let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
                    named.insert(name.to_owned(), value.clone());
                }
            }
        }
        Ok(Self { word, plain, named })
    }

    fn carry_out(&self) -> Result<ExitCode, String> {
        match self.word.as_str() {
            "run" if self.named.contains_key("coverage") => self.cover(),
            "run" => self.run(),
            "planted" => planted::run(self.named.get("bug").map(String::as_str), self.number("seeds-max", 2000)?),
            "replay" => self.replay(),
            other => Err(format!("there is no word `{other}`; there is run, planted and replay")),
        }
    }

    fn number(&self, name: &str, otherwise: u64) -> Result<u64, String> {
        let Some(text) = self.named.get(name) else { return Ok(otherwise) };
        text.parse().map_err(|_| format!("--{name} is `{text}`; it would be a whole number"))
    }

    fn seeds(&self) -> Result<Range<u64>, String> {
        let text = self.named.get("seeds").map_or("0..2000", String::as_str);
        let refuse = || format!("--seeds is `{text}`; it would be a range like 0..2000");
        let (begin, end) = text.split_once("..").ok_or_else(refuse)?;
        Ok(begin.parse().map_err(|_| refuse())?..end.parse().map_err(|_| refuse())?)
    }

    fn profile(&self) -> Result<Option<&'static Profile>, String> {
        let Some(name) = self.named.get("profile") else { return Ok(None) };
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        let found = Profile::named(name);
        found.map(Some).ok_or_else(|| format!("there is no profile `{name}`; there is {}", names.join(", ")))
    }

    fn run(&self) -> Result<ExitCode, String> {
        let begun = now();
        let minutes = self.number("minutes", u64::MAX)?;
        let state = self.named.get("state").map(PathBuf::from);
        let revision = self.named.get("revision").cloned().unwrap_or_else(|| "unknown".to_owned());
        let campaign = Campaign {
            seeds: self.seeds()?,
            profile: self.profile()?,
            threads: usize::try_from(self.number("threads", 1)?).map_err(|error| error.to_string())?,
            state: state.map(|path| (path, revision)),
        };
        let progress = campaign.run(
            processor_time,
            || begun.elapsed().as_secs() / 60 >= minutes,
            |progress, failure| {
                if let Some((seed, reason)) = failure {
                    let profile = campaign.profile_of(seed).name;
                    println!("FAILED seed {seed} ({profile}): {}", reason.lines().next().unwrap_or_default());
                    println!("       ./dev replay {seed} --profile {profile}");
                } else {
                    println!("{}", figures(progress));
                }
            },
        );
        println!("{}", figures(&progress));
        for (fault, count) in &progress.report.faults {
            println!("{count:>10} {fault:?}");
        }
        let whole = campaign.seeds.clone().all(|seed| progress.passed.contains(&seed));
        if !progress.failed.is_empty() {
            println!("failed: {:?}", progress.failed.keys().collect::<Vec<_>>());
            return Ok(ExitCode::FAILURE);
        }
        println!("{}", if whole { "all seeds passed" } else { "call again to go on" });
        Ok(ExitCode::SUCCESS)
    }

    /// Counts which placement group state heard which event.
    fn cover(&self) -> Result<ExitCode, String> {
        if !cfg!(feature = "simulation") {
            return Err("this build does not count; ./dev sim --coverage makes one that does".to_owned());
        }
        let table = Rc::new(RefCell::new(Coverage::new()));
        let chosen = self.profile()?;
        for seed in self.seeds()? {
            let profile = chosen.unwrap_or_else(|| Profile::of_seed(seed));
            let recorder = Recorder::coverage(Rc::clone(&table));
            if let Err(reason) = run_until(Seed(seed), profile, recorder, Time::FAR_FUTURE) {
                println!("FAILED seed {seed} ({}): {}", profile.name, reason.lines().next().unwrap_or_default());
            }
        }
        print!("{}", render_coverage(&table.borrow()));
        Ok(ExitCode::SUCCESS)
    }

    fn replay(&self) -> Result<ExitCode, String> {
        let seed = self.plain.first().ok_or("say which seed")?;
        let seed = Seed(seed.parse().map_err(|_| format!("`{seed}` is no seed; it would be a number"))?);
        let profile = self.profile()?.unwrap_or_else(|| Profile::of_seed(seed.0));
        let until = match self.named.get("until") {
            Some(seconds) => {
                let seconds: f64 =
                    seconds.parse().map_err(|_| format!("--until is `{seconds}`; it would be seconds"))?;
                Time::ZERO + Duration::from_secs_f64(seconds.clamp(0.0, 1e9))
            }
            None => Time::FAR_FUTURE,
        };
        let pg: Option<PgId> = match self.named.get("pg") {
            Some(text) => Some(text.parse().map_err(|_| format!("`{text}` is no placement group; it would be 1.3"))?),
            None => None,
        };
        // The name of an object without its pool is enough: every message about it carries it.
        let object = self.named.get("object").map(|text| text.rsplit('/').next().unwrap_or(text).to_owned());
        let wanted: Vec<String> = pg.map(|pg| format!("{pg} ")).into_iter().chain(object).collect();
        let pause_at = self.named.get("break").cloned();
        let mut steps = self.named.contains_key("step");
        let reader = move |at: Time, line: &str| {
            let broke = pause_at.as_ref().is_some_and(|text| line.contains(text.as_str()));
            let is_wanted = wanted.is_empty() || wanted.iter().any(|text| line.contains(text.as_str()));
            if is_wanted || broke {
                println!("{at} {line}");
            }
            if broke || steps && is_wanted {
                eprint!("[Enter: next, c: go on] ");
                let mut answer = String::new();
                let read = stdin().lock().read_line(&mut answer);
                steps = matches!(read, Ok(bytes) if bytes > 0) && !answer.trim().starts_with('c');
            }
        };
        let outcome = run_until(seed, profile, Recorder::reader(reader), until);
        if let Some(pg) = pg {
            for line in describe_at(seed, profile, until, pg) {
                println!("{line}");
            }
        }
        match outcome {
            Ok(report) => {
                println!(
                    "seed {seed} of profile {} at {:.3} s: {report:?}",
                    profile.name,
                    report.virtual_time.as_secs_f64()
                );
                Ok(ExitCode::SUCCESS)
            }
            Err(reason) => {
                println!("seed {seed} of profile {} fails: {reason}", profile.name);
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

fn figures(progress: &Progress) -> String {
    let report = &progress.report;
    let (spent, virtual_time) = (progress.spent.as_secs_f64().max(1e-9), report.virtual_time.as_secs_f64());
    format!(
        "{} seeds passed, {} failed: {:.1} simulated hours, {} operations, {} faults, {} events; {:.0} events a second \
         on one processor, {:.0} times as fast as time",
        progress.passed.len(),
        progress.failed.len(),
        virtual_time / 3600.0,
        report.operations,
        report.faults.values().sum::<u64>(),
        report.events,
        report.events as f64 / spent,
        virtual_time / spent,
    )
}

fn render_coverage(table: &Coverage) -> String {
    let mut states: Vec<&str> = table.keys().map(|(state, _)| *state).collect();
    let mut events: Vec<&str> = table.keys().map(|(_, event)| event.as_str()).collect();
    states.sort_unstable();
    states.dedup();
    events.sort_unstable();
    events.dedup();
    let mut text = format!("{:24}", "");
    for state in &states {
        text += &format!("{state:>11}");
    }
    let mut never = Vec::new();
    for event in &events {
        text += &format!("\n{event:24}");
        for state in &states {
            match table.get(&(*state, (*event).to_owned())) {
                Some(count) => text += &format!("{count:>11}"),
                None => {
                    text += &format!("{:>11}", ".");
                    never.push(format!("{state} x {event}"));
                }
            }
        }
    }
    let cells = states.len() * events.len();
    text += &format!("\n{} of {cells} cells visited; never: {}\n", cells - never.len(), never.join(", "));
    text
}

#[expect(clippy::disallowed_methods, reason = "a tool that says how fast it is")]
fn now() -> Instant {
    Instant::now()
}

/// What this thread has used of a processor: others on the machine do not make the simulator slower in this figure.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Runs each planted bug until it is found.
mod planted {
    use std::process::ExitCode;

    #[cfg(not(feature = "simulation"))]
    pub(super) fn run(_bug: Option<&str>, _seeds_max: u64) -> Result<ExitCode, String> {
        Err("no bugs can be planted in this build; ./dev sim --planted makes one in which they can".to_owned())
    }

    #[cfg(feature = "simulation")]
    pub(super) fn run(chosen: Option<&str>, seeds_max: u64) -> Result<ExitCode, String> {
        use tests_machines::{Profile, run_silently};
        use types::{
            Seed,
            simulation::{Bug, plant},
        };

        let bugs: Vec<Bug> =
            Bug::ALL.iter().copied().filter(|bug| chosen.is_none_or(|name| format!("{bug:?}") == name)).collect();
        if bugs.is_empty() {
            return Err(format!("there is no bug `{}` in types/src/simulation.rs", chosen.unwrap_or_default()));
        }
        println!("| bug | where | what is wrong | seeds | judged by |\n| --- | --- | --- | --- | --- |");
        let mut found = 0;
        for bug in &bugs {
            let failure = (0..seeds_max).find_map(|seed| {
                let (number, profile) = (Seed(seed), Profile::of_seed(seed));
                plant(Some(*bug));
                let outcome = run_silently(number, profile);
                plant(None);
                // What fails without the bug, too, was not found by looking for it.
                let reason = outcome.err().filter(|_| run_silently(number, profile).is_ok())?;
                Some((seed, profile.name, reason))
            });
            let (seeds, judge) = match failure {
                Some((seed, profile, reason)) => {
                    found += 1;
                    let sentence: String = reason.lines().next().unwrap_or_default().chars().take(100).collect();
                    ((seed + 1).to_string(), format!("{profile}: {}", sentence.replace('|', "/")))
                }
                None => ("**not found**".to_owned(), String::new()),
            };
            println!("| {bug:?} | {} | {} | {seeds} | {judge} |", bug.site(), bug.description());
        }
        println!("\n{found} of {} found within {seeds_max} seeds each", bugs.len());
        Ok(if found * 100 >= bugs.len() * 95 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

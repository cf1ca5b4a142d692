//! `./dev sim` and `./dev replay`: builds the simulator as the word needs it, and gives it the words.
//!
//! Two builds: the plain one has exactly the product's machines; the other has the feature `simulation`, in which bugs
//! can be planted and placement groups tell what they hear (decision 0051).

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::steps;

#[derive(Args)]
pub(crate) struct Sitting {
    /// The seeds, as 0..20000.
    #[arg(long, default_value = "0..2000")]
    seeds: String,
    /// One profile for all seeds; otherwise each seed has the one of its number.
    #[arg(long)]
    profile: Option<String>,
    /// Ends the sitting after so many minutes; the next call goes on.
    #[arg(long)]
    minutes: Option<u64>,
    /// Worlds at once.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where progress is kept; under target/ unless given.
    #[arg(long)]
    state: Option<String>,
    /// Plants each bug of the registry and says after how many seeds it is found.
    #[arg(long, conflicts_with_all = ["coverage", "state", "minutes"])]
    planted: bool,
    /// Plants this bug alone.
    #[arg(long, requires = "planted")]
    bug: Option<String>,
    /// Counts which events placement groups hear in which states.
    #[arg(long, conflicts_with_all = ["state", "minutes"])]
    coverage: bool,
}

#[derive(Args)]
pub(crate) struct Replay {
    /// The seed.
    seed: u64,
    /// The profile, unless the seed's own.
    #[arg(long)]
    profile: Option<String>,
    /// Ends at this virtual time, in seconds.
    #[arg(long)]
    until: Option<String>,
    /// Only what concerns this placement group, as 1.3; and where its copies stand in the end.
    #[arg(long)]
    pg: Option<String>,
    /// Only what names this object, as p/register-2.
    #[arg(long)]
    object: Option<String>,
    /// Stops at each line that has this text, until Enter.
    #[arg(long = "break")]
    pause: Option<String>,
    /// Stops after each line, until Enter.
    #[arg(long)]
    step: bool,
}

pub(crate) fn sit(root: &Path, sitting: &Sitting) -> Result<()> {
    let mut words: Vec<String> = Vec::new();
    let mut name = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            words.extend([format!("--{name}"), value.to_owned()]);
        }
    };
    if sitting.planted {
        name("bug", sitting.bug.as_deref());
        return run(root, Build::Telling, "planted", &words);
    }
    name("seeds", Some(&sitting.seeds));
    name("profile", sitting.profile.as_deref());
    if sitting.coverage {
        words.push("--coverage".to_owned());
        return run(root, Build::Telling, "run", &words);
    }
    let of_profile = format!("target/simulator/{}.state", sitting.profile.as_deref().unwrap_or("all"));
    name("state", Some(sitting.state.as_deref().unwrap_or(&of_profile)));
    name("threads", Some(&sitting.threads.to_string()));
    name("minutes", sitting.minutes.map(|minutes| minutes.to_string()).as_deref());
    name("revision", Some(&revision(root)?));
    run(root, Build::Plain, "run", &words)
}

pub(crate) fn replay(root: &Path, replay: &Replay) -> Result<()> {
    let mut words = vec![replay.seed.to_string()];
    let named = [
        ("profile", &replay.profile),
        ("until", &replay.until),
        ("pg", &replay.pg),
        ("object", &replay.object),
        ("break", &replay.pause),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            words.extend([format!("--{name}"), value.clone()]);
        }
    }
    if replay.step {
        words.push("--step".to_owned());
    }
    run(root, Build::Telling, "replay", &words)
}

/// How the machines are built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// As in the product.
    Plain,
    /// So that they carry out planted bugs and tell what they hear.
    Telling,
}

fn run(root: &Path, build: Build, word: &str, words: &[String]) -> Result<()> {
    let mut command = Command::new(steps::cargo_program());
    command.args(["run", "--locked", "--quiet", "--package", "ika-tests-machines", "--bin", "ika-simulate"]);
    if build == Build::Telling {
        command.args(["--features", "simulation"]);
    }
    command.args(["--", word]).args(words).current_dir(root);
    let status = command.status().context("start the simulator")?;
    ensure!(status.success(), "the simulator ended with {status}");
    Ok(())
}

/// The revision that figures belong to; a changed checkout is another one.
fn revision(root: &Path) -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git").args(arguments).current_dir(root).output().context("ask git")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(if changed { format!("{head}-changed") } else { head })
}

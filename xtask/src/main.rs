//! The tree's own tools, called through `./dev`: the house rules, the checks before a merge, the tests.
//!
//! Owns: which commands make up a word of `./dev`. Does not know: what a bare machine lacks (that is `./dev`'s), or
//! anything of what the crates do. Each word stops at the first step that fails and says which; exit code 1.

mod bench;
mod dashboard;
mod simulator;
mod steps;
mod test_run;
mod tidy;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "./dev", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    word: Word,
}

#[derive(Subcommand)]
enum Word {
    /// Checks the house rules that a machine can check.
    Tidy,
    /// Format, house rules, lints: what must hold before tests are worth running.
    Check,
    /// Builds the dashboard's page anew from its sources, with npm.
    Dashboard {
        /// Fail when the committed page is not what its sources say.
        #[arg(long)]
        check: bool,
    },
    /// Runs all tests, or what these arguments of `cargo test` choose.
    Test {
        /// With the full counts of seeds, crash images and random inputs (sets IKA_LONG): hours instead of minutes.
        #[arg(long)]
        long: bool,
        /// As `cargo test` takes them; `-p CRATE NAME` for some.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs whole simulated clusters, from seeds; goes on where the last sitting ended, with failed seeds first.
    Sim(simulator::Sitting),
    /// Tells the story of one seed: every event, or those of one placement group or object.
    Replay(simulator::Replay),
    /// Measures on this machine: a cluster of three OSDs, its gateway (`s3`), or `placement` or its `quality`; the
    /// figures of docs/.
    Bench {
        /// What to measure instead of a cluster, and where a plot goes.
        what: Vec<String>,
        /// Seconds of each measurement.
        #[arg(long, default_value_t = 10)]
        seconds: u32,
        /// For `s3`: how often each measurement is made.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// For `s3`: in turns with another S3 service, which the variables PEER_… describe.
        #[arg(long)]
        compare: bool,
    },
}

fn main() -> ExitCode {
    // What cargo says now, not what it said at compile time: a target folder may serve several checkouts.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = own.parent().expect("xtask lies in the workspace's folder");
    match run(Arguments::parse().word, root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(word: Word, root: &Path) -> Result<()> {
    match word {
        Word::Tidy => tidy::run(root),
        Word::Check => {
            steps::cargo(root, &["fmt", "--all", "--check"])
                .context("some files are not formatted: cargo fmt --all")?;
            tidy::run(root)?;
            steps::cargo(root, &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
        }
        Word::Dashboard { check } => {
            let difference = if check { dashboard::Difference::Refused } else { dashboard::Difference::Kept };
            dashboard::build(root, difference)
        }
        Word::Test { long, arguments } => {
            let extent = if long { test_run::Extent::Long } else { test_run::Extent::Usual };
            test_run::run(root, extent, &arguments)
        }
        Word::Sim(sitting) => simulator::sit(root, &sitting),
        Word::Replay(replay) => simulator::replay(root, &replay),
        Word::Bench { what, seconds, .. } if what.is_empty() => bench::run(root, seconds),
        Word::Bench { what, seconds, rounds, compare } if what == ["s3"] => {
            steps::cargo(root, &["build", "--locked", "--package", "ika"])?;
            let (seconds, rounds) = (seconds.to_string(), rounds.to_string());
            let mut arguments = vec!["run", "--locked", "--quiet", "--package", "ika-bench", "--", "s3"];
            arguments.extend(["--seconds", &seconds, "--rounds", &rounds]);
            arguments.extend(compare.then_some("--compare"));
            steps::cargo(root, &arguments)
        }
        Word::Bench { what, .. } => {
            let arguments = ["run", "--locked", "--quiet", "--package", "ika-bench", "--"];
            steps::cargo(root, &[&arguments[..], &what.iter().map(String::as_str).collect::<Vec<_>>()].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_run_is_asked_for_before_what_cargo_takes() {
        let parse = |words: &[&str]| match Arguments::try_parse_from([&["./dev", "test"], words].concat()).unwrap().word
        {
            Word::Test { long, arguments } => (long, arguments.join(" ")),
            _ => panic!("`test` is the word"),
        };
        assert_eq!(parse(&[]), (false, String::new()));
        assert_eq!(parse(&["--long"]), (true, String::new()));
        assert_eq!(parse(&["--long", "-p", "ika-crush", "name"]), (true, "-p ika-crush name".to_owned()));
        assert_eq!(parse(&["-p", "ika-crush", "--", "--nocapture"]), (false, "-p ika-crush -- --nocapture".to_owned()));
    }
}

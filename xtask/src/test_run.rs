//! Runs the tests and ends with a summary: how many, what failed, and which binaries took the time.

use std::{
    fs::File,
    io::{BufRead, BufReader, PipeReader, Write, pipe},
    path::Path,
    process::Command,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::steps;

/// Binaries that the summary names.
const SLOWEST_SHOWN: usize = 5;

/// Lines that are read before they are shown.
const LINES_AHEAD: usize = 100;

/// The variable that asks tests for their full counts.
const LONG_VARIABLE: &str = "IKA_LONG";

/// Where long runs are written down, beside the folder of the build profile.
const LONG_RUNS_FILE: &str = "long-runs.txt";

/// How much the tests do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What fits the budget of a change: minutes.
    Usual,
    /// The full counts of seeds, crash images and random inputs: hours. What came of it is written down.
    Long,
}

/// Runs `cargo test`, for the whole workspace unless the arguments choose packages themselves.
pub(crate) fn run(root: &Path, extent: Extent, arguments: &[String]) -> Result<()> {
    let begun = steps::now();
    // Taken at the beginning: the checkout may move on during the hours of a long run.
    let revision = if extent == Extent::Long { Some(revision(root)?) } else { None };
    let is_chosen = arguments.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    // The tests of real processes start the `ika` binary, which `cargo test` alone does not build.
    if !is_chosen {
        steps::cargo(root, &["build", "--locked", "--workspace", "--bins", "--tests"])?;
    } else if arguments.iter().any(|argument| argument.contains("daemons")) {
        steps::cargo(root, &["build", "--locked", "--package", "ika"])?;
    }
    let mut command = Command::new(steps::cargo_program());
    command.args(["test", "--locked", "--no-fail-fast"]).current_dir(root);
    if !is_chosen {
        command.arg("--workspace");
    }
    command.args(arguments);
    if extent == Extent::Long {
        command.env(LONG_VARIABLE, "1");
    }
    // A failed test's error would drown in the traces of everybody who passed it on; panics keep theirs.
    command.env("RUST_LIB_BACKTRACE", "0");
    // One pipe for both, so that cargo's lines stay between those of the tests.
    let (reader, writer) = pipe().context("make a pipe")?;
    command.stdout(writer.try_clone().context("share a pipe")?).stderr(writer);
    let mut child = command.spawn().context("start cargo test")?;
    // The command holds the pipe's writing ends; without this the reader would wait for ever.
    drop(command);
    let mut summary = Summary::default();
    let lines = read_apart(reader);
    loop {
        let line = match lines.recv_timeout(silence_max(extent)) {
            Ok(line) => line.context("read the output of cargo test")?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().context("end cargo test")?;
                let binary = summary.running.map_or_else(|| "cargo".to_owned(), |(name, _)| name);
                bail!("nothing was heard of {binary} for {} s; a test of it hangs", silence_max(extent).as_secs());
            }
        };
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        summary.hear(&line, steps::now());
    }
    let status = child.wait().context("wait for cargo test")?;
    let rendered = summary.render(begun.elapsed());
    print!("{rendered}");
    if let Some(revision) = revision {
        let verdict = if status.success() { "passed" } else { "FAILED" };
        record_long_run(&format!("{revision} {verdict} {}{rendered}\n", arguments.join(" ")))?;
    }
    if !status.success() {
        bail!(if summary.failed == 0 { "the tests did not all build and run" } else { "some tests failed" });
    }
    Ok(())
}

/// How long the tests may say nothing. Without `--long` none takes more than minutes; one that hangs shall be named,
/// and not be found by whoever ends the whole run.
fn silence_max(extent: Extent) -> Duration {
    match extent {
        Extent::Usual => Duration::from_secs(20 * 60),
        Extent::Long => Duration::from_secs(24 * 3600),
    }
}

/// Lines of the output as they come, read by a thread of their own so that silence can be noticed.
fn read_apart(reader: PipeReader) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, lines) = sync_channel(LINES_AHEAD);
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n') {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The commit of the checkout, with a mark when files differ from it.
fn revision(root: &Path) -> Result<String> {
    let program = "git describe --always --dirty --abbrev=12 --exclude=*";
    let output = Command::new("git").args(program.split(' ').skip(1)).current_dir(root).output();
    let output = output.with_context(|| format!("start {program}"))?;
    ensure!(output.status.success(), "`{program}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Adds to the list of long runs in the target folder: a long run is worth something only with the revision it was of.
fn record_long_run(text: &str) -> Result<()> {
    let own = std::env::current_exe().context("find the target folder")?;
    let target = own.ancestors().nth(2).context("a program lies in the target folder's folder of a profile")?;
    let path = target.join(LONG_RUNS_FILE);
    let file = File::options().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("write {}", path.display()))?;
    eprintln!("dev: written down in {}", path.display());
    Ok(())
}

#[derive(Default)]
struct Summary {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
    running: Option<(String, Instant)>,
    binaries: Vec<(Duration, String)>,
}

impl Summary {
    /// Reads one line of the output of cargo or of a test binary.
    fn hear(&mut self, line: &str, now: Instant) {
        let begins = line.trim_start();
        if let Some(binary) = begins.strip_prefix("Running ").or_else(|| begins.strip_prefix("Doc-tests ")) {
            self.running = Some((short_name(binary), now));
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            for (count, word) in counts.split([';', '.']).filter_map(|part| part.trim().split_once(' ')) {
                let count: usize = count.parse().unwrap_or(0);
                match word {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    "ignored" => self.ignored += count,
                    _ => {}
                }
            }
            if let Some((name, begun)) = self.running.take() {
                self.binaries.push((now - begun, name));
            }
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            let binary = self.running.as_ref().map_or("", |running| running.0.as_str());
            self.failures.push(format!("{binary}: {name}"));
        }
    }

    fn render(&mut self, elapsed: Duration) -> String {
        let mut text = String::from("\n");
        for failure in &self.failures {
            text += &format!("FAILED {failure}\n");
        }
        self.binaries.sort_by(|left, right| right.cmp(left));
        for (duration, name) in self.binaries.iter().take(SLOWEST_SHOWN).filter(|(time, _)| time.as_secs() > 0) {
            text += &format!("{:>8} {name}\n", steps::seconds(*duration));
        }
        let (count, Self { passed, failed, ignored, .. }) = (self.binaries.len(), self);
        text += &format!("{passed} passed, {failed} failed, {ignored} ignored in {count} binaries; ");
        text + &format!("{} with building\n", steps::seconds(elapsed))
    }
}

/// `unittests src/lib.rs (target/debug/deps/store-58b8c1ba5385362d)` is `store`.
fn short_name(binary: &str) -> String {
    let Some((_, path)) = binary.rsplit_once('(') else { return format!("{binary} (documentation)") };
    let file = path.trim_end_matches(')').rsplit('/').next().unwrap_or(path);
    file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_and_names_what_failed() {
        let mut summary = Summary::default();
        let begun = steps::now();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/store-58b8c1ba5385362d)",
            "test journal::tests::replay ... ok",
            "test journal::tests::torn ... FAILED",
            "test result: FAILED. 13 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.07s",
            "   Doc-tests telemetry",
            "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            summary.hear(line, begun);
        }
        let text = summary.render(Duration::from_secs(61));
        assert!(text.contains("FAILED store: journal::tests::torn\n"), "{text}");
        assert!(text.contains("17 passed, 1 failed, 2 ignored in 2 binaries; 61.0 s with building"), "{text}");
    }
}

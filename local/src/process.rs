//! Daemon processes: started so that they outlive their starter, found again, and stopped by id and start time.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telemetry::clock::boot_clock_now;
use types::Time;

/// A process that was written down when it started. The id may be another's by now; the start time tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningProcess {
    /// Its id.
    pub pid: i32,
    /// When it started, in the kernel's ticks since boot.
    start_ticks: u64,
}

impl RunningProcess {
    /// The process written down in this file, if it still runs.
    pub fn find(run_path: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(run_path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", run_path.display())),
        };
        let mut words = text.split_whitespace();
        let (Some(pid), Some(ticks)) = (words.next(), words.next()) else { return Ok(None) };
        let (Ok(pid), Ok(start_ticks)) = (pid.parse(), ticks.parse()) else { return Ok(None) };
        let found = Self { pid, start_ticks };
        Ok(found.is_running().then_some(found))
    }

    /// Whether this very process still runs.
    pub fn is_running(&self) -> bool {
        start_ticks_of(self.pid) == Some(self.start_ticks)
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => bail!("cannot send {signal} to process {}: {error}", self.pid),
        }
    }
}

/// The start time of a process that runs; a zombie has ended when none of its threads is left.
fn start_ticks_of(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; fields are counted behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") && !has_other_threads(pid) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The first thread of a killed process may be a zombie while others still hold its files, locks and ports.
fn has_other_threads(pid: i32) -> bool {
    fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
}

/// A daemon that was just started.
#[derive(Debug)]
pub(crate) struct Starting {
    pub name: String,
    child: Child,
}

impl Starting {
    /// Starts a daemon, in a process group of its own so that Ctrl-C at the terminal reaches only us,
    /// and writes it down.
    pub fn begin(name: &str, program: &Path, arguments: Vec<OsString>, run_path: &Path, stderr: File) -> Result<Self> {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name} with {}", program.display()))?;
        let pid = i32::try_from(child.id()).context("a process id fits 31 bits")?;
        if let Some(start_ticks) = start_ticks_of(pid) {
            fs::write(run_path, format!("{pid} {start_ticks}\n"))
                .with_context(|| format!("write {}", run_path.display()))?;
        }
        Ok(Self { name: name.to_owned(), child })
    }

    /// Waits until it says that it serves, by one line on its standard output. What it said is returned.
    pub fn wait(mut self, log_path: &Path, deadline: Time) -> Result<(Child, String)> {
        let stdout = self.child.stdout.take().context("the daemon's standard output is piped")?;
        if !wait_until_readable(&stdout, deadline).with_context(|| format!("listen to {}", self.name))? {
            bail!("{} does not say that it serves: {}", self.name, last_words(log_path));
        }
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).with_context(|| format!("listen to {}", self.name))?;
        if line.trim().is_empty() {
            let status = self.child.wait().with_context(|| format!("wait for {}", self.name))?;
            bail!("{} did not start ({status}): {}", self.name, last_words(log_path));
        }
        Ok((self.child, line.trim().to_owned()))
    }
}

/// Whether there is something to read, or an end, before the deadline.
fn wait_until_readable(pipe: &ChildStdout, deadline: Time) -> nix::Result<bool> {
    loop {
        let remaining = deadline.since(boot_clock_now());
        let timeout = PollTimeout::try_from(remaining).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            ready => return ready.map(|count| count > 0),
        }
    }
}

/// The last line of a log, for a sentence.
fn last_words(log_path: &Path) -> String {
    let text = fs::read(log_path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    format!("{last} (more in {})", log_path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_process_is_found_again() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let run = place.path().join("osd.0");
        assert_eq!(RunningProcess::find(&run).expect("no file is no process"), None);
        let me = i32::try_from(std::process::id()).expect("fits");
        let ticks = start_ticks_of(me).expect("this process runs");
        fs::write(&run, format!("{me} {ticks}\n")).expect("write");
        assert!(RunningProcess::find(&run).expect("read").is_some());
        fs::write(&run, format!("{me} {}\n", ticks + 1)).expect("write");
        assert_eq!(RunningProcess::find(&run).expect("read"), None);
        fs::write(&run, "half a li").expect("write");
        assert_eq!(RunningProcess::find(&run).expect("read"), None);
    }
}

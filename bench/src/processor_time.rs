//! Processor time of this thread and of programs that were run: what work costs, whoever else is busy.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use nix::{
    time::{ClockId, clock_gettime},
    unistd::{SysconfVar, sysconf},
};

/// What the work took of this thread's processor time.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> Result<(Duration, T)> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let begun = now().context("read the thread's clock")?;
    let value = work();
    Ok((now().context("read the thread's clock")?.saturating_sub(begun), value))
}

/// Processor time of all programs that this one has run and waited for, in the kernel's ticks of 10 ms.
pub(crate) fn of_children() -> Result<Duration> {
    let path = "/proc/self/stat";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    // proc(5): the fields behind the name, which is in brackets, begin with the third; 16 and 17 are the children's.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<u64> = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    let per_second = sysconf(SysconfVar::CLK_TCK).context("ask for the length of a tick")?.unwrap_or(100);
    let milliseconds = ticks.iter().sum::<u64>() * 1000 / u64::try_from(per_second).context("a tick has a length")?;
    Ok(Duration::from_millis(milliseconds))
}

//! What a process has used, as the kernel counts it.

use std::{fs, time::Duration};

use nix::unistd::{SysconfVar, sysconf};
use types::{Error, Result};

/// Processor time and memory of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStatistics {
    /// Time on processors in the process's own code.
    pub user_time: Duration,
    /// Time on processors in the kernel on its behalf.
    pub system_time: Duration,
    /// Memory that is in RAM now.
    pub resident_bytes: u64,
    /// Most memory that was in RAM at once.
    pub resident_bytes_peak: u64,
    /// Threads that it has now.
    pub threads: u64,
}

impl ProcessStatistics {
    /// Of this process.
    pub fn own() -> Result<Self> {
        Self::of_process(std::process::id())
    }

    /// Of another process of this host, by its process id.
    pub fn of_process(id: u32) -> Result<Self> {
        let stat = read(id, "stat")?;
        let status = read(id, "status")?;
        let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
        parse(&stat, &status, ticks_per_second.unwrap_or(100))
    }

    /// Time on processors, both kinds.
    pub fn cpu_time(&self) -> Duration {
        self.user_time + self.system_time
    }
}

fn read(id: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{id}/{file}");
    fs::read_to_string(&path).map_err(|error| Error::not_found(format!("read {path}: {error}")))
}

fn parse(stat: &str, status: &str, ticks_per_second: u64) -> Result<ProcessStatistics> {
    // The second field is the command in parentheses and may hold anything, so count from the last one: proc(5).
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    let ticks = |index: usize| {
        let ticks: u64 = fields.get(index)?.parse().ok()?;
        Some(Duration::from_nanos(ticks.checked_mul(1_000_000_000)? / ticks_per_second))
    };
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    let parsed = || {
        Some(ProcessStatistics {
            user_time: ticks(11)?,
            system_time: ticks(12)?,
            resident_bytes: number("VmRSS")? * 1024,
            resident_bytes_peak: number("VmHWM")? * 1024,
            threads: number("Threads")?,
        })
    };
    parsed().ok_or_else(|| Error::internal("the kernel's statistics of a process are not of the form of proc(5)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_command_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1 2 3";
        let status = "Name:\ta) b\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n";
        let statistics = parse(stat, status, 100).unwrap();
        assert_eq!(statistics.user_time, Duration::from_millis(2500));
        assert_eq!(statistics.cpu_time(), Duration::from_secs(3));
        assert_eq!((statistics.resident_bytes, statistics.resident_bytes_peak), (1 << 20, 2 << 20));
        assert_eq!(statistics.threads, 3);
        assert!(parse("7 (a) S 1", status, 100).is_err());
        assert!(parse(stat, "Name: kthread\n", 100).is_err());
    }

    #[test]
    fn this_process_has_used_something() {
        let own = ProcessStatistics::own().unwrap();
        assert!(own.resident_bytes > 0 && own.resident_bytes <= own.resident_bytes_peak && own.threads > 0, "{own:?}");
        assert!(ProcessStatistics::of_process(u32::MAX).is_err());
    }
}

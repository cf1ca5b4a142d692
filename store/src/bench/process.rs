//! What the kernel says of this process.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use types::{Error, Result};

/// Processor time of all threads of this process, user and kernel.
pub(super) fn processor() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.map(Duration::from).map_err(|error| Error::internal(format!("read the process's clock: {error}")))
}

/// Bytes that this process caused to be written to devices.
pub(super) fn written_bytes() -> Result<u64> {
    let read = std::fs::read_to_string("/proc/self/io");
    let text = read.map_err(|error| Error::internal(format!("read /proc/self/io: {error}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| Error::internal("/proc/self/io does not tell write_bytes"))
}

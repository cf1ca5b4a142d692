//! fio as the measure of what the device does without a store: same bytes, same folder, same moment.

use std::{path::PathBuf, process::Command};

use types::{Error, Result};

use super::{BenchLimit, BenchLoad, BenchOrder, BenchWork};

/// Columns of fio's terse format, version 3, that hold operations per second.
const READ_RATE_COLUMN: usize = 7;
const WRITE_RATE_COLUMN: usize = 48;
/// Bytes laid out with one write.
const LAYOUT_BYTES: u64 = 4 << 20;

/// fio on one file.
pub(super) struct Fio {
    file: PathBuf,
    size_bytes: u64,
}

impl Fio {
    /// Writes the file once, so that the file system's first allocation is not measured.
    pub fn new(file: PathBuf, size_bytes: u64) -> Result<Self> {
        let fio = Self { file, size_bytes };
        let block = LAYOUT_BYTES.min(size_bytes);
        fio.run(&["--rw=write", "--ioengine=psync", "--end_fsync=1", &format!("--bs={block}")])?;
        Ok(fio)
    }

    /// Operations of a load per second, measured in each way that fits it.
    pub fn limits(&self, load: BenchLoad, milliseconds: u64) -> Result<Vec<(BenchLimit, f64)>> {
        let (block, depth) = (load.block_bytes, load.depth);
        let time = format!("--runtime={milliseconds}ms");
        let common = ["--time_based", &time, "--norandommap", "--randrepeat=0"];
        let direction = match (load.work, load.order) {
            (BenchWork::Read, BenchOrder::Random) => "--rw=randread",
            (BenchWork::Read, BenchOrder::Sequential) => "--rw=read",
            (_, BenchOrder::Random) => "--rw=randwrite",
            (_, BenchOrder::Sequential) => "--rw=write",
        };
        let size = format!("--bs={block}");
        let queue =
            ["--ioengine=io_uring".to_owned(), format!("--iodepth={depth}"), format!("--iodepth_batch_submit={depth}")];
        let queue: Vec<&str> = queue.iter().map(String::as_str).collect();
        if load.work == BenchWork::Read {
            let rate = self.run(&[&common[..], &[direction, &size], &queue].concat())?;
            return Ok(vec![(BenchLimit::Batched, rate[READ_RATE_COLUMN])]);
        }
        let one = ["--ioengine=psync", "--fdatasync=1"];
        if depth == 1 {
            let rate = self.run(&[&common[..], &[direction, &size], &one].concat())?;
            return Ok(vec![(BenchLimit::Batched, rate[WRITE_RATE_COLUMN])]);
        }
        let whole = [format!("--iodepth_batch_complete_min={depth}"), format!("--fdatasync={depth}")];
        let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
        let batched = self.run(&[&common[..], &[direction, &size], &queue, &whole].concat())?;
        let joined_size = format!("--bs={}", block * depth as u64);
        let joined = self.run(&[&common[..], &[direction, &joined_size], &one].concat())?;
        let joined_rate = joined[WRITE_RATE_COLUMN] * depth as f64;
        Ok(vec![(BenchLimit::Batched, batched[WRITE_RATE_COLUMN]), (BenchLimit::Joined, joined_rate)])
    }

    /// Runs fio; the numbers of its line, with zero for what is none.
    fn run(&self, arguments: &[&str]) -> Result<Vec<f64>> {
        let mut command = Command::new("fio");
        command.args(["--name=limit", "--direct=1", "--output-format=terse", "--terse-version=3"]);
        command.arg(format!("--filename={}", self.file.display())).arg(format!("--size={}", self.size_bytes));
        command.args(arguments);
        let output = command.output().map_err(|error| {
            Error::not_found(format!("run fio: {error}; Debian's package fio has it, or measure without limits"))
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().rfind(|line| line.starts_with("3;"));
        match line {
            Some(line) if output.status.success() => Ok(numbers(line)),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(Error::invalid(format!("fio {}: {} {}", arguments.join(" "), said.trim(), text.trim())))
            }
        }
    }
}

/// The columns of a terse line; always more than those asked for.
fn numbers(line: &str) -> Vec<f64> {
    let mut numbers: Vec<f64> = line.split(';').map(|column| column.parse().unwrap_or(0.0)).collect();
    numbers.resize(numbers.len().max(WRITE_RATE_COLUMN + 1), 0.0);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_and_short_lines_are_zero() {
        let line = (0..100).map(|column| column.to_string()).collect::<Vec<_>>().join(";");
        assert_eq!(numbers(&line)[READ_RATE_COLUMN], 7.0);
        assert_eq!(numbers(&line)[WRITE_RATE_COLUMN], 48.0);
        assert_eq!(numbers("3;fio")[WRITE_RATE_COLUMN], 0.0);
    }
}

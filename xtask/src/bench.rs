//! Measures a cluster of separate processes on this machine with `ika object bench`: the figures of docs/performance.md.
//!
//! Pool size 3 on three OSDs; beside each figure what it cost the OSDs in processor time, all three together, and the
//! most memory that one of them had. The cluster lives in the target folder and is removed afterwards.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use telemetry::ProcessStatistics;

use crate::steps;

/// Block size and operations in flight of each pair of measurements.
const LOADS: [(&str, u32); 3] = [("4K", 1), ("4K", 32), ("4M", 16)];

pub(crate) fn run(root: &Path, seconds: u32) -> Result<()> {
    steps::cargo(root, &["build", "--locked", "--package", "ika"])?;
    let own = env::current_exe().context("find the target folder")?;
    let folder = own.parent().context("a program lies in a folder")?;
    let cluster = Cluster { program: folder.join("ika"), data: folder.join(format!("bench-{}", std::process::id())) };
    cluster.ika(&["up", "--detach", "--data", &cluster.data.to_string_lossy()])?;
    let measured = measure_all(&cluster, seconds);
    cluster.ika(&["down", "--data", &cluster.data.to_string_lossy()])?;
    fs::remove_dir_all(&cluster.data).with_context(|| format!("remove {}", cluster.data.display()))?;
    print!("{}", measured?);
    Ok(())
}

struct Cluster {
    program: PathBuf,
    data: PathBuf,
}

impl Cluster {
    /// Runs one command and gives back what it printed.
    fn ika(&self, arguments: &[&str]) -> Result<String> {
        let shown = format!("ika {}", arguments.join(" "));
        let output = Command::new(&self.program)
            .args(arguments)
            .env("IKA_CONFIG", self.data.join("ika.toml"))
            .output()
            .with_context(|| format!("start {shown}"))?;
        ensure!(output.status.success(), "`{shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Processor time of all OSDs together, and the most memory that one of them had.
    fn osds(&self) -> Result<(Duration, u64)> {
        let (mut time, mut bytes) = (Duration::ZERO, 0);
        let folder = self.data.join("run");
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("osd.")) {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let id = text.split_whitespace().next().and_then(|word| word.parse().ok());
            let id = id.with_context(|| format!("{} holds no process id", path.display()))?;
            let statistics = ProcessStatistics::of_process(id)?;
            time += statistics.cpu_time();
            bytes = bytes.max(statistics.resident_bytes_peak);
        }
        Ok((time, bytes))
    }
}

fn measure_all(cluster: &Cluster, seconds: u32) -> Result<String> {
    let mut table = String::from(
        "| what | ops/s | MB/s | mean ms | p50 ms | p99 ms | OSD CPU ms/op | client CPU ms/op | OSD memory MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (size, threads) in LOADS {
        for mode in ["write", "rand"] {
            eprintln!("dev: {mode} of {size}, {threads} in flight");
            table += &measure(cluster, seconds, size, threads, mode)?;
        }
        cluster.ika(&["object", "-p", "demo", "cleanup"])?;
    }
    Ok(table)
}

fn measure(cluster: &Cluster, seconds: u32, size: &str, threads: u32, mode: &str) -> Result<String> {
    let (seconds, in_flight) = (seconds.to_string(), threads.to_string());
    let mut arguments = vec!["--format", "json", "object", "-p", "demo", "bench", &seconds, mode, "-t", &in_flight];
    arguments.extend(["-b", size]);
    if mode == "write" {
        arguments.push("--no-cleanup");
    }
    let (time_before, _) = cluster.osds()?;
    let report = cluster.ika(&arguments)?;
    let (time_after, memory) = cluster.osds()?;
    let report: Value = serde_json::from_str(&report).context("read the report of `ika object bench`")?;
    row(&format!("{mode} {size}, {threads} in flight"), &report, time_after.saturating_sub(time_before), memory)
}

fn row(what: &str, report: &Value, osd_time: Duration, memory: u64) -> Result<String> {
    let figure = |path: &str| {
        let value = report.pointer(path).and_then(Value::as_f64);
        value.with_context(|| format!("the report of `ika object bench` has no number at {path}"))
    };
    let ops = figure("/ops")?.max(1.0);
    Ok(format!(
        "| {what} | {:.0} | {:.1} | {:.2} | {:.2} | {:.2} | {:.3} | {:.3} | {} |\n",
        figure("/ops_per_second")?,
        figure("/bytes_per_second")? / 1e6,
        figure("/latency_ms/mean")?,
        figure("/latency_ms/p50")?,
        figure("/latency_ms/p99")?,
        osd_time.as_secs_f64() * 1e3 / ops,
        figure("/client_cpu_seconds")? * 1e3 / ops,
        memory >> 20,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_divides_by_the_operations() {
        let report = json!({
            "ops": 1000, "ops_per_second": 500.0, "bytes_per_second": 2_048_000.0, "client_cpu_seconds": 0.1,
            "latency_ms": { "mean": 2.0, "p50": 1.5, "p99": 9.25 },
        });
        let text = row("write 4K", &report, Duration::from_secs(2), 100 << 20).unwrap();
        assert_eq!(text, "| write 4K | 500 | 2.0 | 2.00 | 1.50 | 9.25 | 2.000 | 0.100 | 100 |\n");
        let error = row("write 4K", &json!({ "ops": 1 }), Duration::ZERO, 0).unwrap_err();
        assert!(error.to_string().contains("/ops_per_second"), "{error}");
    }
}

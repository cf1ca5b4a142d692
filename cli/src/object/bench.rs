//! `ika object bench`: writes and reads of whole objects, measured, reported like `rados bench`.

use std::{process, time::Duration};

use bytes::Bytes;
use client::{Error, ErrorKind, Pool, Result};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use telemetry::clock::{boot_clock_now, instant_of, wall_clock_milliseconds};
use types::{Seed, SeededRandom, Time, limits};

use crate::{
    arguments::{BenchArguments, BenchMode},
    console::Console,
    latency::Latencies,
    progress::{Progress, Unit},
};

/// What a run is remembered under when nobody says.
pub(crate) const RUN_NAME_DEFAULT: &str = "benchmark_last_metadata";

/// Objects removed at once.
const REMOVALS_AT_ONCE: usize = 32;

/// How long those in flight may take once the time is over: as long as operations wait before they are warned of.
const STILL_IN_FLIGHT_MAX: Duration = Duration::from_secs(30);

/// What a write leaves for reads and for cleaning up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    prefix: String,
    block_size: u64,
    objects: u64,
    seed: u64,
}

impl Run {
    fn object(&self, index: u64) -> String {
        format!("{}_object{index}", self.prefix)
    }
}

/// Measures and reports.
pub(super) async fn bench(pool: &Pool, arguments: &BenchArguments, console: Console) -> Result<()> {
    let run = match arguments.mode {
        BenchMode::Write => begin(pool, arguments).await?,
        BenchMode::Seq | BenchMode::Rand => remembered(pool, &arguments.run_name).await?,
    };
    let data = content(run.seed, run.block_size)?;
    if !console.format.is_json() {
        let (mode, threads) = (arguments.mode.name(), arguments.threads);
        console.remark(&format!(
            "{mode} of {} bytes, {threads} in flight, for up to {} seconds",
            run.block_size, arguments.seconds
        ));
    }
    let cpu_before = cpu_time();
    let (measured, written) = measure(pool, arguments, &run, &data, console).await?;
    let cpu = cpu_time().saturating_sub(cpu_before);
    if arguments.mode == BenchMode::Write {
        let run = Run { objects: written, ..run };
        remember(pool, &arguments.run_name, &run).await?;
        if !arguments.no_cleanup {
            remove_objects(pool, &run).await?;
            forget(pool, &arguments.run_name).await?;
        }
    }
    let report = Report { arguments, block_size: data.len() as u64, measured, cpu };
    console.show(|| report.text(), || report.json())
}

/// Removes the objects of a run, and its memory.
pub(super) async fn cleanup(pool: &Pool, run_name: &str, console: Console) -> Result<()> {
    let run = remembered(pool, run_name).await?;
    let objects = remove_objects(pool, &run).await?;
    forget(pool, run_name).await?;
    console.show(|| format!("Removed {objects} objects"), || json!({ "objects": objects }))
}

async fn begin(pool: &Pool, arguments: &BenchArguments) -> Result<Run> {
    let seed = wall_clock_milliseconds();
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let prefix = format!("benchmark_data_{host}_{}_{seed}", process::id());
    let run = Run { prefix, block_size: arguments.block_size, objects: 0, seed };
    // Remembered before the first object, so that `cleanup` finds what an interrupted run left.
    remember(pool, &arguments.run_name, &Run { objects: u64::MAX, ..run.clone() }).await?;
    Ok(run)
}

async fn remember(pool: &Pool, run_name: &str, run: &Run) -> Result<()> {
    let text = serde_json::to_vec(run).map_err(|error| Error::internal(format!("write down the run: {error}")))?;
    pool.object(run_name).write_full(text).await
}

async fn remembered(pool: &Pool, run_name: &str) -> Result<Run> {
    let text = pool.object(run_name).read_all().await.map_err(|error| match error.kind {
        ErrorKind::NotFound => Error::not_found(format!(
            "no benchmark left objects under `{run_name}`; run `bench SECONDS write --no-cleanup` first"
        )),
        _ => error,
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("`{run_name}` does not describe a benchmark: {error}")))
}

async fn forget(pool: &Pool, run_name: &str) -> Result<()> {
    pool.object(run_name).remove().await
}

/// Removes in order of numbers; says how many were there. A run that was interrupted does not know how many there are: then the first stretch
/// without any ends it.
async fn remove_objects(pool: &Pool, run: &Run) -> Result<u64> {
    let is_known = run.objects != u64::MAX;
    let mut progress = Progress::new(Unit::Things("objects"), is_known.then_some(run.objects));
    let (mut next, mut count) = (0, 0);
    while next < run.objects {
        let end = run.objects.min(next.saturating_add(1024));
        let names: Vec<String> = (next..end).map(|index| run.object(index)).collect();
        let removed: Vec<bool> = futures::stream::iter(names)
            .map(|name| async move {
                match pool.object(name).remove().await {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .buffered(REMOVALS_AT_ONCE)
            .try_collect()
            .await?;
        progress.add(end - next);
        count += removed.iter().filter(|was_there| **was_there).count() as u64;
        next = end;
        if !is_known && !removed.contains(&true) {
            break;
        }
    }
    Ok(count)
}

/// Bytes that do not compress; the same for the same seed.
fn content(seed: u64, size: u64) -> Result<Bytes> {
    let limit = limits::OPERATION_PAYLOAD_BYTES_MAX;
    let size = usize::try_from(size).ok().filter(|size| (1..=limit).contains(size));
    let size = size.ok_or_else(|| Error::invalid(format!("a block has from 1 to {limit} bytes")))?;
    let mut random = SeededRandom::new(Seed(seed));
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.draw().to_le_bytes());
    }
    bytes.truncate(size);
    Ok(bytes.into())
}

/// What was seen.
#[derive(Debug)]
struct Measured {
    elapsed: Duration,
    latencies: Latencies,
}

/// Keeps operations in flight until the time is over or, for reads in order, until all was read. Answers how many
/// objects were begun, too.
async fn measure(
    pool: &Pool,
    arguments: &BenchArguments,
    run: &Run,
    data: &Bytes,
    console: Console,
) -> Result<(Measured, u64)> {
    let begun = boot_clock_now();
    let end = begun + Duration::from_secs(arguments.seconds);
    let mut random = SeededRandom::new(Seed(run.seed));
    let mut next = 0;
    let mut choose = || {
        let index = match arguments.mode {
            BenchMode::Rand if run.objects > 0 => random.below(run.objects),
            BenchMode::Seq | BenchMode::Rand if next >= run.objects => return None,
            _ => next,
        };
        next += 1;
        Some(index)
    };
    let mut latencies = Latencies::new();
    let mut lines = Lines::new(begun, console);
    let mut in_flight = FuturesUnordered::new();
    let threads = usize::try_from(arguments.threads).expect("at most 1,024");
    loop {
        while in_flight.len() < threads && boot_clock_now() < end {
            let Some(index) = choose() else { break };
            in_flight.push(operation(pool, arguments.mode, run.object(index), data));
        }
        tokio::select! {
            done = in_flight.next() => match done {
                None => break,
                Some(latency) => latencies.add(latency?),
            },
            () = tokio::time::sleep_until(instant_of(lines.next_at).into()) => {
                lines.add(&latencies, in_flight.len(), data.len() as u64);
                // A cluster that is full or lacks copies lets writes wait for as long as it takes.
                if boot_clock_now() > end + STILL_IN_FLIGHT_MAX {
                    return Err(Error::retry(format!(
                        "{} operations still wait {} s after the time was over: `ika health detail` says why, \
                         and `ika object -p {} cleanup` removes what was written",
                        in_flight.len(),
                        STILL_IN_FLIGHT_MAX.as_secs(),
                        pool.name()
                    )));
                }
            }
        }
    }
    Ok((Measured { elapsed: boot_clock_now().since(begun), latencies }, next))
}

fn operation<'a>(pool: &'a Pool, mode: BenchMode, name: String, data: &Bytes) -> BoxFuture<'a, Result<Duration>> {
    let data = data.clone();
    async move {
        let object = pool.object(&name);
        let begun = boot_clock_now();
        if mode == BenchMode::Write {
            object.write_full(data).await?;
            return Ok(boot_clock_now().since(begun));
        }
        let read = object.read(0..data.len() as u64).await?;
        let latency = boot_clock_now().since(begun);
        if read != data {
            return Err(Error::damaged(format!("`{name}` does not hold what was written")));
        }
        Ok(latency)
    }
    .boxed()
}

/// A line a second on standard error, for humans.
struct Lines {
    begun: Time,
    next_at: Time,
    seconds: u64,
    finished: u64,
    console: Console,
}

impl Lines {
    fn new(begun: Time, console: Console) -> Self {
        if !console.format.is_json() {
            console.remark("  sec  in flight   finished   avg MB/s   cur MB/s   avg lat(ms)");
        }
        Self { begun, next_at: begun + Duration::from_secs(1), seconds: 0, finished: 0, console }
    }

    fn add(&mut self, latencies: &Latencies, in_flight: usize, bytes: u64) {
        self.seconds += 1;
        self.next_at = self.begun + Duration::from_secs(self.seconds + 1);
        let finished = latencies.count();
        let average = rate(finished * bytes, Duration::from_secs(self.seconds)) / 1e6;
        let current = rate((finished - self.finished) * bytes, Duration::from_secs(1)) / 1e6;
        self.finished = finished;
        if !self.console.format.is_json() {
            let latency = milliseconds(latencies.mean());
            self.console.remark(&format!(
                "{:5} {in_flight:10} {finished:10} {average:10.2} {current:10.2} {latency:13.3}",
                self.seconds
            ));
        }
    }
}

/// So many in a second.
#[expect(clippy::cast_precision_loss, reason = "figures for humans; 53 bits are more than they read")]
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}

#[expect(clippy::cast_precision_loss, reason = "figures for humans; 53 bits are more than they read")]
fn milliseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// Zero when the kernel does not say.
fn cpu_time() -> Duration {
    telemetry::ProcessStatistics::own().map_or(Duration::ZERO, |statistics| statistics.cpu_time())
}

struct Report<'a> {
    arguments: &'a BenchArguments,
    block_size: u64,
    measured: Measured,
    cpu: Duration,
}

/// Percentiles by name.
const PERCENTILES: [(&str, u64); 4] = [("p50", 500), ("p95", 950), ("p99", 990), ("p99.9", 999)];

impl Report<'_> {
    fn bytes(&self) -> u64 {
        self.measured.latencies.count() * self.block_size
    }

    fn text(&self) -> String {
        let Measured { elapsed, latencies } = &self.measured;
        let kind = if self.arguments.mode == BenchMode::Write { "writes" } else { "reads" };
        let mut text = format!(
            "Total time run:       {:.3}\n\
             Total {kind} made:    {}\n\
             Operation size:       {}\n\
             In flight:            {}\n\
             Bandwidth (MB/sec):   {:.3}\n\
             Average IOPS:         {:.0}\n\
             Client CPU (us/op):   {:.1}\n\
             Average latency (ms): {:.3}\n\
             Min latency (ms):     {:.3}\n\
             Max latency (ms):     {:.3}\n",
            elapsed.as_secs_f64(),
            latencies.count(),
            self.block_size,
            self.arguments.threads,
            rate(self.bytes(), *elapsed) / 1e6,
            rate(latencies.count(), *elapsed),
            self.cpu.as_secs_f64() * 1e6 / rate(latencies.count().max(1), Duration::from_secs(1)),
            milliseconds(latencies.mean()),
            milliseconds(latencies.least()),
            milliseconds(latencies.most()),
        );
        for (name, permille) in PERCENTILES {
            let label = format!("{name} latency (ms):");
            text += &format!("{label:21} {:.3}\n", milliseconds(latencies.permille(permille)));
        }
        text
    }

    fn json(&self) -> Value {
        let Measured { elapsed, latencies } = &self.measured;
        json!({
            "mode": self.arguments.mode.name(),
            "block_size": self.block_size,
            "concurrent_ios": self.arguments.threads,
            "seconds": elapsed.as_secs_f64(),
            "ops": latencies.count(),
            "bytes": self.bytes(),
            "ops_per_second": rate(latencies.count(), *elapsed),
            "bytes_per_second": rate(self.bytes(), *elapsed),
            "client_cpu_seconds": self.cpu.as_secs_f64(),
            "latency_ms": {
                "mean": milliseconds(latencies.mean()),
                "min": milliseconds(latencies.least()),
                "max": milliseconds(latencies.most()),
                "p50": milliseconds(latencies.permille(500)),
                "p95": milliseconds(latencies.permille(950)),
                "p99": milliseconds(latencies.permille(990)),
                "p99_9": milliseconds(latencies.permille(999)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_say_the_same_in_both_forms() {
        let arguments = BenchArguments {
            seconds: 2,
            mode: BenchMode::Write,
            block_size: 4096,
            threads: 4,
            no_cleanup: false,
            run_name: RUN_NAME_DEFAULT.into(),
        };
        let mut latencies = Latencies::new();
        for millisecond in 1..=1000 {
            latencies.add(Duration::from_millis(millisecond));
        }
        let measured = Measured { elapsed: Duration::from_secs(2), latencies };
        let report = Report { arguments: &arguments, block_size: 4096, measured, cpu: Duration::from_millis(12) };
        let json = report.json();
        assert_eq!(json["ops"], 1000);
        assert_eq!(json["bytes"], 4_096_000);
        assert_eq!(json["ops_per_second"], 500.0);
        assert_eq!(json["latency_ms"]["mean"], 500.5);
        let p99 = json["latency_ms"]["p99"].as_f64().unwrap();
        assert!((990.0..1006.0).contains(&p99), "{p99}");
        let text = report.text();
        assert!(text.contains("Total writes made:    1000\n"), "{text}");
        assert!(text.contains("Average IOPS:         500\n"), "{text}");
        assert!(text.contains("Client CPU (us/op):   12.0\n"), "{text}");
        assert!(text.contains("p99.9 latency (ms):   "), "{text}");
    }

    #[test]
    fn content_is_bounded_and_repeatable() {
        assert_eq!(content(1, 13).unwrap(), content(1, 13).unwrap());
        assert_ne!(content(1, 13).unwrap(), content(2, 13).unwrap());
        assert_eq!(content(1, 32 << 20).unwrap().len(), 32 << 20);
        assert!(content(1, (32 << 20) + 1).is_err());
        assert!(content(1, 0).is_err());
    }

    #[test]
    fn a_run_is_remembered_as_json() {
        let run = Run { prefix: "p".into(), block_size: 1, objects: 2, seed: 3 };
        let text = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
        assert_eq!(run.object(7), "p_object7");
    }
}

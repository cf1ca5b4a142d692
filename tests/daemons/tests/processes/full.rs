//! Devices that fill while writes come as fast as they can.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use client::{ErrorKind, OpBuilder, Pool};
use tests_daemons::TestCluster;
use tokio::task::JoinSet;

/// The least that `ika up` makes; the part between "full" and the end takes what is in flight.
const OSD_BYTES: u64 = 1 << 30;
const WRITERS: u64 = 8;
const OBJECT_BYTES: usize = 1 << 20;
const DAEMONS: [&str; 5] = ["mon.a", "osd.0", "osd.1", "osd.2", "mgr.x"];

fn content(writer: u64, number: u64) -> Bytes {
    let mut bytes = vec![0; OBJECT_BYTES];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (at as u64 * 31 + writer * 7 + number).to_le_bytes()[0];
    }
    bytes.into()
}

fn name(writer: u64, number: u64) -> String {
    format!("object-{writer}-{number}")
}

/// Writes new objects until there is no room; says how many were acknowledged.
async fn fill(pool: Pool, writer: u64) -> Result<u64> {
    for number in 0.. {
        let write = OpBuilder::new().write_full(content(writer, number)).full_try();
        match pool.object(name(writer, number)).operate(write).await {
            Ok(_) => {}
            Err(failure) => {
                ensure!(failure.error.kind == ErrorKind::Full, "{}: {}", name(writer, number), failure.error);
                return Ok(number);
            }
        }
    }
    Ok(0)
}

/// The story of OSDs that fill faster than anybody looks, abort, and never start again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_devices_refuse_writes_take_removals_and_go_on() -> Result<()> {
    let cluster = TestCluster::start_sized(1, 3, OSD_BYTES).await?;
    let pool = cluster.connect().await?.pool("test").await?;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let pool = pool.clone();
        writers.spawn(async move { fill(pool, writer).await.map(|count| (writer, count)) });
    }
    let mut written = Vec::new();
    while let Some(filled) = writers.join_next().await {
        written.push(filled??);
    }
    let total: u64 = written.iter().map(|(_, count)| count).sum();
    ensure!(total * OBJECT_BYTES as u64 > OSD_BYTES * 3 / 4, "full at {total} objects");
    let up = cluster.ika_json(&["osd", "stat"])?;
    ensure!(up["num_up_osds"] == 3, "nobody went down: {up}");

    cluster.kill_all().await?;
    for daemon in DAEMONS {
        cluster.start_daemon(daemon).with_context(|| format!("start {daemon} again"))?;
    }
    let pool = Arc::new(cluster.connect().await?.pool("test").await?);
    for (writer, count) in &written {
        for number in 0..*count {
            let found = pool.object(name(*writer, number)).read_all().await?;
            ensure!(found == content(*writer, number), "{} is not what was acknowledged", name(*writer, number));
        }
    }
    let more = OpBuilder::new().write_full(content(99, 0)).full_try();
    let refused = pool.object("one more").operate(more).await.err().context("it is full still")?;
    ensure!(refused.error.kind == ErrorKind::Full, "{}", refused.error);

    // Half of it goes, and what was waiting for room has it.
    for (writer, count) in &written {
        for number in 0..count / 2 {
            pool.object(name(*writer, number)).remove().await.context("removals always work")?;
        }
    }
    for number in 0..total / 4 {
        pool.object(name(99, number)).write_full(content(99, number)).await.context("there is room again")?;
    }
    cluster.up().await.context("become healthy")?;
    let verdict = cluster.ika(&["osd", "verify"])?;
    ensure!(verdict.status.success(), "replicas differ: {}", String::from_utf8_lossy(&verdict.stdout));
    let errors = cluster.error_lines()?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

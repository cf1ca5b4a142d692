//! What comes back brings little with it: restarts under load, and an absence during overwrites.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use client::Pool;
use telemetry::clock::{boot_clock_now, instant_of};
use tests_daemons::{Load, TestCluster};
use types::Seed;

/// Objects that are there before anything happens, and the bytes of each.
const OBJECTS: u64 = 32;
const OBJECT_BYTES: u64 = 4 << 20;
/// OSDs report every two seconds, managers a little later: what did not change for so long is the last word.
const REPORTED_WITHIN: Duration = Duration::from_secs(5);

async fn fill(pool: &Pool) -> Result<()> {
    let data = Bytes::from(vec![0x11; usize::try_from(OBJECT_BYTES)?]);
    for number in 0..OBJECTS {
        pool.object(format!("large-{number}")).write_full(data.clone()).await.context("fill the pool")?;
    }
    Ok(())
}

/// Bytes that each OSD has brought to others or to itself since it started.
fn recovered(cluster: &TestCluster) -> Result<BTreeMap<u64, u64>> {
    let rows = cluster.ika_json(&["osd", "df"])?;
    let nodes = rows["nodes"].as_array().context("`osd df` lists nodes")?;
    nodes
        .iter()
        .map(|node| {
            let id = node["id"].as_u64().context("a node has a number")?;
            Ok((id, node["recovered_bytes"].as_u64().context("a node says what it recovered")?))
        })
        .collect()
}

/// The same once every OSD's last report has come through.
async fn recovered_at_last(cluster: &TestCluster) -> Result<BTreeMap<u64, u64>> {
    let mut before = recovered(cluster)?;
    loop {
        tokio::time::sleep_until(instant_of(boot_clock_now() + REPORTED_WITHIN).into()).await;
        let now = recovered(cluster)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_operation_and_copies_only_what_was_missed() -> Result<()> {
    let cluster = TestCluster::start(3, 3).await?;
    let client = cluster.connect().await?;
    fill(&client.pool("test").await?).await?;
    let mut load = Load::start(&client, "test", 4, Seed(2)).await?;
    load.wait_for_more(100, Duration::from_secs(60)).await?;
    let mut bytes = 0;
    for osd in 0..3_u64 {
        let name = format!("osd.{osd}");
        // What it did for others so far is forgotten with its process.
        bytes += recovered(&cluster)?.get(&osd).copied().unwrap_or_default();
        cluster.stop(&name).await?;
        load.wait_for_more(100, Duration::from_secs(60)).await.with_context(|| format!("without {name}"))?;
        cluster.start_daemon(&name)?;
        cluster.up().await.with_context(|| format!("with {name} again"))?;
    }
    bytes += recovered_at_last(&cluster).await?.values().sum::<u64>();
    let report = load.finish().await.context("no operation fails")?;
    let held = OBJECTS * OBJECT_BYTES;
    println!(
        "{} writes, the longest took {:?}; {bytes} bytes recovered of {held} that each OSD holds",
        report.acknowledged, report.longest
    );
    ensure!(bytes < held / 4, "{bytes} bytes were recovered: an OSD that was away for a moment was copied anew");
    let errors = cluster.error_lines()?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_osd_that_was_away_gets_only_the_bytes_that_changed() -> Result<()> {
    const PATCH_BYTES: u64 = 64 << 10;
    let cluster = TestCluster::start(1, 3).await?;
    let pool = cluster.connect().await?.pool("test").await?;
    fill(&pool).await?;
    cluster.stop("osd.1").await?;
    let patch = Bytes::from(vec![0x22; usize::try_from(PATCH_BYTES)?]);
    let mut changed = 0;
    for number in 0..OBJECTS {
        let object = pool.object(format!("large-{number}"));
        for place in 0..4 {
            object.write(place * (1 << 20) + number * 4096, patch.clone()).await.context("overwrite")?;
            changed += PATCH_BYTES;
        }
    }
    cluster.start_daemon("osd.1")?;
    cluster.up().await.context("with osd.1 again")?;
    let bytes: u64 = recovered_at_last(&cluster).await?.values().sum();
    println!("{changed} bytes changed, {bytes} recovered");
    ensure!(bytes >= changed, "{bytes} bytes recovered of {changed}: they are counted");
    ensure!(bytes * 10 <= changed * 11, "{bytes} bytes recovered for {changed} that changed");
    let verdict = cluster.ika(&["osd", "verify"])?;
    ensure!(verdict.status.success(), "replicas differ: {}", String::from_utf8_lossy(&verdict.stdout));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_faults_warns_of_nothing() -> Result<()> {
    let cluster = TestCluster::start(3, 3).await?;
    let client = cluster.connect().await?;
    let mut load = Load::start(&client, "test", 4, Seed(3)).await?;
    load.wait_for_more(1000, Duration::from_secs(60)).await?;
    load.finish().await?;
    cluster.up().await?;
    let mut lines = cluster.error_lines()?;
    lines.extend(cluster.warning_lines()?);
    ensure!(lines.is_empty(), "unexpected WARN and ERROR lines:\n{}", lines.join("\n"));
    Ok(())
}

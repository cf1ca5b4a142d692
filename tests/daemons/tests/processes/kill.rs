//! Real processes: kill -9 of each kind, and of all together, under load.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests_daemons::{Load, TestCluster};
use types::Seed;

/// How long the cluster may take until writes go on after a process died. Detection alone takes a grace of 4 s, and
/// this machine has two cores for everything.
const GO_ON_WITHIN: Duration = Duration::from_secs(90);

fn leader(cluster: &TestCluster) -> Result<String> {
    let status = cluster.ika_json(&["quorum_status"])?;
    let name = status["quorum_leader_name"].as_str().context("the status names a leader")?;
    Ok(format!("mon.{name}"))
}

/// Kills one process under load, sees writes go on without it, and starts it again.
async fn survive(cluster: &TestCluster, load: &mut Load, daemon: &str) -> Result<()> {
    cluster.kill(daemon).await.with_context(|| format!("kill {daemon}"))?;
    load.wait_for_more(300, GO_ON_WITHIN).await.with_context(|| format!("without {daemon}"))?;
    cluster.start_daemon(daemon)?;
    load.wait_for_more(300, GO_ON_WITHIN).await.with_context(|| format!("with {daemon} again"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_whatever_is_killed() -> Result<()> {
    let cluster = TestCluster::start(3, 3).await?;
    let client = cluster.connect().await?;
    let mut load = Load::start(&client, "test", 8, Seed(1)).await?;
    load.wait_for_more(500, GO_ON_WITHIN).await?;

    survive(&cluster, &mut load, "osd.1").await?;
    let leader = leader(&cluster)?;
    survive(&cluster, &mut load, &leader).await?;
    survive(&cluster, &mut load, "mgr.x").await?;
    survive(&cluster, &mut load, "osd.0").await?;

    cluster.kill_all().await?;
    cluster.up().await.context("start everything again")?;
    load.wait_for_more(500, GO_ON_WITHIN).await.context("after everything was killed")?;
    let missing = 10_000u64.saturating_sub(load.acknowledged());
    load.wait_for_more(missing, 4 * GO_ON_WITHIN).await.context("until there are 10,000 writes")?;

    let report = load.finish().await?;
    println!("{} writes acknowledged, the longest took {:?}", report.acknowledged, report.longest);
    ensure!(report.acknowledged >= 10_000);

    cluster.up().await.context("become healthy")?;
    let verdict = cluster.ika(&["osd", "verify"])?;
    ensure!(verdict.status.success(), "replicas differ: {}", String::from_utf8_lossy(&verdict.stdout));
    let errors = cluster.error_lines()?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

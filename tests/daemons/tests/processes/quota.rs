//! A pool that reaches its quota: writes wait, or are refused at once if they ask for that; removals work.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use client::{ErrorKind, OpBuilder};
use tests_daemons::TestCluster;

const OBJECTS_MAX: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_wait_at_the_quota_and_go_on_with_room() -> Result<()> {
    let cluster = TestCluster::start(1, 3).await?;
    let connection = cluster.connect().await?;
    let pool = connection.pool("test").await?;
    let quota = cluster.ika(&["osd", "pool", "set-quota", "test", "max_objects", &OBJECTS_MAX.to_string()])?;
    ensure!(quota.status.success(), "{}", String::from_utf8_lossy(&quota.stderr));

    // Figures come every second or so: it takes some objects more than the quota until it is seen.
    let mut written = 0;
    loop {
        let write = OpBuilder::new().write_full(format!("content of {written}")).full_try();
        match pool.object(format!("object-{written}")).operate(write).await {
            Ok(_) => written += 1,
            Err(failure) => {
                ensure!(failure.error.kind == ErrorKind::Full, "object-{written}: {}", failure.error);
                break;
            }
        }
        ensure!(written < 200_000, "{written} objects were taken");
    }
    ensure!(written >= OBJECTS_MAX, "refused after {written} objects");
    let health = cluster.ika_json(&["health"])?;
    ensure!(health["checks"]["POOL_FULL"]["severity"] == "HEALTH_WARN", "{health}");

    let waiting = pool.object("waits");
    let write = tokio::spawn(async move { waiting.write_full("it was patient").await });
    let found = pool.object("object-0").read_all().await.context("reads work")?;
    ensure!(found == "content of 0");
    let status = cluster.ika_json(&["osd", "pool", "get-quota", "test"])?;
    ensure!(status["quota_max_objects"] == OBJECTS_MAX && !write.is_finished(), "{status}");

    for number in 0..written {
        pool.object(format!("object-{number}")).remove().await.context("removals always work")?;
    }
    let written = tokio::time::timeout(Duration::from_secs(30), write).await.context("the write goes on with room")?;
    written??;
    ensure!(pool.object("waits").read_all().await? == "it was patient");
    let errors = cluster.error_lines()?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

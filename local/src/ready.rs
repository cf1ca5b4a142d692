//! Waiting until a cluster serves: by the maps that the monitors publish, then by its health.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use client::{Cluster, CommandArguments};
use serde_json::Value;
use telemetry::clock::{boot_clock_now, instant_of};
use types::Time;

/// How often health is asked for, once the maps say that everything is there: placement groups report to the manager,
/// and no map tells of that.
const HEALTH_INTERVAL: Duration = Duration::from_millis(250);

/// Waits until so many OSDs are up and in, and a manager is active.
pub(crate) async fn wait_for_daemons(cluster: &Cluster, osds: u32, deadline: Time) -> Result<()> {
    let osds = usize::try_from(osds)?;
    let serving = cluster.wait_for(move |map| {
        let up = map.osds.values().filter(|osd| osd.up && osd.is_in()).count();
        up >= osds && map.managers.active.is_some()
    });
    match tokio::time::timeout_at(instant_of(deadline).into(), serving).await {
        Ok(result) => result.map(drop).context("wait for daemons"),
        Err(_) => {
            let map = cluster.map();
            let up: Vec<String> =
                map.osds.iter().filter(|(_, osd)| osd.up && osd.is_in()).map(|(id, _)| format!("osd.{id}")).collect();
            bail!("{} of {osds} OSDs are up and in ({}); `ika health detail` may say why", up.len(), up.join(", "))
        }
    }
}

/// Makes the pool unless it is there.
pub(crate) async fn provide_pool(cluster: &Cluster, pool: &str) -> Result<()> {
    if cluster.map().pools.values().any(|known| known.name == pool) {
        return Ok(());
    }
    let arguments = CommandArguments::from([("pool".to_owned(), pool.to_owned())]);
    cluster.command("osd pool create", arguments, Vec::new()).await.with_context(|| format!("make pool {pool}"))?;
    Ok(())
}

/// Waits until the cluster's health is HEALTH_OK.
pub(crate) async fn wait_for_health(cluster: &Cluster, deadline: Time) -> Result<()> {
    let mut again = tokio::time::interval(HEALTH_INTERVAL);
    loop {
        again.tick().await;
        let answer = cluster.command("health", CommandArguments::new(), Vec::new()).await.context("ask for health")?;
        let health: Value = serde_json::from_slice(&answer.output).context("understand the health that was told")?;
        if health["status"] == "HEALTH_OK" {
            return Ok(());
        }
        if boot_clock_now() >= deadline {
            bail!("the cluster runs but is not healthy: {}; `ika health detail` says more", summary_of(&health));
        }
    }
}

fn summary_of(health: &Value) -> String {
    let checks = health["checks"].as_object().into_iter().flatten();
    let sentences =
        checks.map(|(code, check)| format!("{code}: {}", check["summary"]["message"].as_str().unwrap_or("no message")));
    sentences.collect::<Vec<_>>().join("; ")
}

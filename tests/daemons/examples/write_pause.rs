//! Measures how long writes stop when one of three OSDs goes: the table "Pauses" of docs/performance.md.
//!
//! `cargo run -p ika-tests-daemons --example write_pause -- [TRIALS] [killed|frozen|stopped]`

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tests_daemons::{PauseMeter, TestCluster};

/// A pause longer than this is a cluster that does not come back.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How an OSD goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Killed,
    Frozen,
    Stopped,
}

impl Blow {
    fn words(self) -> &'static str {
        match self {
            Self::Killed => "killed (SIGKILL), its host answers",
            Self::Frozen => "frozen (SIGSTOP): silent",
            Self::Stopped => "stopped (SIGTERM)",
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let trials: usize = arguments.next().map_or(Ok(20), |word| word.parse()).context("TRIALS is a number")?;
    let blows = match arguments.next().as_deref() {
        None => vec![Blow::Killed, Blow::Frozen, Blow::Stopped],
        Some("killed") => vec![Blow::Killed],
        Some("frozen") => vec![Blow::Frozen],
        Some("stopped") => vec![Blow::Stopped],
        Some(other) => bail!("`{other}` is not a way to go; there is killed, frozen, stopped"),
    };
    let cluster = TestCluster::start(3, 3).await?;
    let client = cluster.connect().await?;
    let mut meter = PauseMeter::start(&client, "test").await?;
    println!("| an OSD is | trials | least s | median s | most s |\n| --- | --- | --- | --- | --- |");
    for blow in blows {
        let mut pauses = Vec::with_capacity(trials);
        for trial in 0..trials {
            let pause = strike(&cluster, &mut meter, blow, trial).await.with_context(|| format!("trial {trial}"))?;
            eprintln!("{blow:?} {trial}: {:.3} s", pause.as_secs_f64());
            pauses.push(pause.as_secs_f64());
        }
        pauses.sort_by(f64::total_cmp);
        let at = |index: usize| pauses.get(index).copied().unwrap_or_default();
        let (least, median, most) = (at(0), at(trials / 2), at(trials.saturating_sub(1)));
        println!("| {} | {trials} | {least:.3} | {median:.3} | {most:.3} |", blow.words());
    }
    meter.finish().await
}

/// One trial: the pause, and everything as it was.
async fn strike(cluster: &TestCluster, meter: &mut PauseMeter, blow: Blow, trial: usize) -> Result<Duration> {
    let osd = format!("osd.{}", trial % 3);
    meter.reset();
    meter.pause(PAUSE_MAX).await.context("before the blow")?;
    meter.reset();
    match blow {
        Blow::Killed => cluster.kill(&osd).await?,
        Blow::Frozen => cluster.freeze(&osd)?,
        Blow::Stopped => cluster.stop(&osd).await?,
    }
    let pause = meter.pause(PAUSE_MAX).await.with_context(|| format!("without {osd}"))?;
    match blow {
        Blow::Killed | Blow::Stopped => cluster.start_daemon(&osd)?,
        Blow::Frozen => cluster.thaw(&osd)?,
    }
    cluster.up().await.context("become healthy")?;
    Ok(pause)
}

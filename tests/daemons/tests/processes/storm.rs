//! A storm: six OSDs on three hosts under load, and whatever may befall them, for a minute or, with `IKA_LONG`, for ten.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use telemetry::clock::{boot_clock_now, instant_of};
use tests_daemons::{HostedCluster, Load, OwnNetwork, inside_own_network};
use types::{Seed, SeededRandom};

/// How long faults go on: in every run, and when the full counts are asked for.
const SHORT: Duration = Duration::from_secs(45);
const LONG: Duration = Duration::from_secs(600);
/// Issue 5: healthy again after the last fault.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);
/// Clients, and writers of each.
const CLIENTS: u64 = 3;
const WRITERS: u64 = 4;

/// What befalls the cluster for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// SIGKILL.
    Kill(String),
    /// SIGSTOP.
    Freeze(String),
    /// Nobody hears a host, and it hears nobody.
    CutOff(usize),
    /// What one host sends to another is lost; the other way it arrives.
    Lose(usize, usize),
    /// Killed, and its device replaced by an empty one. Only while every other copy is whole.
    Wipe(usize),
}

impl Fault {
    fn draw(random: &mut SeededRandom, cluster: &HostedCluster) -> Result<Self> {
        let hosts = cluster.hosts().count() as u64;
        let osd = usize::try_from(random.below(cluster.osds() as u64))?;
        let host = usize::try_from(random.below(hosts))?;
        let other = (host + 1 + usize::try_from(random.below(hosts - 1))?) % cluster.hosts().count();
        let monitor = || format!("mon.{}", ["a", "b", "c"][host % 3]);
        Ok(match random.below(12) {
            0..=3 => Self::Kill(format!("osd.{osd}")),
            4 | 5 => Self::Freeze(format!("osd.{osd}")),
            6 => Self::Kill(monitor()),
            7 => Self::Kill("mgr.x".to_owned()),
            8 | 9 => Self::CutOff(host),
            10 => Self::Lose(host, other),
            _ => Self::Wipe(osd),
        })
    }

    fn daemon(&self) -> Option<String> {
        match self {
            Self::Kill(name) | Self::Freeze(name) => Some(name.clone()),
            Self::Wipe(osd) => Some(format!("osd.{osd}")),
            Self::CutOff(_) | Self::Lose(..) => None,
        }
    }

    /// Whether two faults at a time would be about the same thing.
    fn meets(&self, other: &Self) -> bool {
        self.daemon() == other.daemon()
    }

    fn strike(&self, cluster: &mut HostedCluster) -> Result<()> {
        match self {
            Self::Kill(name) => cluster.kill(name),
            Self::Freeze(name) => cluster.freeze(name),
            Self::CutOff(host) => cluster.hosts().cut_off(*host),
            Self::Lose(from, to) => cluster.hosts().lose(*from, *to),
            Self::Wipe(osd) => {
                cluster.kill(&format!("osd.{osd}"))?;
                cluster.wipe(*osd)
            }
        }
    }

    fn heal(&self, cluster: &mut HostedCluster) -> Result<()> {
        match self {
            Self::Kill(name) => cluster.start_daemon(name),
            Self::Freeze(name) => cluster.thaw(name),
            Self::CutOff(host) => cluster.hosts().join(*host),
            Self::Lose(from, to) => cluster.hosts().find_again(*from, *to),
            Self::Wipe(osd) => cluster.start_daemon(&format!("osd.{osd}")),
        }
    }
}

#[test]
fn a_storm_of_faults_loses_no_acknowledged_write() -> Result<()> {
    match inside_own_network("storm::a_storm_of_faults_loses_no_acknowledged_write")? {
        OwnNetwork::Inside => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
            runtime.block_on(storm())
        }
        OwnNetwork::Ran => Ok(()),
        OwnNetwork::Impossible => {
            println!("skipped: the storm needs network namespaces (root, iproute2, util-linux)");
            Ok(())
        }
    }
}

async fn storm() -> Result<()> {
    let number = std::env::var("IKA_SEED").ok().and_then(|text| text.parse().ok());
    let seed = Seed(number.unwrap_or(u64::from(std::process::id())));
    let lasting = if std::env::var_os("IKA_LONG").is_some() { LONG } else { SHORT };
    println!("storm of {lasting:?}, IKA_SEED={}", seed.0);
    let mut random = SeededRandom::new(seed);
    let mut cluster = HostedCluster::start(3, 6).await?;
    let mut loads = Vec::new();
    for number in 0..CLIENTS {
        let client = cluster.connect().await?;
        let pool = client.pool("test").await?.namespace(format!("client-{number}"));
        loads.push(Load::start_on(pool, WRITERS, Seed(random.draw()))?);
    }
    let begun = boot_clock_now();
    let mut struck = 0;
    while boot_clock_now().since(begun) < lasting {
        struck += blow(&mut cluster, &mut random, begun).await?;
    }
    let took = cluster.wait_for_health(HEALTHY_WITHIN).await.context("after the last fault")?;
    let mut acknowledged = 0;
    let mut longest = Duration::ZERO;
    for load in loads {
        let report = load.finish().await?;
        acknowledged += report.acknowledged;
        longest = longest.max(report.longest);
    }
    println!(
        "{struck} faults; {acknowledged} writes acknowledged, none lost; the longest took {:.1} s; healthy after {:.1} s",
        longest.as_secs_f64(),
        took.as_secs_f64()
    );
    // What the load did last may still be on its way to the manager's view.
    cluster.wait_for_health(HEALTHY_WITHIN).await?;
    cluster.verify()?;
    let errors = cluster.log_lines("ERROR")?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

/// One or two faults at a time, for a while, and a while of peace. Says how many.
async fn blow(cluster: &mut HostedCluster, random: &mut SeededRandom, begun: types::Time) -> Result<usize> {
    let mut faults: Vec<Fault> = Vec::new();
    for _ in 0..1 + u64::from(random.chance(1, 3)) {
        let fault = Fault::draw(random, cluster)?;
        if faults.iter().any(|other| other.meets(&fault)) {
            continue;
        }
        if matches!(fault, Fault::Wipe(_)) && !(faults.is_empty() && is_whole(cluster).await?) {
            continue;
        }
        println!("{:6.1} s: {fault:?}", boot_clock_now().since(begun).as_secs_f64());
        fault.strike(cluster).with_context(|| format!("{fault:?}"))?;
        faults.push(fault);
    }
    if faults.is_empty() {
        return Ok(0);
    }
    pass(Duration::from_millis(500 + random.below(7_000))).await;
    for fault in &faults {
        fault.heal(cluster).with_context(|| format!("end of {fault:?}"))?;
    }
    pass(Duration::from_millis(random.below(4_000))).await;
    Ok(faults.len())
}

/// Whether every placement group has all its copies, so that one of them may be destroyed.
async fn is_whole(cluster: &HostedCluster) -> Result<bool> {
    let client = cluster.connect().await?;
    Ok(cluster.health(&client).await?["status"] == "HEALTH_OK")
}

/// Time is what a fault consists of.
async fn pass(duration: Duration) {
    tokio::time::sleep_until(instant_of(boot_clock_now() + duration).into()).await;
}

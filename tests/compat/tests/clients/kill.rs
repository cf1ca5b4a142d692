//! kill -9 of the gateway and of an OSD while several clients write: what was answered is there and equal, what is
//! listed is whole, and what was left half written is swept away.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use tests_compat::{Tool, Tools, run};

use crate::{gateway::Gateway, is_long};

/// Writes that are answered between one kill and the next.
const ANSWERS_BETWEEN: usize = 150;
const ROUNDS: usize = 3;
const ROUNDS_LONG: usize = 20;
/// Bytes of each OSD's device: what one run writes stays below half of it, and a machine with little disk can run it.
const OSD_BYTES: u64 = 2 << 30;
const OSD_BYTES_LONG: u64 = 4 << 30;

#[tokio::test]
async fn answered_puts_survive_killed_gateways_and_osds() -> Result<()> {
    let Some(python) = Tools::new()?.find(Tool::Boto3) else { return Ok(()) };
    let gateway = Gateway::start(if is_long() { OSD_BYTES_LONG } else { OSD_BYTES }).await?;
    let journal = gateway.cluster.scratch().join("answered");
    let load = concat!(env!("CARGO_MANIFEST_DIR"), "/python/load.py");
    let mut writer = tokio::process::Command::from(gateway.command(&python));
    writer.args([load, "write"]).arg(&journal).stdout(Stdio::null());
    // Of a test that fails nothing may stay behind: it would write for ever, and hold the output that others wait for.
    let mut writer = writer.kill_on_drop(true).spawn().context("start the load")?;
    let rounds = if is_long() { ROUNDS_LONG } else { ROUNDS };
    let mut victims = ["s3.a", "osd.1", "s3.a", "osd.2", "osd.0"].into_iter().cycle();
    for _ in 0..rounds {
        let before = answers(&journal);
        wait_for_answers(&journal, before + ANSWERS_BETWEEN, &mut writer).await?;
        let victim = victims.next().context("there is always a victim")?;
        gateway.cluster.kill(victim).await?;
        gateway.cluster.start_daemon(victim)?;
    }
    wait_for_answers(&journal, answers(&journal) + ANSWERS_BETWEEN, &mut writer).await?;
    fs::write(journal.with_extension("stop"), "").context("tell the load to end")?;
    let ended = writer.wait().await.context("wait for the load")?;
    ensure!(ended.success(), "the load ended with {ended}");
    let checked = run(gateway.command(&python).args([load, "check"]).arg(&journal))?;
    eprintln!("{}", String::from_utf8_lossy(&checked.stdout).trim());
    let swept = gateway.cluster.ika_json(&["s3", "gc", "--half-written"])?;
    eprintln!("{swept}");
    // What the collection took was not named by anything.
    run(gateway.command(&python).args([load, "check"]).arg(&journal))?;
    let errors: Vec<String> = gateway.cluster.error_lines()?;
    ensure!(errors.is_empty(), "{}", errors.join("\n"));
    Ok(())
}

fn answers(journal: &Path) -> usize {
    fs::read(journal).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
}

async fn wait_for_answers(journal: &Path, count: usize, writer: &mut tokio::process::Child) -> Result<()> {
    let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
    while answers(journal) < count {
        look.tick().await;
        if let Some(status) = writer.try_wait().context("look at the load")? {
            anyhow::bail!("the load ended early with {status}");
        }
    }
    Ok(())
}

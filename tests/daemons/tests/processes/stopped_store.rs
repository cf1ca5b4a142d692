//! What an operator does with the store of an OSD that does not run: checks it, takes a placement group out, puts it in.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests_daemons::TestCluster;

/// Objects written before the OSD is stopped.
const OBJECTS: usize = 60;

fn json_of(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
}

/// A command that must end with this code; its JSON.
fn expect(cluster: &TestCluster, code: i32, arguments: &[&str]) -> Result<Value> {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    let output = cluster.ika(&all)?;
    ensure!(output.status.code() == Some(code), "ika {arguments:?} ended with {}: {output:?}", output.status);
    if code == 0 || code == 8 { json_of(&output) } else { Ok(serde_json::from_slice(&output.stderr)?) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_osds_store_is_checked_and_its_placement_groups_go_out_and_in() -> Result<()> {
    let cluster = TestCluster::start(1, 3).await?;
    let pool = cluster.connect().await?.pool("test").await?;
    for number in 0..OBJECTS {
        pool.object(format!("object-{number}")).write_full(vec![7; 5000 + number * 900]).await?;
    }
    let folder = cluster.path().join("osd.1");
    let store = folder.to_str().context("a plain name")?;
    let running = expect(&cluster, 1, &["store", "fsck", store])?;
    ensure!(running["error"]["message"].as_str().is_some_and(|text| text.contains("stop that one first")), "{running}");
    cluster.kill("osd.1").await?;

    let report = expect(&cluster, 0, &["store", "fsck", store, "--deep"])?;
    ensure!(report["problem_count"] == 0 && report["units_read"] != 0 && report["journal_records"] != 0, "{report}");
    let info = expect(&cluster, 0, &["store", "info", store])?;
    let groups = info["pgs"].as_array().context("placement groups")?;
    let fullest = groups.iter().max_by_key(|pg| pg["num_objects"].as_u64()).context("one of them")?;
    let (pg, objects) = (fullest["pgid"].as_str().context("a name")?, fullest["num_objects"].as_u64());
    ensure!(objects > Some(0), "{info}");

    let file = cluster.scratch().join("group");
    let file = file.to_str().context("a plain name")?;
    let exported = expect(&cluster, 0, &["store", "export", store, "--pgid", pg, "--file", file])?;
    ensure!(exported["num_objects"].as_u64() > objects, "with the group's own account: {exported}");
    expect(&cluster, 2, &["store", "export", store, "--pgid", pg, "--file", file]).context("a file that is there")?;
    let again = expect(&cluster, 0, &["store", "import", store, "--file", file])?;
    ensure!(again["outcome"] == "already_there" && again["sha256"] == exported["sha256"], "{again}");
    let replaced = expect(&cluster, 0, &["store", "import", store, "--file", file, "--replace"])?;
    ensure!(replaced["outcome"] == "already_there", "equal copies are left alone: {replaced}");
    let wrong = expect(&cluster, 2, &["store", "import", store, "--file", file, "--pgid", "99.0"])?;
    ensure!(wrong["error"]["message"].as_str().is_some_and(|text| text.contains(pg)), "{wrong}");
    let dump = cluster.ika(&["store", "dump", store, "--pgid", pg, "--format", "json"])?;
    ensure!(String::from_utf8_lossy(&dump.stdout).lines().count() as u64 == exported["num_objects"], "{dump:?}");

    // The cluster goes on meanwhile, so the copy changes: then the archive is another state of the group.
    cluster.start_daemon("osd.1")?;
    cluster.up().await?;
    for number in 0..OBJECTS {
        pool.object(format!("object-{number}")).append("more").await?;
    }
    cluster.kill("osd.1").await?;
    let differs = expect(&cluster, 4, &["store", "import", store, "--file", file])?;
    ensure!(differs["error"]["message"].as_str().is_some_and(|text| text.contains("not equal")), "{differs}");
    let replaced = expect(&cluster, 0, &["store", "import", store, "--file", file, "--replace"])?;
    ensure!(replaced["outcome"] == "imported" && replaced["sha256"] == exported["sha256"], "{replaced}");
    let report = expect(&cluster, 0, &["store", "fsck", store, "--deep"])?;
    ensure!(report["problem_count"] == 0, "{report}");

    // An old copy is brought up to date by its group like any member that was away.
    cluster.start_daemon("osd.1")?;
    cluster.up().await?;
    for number in 0..OBJECTS {
        let bytes = pool.object(format!("object-{number}")).read_all().await?;
        ensure!(bytes.len() == 5000 + number * 900 + 4 && bytes.ends_with(b"more"), "object-{number}");
    }
    let verified = cluster.ika(&["osd", "verify"])?;
    ensure!(verified.status.success(), "{verified:?}");
    Ok(())
}

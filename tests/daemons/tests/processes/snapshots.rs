//! Snapshots in a cluster of real processes: made and read while OSDs die, and their space when they are removed.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use client::{Cluster, CommandArguments, ErrorKind, Pool, SnapshotContext, SnapshotId};
use tests_daemons::TestCluster;
use tokio::time::{Instant, sleep_until};

/// Bytes of each object: beyond what the store keeps in its database.
const OBJECT_BYTES: usize = 256 << 10;
const OBJECTS: usize = 24;
/// How long the cluster may take to be clean again, or to trim. It takes seconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what nothing tells of.
const LOOK_EVERY: Duration = Duration::from_millis(200);

fn name(index: usize) -> String {
    format!("object-{index}")
}

/// Bytes that say which object and which time they are of.
fn content(index: usize, generation: u8) -> Vec<u8> {
    let mut bytes = vec![generation; OBJECT_BYTES];
    bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
    bytes
}

async fn write_all(pool: &Pool, generation: u8) -> Result<()> {
    for index in 0..OBJECTS {
        pool.object(name(index)).write_full(content(index, generation)).await?;
    }
    Ok(())
}

async fn expect_all(pool: &Pool, generation: u8) -> Result<()> {
    for index in 0..OBJECTS {
        let found = pool.object(name(index)).read_all().await.with_context(|| format!("read {}", name(index)))?;
        ensure!(found == content(index, generation), "{} is of {}, not {generation}", name(index), found[8]);
    }
    Ok(())
}

/// Bytes in use on all devices, as the monitors have heard.
async fn used_bytes(cluster: &Cluster) -> Result<u64> {
    let answer = cluster.command("df", CommandArguments::new(), "").await?;
    let value: serde_json::Value = serde_json::from_slice(&answer.output)?;
    value["stats"]["total_used_raw_bytes"].as_u64().context("df says how much is in use")
}

/// Waits until nothing of an object is kept but itself.
async fn wait_for_trim(pool: &Pool) -> Result<()> {
    let begun = Instant::now();
    for index in 0..OBJECTS {
        loop {
            let clones = pool.object(name(index)).clones().await?;
            if clones.len() == 1 && clones[0].clone == SnapshotId::HEAD {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "{} still has {clones:?}", name(index));
            sleep_until(Instant::now() + LOOK_EVERY).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pool_snapshots_outlive_deaths_and_give_their_space_back() -> Result<()> {
    let cluster = TestCluster::start(1, 3).await?;
    let client = cluster.connect().await?;
    let pool = client.pool("test").await?;
    write_all(&pool, 1).await?;

    let monday = pool.snapshots().create("monday").await?;
    cluster.kill("osd.0").await?;
    write_all(&pool, 2).await?;
    expect_all(&pool.at(monday.id), 1).await?;
    let tuesday = pool.snapshots().create("tuesday").await?;
    cluster.start_daemon("osd.0")?;
    cluster.up().await?;
    cluster.kill("osd.1").await?;
    write_all(&pool, 3).await?;
    pool.object(name(0)).remove().await?;
    expect_all(&pool.at(monday.id), 1).await?;
    expect_all(&pool.at(tuesday.id), 2).await?;
    cluster.start_daemon("osd.1")?;
    cluster.up().await?;

    // Whoever leads now: a client of its own, with maps of its own, sees the same.
    cluster.kill_all().await?;
    cluster.up().await?;
    let client = cluster.connect().await?;
    let pool = client.pool("test").await?;
    expect_all(&pool.at(monday.id), 1).await?;
    expect_all(&pool.at(tuesday.id), 2).await?;
    let names: Vec<String> = pool.snapshots().list().await?.into_iter().map(|snapshot| snapshot.name).collect();
    ensure!(names == ["monday", "tuesday"], "{names:?}");
    for index in 0..OBJECTS {
        pool.object(name(index)).rollback(monday.id).await?;
    }
    expect_all(&pool, 1).await?;
    expect_all(&pool.at(tuesday.id), 2).await?;

    let full = used_bytes(&client).await?;
    pool.snapshots().remove("tuesday").await?;
    cluster.kill("osd.2").await?;
    pool.snapshots().remove("monday").await?;
    cluster.start_daemon("osd.2")?;
    cluster.up().await?;
    wait_for_trim(&pool).await?;
    expect_all(&pool, 1).await?;
    let gone = pool.object(name(1)).at(monday.id).read_all().await;
    ensure!(gone.is_err_and(|error| error.kind == ErrorKind::NotFound), "a removed snapshot is not read");

    // One of three generations is left. Statistics come in every few seconds.
    let begun = Instant::now();
    let freed = (OBJECTS * OBJECT_BYTES * 3) as u64;
    loop {
        let used = used_bytes(&client).await?;
        if used + freed / 2 <= full {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "{used} bytes are in use, {full} were before the snapshots went");
        sleep_until(Instant::now() + LOOK_EVERY).await;
    }
    let different = cluster.ika(&["osd", "verify", "test"])?;
    ensure!(different.status.success(), "{}", String::from_utf8_lossy(&different.stdout));
    let errors = cluster.error_lines()?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_manage_snapshots_of_their_own_objects() -> Result<()> {
    let cluster = TestCluster::start(1, 3).await?;
    let (first, second) = (cluster.connect().await?, cluster.connect().await?);
    let (pool, other) = (first.pool("test").await?, second.pool("test").await?);
    write_all(&pool, 1).await?;

    let mut context = SnapshotContext::default();
    let mut of_generation = BTreeMap::new();
    for generation in 2..5 {
        let snapshot = pool.self_managed_snapshots().create().await?;
        of_generation.insert(generation - 1, snapshot);
        context.add(snapshot)?;
        // The other client has not heard of the snapshot but from the context.
        let writer = if generation % 2 == 0 { &other } else { &pool };
        write_all(&writer.with_snapshot_context(&context), generation).await?;
        cluster.kill("osd.1").await?;
        cluster.start_daemon("osd.1")?;
        cluster.up().await?;
    }
    for (generation, snapshot) in &of_generation {
        expect_all(&other.at(*snapshot), *generation).await?;
    }
    let refused = pool.snapshots().create("monday").await;
    ensure!(refused.is_err_and(|error| error.kind == ErrorKind::Invalid), "the two kinds do not mix");
    let unknown = SnapshotId(context.newest().0 + 1);
    let refused = pool.object(name(0)).at(unknown).read_all().await;
    ensure!(refused.is_err_and(|error| error.kind == ErrorKind::NotFound), "nobody made that snapshot");
    let mut beyond = context.clone();
    beyond.add(unknown)?;
    let refused = pool.with_snapshot_context(&beyond).object(name(0)).write_full("never").await;
    ensure!(refused.is_err_and(|error| error.kind == ErrorKind::NotFound), "nor may a write preserve it");

    // The middle one goes; its neighbours stay what they are.
    pool.self_managed_snapshots().remove(of_generation[&2]).await?;
    pool.self_managed_snapshots().remove(of_generation[&2]).await?;
    context.remove(of_generation[&2]);
    expect_all(&pool.at(of_generation[&1]), 1).await?;
    expect_all(&pool.at(of_generation[&3]), 3).await?;
    pool.with_snapshot_context(&context).object(name(0)).rollback(of_generation[&1]).await?;
    ensure!(pool.object(name(0)).read_all().await? == content(0, 1));
    for snapshot in of_generation.values() {
        pool.self_managed_snapshots().remove(*snapshot).await?;
    }
    wait_for_trim(&pool).await?;
    let errors = cluster.error_lines()?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_makes_reads_and_removes_snapshots() -> Result<()> {
    let cluster = TestCluster::start(1, 3).await?;
    let object = cluster.connect().await?.pool("test").await?.object("note");
    let done = |words: &str| -> Result<String> {
        let mut all = vec!["object", "-p", "test"];
        all.extend(words.split_whitespace());
        let output = cluster.ika(&all)?;
        ensure!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let refused = |words: &str, code: i32| -> Result<()> {
        let mut all = vec!["object", "-p", "test"];
        all.extend(words.split_whitespace());
        let output = cluster.ika(&all)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code), "{words} ended with {}: {said}", output.status);
        Ok(())
    };
    object.write_full("first").await?;
    object.set_xattr("colour", "blue").await?;
    done("mksnap monday")?;
    refused("mksnap monday", 4)?;
    object.write_full("the second").await?;
    object.set_xattr("colour", "red").await?;
    ensure!(done("lssnap")? == "1\tmonday\n1 snaps\n");
    ensure!(done("-s monday get note -")? == "first");
    ensure!(done("get note - --snap 1")? == "first", "by its number");
    ensure!(done("-s monday getxattr note colour")? == "blue");
    ensure!(done("-s monday stat note")?.contains("size 5"));
    ensure!(done("listsnaps note")? == "note:\ncloneid\tsnaps\tsize\toverlap\n1\t1\t5\t[]\nhead\t-\t10\n");
    done("-s monday cp note copy")?;
    ensure!(done("get copy -")? == "first");
    refused("-s sunday get note -", 3)?;
    refused("-s monday ls", 2)?;
    refused("-s monday rm note", 2)?;
    done("rollback note monday")?;
    ensure!(done("get note -")? == "first" && done("getxattr note colour")? == "blue");
    let listed = cluster.ika_json(&["object", "-p", "test", "lssnap"])?;
    ensure!(listed == serde_json::json!([{ "id": 1, "name": "monday" }]), "{listed}");
    done("rmsnap monday")?;
    refused("rmsnap monday", 3)?;
    refused("-s 1 get note -", 3)?;
    ensure!(done("lssnap")? == "0 snaps\n");
    Ok(())
}

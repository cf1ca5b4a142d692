//! aws, boto3, rclone and restic against one cluster, each with what it does every day.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use telemetry::ProcessStatistics;
use tests_compat::{Tool, Tools, assert_equal_trees, make_tree, run};
use types::Seed;

use crate::{gateway::Gateway, is_long, metrics::gateway_metrics};

/// Bytes of each OSD's device: the trees and files below three times over.
const OSD_BYTES: u64 = 3 << 30;
/// The same for a long run, whose file alone has 6 GiB: each OSD has a copy of it, and little else by then.
const OSD_BYTES_LONG: u64 = 7680 << 20;
/// The most memory that the gateway may ever have had: its two budgets of 192 MiB for bytes on their way in and out, and
/// as much again for everything else.
const GATEWAY_MEMORY_MAX: u64 = 768 << 20;
/// Files of the tree, as `aws s3 sync` carries them.
const FILES: u64 = 400;
const FILES_LONG: u64 = 4000;
/// Bytes of a file that goes by parts.
const LARGE_BYTES: u64 = 300 << 20;
const LARGE_BYTES_LONG: u64 = 6 << 30;

#[tokio::test]
async fn clients_find_what_they_stored() -> Result<()> {
    let gateway = Gateway::start(if is_long() { OSD_BYTES_LONG } else { OSD_BYTES }).await?;
    let tools = Tools::new()?;
    if let Some(python) = tools.find(Tool::Boto3) {
        boto3(&gateway, &python)?;
    }
    if let Some(aws) = tools.find(Tool::Aws) {
        aws_tree(&gateway, &aws)?;
        gateway.cluster.ika_json(&["s3", "gc"])?;
        aws_large(&gateway, &aws)?;
    }
    if let Some(rclone) = tools.find(Tool::Rclone) {
        rclone_tree(&gateway, &rclone)?;
    }
    if let Some(restic) = tools.find(Tool::Restic) {
        restic_backup(&gateway, &restic)?;
    }
    gateway_metrics(&gateway, &tools).await?;
    collect_garbage(&gateway)?;
    gateway.assert_no_errors()
}

fn boto3(gateway: &Gateway, python: &Path) -> Result<()> {
    let checks = concat!(env!("CARGO_MANIFEST_DIR"), "/python/checks.py");
    let output = run(gateway.command(python).arg(checks))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.lines().filter(|line| line.starts_with("ok check_")).count();
    ensure!(passed >= 14, "only {passed} checks ran:\n{text}");
    Ok(())
}

/// A tree there and back, and what `sync` does the second time.
fn aws_tree(gateway: &Gateway, aws: &Path) -> Result<()> {
    let (here, back) = (gateway.cluster.scratch().join("aws-here"), gateway.cluster.scratch().join("aws-back"));
    make_tree(&here, if is_long() { FILES_LONG } else { FILES }, 64 << 10, Seed(6))?;
    let s3 = |words: &[&str]| -> Result<String> {
        let output = run(gateway.command(aws).arg("s3").args(words))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let path = |path: &Path| path.to_string_lossy().into_owned();
    s3(&["mb", "s3://aws-tree"])?;
    s3(&["sync", "--only-show-errors", &path(&here), "s3://aws-tree/deep/tree"])?;
    s3(&["sync", "--only-show-errors", "s3://aws-tree/deep/tree", &path(&back)])?;
    assert_equal_trees(&here, &back)?;
    let again = s3(&["sync", &path(&here), "s3://aws-tree/deep/tree"])?;
    ensure!(again.trim().is_empty(), "sync carried again what had not changed: {again}");
    let listed = s3(&["ls", "s3://aws-tree/deep/"])?;
    ensure!(listed.trim() == "PRE tree/", "ls shows {listed:?}");
    s3(&["cp", "--only-show-errors", "s3://aws-tree/deep/tree/file4", "s3://aws-tree/copied"])?;
    s3(&["mv", "--only-show-errors", "s3://aws-tree/copied", "s3://aws-tree/moved"])?;
    ensure!(s3(&["ls", "s3://aws-tree/"])?.contains("moved"), "a moved object is listed");
    s3(&["rm", "--only-show-errors", "--recursive", "s3://aws-tree"])?;
    ensure!(s3(&["ls", "--recursive", "s3://aws-tree"]).map_or(true, |text| text.is_empty()), "nothing is left");
    s3(&["rb", "s3://aws-tree"])?;
    fs::remove_dir_all(&here).and_then(|()| fs::remove_dir_all(&back)).context("remove the trees")
}

/// A file that goes by parts, there and back.
fn aws_large(gateway: &Gateway, aws: &Path) -> Result<()> {
    let here = gateway.cluster.scratch().join("large");
    let bytes = if is_long() { LARGE_BYTES_LONG } else { LARGE_BYTES };
    make_file(&here, bytes)?;
    let s3 = |words: &[&str]| run(gateway.command(aws).args(["s3", words[0], "--only-show-errors"]).args(&words[1..]));
    run(gateway.command(aws).args(["s3", "mb", "s3://aws-large"]))?;
    s3(&["cp", &here.to_string_lossy(), "s3://aws-large/large"])?;
    let uploaded = gateway_memory(gateway)?;
    // Compared as it comes: a second file of this size is not needed.
    let mut download = gateway.command(aws);
    let mut download = download
        .args(["s3", "cp", "--only-show-errors", "s3://aws-large/large", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .context("start a download")?;
    let bytes_back = download.stdout.take().context("its output is a pipe")?;
    let compared = run(Command::new("cmp").arg(&here).arg("-").stdin(bytes_back));
    let ended = download.wait().context("wait for the download")?;
    compared?;
    ensure!(ended.success(), "the download ended with {ended}");
    let downloaded = gateway_memory(gateway)?;
    eprintln!(
        "{} MiB: the gateway's memory was {} MiB at most after they went in, {} MiB after they came out",
        bytes >> 20,
        uploaded >> 20,
        downloaded >> 20
    );
    ensure!(downloaded < GATEWAY_MEMORY_MAX, "the gateway had {downloaded} bytes");
    fs::remove_file(&here).context("remove the file")?;
    s3(&["rb", "--force", "s3://aws-large"])
        .or_else(|_| run(gateway.command(aws).args(["s3", "rb", "--force", "s3://aws-large"])))?;
    Ok(())
}

/// A file of bytes that do not repeat.
fn make_file(path: &Path, bytes: u64) -> Result<()> {
    use std::io::Write;
    let file = fs::File::create(path).with_context(|| format!("make {}", path.display()))?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    let mut random = types::SeededRandom::new(Seed(7));
    for _ in 0..bytes / 8 {
        out.write_all(&random.draw().to_le_bytes()).with_context(|| format!("write {}", path.display()))?;
    }
    out.flush().with_context(|| format!("write {}", path.display()))
}

/// The most bytes that the gateway's process ever held.
fn gateway_memory(gateway: &Gateway) -> Result<u64> {
    let run = fs::read_to_string(gateway.cluster.path().join("run/s3.a")).context("the gateway runs")?;
    let process = run.split_whitespace().next().context("its process is written down")?;
    let process = process.parse().context("a process has a number")?;
    let statistics = ProcessStatistics::of_process(process).context("look at the gateway's process")?;
    Ok(statistics.resident_bytes_peak)
}

fn rclone_tree(gateway: &Gateway, rclone: &Path) -> Result<()> {
    let here = gateway.cluster.scratch().join("rclone-here");
    make_tree(&here, 200, 200 << 10, Seed(8))?;
    let endpoint = gateway.export("AWS_ENDPOINT_URL")?.to_owned();
    let command = |words: &[&str]| -> Result<String> {
        let mut command = gateway.command(rclone);
        command.args(words);
        command.env("RCLONE_CONFIG_IKA_TYPE", "s3").env("RCLONE_CONFIG_IKA_PROVIDER", "Other");
        command.env("RCLONE_CONFIG_IKA_ENV_AUTH", "true").env("RCLONE_CONFIG_IKA_ENDPOINT", &endpoint);
        Ok(String::from_utf8_lossy(&run(&mut command)?.stdout).into_owned())
    };
    let path = here.to_string_lossy();
    command(&["mkdir", "ika:rclone-tree"])?;
    command(&["copy", &path, "ika:rclone-tree/below"])?;
    command(&["check", &path, "ika:rclone-tree/below"])?;
    command(&["check", "--download", &path, "ika:rclone-tree/below"])?;
    let listed = command(&["lsf", "-R", "--files-only", "ika:rclone-tree/below"])?;
    ensure!(listed.lines().count() == 200, "rclone lists {} files", listed.lines().count());
    command(&["purge", "ika:rclone-tree"])?;
    fs::remove_dir_all(&here).context("remove the tree")
}

fn restic_backup(gateway: &Gateway, restic: &Path) -> Result<()> {
    let (here, back) = (gateway.cluster.scratch().join("restic-here"), gateway.cluster.scratch().join("restic-back"));
    make_tree(&here, 150, 300 << 10, Seed(9))?;
    let repository = format!("s3:{}/restic-backup", gateway.export("AWS_ENDPOINT_URL")?);
    let command = |words: &[&str]| {
        let mut command = gateway.command(restic);
        run(command.args(["--repo", &repository, "--no-cache"]).args(words).env("RESTIC_PASSWORD", "of a test"))
    };
    command(&["init"])?;
    command(&["backup", &here.to_string_lossy()])?;
    command(&["check", "--read-data"])?;
    command(&["restore", "latest", "--target", &back.to_string_lossy()])?;
    let restored = back.join(here.strip_prefix("/").context("an absolute path")?);
    assert_equal_trees(&here, &restored)?;
    fs::remove_dir_all(&here).and_then(|()| fs::remove_dir_all(&back)).context("remove the trees")
}

/// What was replaced and deleted goes, and what is listed stays.
fn collect_garbage(gateway: &Gateway) -> Result<()> {
    let collected = gateway.cluster.ika_json(&["s3", "gc"])?;
    ensure!(collected["garbage"]["removed"].as_u64() > Some(0), "{collected}");
    let again = gateway.cluster.ika_json(&["s3", "gc"])?;
    ensure!(again["garbage"]["removed"] == 0, "{again}");
    Ok(())
}

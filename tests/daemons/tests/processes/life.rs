//! A cluster's life as an operator sees it: started, stopped, started again, interrupted, and asked for the impossible.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use tests_daemons::{TestCluster, program};

fn ika(arguments: &[&str]) -> Result<Output> {
    Command::new(program()?).args(arguments).output().context("run ika")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// Asks for what cannot be, and expects exit code 1 and one sentence with these words.
fn expect_refusal(arguments: &[&str], words: &str) -> Result<()> {
    let output = ika(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "ika {arguments:?} ended with {}: {said}", output.status);
    ensure!(said.contains(words), "ika {arguments:?} said {said:?}, not a word of {words:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_its_data_from_start_to_start() -> Result<()> {
    let cluster = TestCluster::start(1, 3).await?;
    let data = cluster.path().to_owned();
    let object = cluster.connect().await?.pool("test").await?.object("kept");
    object.write_full("from one life to the next").await?;

    let again = ika(&["up", "--detach", "--data", text(&data)])?;
    ensure!(again.status.success(), "a second `up` ends well: {}", String::from_utf8_lossy(&again.stderr));
    ensure!(String::from_utf8_lossy(&again.stdout).contains("ran before"), "and says that everything ran before");

    let down = ika(&["down", "--data", text(&data)])?;
    ensure!(String::from_utf8_lossy(&down.stdout).contains("stopped 6 daemons"), "{down:?}");
    ensure!(fs::read_dir(data.join("run"))?.next().is_none(), "no process is written down any more");

    let monitor = client::Config::load(&data.join("ika.toml"))?.monitors[0];
    let taken = TcpListener::bind(monitor).context("take the monitor's port")?;
    expect_refusal(&["up", "--detach", "--data", text(&data)], "belongs on")?;
    drop(taken);

    cluster.up().await.context("start again")?;
    let object = cluster.connect().await?.pool("test").await?.object("kept");
    ensure!(object.read_all().await? == "from one life to the next");
    let errors = cluster.error_lines()?;
    ensure!(errors.is_empty(), "unexpected ERROR lines:\n{}", errors.join("\n"));
    Ok(())
}

#[test]
fn an_interrupted_start_is_completed_by_the_next() -> Result<()> {
    let place = tempfile::tempdir()?;
    let data = place.path().join("cluster");
    let arguments = ["up", "--mons", "1", "--osds", "3", "--osd-size", "1G", "--data", text(&data)];
    let mut first = Command::new(program()?).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let said = first.stderr.take().context("its words are piped")?;
    let second_osd =
        BufReader::new(said).lines().map_while(|line| line.ok()).find(|line| line.contains("making osd.1"));
    ensure!(second_osd.is_some(), "it said that it was making osd.1");
    first.kill()?;
    first.wait()?;

    // In the foreground this time; SIGINT, as Ctrl-C sends it, stops everything.
    let mut second =
        Command::new(program()?).args(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let words = second.stdout.take().context("its words are piped")?;
    let healthy = BufReader::new(words).lines().map_while(|line| line.ok()).find(|line| line.contains("Ctrl-C stops"));
    let interrupt = Command::new("kill").args(["-INT", &second.id().to_string()]).status()?;
    let ended = second.wait()?;
    ensure!(healthy.is_some(), "the cluster became healthy");
    ensure!(interrupt.success() && ended.success(), "Ctrl-C ends it well: {ended}");
    ensure!(fs::read_dir(data.join("run"))?.next().is_none(), "no process is left");
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_with_a_sentence() -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("a-file");
    fs::File::create(&file)?.write_all(b"not a folder")?;
    let inside_a_file = file.join("cluster");
    expect_refusal(&["up", "--detach", "--data", text(&inside_a_file)], "make the folder")?;
    let fresh = place.path().join("fresh");
    expect_refusal(&["up", "--detach", "--data", text(&fresh), "--osd-size", "100000T"], "give a smaller --osd-size")?;
    // The folder that the attempt left is no hindrance to a better one: this one fails only at its number of hosts.
    expect_refusal(&["up", "--detach", "--data", text(&fresh), "--osd-size", "1G", "--hosts", "4"], "it is 1 to 3")?;
    expect_refusal(&["up", "--detach", "--data", text(place.path())], "but no ika.toml")?;
    expect_refusal(&["up", "--detach", "--data", text(&fresh), "--mons", "9"], "1 to 7 monitors")?;
    expect_refusal(&["down", "--data", text(&file)], "holds no cluster")?;
    ensure!(fs::read(&file)? == b"not a folder", "what was there is untouched");
    Ok(())
}

//! A cluster of real processes for one test.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail};
use client::Cluster;
use local::{PortChoice, RunningProcess, StopOrder, UpOptions};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// The binary that the tests run: the one built beside them. `./dev test` builds it first.
pub fn program() -> Result<PathBuf> {
    let test = std::env::current_exe().context("find the test's own file")?;
    // An example lies in `examples`, beside that.
    let folder = test.parent().and_then(Path::parent).context("a test lies in target/PROFILE/deps")?;
    let program = folder.join("ika");
    if !program.exists() {
        bail!("{} is not built; `./dev test` builds it, or `cargo build -p ika`", program.display());
    }
    Ok(program)
}

/// When this variable is set, clusters of tests leave their folders, logs and all, and say where they are.
const KEEP_VARIABLE: &str = "IKA_KEEP";

/// A folder for one test; removed with it, unless `IKA_KEEP` is set.
pub(crate) fn temporary_folder() -> Result<TempDir> {
    let mut folder = tempfile::tempdir().context("make a temporary folder")?;
    if std::env::var_os(KEEP_VARIABLE).is_some() {
        folder.disable_cleanup(true);
        eprintln!("the test's files stay in {}", folder.path().display());
    }
    Ok(folder)
}

/// The cluster. Its processes end with it, whatever became of the test.
#[derive(Debug)]
pub struct TestCluster {
    folder: TempDir,
    options: UpOptions,
}

impl TestCluster {
    /// A healthy cluster of so many monitors and OSDs of 2 GiB, with an empty pool `test`.
    pub async fn start(mons: u32, osds: u32) -> Result<Self> {
        Self::start_sized(mons, osds, 2 << 30).await
    }

    /// The same with OSDs of so many bytes.
    pub async fn start_sized(mons: u32, osds: u32, osd_size_bytes: u64) -> Result<Self> {
        Self::start_with(mons, osds, osd_size_bytes, None).await
    }

    /// A healthy cluster with an S3 gateway, `s3.a`, and a dashboard.
    pub async fn start_with_s3(mons: u32, osds: u32, osd_size_bytes: u64) -> Result<Self> {
        Self::start_with(mons, osds, osd_size_bytes, Some(PortChoice::Any)).await
    }

    async fn start_with(mons: u32, osds: u32, osd_size_bytes: u64, s3: Option<PortChoice>) -> Result<Self> {
        let folder = temporary_folder()?;
        let mut options = UpOptions::new(folder.path().join("cluster"), program()?);
        options.mons = Some(mons);
        options.osds = Some(osds);
        options.osd_size_bytes = Some(osd_size_bytes);
        options.s3 = s3;
        // As `ika up` does it: both faces or, in tests of the daemons alone, none.
        options.dashboard = s3;
        options.pool = Some("test".to_owned());
        let cluster = Self { folder, options };
        cluster.up().await?;
        Ok(cluster)
    }

    /// Starts what does not run, and waits until the cluster is healthy.
    pub async fn up(&self) -> Result<()> {
        let mut options = self.options.clone();
        if self.path().join("ika.toml").exists() {
            (options.mons, options.osds) = (None, None);
        }
        local::up(&options, |_| {}).await.map(drop)
    }

    /// The cluster's folder.
    pub fn path(&self) -> &Path {
        &self.options.data
    }

    /// The temporary folder around it, for files of the test.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The dashboard's password.
    pub fn dashboard_password(&self) -> Result<String> {
        let path = self.path().join("dashboard-password");
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(text.trim_end().to_owned())
    }

    /// The binary that its daemons run.
    pub fn program(&self) -> &Path {
        &self.options.program
    }

    /// A client of its own.
    pub async fn connect(&self) -> Result<Cluster> {
        let config = client::Config::load(&self.path().join("ika.toml"))?;
        Cluster::connect(&config).await.context("connect")
    }

    /// Ends a daemon as a crash would.
    pub async fn kill(&self, daemon: &str) -> Result<()> {
        local::stop_daemon(self.path(), daemon, StopOrder::AtOnce).await
    }

    /// Ends a daemon as an operator would, and waits until it has ended.
    pub async fn stop(&self, daemon: &str) -> Result<()> {
        local::stop_daemon(self.path(), daemon, StopOrder::Politely).await
    }

    /// Makes a daemon stand still, sockets and all, as a hung host would.
    pub fn freeze(&self, daemon: &str) -> Result<()> {
        self.signal(daemon, Signal::SIGSTOP)
    }

    /// Lets a frozen daemon go on.
    pub fn thaw(&self, daemon: &str) -> Result<()> {
        self.signal(daemon, Signal::SIGCONT)
    }

    fn signal(&self, daemon: &str, signal: Signal) -> Result<()> {
        let process = RunningProcess::find(&self.path().join("run").join(daemon))?;
        process.with_context(|| format!("{daemon} does not run"))?.signal(signal)
    }

    /// Starts a daemon that does not run.
    pub fn start_daemon(&self, daemon: &str) -> Result<()> {
        local::start_daemon(self.path(), &self.options.program, daemon)
    }

    /// Ends every daemon at once, as a power cut would.
    pub async fn kill_all(&self) -> Result<()> {
        local::kill(self.path()).await
    }

    /// Runs a command of the binary on this cluster.
    pub fn ika(&self, arguments: &[&str]) -> Result<Output> {
        let output = Command::new(&self.options.program)
            .args(arguments)
            .env("IKA_CONFIG", self.path().join("ika.toml"))
            .output()
            .with_context(|| format!("run ika {}", arguments.join(" ")))?;
        Ok(output)
    }

    /// Runs a command that must succeed, and understands the JSON that it prints.
    pub fn ika_json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        let output = self.ika(&all)?;
        if !output.status.success() {
            bail!("ika {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("ika {} printed {}", arguments.join(" "), String::from_utf8_lossy(&output.stdout)))
    }

    /// ERROR lines in any daemon's log: a human would have to look, and in a test nobody expects them.
    pub fn error_lines(&self) -> Result<Vec<String>> {
        log_lines(&self.path().join("log"), "ERROR")
    }

    /// WARN lines in any daemon's log: nothing that a run without faults has.
    pub fn warning_lines(&self) -> Result<Vec<String>> {
        log_lines(&self.path().join("log"), "WARN")
    }
}

/// Lines of this level in any log of a folder, each with the name of its file.
pub(crate) fn log_lines(folder: &Path, level: &str) -> Result<Vec<String>> {
    let word = format!(" {level} ");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).context("list the logs")? {
        let path = entry.context("list the logs")?.path();
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(text.lines().filter(|line| line.contains(&word)).map(|line| format!("{name}: {line}")));
    }
    Ok(found)
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        // A test that failed half-way must not leave processes behind; there is nobody left to tell of trouble here.
        let path = self.options.data.clone();
        let stopper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(local::kill(&path)))
        });
        if let Ok(Ok(Err(error))) = stopper.join() {
            eprintln!("could not end the test's cluster: {error:#}");
        }
    }
}

//! A cluster of its own for the measurement: three monitors, three OSDs, a manager and a gateway, removed afterwards.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use telemetry::ProcessStatistics;

use super::service::Service;

/// Of each OSD's device: what a round of the largest objects writes, several times over.
const OSD_SIZE: &str = "4G";

/// A cluster that runs.
pub(crate) struct OwnCluster {
    program: PathBuf,
    data: PathBuf,
}

impl OwnCluster {
    /// Starts it with the program that lies beside this one; `./dev bench s3` has built that.
    pub fn start() -> Result<Self> {
        let own = env::current_exe().context("find the target folder")?;
        let folder = own.parent().context("a program lies in a folder")?;
        let cluster =
            Self { program: folder.join("ika"), data: folder.join(format!("bench-s3-{}", std::process::id())) };
        let begun = cluster.ika(&["up", "--detach", "--osd-size", OSD_SIZE, "--data", &cluster.data.to_string_lossy()]);
        if let Err(error) = begun {
            // What did start ends; the reason why something did not is what is worth saying.
            return Err(match cluster.end() {
                Ok(()) => error,
                Err(second) => error.context(format!("and it could not be removed: {second:#}")),
            });
        }
        Ok(cluster)
    }

    /// Its gateway.
    pub fn service(&self) -> Result<Service> {
        let exports = self.ika(&["--format", "json", "s3", "env"])?;
        let exports: Value = serde_json::from_str(&exports).context("read what `ika s3 env` prints")?;
        let word = |name: &str| {
            exports.get(name).and_then(Value::as_str).with_context(|| format!("`ika s3 env` says nothing of {name}"))
        };
        let mut service = Service::new(
            "ika",
            word("AWS_ENDPOINT_URL")?,
            word("AWS_DEFAULT_REGION")?,
            word("AWS_ACCESS_KEY_ID")?,
            word("AWS_SECRET_ACCESS_KEY")?,
        )?;
        let folder = self.data.join("run");
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            service.processes.push(self.process(&name)?);
        }
        Ok(service)
    }

    /// The id of a daemon's process.
    fn process(&self, daemon: &str) -> Result<u32> {
        let path = self.data.join("run").join(daemon);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let id = text.split_whitespace().next().and_then(|word| word.parse().ok());
        id.with_context(|| format!("{} holds no process id", path.display()))
    }

    /// Removes what was deleted, which the gateway would do five minutes later.
    pub fn collect_garbage(&self) -> Result<()> {
        self.ika(&["s3", "gc"]).map(drop)
    }

    /// The most memory that the gateway's process had, in bytes.
    pub fn gateway_memory_peak(&self) -> Result<u64> {
        Ok(ProcessStatistics::of_process(self.process("s3.a")?)?.resident_bytes_peak)
    }

    /// Stops and removes it.
    pub fn end(self) -> Result<()> {
        self.ika(&["down", "--data", &self.data.to_string_lossy()])?;
        fs::remove_dir_all(&self.data).with_context(|| format!("remove {}", self.data.display()))
    }

    fn ika(&self, arguments: &[&str]) -> Result<String> {
        let shown = format!("ika {}", arguments.join(" "));
        let output = Command::new(&self.program)
            .args(arguments)
            .env("IKA_CONFIG", self.data.join("ika.toml"))
            .output()
            .with_context(|| format!("start {shown}"))?;
        ensure!(output.status.success(), "`{shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

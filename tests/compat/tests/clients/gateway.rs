//! A cluster with a gateway, and what clients must know of it.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use tests_daemons::TestCluster;

/// A cluster of three OSDs with a gateway.
pub(crate) struct Gateway {
    pub cluster: TestCluster,
    exports: BTreeMap<String, String>,
}

impl Gateway {
    pub async fn start(osd_size_bytes: u64) -> Result<Self> {
        let cluster = TestCluster::start_with_s3(3, 3, osd_size_bytes).await?;
        let mut exports = exports_of(&cluster, "tester")?;
        let other = exports_of(&cluster, "other")?;
        for name in ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY"] {
            let value = other.get(&format!("AWS_{name}")).context("the other user has a key")?;
            exports.insert(format!("OTHER_{name}"), value.clone());
        }
        Ok(Self { cluster, exports })
    }

    /// A command that finds the gateway.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(&self.exports).env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", self.cluster.scratch());
        command.env("AWS_CONFIG_FILE", self.cluster.scratch().join("no-such-file"));
        // The gateway speaks plain HTTP here; some clients refuse to start when this is set for others.
        command.env_remove("AWS_CA_BUNDLE");
        command
    }

    /// One of the words of `ika s3 env`.
    pub fn export(&self, name: &str) -> Result<&str> {
        self.exports.get(name).map(String::as_str).with_context(|| format!("`ika s3 env` says nothing of {name}"))
    }

    /// No daemon may have said ERROR.
    pub fn assert_no_errors(&self) -> Result<()> {
        let errors = self.cluster.error_lines()?;
        if !errors.is_empty() {
            bail!("{}", errors.join("\n"));
        }
        Ok(())
    }
}

fn exports_of(cluster: &TestCluster, user: &str) -> Result<BTreeMap<String, String>> {
    let exports = cluster.ika_json(&["s3", "env", "--user", user])?;
    let exports = exports.as_object().context("exports are names and values")?;
    exports
        .iter()
        .map(|(name, value)| Ok((name.clone(), value.as_str().context("a value is text")?.to_owned())))
        .collect()
}

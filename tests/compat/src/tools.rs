//! Programs of others: found on this machine, or installed from the registries.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use nix::fcntl::{Flock, FlockArg};

/// What the Python clients are installed from.
const PYTHON_PACKAGES: [&str; 2] = ["boto3", "awscli"];

/// A program of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Amazon's command line.
    Aws,
    /// A Python with Amazon's library.
    Boto3,
    /// Copies trees between stores.
    Rclone,
    /// Makes backups.
    Restic,
    /// A browser.
    Chromium,
    /// What drives it.
    Chromedriver,
    /// Judges what Prometheus would read.
    Promtool,
}

impl Tool {
    /// Its file's name.
    fn program(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Boto3 => "python",
            Self::Rclone => "rclone",
            Self::Restic => "restic",
            Self::Chromium => "chromium",
            Self::Chromedriver => "chromedriver",
            Self::Promtool => "promtool",
        }
    }

    /// Debian's package that has it.
    fn package(self) -> &'static str {
        match self {
            Self::Chromedriver => "chromium-driver",
            Self::Promtool => "prometheus",
            other => other.program(),
        }
    }

    /// Whether it comes by `pip` into a folder of its own, or by `apt-get`.
    fn is_python(self) -> bool {
        matches!(self, Self::Aws | Self::Boto3)
    }
}

/// Where programs are looked for and installed.
#[derive(Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The user's cache folder.
    pub fn new() -> Result<Self> {
        let cache = match std::env::var_os("XDG_CACHE_HOME") {
            Some(cache) => PathBuf::from(cache),
            None => PathBuf::from(std::env::var_os("HOME").context("HOME says where the cache is")?).join(".cache"),
        };
        let folder = cache.join("ika");
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The program, installed if need be. `None`, after saying so, when it cannot be had here.
    pub fn find(&self, tool: Tool) -> Option<PathBuf> {
        let found = if tool.is_python() { self.python(tool) } else { self.packaged(tool) };
        match found {
            Ok(program) => Some(program),
            Err(error) => {
                eprintln!("SKIPPED: {} cannot be had here: {error:#}", tool.program());
                None
            }
        }
    }

    fn lock(&self) -> Result<Flock<File>> {
        let path = self.folder.join("tools.lock");
        let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| anyhow::anyhow!("lock the tools: {error}"))
    }

    fn python(&self, tool: Tool) -> Result<PathBuf> {
        let environment = self.folder.join("s3-clients");
        let program = environment.join("bin").join(tool.program());
        let complete = environment.join("complete");
        let _lock = self.lock()?;
        if complete.exists() {
            return Ok(program);
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let pip = environment.join("bin/pip");
        run(Command::new(pip).args(["install", "--quiet"]).args(PYTHON_PACKAGES))?;
        fs::write(&complete, "").with_context(|| format!("write {}", complete.display()))?;
        Ok(program)
    }

    fn packaged(&self, tool: Tool) -> Result<PathBuf> {
        let find = || {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).map(|folder| folder.join(tool.program())).find(|program| program.is_file())
        };
        let _lock = self.lock()?;
        if let Some(program) = find() {
            return Ok(program);
        }
        let options = ["-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends"];
        run(Command::new("apt-get").args(options).arg(tool.package()))?;
        find().with_context(|| format!("{} was installed and is not there", tool.program()))
    }
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Result<Output> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown: Vec<String> = words.map(OsStr::to_string_lossy).map(String::from).collect();
    let shown = shown.join(" ");
    let output = command.output().with_context(|| format!("start {shown}"))?;
    ensure!(
        output.status.success(),
        "`{shown}` failed ({}): {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

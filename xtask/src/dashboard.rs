//! The dashboard's front end: from `mgr/dashboard/src/` to the files in `dist/` that the manager carries (decision 0092).

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// What becomes of a difference between the committed files and the built ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The built ones stay.
    Kept,
    /// It is an error.
    Refused,
}

/// Installs what the build needs, exactly as the lock file says, and builds.
pub(crate) fn build(root: &Path, difference: Difference) -> Result<()> {
    let folder = root.join("mgr/dashboard");
    let before = files(&folder.join("dist"))?;
    npm(&folder, &["ci", "--no-audit", "--no-fund"])?;
    npm(&folder, &["run", "build"])?;
    let after = files(&folder.join("dist"))?;
    let changed: Vec<&str> =
        after.iter().filter(|(name, text)| before.get(*name) != Some(text)).map(|(name, _)| name.as_str()).collect();
    if changed.is_empty() {
        eprintln!("dev: mgr/dashboard/dist is what its sources say");
        return Ok(());
    }
    let sentence = format!("mgr/dashboard/dist was not what its sources say: {}", changed.join(", "));
    ensure!(difference == Difference::Kept, "{sentence}; commit what was built now");
    eprintln!("dev: {sentence}; commit what was built now, and build the manager");
    Ok(())
}

fn npm(folder: &Path, arguments: &[&str]) -> Result<()> {
    let shown = format!("npm {}", arguments.join(" "));
    eprintln!("dev: {shown}");
    let status = Command::new("npm").args(arguments).current_dir(folder).status();
    let status = status.with_context(|| format!("start {shown}; Debian's packages nodejs and npm have it"))?;
    ensure!(status.success(), "`{shown}` failed");
    Ok(())
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.insert(name, fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(found)
}

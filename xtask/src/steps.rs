//! One step of a word: a cargo command, named before it runs and timed after it.

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// Runs cargo with these arguments in the workspace.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    cargo_with(root, arguments, &[])
}

/// The same with these variables set.
pub(crate) fn cargo_with(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let shown = format!("cargo {}", arguments.join(" "));
    let begun = now();
    eprintln!("dev: {shown}");
    let status = Command::new(cargo_program())
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root)
        .status()
        .with_context(|| format!("start {shown}"))?;
    ensure!(status.success(), "`{shown}` failed");
    eprintln!("dev: {shown}: {}", seconds(begun.elapsed()));
    Ok(())
}

/// The cargo that runs this tool, or the one on the path.
pub(crate) fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[expect(clippy::disallowed_methods, reason = "a tool that tells its user how long a step took")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

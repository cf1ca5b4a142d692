//! Ceph's `crushtool`, as the yardstick.

use std::{
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};

use crate::processor_time;

/// The program, if it is installed (Debian: `ceph-base`).
pub(crate) fn is_installed() -> bool {
    Command::new("crushtool").arg("-h").output().is_ok()
}

fn test(map: &Path, rule: u32, replicas: usize, inputs: u32, more: &[&str]) -> Result<Output> {
    let (rule, replicas, last) = (rule.to_string(), replicas.to_string(), (inputs - 1).to_string());
    let mut command = Command::new("crushtool");
    command.arg("-i").arg(map).args([
        "--test",
        "--rule",
        &rule,
        "--num-rep",
        &replicas,
        "--min-x",
        "0",
        "--max-x",
        &last,
    ]);
    let output = command.args(more).output().context("start crushtool")?;
    ensure!(output.status.success(), "crushtool failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output)
}

/// Nanoseconds of one mapping: what many cost more than one does, so without reading the map.
pub(crate) fn nanoseconds_per_mapping(map: &Path, rule: u32, replicas: usize, inputs: u32) -> Result<f64> {
    let begun = processor_time::of_children()?;
    test(map, rule, replicas, 1, &[])?;
    let one = processor_time::of_children()?;
    test(map, rule, replicas, inputs, &[])?;
    let many = processor_time::of_children()?;
    let spent = (many - one).saturating_sub(one - begun);
    Ok(spent.as_secs_f64() * 1e9 / f64::from(inputs - 1))
}

/// The devices that the first inputs are mapped to.
pub(crate) fn mappings(map: &Path, rule: u32, replicas: usize, inputs: u32) -> Result<Vec<Vec<i32>>> {
    let output = test(map, rule, replicas, inputs, &["--show-mappings"])?;
    let text = String::from_utf8(output.stdout).context("crushtool prints text")?;
    text.lines()
        .filter_map(|line| line.strip_prefix("CRUSH rule")?.rsplit_once('['))
        .map(|(_, devices)| {
            let devices = devices.trim_end_matches(']').split(',');
            devices.map(|device| device.parse().with_context(|| format!("read device `{device}`"))).collect()
        })
        .collect()
}

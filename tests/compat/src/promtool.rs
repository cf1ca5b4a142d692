//! What Debian's promtool says of a text that Prometheus would read.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{Tool, Tools};

/// promtool's status for a text that is valid and has names or units that its lint does not like.
const STATUS_OF_COMPLAINTS: i32 = 3;

/// The complaints of `promtool check metrics`, each a metric's name and a sentence. `None`, after saying so, where
/// promtool cannot be had.
///
/// # Errors
/// When the text is not valid at all.
pub fn complaints_of_promtool(tools: &Tools, text: &str) -> Result<Option<Vec<(String, String)>>> {
    let Some(promtool) = tools.find(Tool::Promtool) else { return Ok(None) };
    let mut checking = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start promtool")?;
    let mut input = checking.stdin.take().context("its input is a pipe")?;
    input.write_all(text.as_bytes()).context("give promtool the figures")?;
    drop(input);
    let output = checking.wait_with_output().context("wait for promtool")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(matches!(output.status.code(), Some(0 | STATUS_OF_COMPLAINTS)), "{}: {said}\nabout\n{text}", output.status);
    let complaints = said.lines().map(|line| {
        let (name, complaint) = line.split_once(' ').with_context(|| format!("promtool says `{line}`"))?;
        Ok((name.to_owned(), complaint.to_owned()))
    });
    complaints.collect::<Result<_>>().map(Some)
}

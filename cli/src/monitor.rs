//! Commands of the monitors: words out, an answer back, and the answer as humans read it.
//!
//! The answer is JSON with Ceph's field names. With `--format json` it is passed on as it is; otherwise the commands
//! that people look at most have a text of their own here, and all others are shown in a plain general form.

mod config;
mod health;
mod osd;
mod pg;
mod pool;
mod status;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{IsTerminal, Read},
    path::Path,
};

use client::{Cluster, CommandAnswer, CommandArguments, Error, Result};
use serde_json::Value;

use crate::{arguments::MonitorCommand, console::Console};

/// Carries out the words.
pub(crate) async fn carry_out(cluster: &Cluster, command: &MonitorCommand, console: Console) -> Result<()> {
    if command.help {
        return help(cluster, &command.words, console).await;
    }
    let input = command.input.as_deref().map(read_input).transpose()?.unwrap_or_default();
    let answer = cluster.command(command.words.join(" "), CommandArguments::new(), input).await?;
    if let Some(path) = &command.output {
        if !answer.status.is_empty() {
            console.remark(&answer.status);
        }
        return write_output(path, &answer.output);
    }
    show(&command.words, &answer, console)
}

fn show(words: &[String], answer: &CommandAnswer, console: Console) -> Result<()> {
    if answer.output.is_empty() {
        if !answer.status.is_empty() {
            console.remark(&answer.status);
        }
        return Ok(());
    }
    let Ok(value) = serde_json::from_slice::<Value>(&answer.output) else {
        if std::io::stdout().is_terminal() {
            return Err(Error::invalid("the answer is binary; give -o FILE or send standard output elsewhere"));
        }
        return console.raw(&answer.output);
    };
    if console.format.is_json() {
        return console.json(&value);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    console.data(&plain(&words, &answer.status, &value))
}

/// The text of an answer.
fn plain(words: &[&str], status: &str, value: &Value) -> String {
    match words {
        ["status" | "-s"] => status::text(value),
        ["health"] => health::summary(value),
        ["health", "detail" | "--detail"] => health::detail(value),
        ["df", ..] => pool::df(value),
        ["osd", "tree", ..] => osd::tree(value),
        ["osd", "df", ..] => osd::df(value),
        ["osd", "pool", "ls", "detail" | "--detail"] => pool::detail(value),
        ["osd", "pool", "get", ..] => pool::settings(value),
        ["config", "dump"] | ["config", "get", _] => config::dump(value),
        ["config", "show", _] => config::show(value),
        ["config", "log", ..] => config::log(value),
        ["config", "help", _] => config::help(value),
        ["pg", "dump", ..] => pg::dump(&value["pg_map"]["pg_stats"]),
        ["pg", "ls-by-pool", ..] => pg::dump(&value["pg_stats"]),
        _ if !status.is_empty() => status.to_owned(),
        _ => general(value),
    }
}

/// Lists a line each; other things as JSON for humans.
fn general(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().all(is_scalar) => items.iter().map(|item| scalar(item) + "\n").collect(),
        value if is_scalar(value) => scalar(value),
        value => serde_json::to_string_pretty(value).expect("a value has a text"),
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Text without quotes; numbers and the rest as JSON.
fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A whole number; zero where there is none.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Usage of the commands that begin with the words.
async fn help(cluster: &Cluster, words: &[String], console: Console) -> Result<()> {
    let answer = cluster.command("get_command_descriptions", CommandArguments::new(), Vec::new()).await?;
    let table: Value = serde_json::from_slice(&answer.output)
        .map_err(|error| Error::internal(format!("the monitors' command table cannot be read: {error}")))?;
    let wanted = words.join(" ");
    let begins = |prefix: &str| prefix == wanted || prefix.starts_with(&format!("{wanted} "));
    let rows: Vec<&Value> = table
        .as_array()
        .into_iter()
        .flatten()
        .chain(table.as_object().into_iter().flat_map(|object| object.values()))
        .filter(|row| row["prefix"].as_str().is_some_and(begins))
        .collect();
    if rows.is_empty() {
        return Err(Error::not_found(format!("no command begins with `{wanted}`; see `ika get_command_descriptions`")));
    }
    if console.format.is_json() {
        return console.json(&Value::Array(rows.into_iter().cloned().collect()));
    }
    let line = |row: &&Value| format!("ika {}\n    {}\n", scalar(&row["usage"]), scalar(&row["help"]));
    console.data(&rows.iter().map(line).collect::<String>())
}

fn read_input(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        return match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Error::invalid(format!("read standard input: {error}"))),
        };
    }
    fs::read(path).map_err(|error| Error::invalid(format!("read {}: {error}", path.display())))
}

fn write_output(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| Error::invalid(format!("write {}: {error}", path.display())))
}

//! Where output goes: data to standard output, everything else to standard error.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use client::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::arguments::Format;

/// Writes data in the format asked for.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    /// The format asked for.
    pub format: Format,
}

impl Console {
    /// Text that is data, in either format.
    pub fn data(self, text: &str) -> Result<()> {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.raw(format!("{text}{end}").as_bytes())
    }

    /// Bytes that are data.
    pub fn raw(self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(cannot_write)
    }

    /// Data for programs.
    pub fn json(self, value: &Value) -> Result<()> {
        self.data(&match self.format {
            Format::JsonPretty => serde_json::to_string_pretty(value).expect("a value has a text"),
            Format::Plain | Format::Json => value.to_string(),
        })
    }

    /// Data in the format asked for.
    pub fn show(self, plain: impl FnOnce() -> String, value: impl FnOnce() -> Value) -> Result<()> {
        if self.format.is_json() { self.json(&value()) } else { self.data(&plain()) }
    }

    /// What is not data.
    pub fn remark(self, text: &str) {
        // Nobody can be told that standard error is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// The error as one sentence, or as JSON; and the exit code that goes with it.
    pub fn fail(self, error: &Error) -> ExitCode {
        if error.kind == ErrorKind::Closed && error.message == PIPE_CLOSED {
            // Whoever read has had enough; that is no failure.
            return ExitCode::SUCCESS;
        }
        if self.format.is_json() {
            self.remark(&json!({ "error": { "kind": error.kind.name(), "message": error.message } }).to_string());
        } else {
            self.remark(&format!("ika: {error}"));
        }
        exit_code(error.kind)
    }
}

const PIPE_CLOSED: &str = "standard output was closed";

fn cannot_write(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::closed(PIPE_CLOSED),
        _ => Error::invalid(format!("write to standard output: {error}")),
    }
}

/// The exit code of each kind, as the crate's documentation lists them.
pub fn exit_code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(match kind {
        ErrorKind::Invalid => 2,
        ErrorKind::NotFound => 3,
        ErrorKind::Exists => 4,
        ErrorKind::Denied => 5,
        ErrorKind::Full => 6,
        ErrorKind::Retry => 7,
        ErrorKind::Damaged => 8,
        ErrorKind::RefreshMap | ErrorKind::Closed | ErrorKind::Internal => 1,
    })
}

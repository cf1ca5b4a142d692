//! A bar on the terminal for what takes more than a few seconds.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use telemetry::clock::boot_clock_now;
use types::Time;

/// What is quicker needs no bar.
const SILENT: Duration = Duration::from_secs(2);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a transfer.
    Bytes,
    /// Anything else, by this name.
    Things(&'static str),
}

/// How far something is. Shown on standard error, when that is a terminal, from the third second on.
#[derive(Debug)]
pub struct Progress {
    unit: Unit,
    total: Option<u64>,
    done: u64,
    begun: Time,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of `total`, when that is known.
    pub fn new(unit: Unit, total: Option<u64>) -> Self {
        Self { unit, total, done: 0, begun: boot_clock_now(), bar: None }
    }

    /// So much is done in all.
    pub fn reach(&mut self, done: u64) {
        self.add(done.saturating_sub(self.done));
    }

    /// So much more is done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        if self.bar.is_none() && boot_clock_now().since(self.begun) >= SILENT {
            self.bar = Some(self.make_bar());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }

    fn make_bar(&self) -> ProgressBar {
        let template = match (self.unit, self.total) {
            (Unit::Bytes, Some(_)) => "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}".to_owned(),
            (Unit::Bytes, None) => "{bytes} {bytes_per_sec}".to_owned(),
            (Unit::Things(name), _) => format!("{{wide_bar}} {{pos}}/{{len}} {name} {{eta}}"),
        };
        let style = ProgressStyle::with_template(&template).expect("the templates are fixed");
        // indicatif draws on standard error and not at all when that is not a terminal.
        let bar = self.total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        bar.set_style(style);
        bar
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

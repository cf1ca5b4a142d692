//! `osdmaptool` as a function: the options of Ceph's tool, the lines it prints and its exit codes, over maps in this system's
//! own format, so that scripts and people need not relearn.
//!
//! Options are parsed by hand, because their grammar is Ceph's: `_` for `-`, `--option value` or `--option=value`, and
//! whatever is not known counts as a file name. Files are reached through [`Files`], so the crate stays pure.
//!
//! Owns: the order in which things are done, and the words. Does not know: how anything is computed.
//!
//! Unlike Ceph: a map has no number of OSDs beside those that exist and those that the placement hierarchy has; `--save` and
//! all else that is written passes `check`. `--test-crush` ends after one pass, because another could only say the same;
//! `--upmap-active` does not say how long it took, because this is a function without a clock; `--test-random` never puts a group on
//! one OSD twice. `--create-from-conf` is refused: there is no file that lists a cluster's daemons.

mod arguments;
mod create;
mod health;
mod number;
mod report;
mod run;
mod upmap;
mod usage;

pub use crush::tool::{Files, Output};

pub(crate) use number::general;

/// The name under which the tool speaks.
const NAME: &str = "osdmaptool";

/// Runs the tool with these arguments, the program's name not among them. `now_ms` is the wall time for what it makes.
pub fn osdmap_tool(arguments: &[String], now_ms: u64, files: &mut dyn Files) -> Output {
    let mut run = run::Run { output: Output::default(), files, now_ms };
    if let Err(stop) = run.all(arguments) {
        run.output.code = stop.0;
    }
    run.output
}

/// Ends the run with this exit code; what is to be said has been said.
#[derive(Clone, Copy, Debug)]
struct Stop(u8);

/// What Ceph's tool returns as -1.
const MINUS_ONE: Stop = Stop(255);

#[cfg(test)]
mod tests;

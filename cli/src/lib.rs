//! The operators' commands: Ceph's grammar and JSON fields, rendered for humans or passed on for programs.
//!
//! Data goes to standard output, everything else to standard error. With `--format json` data is JSON, and so is the
//! error. What the process answers:
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | failed, or `osd verify` found differences |
//! | 2 | the command line or an argument is wrong |
//! | 3 | the named thing does not exist |
//! | 4 | it exists already, or a condition did not hold |
//! | 5 | denied |
//! | 6 | no space, or over quota |
//! | 7 | timed out; a write may have taken effect |
//! | 8 | stored bytes are damaged |
//!
//! Owns: the command line, the text that humans read, transfers between files and objects, the benchmark. Does not
//! know: which monitor commands exist (the monitors' table validates them), how anything travels.

mod arguments;
mod console;
mod dashboard;
mod figures;
mod latency;
mod monitor;
mod object;
mod placement_group;
mod placement_tools;
mod progress;
mod run;
mod s3_gateway;
mod verify;

pub use arguments::{Format, command, parse_size};
pub use console::{Console, exit_code};
pub use placement_tools::PlacementTool;
pub use progress::{Progress, Unit};
pub use run::run;

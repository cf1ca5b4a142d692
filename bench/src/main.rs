//! Measurements whose figures stand in `docs/`, beside an outside tool where there is one: `./dev bench WORD`.
//!
//! Owns: the words. Does not know: clusters of processes (`xtask/src/bench.rs` measures those with the program's own
//! benchmark). A plain harness instead of a benchmark library, because the yardstick is another process: both sides run in
//! turn, A B A B, and what counts is processor time, so that a busy machine slows both or neither.

mod crushtool;
mod following;
mod placement;
mod plot;
mod processor_time;
mod quality;
mod sample_cluster;
mod spread;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: ika-bench WORD
  placement   mappings per second beside Ceph's crushtool, and what one OSD more or less costs
  quality     how evenly placement spreads and how much it moves; with a file's name, a plot goes there";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ika-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["placement"] => {
            placement::run()?;
            println!();
            following::run()
        }
        ["quality"] => quality::run(None),
        ["quality", plot] => quality::run(Some(plot)),
        _ => bail!("{USAGE}"),
    }
}

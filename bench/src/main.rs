//! Measurements whose figures stand in `docs/`, beside an outside tool where there is one: `./dev bench WORD`.
//!
//! Owns: the words. Does not know: what a cluster of processes does without a gateway (`xtask/src/bench.rs` measures that
//! with the program's own benchmark). A plain harness instead of a benchmark library, because the yardstick is another process: both sides run in
//! turn, A B A B, and what counts is processor time, so that a busy machine slows both or neither.

mod crushtool;
mod following;
mod placement;
mod plot;
mod processor_time;
mod quality;
mod s3;
mod sample_cluster;
mod spread;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: ika-bench WORD
  placement   mappings per second beside Ceph's crushtool, and what one OSD more or less costs
  quality     how evenly placement spreads and how much it moves; with a file's name, a plot goes there
  s3 [--seconds N] [--rounds N] [--compare] [--only TEXT]
              PUT, GET and LIST at the gateway of a fresh cluster; with --compare, in turns with the S3 service that the
              variables PEER_ENDPOINT_URL, PEER_ACCESS_KEY_ID, PEER_SECRET_ACCESS_KEY, PEER_NAME and PEER_PROCESSES (ids,
              for processor time) describe";

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
        ["s3", ref options @ ..] => s3::run(s3::Options::parse(options)?),
        _ => bail!("{USAGE}"),
    }
}

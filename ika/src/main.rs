//! The one binary: a subcommand per role and per operator command. No logic: it reads the command line and hands over.
//!
//! Daemons say one line on standard output when they serve, and end in order on SIGTERM or SIGINT. Everything else that
//! they have to say goes to their log.

mod arguments;
mod daemon;
mod local_cluster;
mod stopped_store;
mod store_bench;

use std::{env, ffi::OsString, process::ExitCode};

use arguments::{Own, StoreVerb, is_own};
use clap::Parser;
use cli::PlacementTool;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    if let Some((tool, arguments)) = placement_tool(&arguments) {
        return tool.run(&arguments);
    }
    if !is_own(&arguments) {
        return cli::run(arguments);
    }
    let outcome = match Own::parse_from(arguments) {
        Own::Up(options) => local_cluster::up(&options),
        Own::Down(options) => local_cluster::down(&options),
        Own::Mon(options) => daemon::run_mon(&options),
        Own::Osd(options) => daemon::osd(&options),
        Own::Mgr(options) => daemon::run_mgr(&options),
        Own::S3(options) => daemon::run_s3(&options),
        Own::Store(options) => match &options.verb {
            StoreVerb::Stopped(verb) => return stopped_store::run(verb),
            StoreVerb::Bench(bench) => store_bench::measure(bench),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ika: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `ika crushtool …`, or this binary called through a link named `crushtool`; likewise `osdmaptool`.
fn placement_tool(arguments: &[OsString]) -> Option<(PlacementTool, Vec<String>)> {
    let words = |from: usize| arguments[from..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(tool) = arguments.first().and_then(|name| PlacementTool::of_name(name)) {
        return Some((tool, words(1)));
    }
    let tool = PlacementTool::of_name(arguments.get(1)?)?;
    Some((tool, words(2)))
}

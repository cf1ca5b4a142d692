//! From the words of the command line to an exit code.

use std::{ffi::OsString, io, process::ExitCode};

use clap::{CommandFactory, Parser};
use client::{Cluster, Config, Error, Options, Result};
use telemetry::logging::{self, Destination, LineKind};

use crate::{
    arguments::{Arguments, Command, GlobalOptions, Meaning, VerifyArguments, understand},
    console::Console,
    dashboard, monitor, object, placement_group, s3_gateway, verify,
};

/// Exit code for a wrong command line; clap's own.
const USAGE: u8 = 2;

/// Carries out an operator's command; `arguments` begins with the program's name.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let words: Option<Vec<String>> = arguments.into_iter().skip(1).map(|word| word.into_string().ok()).collect();
    let Some(words) = words else {
        eprintln!("ika: the command line is not UTF-8 text");
        return ExitCode::from(USAGE);
    };
    let with_name = || std::iter::once("ika".to_owned()).chain(words.iter().cloned());
    match understand(&words) {
        Err(sentence) => {
            eprintln!("ika: {sentence}");
            ExitCode::from(USAGE)
        }
        Ok(Meaning::Monitor(command)) => {
            let global = command.global.clone();
            in_cluster(&global, async |cluster, console| {
                monitor::carry_out(&cluster, &command, console).await.map(|()| ExitCode::SUCCESS)
            })
        }
        Ok(Meaning::Pg(global, command)) => in_cluster(&global, async |cluster, console| {
            placement_group::carry_out(&cluster, command, console).await.map(|()| ExitCode::SUCCESS)
        }),
        Ok(Meaning::Verify) => {
            let is_name = |word: &String| word == "osd" || word == "verify";
            let mut names = 0;
            let rest = words.iter().filter(|word| {
                let is_name = names < 2 && is_name(word);
                names += usize::from(is_name);
                !is_name
            });
            match VerifyArguments::try_parse_from(std::iter::once("ika osd verify".to_owned()).chain(rest.cloned())) {
                Err(error) => refuse(&error),
                Ok(arguments) => in_cluster(&arguments.global, async |cluster, console| {
                    verify::verify(&cluster, arguments.pool.as_deref(), console).await
                }),
            }
        }
        Ok(Meaning::Own) => match Arguments::try_parse_from(with_name()) {
            Err(error) => refuse(&error),
            Ok(arguments) => match arguments.command {
                Command::Object(object) => in_cluster(&arguments.global, async |cluster, console| {
                    object::carry_out(&cluster, object, console).await.map(|()| ExitCode::SUCCESS)
                }),
                Command::S3(s3) => in_cluster(&arguments.global, async |cluster, console| {
                    s3_gateway::carry_out(cluster, s3, console).await.map(|()| ExitCode::SUCCESS)
                }),
                Command::Dashboard(command) => in_cluster(&arguments.global, async |cluster, console| {
                    dashboard::carry_out(&cluster, &command, console).await.map(|()| ExitCode::SUCCESS)
                }),
                Command::Completions { shell } => {
                    let mut command = Arguments::command();
                    let mut script = Vec::new();
                    clap_complete::generate(shell, &mut command, "ika", &mut script);
                    let console = Console { format: arguments.global.format };
                    console.raw(&script).map_or_else(|error| console.fail(&error), |()| ExitCode::SUCCESS)
                }
                // `understand` takes these; only `ika -- status` comes here.
                _ => {
                    eprintln!("ika: give the command without `--` in front of it");
                    ExitCode::from(USAGE)
                }
            },
        },
    }
}

/// Help and version are data; everything else is an error.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody can be told that the stream is closed.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
}

fn in_cluster(global: &GlobalOptions, work: impl AsyncFnOnce(Cluster, Console) -> Result<ExitCode>) -> ExitCode {
    let console = Console { format: global.format };
    let outcome = start_log().and_then(|()| {
        // One thread: a command is one conversation, and each operation costs no hop between threads.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error: io::Error| Error::internal(format!("start the runtime: {error}")))?;
        let outcome = runtime.block_on(async {
            let config = Config::load(&Config::find(global.config.as_deref())?)?;
            let options = Options { timeout: global.timeout, ..Options::default() };
            let cluster = Cluster::connect_with(&config, options).await?;
            tokio::select! {
                outcome = work(cluster, console) => outcome,
                interrupted = tokio::signal::ctrl_c() => match interrupted {
                    Ok(()) => Err(Error::closed("interrupted; what was on its way may have taken effect")),
                    Err(error) => Err(Error::internal(format!("wait for signals: {error}"))),
                },
            }
        });
        // A read of standard input cannot be interrupted; the process ends around it.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| console.fail(&error))
}

/// Warnings go to standard error, unless IKA_LOG asks for more.
fn start_log() -> Result<()> {
    logging::start("client", "admin", Destination::Stderr, LineKind::Text)
}

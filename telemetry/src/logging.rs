//! The log of a process: one line per event, with time, level, who speaks, where, and what.
//!
//! The level is the cluster's setting `log_level`, followed by [`set_level`]; `IKA_LOG` overrules it and chooses what is logged, in the syntax of `tracing_subscriber::EnvFilter` (`info`, `debug,openraft=warn`);
//! without it everything from INFO up is (nothing from the consensus library). A log file is cut at a bound and its predecessor kept as `NAME.1`, so that
//! logs take at most twice [`LOG_FILE_BYTES_MAX`]. A line that cannot be written is dropped: a full log disk must not
//! stop a daemon.

mod format;
mod rotate;

use std::{
    backtrace::Backtrace,
    env, io, panic,
    path::PathBuf,
    sync::{Mutex, Once, OnceLock, PoisonError},
};

use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};
use types::{Error, Result};

use format::LineFormat;
use rotate::RotatingFile;

/// Bytes after which a log file becomes `NAME.1` and a new one begins: some 400,000 lines, days of a healthy daemon.
pub const LOG_FILE_BYTES_MAX: u64 = 64 << 20;

/// What is logged when nothing is chosen. The consensus library calls every peer that does not answer an ERROR; what of it
/// needs a human, the monitor says itself and health shows. The S3 protocol library calls every refusal an ERROR; the
/// gateway counts them and says itself what needs a human.
const FILTER_DEFAULT: &str = "info,openraft=off,s3s=off";

/// The part of it that holds at every level.
const FILTER_ALWAYS: &str = "openraft=off";

/// The variable that chooses what is logged.
pub const FILTER_VARIABLE: &str = "IKA_LOG";

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Appended to this file; its folder must exist.
    File(PathBuf),
    /// Standard error.
    Stderr,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineKind {
    /// For humans.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts the one log of this process, spoken by `role.name` (as `osd.3`), and sends panics there too.
///
/// Fails when `IKA_LOG` cannot be understood, the file cannot be opened, or the process already has a log.
pub fn start(role: &str, name: &str, destination: Destination, kind: LineKind) -> Result<()> {
    let (filter, handle) = reload::Layer::new(filter_of(env::var(FILTER_VARIABLE).ok().as_deref())?);
    let lines = LineFormat::new(format!("{role}.{name}"), kind);
    let layer = fmt::layer().event_format(lines).with_ansi(false).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match destination {
        Destination::Stderr => registry.with(layer.with_writer(io::stderr)).try_init(),
        Destination::File(path) => {
            let file = RotatingFile::open(&path, LOG_FILE_BYTES_MAX)
                .map_err(|error| Error::invalid(format!("open log file {}: {error}", path.display())))?;
            registry.with(layer.with_writer(file)).try_init()
        }
    };
    started.map_err(|_| Error::exists("this process has a log already"))?;
    // The process has one log, so nobody was here before.
    drop(LEVEL.set(Level { handle, word: Mutex::new("info".to_owned()) }));
    log_panics();
    Ok(())
}

/// What `set_level` changes; set when the log starts.
static LEVEL: OnceLock<Level> = OnceLock::new();

struct Level {
    handle: reload::Handle<EnvFilter, Registry>,
    word: Mutex<String>,
}

/// From now on lines of this level and above are logged: `error`, `warn`, `info`, `debug` or `trace`. Without effect in a
/// process that has no log, and where `IKA_LOG` says what is logged.
///
/// # Errors
/// When the word is none of these.
pub fn set_level(level: &str) -> Result<()> {
    let Some(known) = LEVEL.get().filter(|_| env::var_os(FILTER_VARIABLE).is_none()) else { return Ok(()) };
    let mut word = known.word.lock().unwrap_or_else(PoisonError::into_inner);
    if *word == level {
        return Ok(());
    }
    let filter = filter_of(Some(&format!("{level},{FILTER_ALWAYS}")))?;
    known.handle.reload(filter).map_err(|error| Error::internal(format!("change the log's level: {error}")))?;
    level.clone_into(&mut word);
    Ok(())
}

/// [`set_level`] for daemons that follow a setting; a word that is no level leaves the log as it is, which is said there.
pub fn follow_level(level: &str) {
    if let Err(error) = set_level(level) {
        tracing::warn!(%error, "the log keeps its level");
    }
}

fn filter_of(text: Option<&str>) -> Result<EnvFilter> {
    let text = text.unwrap_or(FILTER_DEFAULT);
    EnvFilter::try_new(text).map_err(|error| {
        Error::invalid(format!("{FILTER_VARIABLE} is `{text}`: {error}; it would be like `info` or `debug,net=warn`"))
    })
}

/// A panic becomes an ERROR line before the usual message goes to standard error.
fn log_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let message = panic.payload_as_str().unwrap_or("a payload that is no text");
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            let backtrace = Backtrace::capture();
            tracing::error!(location, %backtrace, "panic: {message}");
            usual(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_understood_is_refused_with_an_example() {
        assert!(filter_of(None).is_ok());
        assert!(filter_of(Some("debug,openraft=warn")).is_ok());
        let error = filter_of(Some("net=loudly")).unwrap_err();
        assert!(error.message.contains("IKA_LOG is `net=loudly`") && error.message.contains("net=warn"), "{error}");
    }

    #[test]
    fn the_process_has_one_log_and_its_lines_name_the_speaker() {
        let folder = env::temp_dir().join(format!("ika-telemetry-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("osd.3.log");
        start("osd", "3", Destination::File(path.clone()), LineKind::Text).unwrap();
        // An error, so that the test does not depend on the filter in the environment.
        tracing::error!(epoch = 7, "map\narrived");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("arrived")).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(lines[0].contains(" ERROR osd.3 telemetry::logging::tests: map\\narrived epoch=7"), "{text}");
        let again = start("osd", "3", Destination::Stderr, LineKind::Text).unwrap_err();
        assert_eq!(again.kind, types::ErrorKind::Exists);
        let nowhere = folder.join("none").join("log");
        assert!(start("osd", "3", Destination::File(nowhere), LineKind::Text).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

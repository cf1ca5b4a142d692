//! The command line.
//!
//! Monitor commands are words that the monitors' own table validates, so that new commands need no new client. Here
//! only their families are named, for help and completions, and the options that every command takes are cut out.

use std::{path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::placement_group::{self, PgCommand};

const AFTER_HELP: &str = "\
Monitor commands are passed on as they are: `ika osd pool create demo`, `ika osd out 3`, …
`ika get_command_descriptions` lists them; `ika WORDS --help` shows those that begin so.
They take -i FILE for input and -o FILE for output.

Clusters on this machine: `ika up`, `ika down`. Daemons: `ika mon run`, `ika osd run`, `ika mgr run`.

Exit codes: 0 done, 1 failed or different, 2 wrong usage, 3 not found, 4 exists or condition not met, 5 denied,
6 full, 7 timed out, 8 damaged.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "ika", version, about = "A distributed object and block storage system", after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes, in any place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct GlobalOptions {
    /// The cluster's file [default: $IKA_CONFIG, or ika-data/ika.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How data and errors are shown
    #[arg(long, short = 'f', global = true, value_enum, value_name = "FORMAT", default_value = "plain")]
    pub format: Format,
    /// Give up after so many seconds instead of waiting for the cluster
    #[arg(long, global = true, value_name = "SECONDS", value_parser = parse_seconds)]
    pub timeout: Option<Duration>,
}

/// How data and errors are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For humans
    #[default]
    Plain,
    /// For programs; `json-pretty` is the same with line breaks
    Json,
    /// JSON with line breaks
    JsonPretty,
}

impl Format {
    /// Whether it is one of the two for programs.
    pub fn is_json(self) -> bool {
        self != Self::Plain
    }
}

/// Words of a monitor command.
#[derive(Debug, Args)]
pub(crate) struct Words {
    /// The command goes on; `--help` shows how
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORDS")]
    pub words: Vec<String>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The cluster at a glance
    Status(Words),
    /// What is wrong, if anything: `health detail`
    Health(Words),
    /// How full the cluster and its pools are
    Df(Words),
    /// OSDs and pools: `osd tree`, `osd df`, `osd out 3`, `osd pool create demo`, `osd verify`, …
    Osd(Words),
    /// Placement groups: `pg stat`, `pg dump`, `pg scrub 3.1f`, `pg repair 3.1f`, `pg query 3.1f`, …
    Pg(Words),
    /// Monitors: `mon stat`, `mon dump`
    Mon(Words),
    /// Managers: `mgr stat`, `mgr dump`
    Mgr(Words),
    /// The cluster log: `log last`
    Log(Words),
    /// Settings: `config dump`, `config set osd.3 log_level debug`, `config help NAME`, `config log`, …
    Config(Words),
    /// Stored keys and values: `config-key set`, …
    ConfigKey(Words),
    /// Objects of a pool
    Object(ObjectArguments),
    /// The S3 gateway: `s3 env`, `s3 user create ada`, `s3 bucket ls`, …
    S3(S3Arguments),
    /// The manager's dashboard: `dashboard url`, `dashboard password`
    #[command(subcommand)]
    Dashboard(DashboardCommand),
    /// A completion script for a shell: `source <(ika completions bash)`
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// `ika dashboard`
#[derive(Debug, Subcommand)]
pub(crate) enum DashboardCommand {
    /// Where the dashboard of the working manager is
    Url,
    /// Set a new password, drawn and shown; open sessions end
    Password {
        /// Take the first line of standard input as the password instead of drawing one
        #[arg(long)]
        stdin: bool,
    },
}

/// `ika s3`
#[derive(Debug, Args)]
pub(crate) struct S3Arguments {
    #[command(subcommand)]
    pub command: S3Command,
}

/// What can be done with S3. Running a gateway is the daemons' command line: `ika s3 run`.
#[derive(Debug, Subcommand)]
pub(crate) enum S3Command {
    /// Shell exports for a user that is made if it is not there: `eval "$(ika s3 env)"`
    Env {
        /// Who
        #[arg(long, default_value = "demo")]
        user: String,
    },
    /// Users
    #[command(subcommand)]
    User(S3UserCommand),
    /// Their keys
    #[command(subcommand)]
    Key(S3KeyCommand),
    /// Buckets
    #[command(subcommand)]
    Bucket(S3BucketCommand),
    /// Remove replaced and deleted data now; who is still reading it is cut off
    Gc {
        /// Also what gateways that died left half written; takes a minute
        #[arg(long)]
        half_written: bool,
    },
}

/// `ika s3 user`
#[derive(Debug, Subcommand)]
pub(crate) enum S3UserCommand {
    /// Make a user and a key for it, and show the key
    Create {
        /// Its name
        name: String,
    },
    /// Names of the users
    Ls,
    /// Remove a user that owns no bucket, and its keys
    Rm {
        /// Its name
        name: String,
    },
}

/// `ika s3 key`
#[derive(Debug, Subcommand)]
pub(crate) enum S3KeyCommand {
    /// Make a key and show it
    Create {
        /// For whom
        user: String,
    },
    /// A user's keys, without their secrets
    Ls {
        /// Whose
        user: String,
    },
    /// Remove a key; gateways refuse it within seconds
    Rm {
        /// Its access half
        access_key: String,
    },
}

/// `ika s3 bucket`
#[derive(Debug, Subcommand)]
pub(crate) enum S3BucketCommand {
    /// Buckets with their owners, objects and bytes
    Ls,
}

/// `ika osd verify`
#[derive(Debug, Parser)]
#[command(name = "ika osd verify", about = "Compare the replicas of every placement group, by digest")]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub global: GlobalOptions,
    /// Only this pool
    pub pool: Option<String>,
}

/// `ika object`
#[derive(Debug, Args)]
pub(crate) struct ObjectArguments {
    /// The pool; must be given
    #[arg(long, short, global = true, value_name = "POOL")]
    pub pool: Option<String>,
    /// The namespace
    #[arg(long, short = 'N', global = true, value_name = "NAMESPACE", default_value = "")]
    pub namespace: String,
    /// Stripe over many objects; chosen without being asked for what is larger than one object may be
    #[arg(long, global = true)]
    pub striper: bool,
    /// Read objects as they were at this snapshot: its name, or its number
    #[arg(long, short, global = true, value_name = "SNAP")]
    pub snap: Option<String>,
    #[command(subcommand)]
    pub command: ObjectCommand,
}

/// What can be done with objects. Names are Ceph's.
#[derive(Debug, Subcommand)]
pub(crate) enum ObjectCommand {
    /// Store a file as an object; `-` is standard input
    Put {
        /// The object, or with --recursive what its name begins with
        name: String,
        /// The file or folder
        file: PathBuf,
        /// Store all files of a folder as NAME/PATH
        #[arg(long, short)]
        recursive: bool,
    },
    /// Fetch an object into a file; `-` is standard output
    Get {
        /// The object, or with --recursive what its name begins with
        name: String,
        /// The file or folder
        file: PathBuf,
        /// Fetch all objects NAME/PATH into a folder
        #[arg(long, short)]
        recursive: bool,
    },
    /// Names of the objects
    Ls {
        /// The pieces of striped objects too
        #[arg(long)]
        all: bool,
    },
    /// Remove objects
    Rm {
        /// Which
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Size and time
    Stat {
        /// Which
        name: String,
    },
    /// Add a file's bytes behind the end; `-` is standard input
    Append {
        /// The object
        name: String,
        /// The file
        file: PathBuf,
    },
    /// Cut or grow an object
    Truncate {
        /// Which
        name: String,
        /// The new size, like 4K
        #[arg(value_parser = parse_size)]
        size: u64,
    },
    /// Names of an object's attributes
    Listxattr {
        /// Which
        name: String,
    },
    /// An attribute's value
    Getxattr {
        /// The object
        name: String,
        /// The attribute
        attribute: String,
    },
    /// Set an attribute; without a value it is read from standard input
    Setxattr {
        /// The object
        name: String,
        /// The attribute
        attribute: String,
        /// Its value
        value: Option<String>,
    },
    /// Remove an attribute
    Rmxattr {
        /// The object
        name: String,
        /// The attribute
        attribute: String,
    },
    /// Keys of an object's omap
    Listomapkeys {
        /// Which
        name: String,
    },
    /// Keys and values of an object's omap
    Listomapvals {
        /// Which
        name: String,
    },
    /// The value of an omap key
    Getomapval {
        /// The object
        name: String,
        /// The key
        key: String,
    },
    /// Set an omap key; without a value it is read from standard input
    Setomapval {
        /// The object
        name: String,
        /// The key
        key: String,
        /// Its value
        value: Option<String>,
    },
    /// Remove omap keys
    Rmomapkey {
        /// The object
        name: String,
        /// The keys
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Remove all omap keys
    Clearomap {
        /// The object
        name: String,
    },
    /// Make an object that does not exist
    Create {
        /// Its name
        name: String,
    },
    /// Run a method of an object class beside an object; what it answers goes to standard output
    Exec {
        /// The object
        name: String,
        /// The class
        class: String,
        /// Its method
        method: String,
        /// The method's input
        input: Option<String>,
    },
    /// The omap header
    Getomapheader {
        /// The object
        name: String,
    },
    /// Set the omap header
    Setomapheader {
        /// The object
        name: String,
        /// The header
        value: String,
    },
    /// Copy an object's bytes, attributes and omap to another of the pool
    Cp {
        /// Which
        from: String,
        /// What the copy is called
        to: String,
    },
    /// Who watches an object
    Listwatchers {
        /// The object
        name: String,
    },
    /// Watch an object and tell each notification, until interrupted
    Watch {
        /// The object
        name: String,
    },
    /// Tell everybody who watches an object, and wait until all have heard it
    Notify {
        /// The object
        name: String,
        /// What they are told
        message: String,
        /// Milliseconds after which nobody is waited for any more
        #[arg(long, default_value_t = 10_000)]
        timeout: u64,
    },
    /// Advisory locks on objects
    Lock {
        /// What to do
        #[command(subcommand)]
        command: LockCommand,
    },
    /// Make a snapshot of all objects of the pool
    Mksnap {
        /// Its name
        snapshot: String,
    },
    /// The pool's snapshots
    Lssnap,
    /// Remove a snapshot of the pool; its space comes back in the background
    Rmsnap {
        /// Its name
        snapshot: String,
    },
    /// Make an object what it was at a snapshot
    Rollback {
        /// The object
        name: String,
        /// The snapshot: its name, or its number
        snapshot: String,
    },
    /// What is kept of an object for which snapshots
    Listsnaps {
        /// The object
        name: String,
    },
    /// Measure writes or reads
    Bench(BenchArguments),
    /// Remove what `bench --no-cleanup` left
    Cleanup {
        /// Of which run
        #[arg(long, default_value = crate::object::bench::RUN_NAME_DEFAULT)]
        run_name: String,
    },
}

/// `ika object lock`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LockCommand {
    /// Names of an object's locks
    List {
        /// The object
        name: String,
    },
    /// Who holds a lock
    Info {
        /// The object
        name: String,
        /// The lock
        lock: String,
    },
    /// Take a lock; it stays taken when the command ends
    Get {
        /// The object
        name: String,
        /// The lock
        lock: String,
        /// Tells holders of one client apart
        #[arg(long = "lock-cookie", default_value = "")]
        cookie: String,
        /// What all holders of a shared lock must say alike
        #[arg(long = "lock-tag", default_value = "")]
        tag: String,
        /// For whoever looks who holds it
        #[arg(long = "lock-description", default_value = "")]
        description: String,
        /// Seconds after which it runs out; zero is never
        #[arg(long = "lock-duration", default_value_t = 0)]
        duration: u64,
        /// How it is held
        #[arg(long = "lock-type", value_enum, default_value_t = LockKindArgument::Exclusive)]
        kind: LockKindArgument,
    },
    /// Take a lock away from who holds it
    Break {
        /// The object
        name: String,
        /// The lock
        lock: String,
        /// Who holds it, like client.17
        locker: String,
        /// With which cookie
        #[arg(long = "lock-cookie", default_value = "")]
        cookie: String,
    },
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LockKindArgument {
    /// By one holder
    Exclusive,
    /// By all who say the same tag
    Shared,
}

/// `ika object bench`
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArguments {
    /// For how long
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// What is measured; the reads read what a write with --no-cleanup left
    #[arg(value_enum)]
    pub mode: BenchMode,
    /// Bytes of each operation, like 4K or 4M; for reads it is what was written
    #[arg(long, short, value_parser = parse_size, default_value = "4M")]
    pub block_size: u64,
    /// Operations in flight
    #[arg(long = "concurrent-ios", short = 't', alias = "threads", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// Leave the objects, for reads
    #[arg(long)]
    pub no_cleanup: bool,
    /// Where the run is remembered, so that several do not disturb each other
    #[arg(long, default_value = crate::object::bench::RUN_NAME_DEFAULT)]
    pub run_name: String,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchMode {
    /// Writes of whole new objects
    Write,
    /// Reads in the order written
    Seq,
    /// Reads in random order
    Rand,
}

impl BenchMode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Seq => "seq",
            Self::Rand => "rand",
        }
    }
}

/// The operators' command line, for help pages and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// A monitor command with the options that are the client's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MonitorCommand {
    pub global: GlobalOptions,
    pub words: Vec<String>,
    pub input: Option<PathBuf>,
    pub output: Option<PathBuf>,
    pub help: bool,
}

/// What the words mean, as far as the client must know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// For the monitors.
    Monitor(Box<MonitorCommand>),
    /// For the primary of a placement group.
    Pg(GlobalOptions, PgCommand),
    /// `osd verify`.
    Verify,
    /// Everything else, help included.
    Own,
}

/// Cuts the client's options out of the words behind the program's name. A wrong one is a sentence.
pub(crate) fn understand(arguments: &[String]) -> Result<Meaning, String> {
    let mut command = MonitorCommand::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value =
            || value.clone().or_else(|| words.next().cloned()).ok_or_else(|| format!("{name} needs a value behind it"));
        match name {
            "--config" => command.global.config = Some(value()?.into()),
            "--format" | "-f" => {
                let text = value()?;
                command.global.format = Format::from_str(&text, true)
                    .map_err(|_| format!("`{text}` is not a format; it would be plain, json or json-pretty"))?;
            }
            "--timeout" => command.global.timeout = Some(parse_seconds(&value()?)?),
            "--in-file" | "-i" => command.input = Some(value()?.into()),
            "--out-file" | "-o" => command.output = Some(value()?.into()),
            "--help" | "-h" => command.help = true,
            "--" => command.words.extend(words.by_ref().cloned()),
            _ => command.words.push(word.clone()),
        }
        let first = command.words.first().map(String::as_str);
        let is_of_pg = first == Some("object") && arguments.iter().any(|word| word == "list-inconsistent");
        if matches!(first, Some("object" | "s3" | "dashboard" | "completions" | "help")) && !is_of_pg {
            return Ok(Meaning::Own);
        }
        if command.words == ["-s"] {
            command.words = vec!["status".to_owned()];
        }
    }
    let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
    if let Some(of_pg) = placement_group::understand(&words).filter(|_| !command.help) {
        return Ok(Meaning::Pg(command.global.clone(), of_pg?));
    }
    match words[..] {
        [] => Ok(Meaning::Own),
        [first, ..] if first.starts_with('-') => Ok(Meaning::Own),
        ["osd", "verify", ..] => Ok(Meaning::Verify),
        _ => Ok(Meaning::Monitor(Box::new(command))),
    }
}

/// Whole or decimal seconds.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a number of seconds; it would be like 30 or 0.5");
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| refuse())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(refuse)
}

/// A number of bytes with an optional K, M, G or T behind it, in powers of 1,024.
///
/// # Errors
/// A sentence with examples of what would be understood.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let refuse = || format!("`{text}` is not a size; it would be like 4K, 4M, 10G or 4194304");
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(refuse()),
    };
    let number: u64 = digits.parse().map_err(|_| refuse())?;
    number.checked_mul(1 << shift).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn monitor(text: &str) -> MonitorCommand {
        match understand(&words(text)) {
            Ok(Meaning::Monitor(command)) => *command,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn sizes_are_understood_or_refused() {
        assert_eq!(parse_size("4G"), Ok(4 << 30));
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("4096"), Ok(4096));
        for wrong in ["", "G", "4X", "-1", "1.5G", "99999999999T"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        VerifyArguments::command().debug_assert();
    }

    #[test]
    fn options_of_the_client_are_cut_out_wherever_they_stand() {
        let expected = ["osd", "pool", "rm", "demo", "demo", "--yes-i-really-really-mean-it"];
        for text in [
            "osd pool rm demo demo --yes-i-really-really-mean-it --format json --timeout=5",
            "--format=json osd pool --timeout 5 rm demo demo --yes-i-really-really-mean-it",
            "-f json --timeout 5 osd pool rm demo demo --yes-i-really-really-mean-it",
        ] {
            let command = monitor(text);
            assert_eq!(command.words, expected, "{text}");
            assert_eq!(command.global.format, Format::Json);
            assert_eq!(command.global.timeout, Some(Duration::from_secs(5)));
        }
        assert_eq!(monitor("osd setcrushmap -i map").input, Some("map".into()));
        assert_eq!(monitor("osd getcrushmap -o map").output, Some("map".into()));
        assert!(monitor("osd pool --help").help);
        assert_eq!(monitor("-s").words, ["status"]);
        assert_eq!(monitor("log -- --help").words, ["log", "--help"]);
    }

    #[test]
    fn wrong_options_are_a_sentence() {
        assert!(understand(&words("status --format xml")).unwrap_err().contains("json"));
        assert!(understand(&words("status --timeout soon")).unwrap_err().contains("seconds"));
        assert!(understand(&words("status --timeout 0")).unwrap_err().contains("seconds"));
        assert!(understand(&words("status --config")).unwrap_err().contains("needs a value"));
    }

    #[test]
    fn what_is_not_for_the_monitors_is_left_alone() {
        for text in ["", "--help", "--version", "object -p demo ls", "-f json object -p demo ls", "completions bash"] {
            assert_eq!(understand(&words(text)), Ok(Meaning::Own), "{text}");
        }
        assert_eq!(understand(&words("osd verify demo")), Ok(Meaning::Verify));
        assert_eq!(understand(&words("osd --format json verify")), Ok(Meaning::Verify));
    }

    #[test]
    fn object_commands_parse() {
        let parse = |text: &str| Arguments::try_parse_from(std::iter::once("ika".to_owned()).chain(words(text)));
        let bench = parse("object -p demo bench 10 write -b 4K -t 32 --no-cleanup --format json").unwrap();
        let Command::Object(ObjectArguments { command: ObjectCommand::Bench(bench), .. }) = bench.command else {
            panic!("not a benchmark");
        };
        assert_eq!((bench.seconds, bench.block_size, bench.threads, bench.no_cleanup), (10, 4096, 32, true));
        for good in [
            "object -p demo put name -",
            "object --pool=demo get name file --striper",
            "object -p demo rm a b c",
            "object -p demo -N space ls --all",
            "object -p demo setxattr name key value",
            "object -p demo listomapvals name",
            "object -p demo truncate name 4K",
            "object -p demo mksnap monday",
            "object -p demo lssnap --format json",
            "object -p demo -s monday get name -",
            "object -p demo stat name --snap 3",
            "object -p demo rollback name monday",
            "object -p demo listsnaps name",
            "object -p demo stat name -f json-pretty",
            "object stat name -p demo",
        ] {
            assert!(parse(good).is_ok(), "{good}: {:?}", parse(good).err());
        }
        for wrong in [
            "object",
            "object -p demo put name",
            "object -p demo rm",
            "object -p demo mksnap",
            "object -p demo rollback name",
            "object -p demo bench 0 write",
            "object -p demo bench 5 sideways",
            "object -p demo bench 5 write -t 0",
            "object -p demo truncate name large",
            "object -p demo frobnicate",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

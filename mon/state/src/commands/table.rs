//! How a command is declared: its words, its typed arguments, its help, and what carries it out.
//!
//! Owns: the vocabulary of declarations. From them come validation, usage sentences, `get_command_descriptions`, and
//! with that the CLI's help and completions. Does not know: any particular command.

use map::ClusterFlags;
use serde_json::{Value, json};
use types::Result;
use wire::CommandAnswer;

use super::{arguments::Arguments, view::View};
use crate::draft::Draft;

/// What an argument may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArgumentKind {
    /// Any text of at most so many bytes.
    Text { bytes_max: usize },
    /// The name of a pool that exists.
    Pool,
    /// A whole number in this range.
    Integer { min: u64, max: u64 },
    /// A decimal number in this range, in 16.16 fixed point.
    Decimal { max: u32 },
    /// One OSD: `3` or `osd.3`.
    Osd,
    /// Several OSDs; takes all the words that are left.
    Osds,
    /// Several words; takes all the words that are left.
    Words,
    /// A placement group: `3.1f`.
    Pg,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A cluster flag by name.
    Flag,
    /// A client: `client.42` or `42`.
    Client,
    /// A confirmation such as `--yes-i-really-mean-it`; there or not.
    Confirm,
}

/// Whether an argument may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

/// One declared argument.
#[derive(Debug)]
pub(crate) struct ArgumentSpec {
    pub name: &'static str,
    pub kind: ArgumentKind,
    pub need: Need,
}

/// A required argument.
pub(crate) const fn need(name: &'static str, kind: ArgumentKind) -> ArgumentSpec {
    ArgumentSpec { name, kind, need: Need::Required }
}

/// An argument that may be left out.
pub(crate) const fn may(name: &'static str, kind: ArgumentKind) -> ArgumentSpec {
    ArgumentSpec { name, kind, need: Need::Optional }
}

/// What carries a command out.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// Looks, on the state as it is.
    Look(fn(&View<'_>, &Arguments) -> Result<CommandAnswer>),
    /// Changes, by adding to a draft.
    Change(fn(&View<'_>, &mut Draft, &Arguments) -> Result<CommandAnswer>),
}

/// One declared command.
pub(crate) struct CommandSpec {
    /// The fixed words.
    pub prefix: &'static str,
    pub arguments: &'static [ArgumentSpec],
    /// One line: what it does.
    pub help: &'static str,
    pub handler: Handler,
}

/// A command that looks.
pub(crate) const fn look(
    prefix: &'static str,
    arguments: &'static [ArgumentSpec],
    help: &'static str,
    handler: fn(&View<'_>, &Arguments) -> Result<CommandAnswer>,
) -> CommandSpec {
    CommandSpec { prefix, arguments, help, handler: Handler::Look(handler) }
}

/// A command that changes something.
pub(crate) const fn change(
    prefix: &'static str,
    arguments: &'static [ArgumentSpec],
    help: &'static str,
    handler: fn(&View<'_>, &mut Draft, &Arguments) -> Result<CommandAnswer>,
) -> CommandSpec {
    CommandSpec { prefix, arguments, help, handler: Handler::Change(handler) }
}

/// Any short text.
pub(crate) const TEXT: ArgumentKind = ArgumentKind::Text { bytes_max: 1024 };
/// `--yes-i-really-mean-it`.
pub(crate) const CONFIRM: ArgumentSpec = may("yes_i_really_mean_it", ArgumentKind::Confirm);
/// `--force`.
pub(crate) const FORCE: ArgumentSpec = may("force", ArgumentKind::Confirm);
/// `--yes-i-really-really-mean-it`.
pub(crate) const CONFIRM_TWICE: ArgumentSpec = may("yes_i_really_really_mean_it", ArgumentKind::Confirm);

/// `--dry-run`: every command that changes where data is takes it.
pub(crate) const DRY_RUN: ArgumentSpec = may("dry_run", ArgumentKind::Confirm);

impl ArgumentKind {
    /// What would be right, as the object of "it would be …".
    pub fn expectation(self) -> String {
        match self {
            Self::Text { bytes_max } => format!("a text of at most {bytes_max} bytes"),
            Self::Pool => "the name of a pool".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Decimal { max } => format!("a decimal number from 0 to {}", max >> 16),
            Self::Osd => "an OSD such as 3 or osd.3".to_owned(),
            Self::Osds => "one or more OSDs such as 3 or osd.3".to_owned(),
            Self::Words => "one or more words".to_owned(),
            Self::Pg => "a placement group such as 3.1f".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Flag => {
                let names: Vec<&str> = ClusterFlags::NAMES.iter().map(|(name, _)| *name).collect();
                format!("one of {}", names.join(", "))
            }
            Self::Client => "a client such as client.42".to_owned(),
            Self::Confirm => "given without a value".to_owned(),
        }
    }

    fn describe(self) -> Value {
        match self {
            Self::Text { bytes_max } => json!({ "type": "text", "bytes_max": bytes_max }),
            Self::Pool => json!({ "type": "pool" }),
            Self::Integer { min, max } => json!({ "type": "integer", "min": min, "max": max }),
            Self::Decimal { max } => json!({ "type": "decimal", "max": max >> 16 }),
            Self::Osd => json!({ "type": "osd" }),
            Self::Osds => json!({ "type": "osd", "repeated": true }),
            Self::Words => json!({ "type": "text", "repeated": true }),
            Self::Pg => json!({ "type": "pg" }),
            Self::Choice(words) => json!({ "type": "choice", "choices": words }),
            Self::Flag => {
                let names: Vec<&str> = ClusterFlags::NAMES.iter().map(|(name, _)| *name).collect();
                json!({ "type": "choice", "choices": names })
            }
            Self::Client => json!({ "type": "client" }),
            Self::Confirm => json!({ "type": "confirm" }),
        }
    }

    /// Whether it takes all the words that are left.
    pub fn is_repeated(self) -> bool {
        matches!(self, Self::Osds | Self::Words)
    }
}

impl CommandSpec {
    /// All arguments: those declared, and `--dry-run` where data may move.
    pub fn all_arguments(&self) -> impl Iterator<Item = &'static ArgumentSpec> + use<> {
        const MOVING: [&str; 6] =
            ["osd crush ", "osd setcrushmap", "osd out", "osd in", "osd reweight", "osd pg-upmap"];
        let moves =
            matches!(self.handler, Handler::Change(_)) && MOVING.iter().any(|head| self.prefix.starts_with(head));
        self.arguments.iter().chain(moves.then_some(&DRY_RUN))
    }

    /// `osd pool rename <source> <target>`.
    pub fn usage(&self) -> String {
        let mut usage = self.prefix.to_owned();
        for argument in self.all_arguments() {
            let dots = if argument.kind.is_repeated() { "..." } else { "" };
            usage += &match (argument.kind, argument.need) {
                (ArgumentKind::Confirm, _) => format!(" [--{}]", argument.name.replace('_', "-")),
                (_, Need::Required) => format!(" <{}>{dots}", argument.name),
                (_, Need::Optional) => format!(" [<{}>{dots}]", argument.name),
            };
        }
        usage
    }

    /// The declaration as JSON.
    pub fn describe(&self) -> Value {
        let arguments: Vec<Value> = self
            .all_arguments()
            .map(|argument| {
                let mut described = argument.kind.describe();
                described["name"] = json!(argument.name);
                described["required"] = json!(argument.need == Need::Required);
                described
            })
            .collect();
        let changes = matches!(self.handler, Handler::Change(_));
        json!({ "prefix": self.prefix, "usage": self.usage(), "help": self.help, "changes": changes, "arguments": arguments })
    }
}

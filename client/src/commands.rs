//! Commands to the monitors: each takes effect at most once, whichever monitor hears it however often.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use types::{Error, Result};
use wire::{CommandAnswer, CommandId, CommandRequest, ControlReply, ControlRequest};

use crate::Cluster;

/// Named arguments as text; the monitors' command table validates them.
pub type CommandArguments = BTreeMap<String, String>;

/// Gives commands their ids.
#[derive(Debug)]
pub(crate) struct Asker {
    /// Random bits of this process: commands exist before a client has a number.
    asker: u64,
    sequence: AtomicU64,
}

impl Asker {
    pub fn new(asker: u64) -> Self {
        Self { asker, sequence: AtomicU64::new(1) }
    }

    pub fn next(&self) -> CommandId {
        CommandId { asker: self.asker, sequence: self.sequence.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Cluster {
    /// Carries out a command of the monitors: `osd pool create` with `pool` = `demo`, say.
    pub async fn command(
        &self,
        prefix: impl Into<String>,
        arguments: CommandArguments,
        input: impl Into<Bytes>,
    ) -> Result<CommandAnswer> {
        let id = self.asker().next();
        let request = CommandRequest { id, prefix: prefix.into(), arguments, input: input.into() };
        match self.ask_monitors(ControlRequest::Command(request)).await? {
            ControlReply::Answer(answer) => Ok(answer),
            _ => Err(Error::internal("the monitor's answer does not fit the question")),
        }
    }
}

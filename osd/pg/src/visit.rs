//! The names of states and events, for the table of what the simulator has visited and for the stories it tells.

use std::fmt::{self, Debug, Write};

use types::simulation::Visit;

use crate::{Event, peering::Stage, pg::Pg};

impl Pg {
    /// Where the machine stands, in a word.
    pub fn state_name(&self) -> &'static str {
        if self.removal.is_some() {
            return "Removing";
        }
        match self.peering.stage {
            Stage::Waiting => "Waiting",
            Stage::Replica => "Replica",
            Stage::GetInfo => "GetInfo",
            Stage::Down => "Down",
            Stage::Incomplete => "Incomplete",
            Stage::WaitActing => "WaitActing",
            Stage::GetLog => "GetLog",
            Stage::WaitProof => "WaitProof",
            Stage::Activating => "Activating",
            Stage::Active if self.peering.clean => "Clean",
            Stage::Active => "Active",
            Stage::Peered => "Peered",
        }
    }

    /// All that [`Pg::state_name`] may say.
    pub const STATE_NAMES: [&'static str; 13] = [
        "Waiting",
        "Replica",
        "GetInfo",
        "Down",
        "Incomplete",
        "WaitActing",
        "GetLog",
        "WaitProof",
        "Activating",
        "Active",
        "Clean",
        "Peered",
        "Removing",
    ];

    pub(crate) fn visit_of(&self, event: &Event) -> Visit {
        let event = match event {
            Event::Committed(ticket) | Event::ReadDone { ticket, .. } | Event::Called { ticket, .. } => {
                self.tickets.get(ticket).map_or_else(|| "AnswerOfThePast".to_owned(), first_word)
            }
            Event::Peer { message, .. } => first_word(&message.body),
            Event::ClientOp { op, .. } if op.is_write() => "ClientWrite".to_owned(),
            Event::ClientOp { .. } => "ClientRead".to_owned(),
            other => first_word(other),
        };
        Visit { whose: format!("osd.{} {}", self.config.whoami, self.pg), state: self.state_name(), event }
    }
}

/// The name of a variant, so that no list of them must be kept.
fn first_word(value: &impl Debug) -> String {
    let mut word = Word(String::new());
    // The writer says that it is full once the word has ended.
    let _full = write!(word, "{value:?}");
    word.0
}

struct Word(String);

impl Write for Word {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.find(|letter: char| !letter.is_ascii_alphanumeric());
        self.0.push_str(&text[..end.unwrap_or(text.len())]);
        if end.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

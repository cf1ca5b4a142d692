//! The first answers of commands, so that a command takes effect at most once (FOUNDATIONS 8).
//!
//! Owns: the table of answers and who leaves it first. Part of the replicated state, so everything here depends on
//! entries alone.
//!
//! Invariants
//! 1. An asker's newest [`ANSWERS_PER_ASKER_MAX`] answers are kept; a repeat of an older command is refused, never
//!    executed.
//! 2. At most [`ASKERS_MAX`] askers are kept; the one that was silent for the most entries goes first.

use std::collections::{BTreeMap, BTreeSet};

use types::simulation::{Bug, planted};
use wire::{CommandAnswer, CommandId};

use crate::entry::StoredAnswer;

/// Askers whose answers are kept. Each process that changes something is one; a process asks again within minutes,
/// in which far fewer than these come and go. At about 200 bytes each the table stays near 3 MB.
pub const ASKERS_MAX: usize = 16_384;
/// Answers kept of one asker: more than any client has commands in flight.
pub const ANSWERS_PER_ASKER_MAX: usize = 64;
/// Bytes of one remembered answer; changing commands answer with a sentence and a little JSON.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What is known about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// Never seen; it may be executed.
    New,
    /// It was executed with this answer.
    Answered(CommandAnswer),
    /// It is older than everything kept of its asker.
    Forgotten,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Asker {
    last_entry: u64,
    answers: BTreeMap<u64, CommandAnswer>,
    /// Highest sequence whose answer was dropped; commands up to it are never executed again.
    forgotten_through: u64,
}

/// Answers by asker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answers {
    askers: BTreeMap<u64, Asker>,
    /// (last entry that touched it, asker): the eviction order.
    order: BTreeSet<(u64, u64)>,
}

impl Answers {
    pub fn get(&self, id: CommandId) -> Known {
        let Some(asker) = self.askers.get(&id.asker) else { return Known::New };
        match asker.answers.get(&id.sequence) {
            Some(_) if planted(Bug::CommandsRepeated) => Known::New,
            Some(answer) => Known::Answered(answer.clone()),
            None if id.sequence <= asker.forgotten_through => Known::Forgotten,
            None => Known::New,
        }
    }

    pub fn insert(&mut self, entry: u64, id: CommandId, answer: CommandAnswer) {
        let asker = self.askers.entry(id.asker).or_default();
        self.order.remove(&(asker.last_entry, id.asker));
        asker.last_entry = entry;
        asker.answers.insert(id.sequence, answer);
        while asker.answers.len() > ANSWERS_PER_ASKER_MAX {
            if let Some((sequence, _)) = asker.answers.pop_first() {
                asker.forgotten_through = asker.forgotten_through.max(sequence);
            }
        }
        self.order.insert((entry, id.asker));
        while self.askers.len() > ASKERS_MAX {
            let Some((_, silent)) = self.order.pop_first() else { break };
            self.askers.remove(&silent);
        }
    }

    pub fn store(&self) -> Vec<StoredAsker> {
        self.askers
            .iter()
            .map(|(id, asker)| StoredAsker {
                last_entry: asker.last_entry,
                asker: *id,
                forgotten_through: asker.forgotten_through,
                answers: asker
                    .answers
                    .iter()
                    .map(|(sequence, answer)| StoredAnswer::new(CommandId { asker: *id, sequence: *sequence }, answer))
                    .collect(),
            })
            .collect()
    }

    pub fn restore(stored: Vec<StoredAsker>) -> Self {
        let mut answers = Self::default();
        for asker in stored {
            answers.order.insert((asker.last_entry, asker.asker));
            let kept = Asker {
                last_entry: asker.last_entry,
                forgotten_through: asker.forgotten_through,
                answers: asker
                    .answers
                    .into_iter()
                    .map(StoredAnswer::into_parts)
                    .map(|(id, answer)| (id.sequence, answer))
                    .collect(),
            };
            answers.askers.insert(asker.asker, kept);
        }
        answers
    }

    pub fn assert_invariants(&self) {
        assert_eq!(self.askers.len(), self.order.len(), "each asker has one place in the eviction order");
        assert!(self.askers.len() <= ASKERS_MAX, "the table of askers is bounded");
        for (id, asker) in &self.askers {
            assert!(self.order.contains(&(asker.last_entry, *id)), "asker {id} stands in the eviction order");
            assert!(asker.answers.len() <= ANSWERS_PER_ASKER_MAX, "the answers of asker {id} are bounded");
            let newer = asker.answers.keys().next().is_none_or(|first| *first > asker.forgotten_through);
            assert!(newer, "asker {id} keeps only answers newer than the forgotten ones");
        }
    }
}

/// An asker as it is persisted.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct StoredAsker {
    last_entry: u64,
    asker: u64,
    forgotten_through: u64,
    answers: Vec<StoredAnswer>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> CommandAnswer {
        CommandAnswer { status: text.to_owned(), ..CommandAnswer::default() }
    }

    #[test]
    fn the_newest_answers_are_kept_and_older_commands_are_never_new_again() {
        let mut answers = Answers::default();
        let last = ANSWERS_PER_ASKER_MAX as u64 + 1;
        for sequence in 1..=last {
            answers.insert(sequence, CommandId { asker: 7, sequence }, answer(&sequence.to_string()));
            answers.assert_invariants();
        }
        assert_eq!(answers.get(CommandId { asker: 7, sequence: 1 }), Known::Forgotten);
        assert_eq!(answers.get(CommandId { asker: 7, sequence: 2 }), Known::Answered(answer("2")));
        assert_eq!(answers.get(CommandId { asker: 7, sequence: last + 1 }), Known::New);
        assert_eq!(answers.get(CommandId { asker: 8, sequence: 1 }), Known::New);
    }

    #[test]
    fn the_asker_that_was_silent_longest_goes_first() {
        let mut answers = Answers::default();
        for asker in 0..ASKERS_MAX as u64 {
            answers.insert(asker + 1, CommandId { asker, sequence: 1 }, answer("first"));
        }
        answers.insert(1 << 20, CommandId { asker: 0, sequence: 2 }, answer("again"));
        answers.insert(1 << 21, CommandId { asker: 1 << 40, sequence: 1 }, answer("new"));
        answers.assert_invariants();
        assert_eq!(answers.get(CommandId { asker: 0, sequence: 1 }), Known::Answered(answer("first")));
        assert_eq!(answers.get(CommandId { asker: 1, sequence: 1 }), Known::New);
        assert_eq!(answers, Answers::restore(answers.store()));
    }
}

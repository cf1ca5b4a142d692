//! One entry of the replicated log: what was decided, never what was asked (FOUNDATIONS 7).
//!
//! Owns: the entry and its bytes. Does not know: how entries are agreed on, or how a decision was reached.
//!
//! Bytes of an entry (all persisted values of this crate begin alike):
//!
//! ```text
//! 0  1  version of the writer's format
//! 1  1  oldest version of a reader that understands it
//! 2  …  body in postcard's encoding; maps and increments inside in the map crate's own
//! ```
//!
//! Invariants
//! 1. Equal entries have equal bytes: every table inside is ordered.
//! 2. Decoding refuses, with a reason, whatever encoding did not produce; it never panics.

use bytes::Bytes;
use map::{ClusterMap, Increment};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use types::{Epoch, Error, Result};
use wire::{CommandAnswer, CommandId};

/// The format that this program writes.
const VERSION: u8 = 1;
/// The oldest format whose readers understand what this program writes.
const OLDEST_READER: u8 = 1;

/// What an entry does to the cluster map.
#[derive(Debug, Clone, PartialEq)]
pub enum MapStep {
    /// Nothing.
    Keep,
    /// Founds the cluster. Only the first entry may do it.
    Found(Box<ClusterMap>),
    /// Makes the next epoch.
    Increment(Increment),
}

/// A line of the cluster's own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Wall time in milliseconds since 1970, as the leader stamped it.
    pub time_ms: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// What happened.
    pub text: String,
}

/// How much a line of the cluster log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Life goes on.
    Info,
    /// Somebody should look in time.
    Warning,
    /// Somebody must look.
    Error,
}

impl LogLevel {
    /// The word in Ceph's log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "INF",
            Self::Warning => "WRN",
            Self::Error => "ERR",
        }
    }
}

/// Results of everything that the leader planned at one go.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// This entry's number; one more than that of the state it was planned on.
    pub sequence: u64,
    /// The epoch of the map it was planned on.
    pub base: Epoch,
    /// Wall time in milliseconds since 1970: the leader's, but never before the previous entry's.
    pub time_ms: u64,
    /// The map's part.
    pub map: MapStep,
    /// First answers of commands, remembered so that a repeat changes nothing.
    pub answers: Vec<(CommandId, CommandAnswer)>,
    /// Values of the key/value store; `None` removes the key.
    pub keys: Vec<(String, Option<Bytes>)>,
    /// Lines of the cluster log.
    pub log: Vec<LogLine>,
    /// Increments up to this epoch are needed by nobody any more.
    pub forget_through: Option<Epoch>,
}

/// An answer as it is persisted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredAnswer {
    pub asker: u64,
    pub sequence: u64,
    pub status: String,
    pub output: Vec<u8>,
}

impl StoredAnswer {
    pub fn new(id: CommandId, answer: &CommandAnswer) -> Self {
        Self { asker: id.asker, sequence: id.sequence, status: answer.status.clone(), output: answer.output.to_vec() }
    }

    pub fn into_parts(self) -> (CommandId, CommandAnswer) {
        (
            CommandId { asker: self.asker, sequence: self.sequence },
            CommandAnswer { status: self.status, output: self.output.into() },
        )
    }
}

#[derive(Serialize, Deserialize)]
enum StoredMapStep {
    Keep,
    Found(Vec<u8>),
    Increment(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    sequence: u64,
    base: Epoch,
    time_ms: u64,
    map: StoredMapStep,
    answers: Vec<StoredAnswer>,
    keys: Vec<(String, Option<Vec<u8>>)>,
    log: Vec<LogLine>,
    forget_through: Option<Epoch>,
}

/// A value as JSON; only for types whose serialisation cannot fail.
pub(crate) fn encode_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("texts, numbers and lists become JSON").into()
}

/// A persisted value's bytes: versions in front, then the body.
pub(crate) fn encode_versioned<T: Serialize>(value: &T) -> Vec<u8> {
    let head = vec![VERSION, OLDEST_READER];
    postcard::to_extend(value, head).expect("a vector takes every byte, and no type here refuses to be serialised")
}

/// The value of bytes that [`encode_versioned`] made, in this or a later version of the program.
pub(crate) fn decode_versioned<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    let [_, oldest_reader, body @ ..] = bytes else {
        return Err(Error::damaged(format!("decode {what}: {} bytes are too few", bytes.len())));
    };
    if *oldest_reader > VERSION || *oldest_reader == 0 {
        return Err(Error::invalid(format!(
            "decode {what}: it needs a program that reads format {oldest_reader}, this one reads up to {VERSION}"
        )));
    }
    let (value, rest) =
        postcard::take_from_bytes(body).map_err(|error| Error::damaged(format!("decode {what}: {error}")))?;
    if !rest.is_empty() && bytes[0] == VERSION {
        return Err(Error::damaged(format!("decode {what}: {} bytes too many", rest.len())));
    }
    Ok(value)
}

/// An entry's bytes.
pub fn encode_entry(entry: &Entry) -> Bytes {
    let map = match &entry.map {
        MapStep::Keep => StoredMapStep::Keep,
        MapStep::Found(first) => StoredMapStep::Found(map::encode_map(first).to_vec()),
        MapStep::Increment(increment) => StoredMapStep::Increment(map::encode_increment(increment).to_vec()),
    };
    let stored = StoredEntry {
        sequence: entry.sequence,
        base: entry.base,
        time_ms: entry.time_ms,
        map,
        answers: entry.answers.iter().map(|(id, answer)| StoredAnswer::new(*id, answer)).collect(),
        keys: entry.keys.iter().map(|(key, value)| (key.clone(), value.as_ref().map(|bytes| bytes.to_vec()))).collect(),
        log: entry.log.clone(),
        forget_through: entry.forget_through,
    };
    encode_versioned(&stored).into()
}

/// The entry of these bytes.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry> {
    let stored: StoredEntry = decode_versioned(bytes, "log entry")?;
    let map = match stored.map {
        StoredMapStep::Keep => MapStep::Keep,
        StoredMapStep::Found(bytes) => MapStep::Found(Box::new(map::decode_map(&bytes)?)),
        StoredMapStep::Increment(bytes) => MapStep::Increment(map::decode_increment(&bytes)?),
    };
    Ok(Entry {
        sequence: stored.sequence,
        base: stored.base,
        time_ms: stored.time_ms,
        map,
        answers: stored.answers.into_iter().map(StoredAnswer::into_parts).collect(),
        keys: stored.keys.into_iter().map(|(key, value)| (key, value.map(Bytes::from))).collect(),
        log: stored.log,
        forget_through: stored.forget_through,
    })
}

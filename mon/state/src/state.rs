//! What every monitor holds, byte for byte the same (FOUNDATIONS 7).
//!
//! Owns: the published map with the increments that led to it, the remembered answers, the key/value store, the
//! cluster log. Does not know: who leads, how an entry came to be, what time it is.
//!
//! Invariants
//! 1. It changes by [`State::apply`] alone, and what that does depends on the state and the entry alone.
//! 2. An entry that was planned on another state changes nothing: neither its sequence nor its base would fit.
//! 3. The kept increments have no gap and end at the published epoch; behind `history_base` they lead to it.
//! 4. Time never goes back.
//!
//! After a crash: the consensus library restores a snapshot and applies the entries behind it again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use map::{ClusterMap, PublishedMap};
use serde::{Deserialize, Serialize};
use types::{Epoch, Error, Result, limits};
use wire::{CommandAnswer, CommandId, MapShare};

use crate::{
    answers::{Answers, Known, StoredAsker},
    entry::{Entry, LogLine, MapStep, decode_versioned, encode_versioned},
};

/// Increments kept even when nobody says that he needs them: subscribers that were away for some minutes catch up.
pub const INCREMENTS_KEPT_MIN: usize = 500;
/// Increments kept at most. OSDs that need older ones take a full map; at some changes a minute this is days.
pub const INCREMENTS_KEPT_MAX: usize = 20_000;
/// Bytes of increments kept at most. They are part of each snapshot, which must stay quick to send.
pub const INCREMENTS_BYTES_MAX: usize = 64 << 20;
/// Lines of the cluster log kept; `log last` shows at most these.
pub const LOG_LINES_MAX: usize = 1000;
/// Bytes of one line of the cluster log.
pub const LOG_LINE_BYTES_MAX: usize = 1024;
/// Keys in the key/value store. It is for small settings of faces and tools, not for data.
pub const KEYS_MAX: usize = 10_000;
/// Bytes of a key.
pub const KEY_BYTES_MAX: usize = 256;
/// Bytes of one value; Ceph's `mon_config_key_max_entry_size`.
pub const KEY_VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of all keys and values: they are part of each snapshot.
pub const KEYS_SUM_BYTES_MAX: usize = 16 << 20;

/// Keys of the key/value store that belong to the monitors themselves; commands of their own change them.
pub(crate) mod reserved {
    /// The history of settings; the version follows in ten digits, so that keys are in order of time.
    pub(crate) const HISTORY_PREFIX: &str = "config-history/";
    /// What was wrong when the leader looked last.
    pub(crate) const HEALTH_KEY: &str = "health/checks";
    /// Mutes; the check's code follows.
    pub(crate) const MUTE_PREFIX: &str = "health/mute/";

    /// The commands that a key belongs to, if it is reserved.
    pub(crate) fn owner(key: &str) -> Option<&'static str> {
        if key.starts_with(HISTORY_PREFIX) {
            Some("config log")
        } else if key.starts_with("health/") {
            Some("health detail")
        } else {
            None
        }
    }
}

/// What applying an entry did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The entry's number.
    pub sequence: u64,
    /// Whether it took effect.
    pub outcome: Outcome,
    /// The map's epoch afterwards.
    pub epoch: Epoch,
}

/// Whether an entry took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did; its answers hold.
    Done,
    /// It was planned on another state and did nothing; whoever waits for it must ask again.
    Retry,
}

/// The replicated state of the monitors.
#[derive(Debug, Clone, Default)]
pub struct State {
    map: Option<Arc<PublishedMap>>,
    sequence: u64,
    time_ms: u64,
    answers: Answers,
    /// Encoded increments by epoch.
    increments: VecDeque<(Epoch, Bytes)>,
    increments_bytes: usize,
    keys: BTreeMap<String, Bytes>,
    keys_bytes: usize,
    log: VecDeque<LogLine>,
}

#[derive(Serialize, Deserialize)]
struct StoredState {
    sequence: u64,
    time_ms: u64,
    map: Option<Vec<u8>>,
    increments: Vec<(Epoch, Vec<u8>)>,
    answers: Vec<StoredAsker>,
    keys: Vec<(String, Vec<u8>)>,
    log: Vec<LogLine>,
}

impl State {
    /// The state before the first entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The published map; none before the cluster was founded.
    pub fn map(&self) -> Option<&Arc<PublishedMap>> {
        self.map.as_ref()
    }

    /// The published map's epoch; zero before the cluster was founded.
    pub fn epoch(&self) -> Epoch {
        self.map.as_ref().map_or(Epoch::ZERO, |map| map.epoch())
    }

    /// How many entries took effect.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Wall time of the newest entry in milliseconds since 1970.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The oldest epoch from which increments lead to the published map.
    pub fn history_base(&self) -> Epoch {
        self.increments.front().map_or(self.epoch(), |(first, _)| first.previous())
    }

    /// The key/value store.
    pub fn keys(&self) -> &BTreeMap<String, Bytes> {
        &self.keys
    }

    /// Bytes of all keys and values.
    pub fn keys_bytes(&self) -> usize {
        self.keys_bytes
    }

    /// The cluster log, oldest line first.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = &LogLine> {
        self.log.iter()
    }

    pub(crate) fn known(&self, id: CommandId) -> Known {
        self.answers.get(id)
    }

    /// The first answer of a command that was executed, while it is remembered.
    pub fn answer(&self, id: CommandId) -> Option<CommandAnswer> {
        match self.answers.get(id) {
            Known::Answered(answer) => Some(answer),
            Known::New | Known::Forgotten => None,
        }
    }

    /// Takes an agreed entry.
    ///
    /// # Errors
    /// When the entry's increment does not lead to the map that it names: then this monitor differs from the leader,
    /// must stop, and must be looked at. The state is unchanged.
    pub fn apply(&mut self, entry: &Entry) -> Result<Applied> {
        let fits = entry.sequence == self.sequence + 1 && entry.base == self.epoch();
        if !fits {
            return Ok(Applied { sequence: entry.sequence, outcome: Outcome::Retry, epoch: self.epoch() });
        }
        match &entry.map {
            MapStep::Keep => {}
            MapStep::Found(first) => {
                if self.map.is_some() {
                    return Ok(Applied { sequence: entry.sequence, outcome: Outcome::Retry, epoch: self.epoch() });
                }
                self.map = Some(PublishedMap::new(ClusterMap::clone(first))?);
            }
            MapStep::Increment(increment) => {
                let Some(map) = &self.map else {
                    return Err(Error::internal(format!(
                        "apply entry {}: an increment to epoch {} before the first map",
                        entry.sequence, increment.epoch
                    )));
                };
                let next = map
                    .apply(increment)
                    .map_err(|error| Error::internal(format!("apply entry {}: {}", entry.sequence, error.message)))?;
                self.map = Some(next);
                let bytes = map::encode_increment(increment);
                self.increments_bytes += bytes.len();
                self.increments.push_back((increment.epoch, bytes));
            }
        }
        self.sequence = entry.sequence;
        self.time_ms = self.time_ms.max(entry.time_ms);
        for (id, answer) in &entry.answers {
            self.answers.insert(entry.sequence, *id, answer.clone());
        }
        for (key, value) in &entry.keys {
            self.set_key(key, value.clone());
        }
        for line in &entry.log {
            self.log.push_back(line.clone());
        }
        while self.log.len() > LOG_LINES_MAX {
            self.log.pop_front();
        }
        self.forget_increments(entry.forget_through);
        Ok(Applied { sequence: entry.sequence, outcome: Outcome::Done, epoch: self.epoch() })
    }

    fn set_key(&mut self, key: &str, value: Option<Bytes>) {
        if let Some(old) = self.keys.remove(key) {
            self.keys_bytes -= key.len() + old.len();
        }
        if let Some(value) = value {
            self.keys_bytes += key.len() + value.len();
            self.keys.insert(key.to_owned(), value);
        }
    }

    fn forget_increments(&mut self, through: Option<Epoch>) {
        while let Some((epoch, bytes)) = self.increments.front() {
            let unneeded =
                through.is_some_and(|through| *epoch <= through) && self.increments.len() > INCREMENTS_KEPT_MIN;
            let too_many = self.increments.len() > INCREMENTS_KEPT_MAX || self.increments_bytes > INCREMENTS_BYTES_MAX;
            if !unneeded && !too_many {
                break;
            }
            self.increments_bytes -= bytes.len();
            self.increments.pop_front();
        }
    }

    /// What somebody who has epoch `have` lacks: increments, or the full map when they do not reach back that far.
    /// Nothing when he lacks nothing. At most [`limits::MAP_INCREMENTS_PER_MESSAGE_MAX`] increments at a time.
    pub fn share(&self, have: Epoch) -> MapShare {
        let Some(map) = &self.map else { return MapShare::default() };
        let newest = map.epoch();
        if have >= newest {
            return MapShare { newest, ..MapShare::default() };
        }
        if have < self.history_base() || have == Epoch::ZERO {
            return MapShare { newest, full: Some((newest, map::encode_map(map.map()))), increments: Vec::new() };
        }
        let skipped = usize::try_from(have.0 - self.history_base().0).unwrap_or(usize::MAX);
        let increments =
            self.increments.iter().skip(skipped).take(limits::MAP_INCREMENTS_PER_MESSAGE_MAX).cloned().collect();
        MapShare { newest, full: None, increments }
    }

    /// All of it as bytes; equal states have equal bytes.
    pub fn snapshot(&self) -> Bytes {
        let stored = StoredState {
            sequence: self.sequence,
            time_ms: self.time_ms,
            map: self.map.as_ref().map(|map| map::encode_map(map.map()).to_vec()),
            increments: self.increments.iter().map(|(epoch, bytes)| (*epoch, bytes.to_vec())).collect(),
            answers: self.answers.store(),
            keys: self.keys.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect(),
            log: self.log.iter().cloned().collect(),
        };
        let mut bytes = encode_versioned(&stored);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.into()
    }

    /// The state of a snapshot's bytes.
    ///
    /// # Errors
    /// `Damaged` when the bytes are not what [`State::snapshot`] made, `Invalid` when a later program made them.
    pub fn restore(bytes: &[u8]) -> Result<Self> {
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
            return Err(Error::damaged(format!("restore snapshot: {} bytes are too few", bytes.len())));
        };
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(Error::damaged("restore snapshot: its checksum does not hold"));
        }
        let stored: StoredState = decode_versioned(body, "snapshot")?;
        let map = stored.map.map(|bytes| map::decode_map(&bytes).and_then(PublishedMap::new)).transpose()?;
        let mut state = Self {
            map,
            sequence: stored.sequence,
            time_ms: stored.time_ms,
            answers: Answers::restore(stored.answers),
            increments: stored.increments.into_iter().map(|(epoch, bytes)| (epoch, Bytes::from(bytes))).collect(),
            log: stored.log.into(),
            ..Self::default()
        };
        state.increments_bytes = state.increments.iter().map(|(_, bytes)| bytes.len()).sum();
        for (key, value) in stored.keys {
            state.set_key(&key, Some(value.into()));
        }
        Ok(state)
    }

    /// A short number that equal states share; two monitors with another one at the same entry have diverged.
    pub fn checksum(&self) -> u32 {
        crc32fast::hash(&self.snapshot())
    }

    /// Panics when an invariant does not hold.
    pub fn assert_invariants(&self) {
        self.answers.assert_invariants();
        let mut expected = self.history_base();
        for (epoch, _) in &self.increments {
            expected = expected.next();
            assert_eq!(*epoch, expected, "the kept increments have no gap");
        }
        assert_eq!(expected, self.epoch(), "the kept increments end at the published epoch");
        let bytes: usize = self.increments.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(bytes, self.increments_bytes, "the bytes of the kept increments are counted right");
        let bytes: usize = self.keys.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!(bytes, self.keys_bytes, "the bytes of the keys are counted right");
        assert!(self.log.len() <= LOG_LINES_MAX, "the cluster log is bounded");
    }
}

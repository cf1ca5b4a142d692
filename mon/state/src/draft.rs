//! An entry while it is being planned: the changes so far, and the map as it would be with them.
//!
//! Owns: the working copy of the map. Does not know: why anything changes.
//!
//! Invariants
//! 1. The working copy is the published map with exactly the listed changes applied in order.
//! 2. A finished entry's increment leads to a map that passes the map crate's checks.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use crush::CompiledMap;
use map::{Change, ClusterMap, Increment, PublishedMap};
use types::{Epoch, Result};
use wire::{CommandAnswer, CommandId};

use crate::{
    entry::{Entry, LogLevel, LogLine, MapStep},
    hierarchy::from_crush,
    state::{LOG_LINE_BYTES_MAX, State},
};

fn begin(base: &PublishedMap) -> ClusterMap {
    let mut working = base.map().clone();
    working.epoch = base.epoch().next();
    working
}

/// Where a draft stood.
pub(crate) struct Checkpoint {
    changes: usize,
    answers: usize,
    log: usize,
    keys: BTreeMap<String, Option<Bytes>>,
}

/// The plan of one entry.
pub(crate) struct Draft {
    base: Arc<PublishedMap>,
    working: ClusterMap,
    /// Whether the last change was applied in whole.
    is_whole: bool,
    changes: Vec<Change>,
    sequence: u64,
    pub time_ms: u64,
    pub answers: Vec<(CommandId, CommandAnswer)>,
    keys: BTreeMap<String, Option<Bytes>>,
    log: Vec<LogLine>,
    pub forget_through: Option<Epoch>,
}

impl Draft {
    pub fn new(state: &State, base: Arc<PublishedMap>, wall_ms: u64) -> Self {
        Self {
            working: begin(&base),
            is_whole: true,
            base,
            changes: Vec::new(),
            sequence: state.sequence() + 1,
            time_ms: wall_ms.max(state.time_ms()),
            answers: Vec::new(),
            keys: BTreeMap::new(),
            log: Vec::new(),
            forget_through: None,
        }
    }

    /// The published map that this is planned on.
    pub fn base(&self) -> &Arc<PublishedMap> {
        &self.base
    }

    /// The map with all changes so far.
    pub fn map(&self) -> &ClusterMap {
        &self.working
    }

    /// Adds a change. On an error the draft may be changed in part: roll back.
    pub fn change(&mut self, change: Change) -> Result<()> {
        if let Change::Crush(crush) = &change {
            CompiledMap::new(crush).map_err(from_crush)?;
        }
        self.is_whole = false;
        self.working.apply_change(&change)?;
        self.is_whole = true;
        self.changes.push(change);
        Ok(())
    }

    /// Where the draft stands now.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            changes: self.changes.len(),
            answers: self.answers.len(),
            log: self.log.len(),
            keys: self.keys.clone(),
        }
    }

    /// Forgets all that came after the checkpoint.
    pub fn roll_back(&mut self, checkpoint: Checkpoint) {
        self.answers.truncate(checkpoint.answers);
        self.log.truncate(checkpoint.log);
        self.keys = checkpoint.keys;
        if self.changes.len() == checkpoint.changes && self.is_whole {
            return;
        }
        self.changes.truncate(checkpoint.changes);
        self.working = begin(&self.base);
        for change in &self.changes {
            self.working.apply_change(change).expect("the same changes applied to the same map before");
        }
        self.is_whole = true;
    }

    /// A value of the key/value store as it would be.
    pub fn key<'a>(&'a self, state: &'a State, key: &str) -> Option<&'a Bytes> {
        match self.keys.get(key) {
            Some(planned) => planned.as_ref(),
            None => state.keys().get(key),
        }
    }

    pub fn set_key(&mut self, key: String, value: Option<Bytes>) {
        self.keys.insert(key, value);
    }

    /// Keys that this entry sets or removes.
    pub fn planned_keys(&self) -> &BTreeMap<String, Option<Bytes>> {
        &self.keys
    }

    /// Adds a line to the cluster log, cut at the bound.
    pub fn log(&mut self, level: LogLevel, text: impl Into<String>) {
        let mut text = text.into();
        if text.len() > LOG_LINE_BYTES_MAX {
            let cut = (0..=LOG_LINE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
        }
        self.log.push(LogLine { time_ms: self.time_ms, level, text });
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.answers.is_empty() && self.keys.is_empty() && self.log.is_empty()
    }

    /// The entry.
    ///
    /// # Errors
    /// When the changes together do not make a map that may be published.
    pub fn finish(self) -> Result<Entry> {
        let map = if self.changes.is_empty() {
            MapStep::Keep
        } else {
            let increment = Increment::new(self.base.map(), self.time_ms, self.changes)?;
            map::check(&self.working)?;
            MapStep::Increment(increment)
        };
        Ok(Entry {
            sequence: self.sequence,
            base: self.base.epoch(),
            time_ms: self.time_ms,
            map,
            answers: self.answers,
            keys: self.keys.into_iter().collect(),
            log: self.log,
            forget_through: self.forget_through,
        })
    }
}

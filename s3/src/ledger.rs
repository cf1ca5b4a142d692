//! Tags, and the record of those that may be in use: how the half-written data of a gateway that died is found.
//!
//! A gateway writes down a range of tags before it uses the first of them, one write for many objects. A tag is
//! settled when everything written under it is either named by a bucket's index or removed again; a range whose tags
//! are all settled is forgotten. What stands in the record of a gateway that died is all that may be half written
//! (decision 0081).
//!
//! Owns: this gateway's record. Does not know: what is written under a tag.
//!
//! Invariants
//! 1. A tag is handed out only while its range stands in the record.
//! 2. A range leaves the record only when each of its tags is settled or was never handed out and never will be.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use client::{Error, ErrorKind, Object, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use client::classes::s3_index::{Tag, decode, encode};

/// Tags in a range. Larger ranges are written down more seldom and take longer to look through after a crash: a
/// thousand take some hundred milliseconds.
const RANGE_TAGS: u64 = 1024;
/// How often the record is renewed, so that others see that the gateway lives.
pub(crate) const BEAT_INTERVAL: Duration = Duration::from_secs(5);

/// What a gateway writes down of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WriterRecord {
    /// The gateway's name: two of one name do not live at the same time.
    pub name: String,
    /// Where clients find it; empty for what is no gateway.
    pub endpoint: String,
    /// Counts its renewals.
    pub beat: u64,
    /// Ranges of tags that may be in use: first, and first behind.
    pub ranges: Vec<(u64, u64)>,
}

/// The omap key of a gateway's record.
pub(crate) fn record_key(writer: u64) -> Vec<u8> {
    writer.to_be_bytes().to_vec()
}

/// This gateway's tags.
#[derive(Debug)]
pub(crate) struct Ledger {
    name: String,
    endpoint: String,
    writer: u64,
    object: Object,
    state: Mutex<State>,
    /// Held while the record is written, so that an older one never replaces a newer one.
    writing: tokio::sync::Mutex<u64>,
    /// More tags are wanted soon.
    low: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By its end: the first tag and those handed out and not settled.
    ranges: BTreeMap<u64, Range>,
}

#[derive(Debug)]
struct Range {
    first: u64,
    open: u64,
}

impl State {
    fn end(&self) -> u64 {
        self.ranges.last_key_value().map_or(self.next, |(end, _)| *end)
    }

    fn take(&mut self) -> Option<u64> {
        if self.next >= self.end() {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        self.range_of(sequence).open += 1;
        Some(sequence)
    }

    fn range_of(&mut self, sequence: u64) -> &mut Range {
        let found = self.ranges.range_mut(sequence + 1..).next();
        found.expect("a tag that is not settled has its range").1
    }

    fn settle(&mut self, sequence: u64) {
        let range = self.range_of(sequence);
        range.open = range.open.checked_sub(1).expect("a tag is settled once");
    }

    /// Forgets ranges whose tags are all handed out and settled.
    fn forget_settled(&mut self) {
        let next = self.next;
        self.ranges.retain(|end, range| range.open > 0 || next < *end);
    }
}

impl Ledger {
    pub fn new(object: Object, name: String, endpoint: String, writer: u64) -> Self {
        Self {
            name,
            endpoint,
            writer,
            object,
            state: Mutex::new(State { next: 1, ranges: BTreeMap::new() }),
            writing: tokio::sync::Mutex::new(0),
            low: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tag that nobody else has. Waits for the record only when tags are used faster than it is written.
    pub async fn take(self: &Arc<Self>) -> Result<Lease> {
        loop {
            {
                let mut state = self.state();
                let taken = state.take();
                if state.end() - state.next < RANGE_TAGS / 2 {
                    self.low.notify_one();
                }
                if let Some(sequence) = taken {
                    return Ok(Lease { ledger: Arc::clone(self), tag: Tag { writer: self.writer, sequence } });
                }
            }
            self.extend().await?;
        }
    }

    /// Writes another range down, unless there are enough tags by now.
    async fn extend(&self) -> Result<()> {
        let mut beat = self.writing.lock().await;
        let (first, end) = {
            let state = self.state();
            (state.end(), state.end() + RANGE_TAGS)
        };
        if first - self.state().next >= RANGE_TAGS / 2 {
            return Ok(());
        }
        self.write(&mut beat, Some((first, end))).await?;
        self.state().ranges.insert(end, Range { first, open: 0 });
        Ok(())
    }

    async fn write(&self, beat: &mut u64, more: Option<(u64, u64)>) -> Result<()> {
        *beat += 1;
        let ranges = {
            let mut state = self.state();
            state.forget_settled();
            state.ranges.iter().map(|(end, range)| (range.first, *end)).chain(more).collect()
        };
        let record = WriterRecord { name: self.name.clone(), endpoint: self.endpoint.clone(), beat: *beat, ranges };
        let entries = BTreeMap::from([(record_key(self.writer), encode(&record))]);
        self.object.omap_set(entries).await
    }

    /// Renews the record for as long as the gateway lives. Ends with an error when the cluster refuses this gateway:
    /// somebody took it for dead, and it must not go on.
    pub async fn run(&self) -> Error {
        let mut beats = tokio::time::interval(BEAT_INTERVAL);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let written = tokio::select! {
                _ = beats.tick() => {
                    let mut beat = self.writing.lock().await;
                    self.write(&mut beat, None).await
                }
                () = self.low.notified() => self.extend().await,
            };
            match written {
                Err(error) if error.kind == ErrorKind::Denied => return error.context("renew the gateway's record"),
                Err(error) => tracing::warn!(%error, "the gateway's record was not renewed"),
                Ok(()) => {}
            }
        }
    }

    /// Removes the record if every tag is settled. What is left is found by another gateway.
    pub async fn close(&self) -> Result<()> {
        let _writing = self.writing.lock().await;
        let open = {
            let mut state = self.state();
            // No tag is handed out any more.
            state.next = state.end();
            state.forget_settled();
            state.ranges.len()
        };
        if open > 0 {
            return Ok(());
        }
        self.object.omap_remove([record_key(self.writer)]).await
    }
}

/// A tag in use. Dropped without being settled it stays in the record, so that what was written is found.
#[derive(Debug)]
#[must_use = "a tag is settled once its data is named by an index or removed"]
pub(crate) struct Lease {
    ledger: Arc<Ledger>,
    tag: Tag,
}

impl Lease {
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// What was written under the tag is named by an index, or removed, or nothing was written.
    pub fn settle(self) {
        self.ledger.state().settle(self.tag.sequence);
    }
}

/// A record of another gateway.
pub(crate) fn decode_record(key: &[u8], value: &Bytes) -> Result<(u64, WriterRecord)> {
    let writer = key.try_into().map_err(|_| Error::damaged("a gateway's record has no gateway's number as its key"))?;
    Ok((u64::from_be_bytes(writer), decode(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_forgotten_when_its_last_tag_is_settled() {
        let mut state = State { next: 1, ranges: BTreeMap::new() };
        assert_eq!(state.take(), None);
        state.ranges.insert(3, Range { first: 1, open: 0 });
        state.ranges.insert(5, Range { first: 3, open: 0 });
        assert_eq!([state.take(), state.take(), state.take()], [Some(1), Some(2), Some(3)]);
        state.settle(2);
        state.settle(3);
        state.forget_settled();
        assert_eq!(state.ranges.keys().copied().collect::<Vec<_>>(), [3, 5], "tag 1 is open, tag 4 not handed out");
        state.settle(1);
        state.forget_settled();
        assert_eq!(state.ranges.keys().copied().collect::<Vec<_>>(), [5]);
        assert_eq!([state.take(), state.take()], [Some(4), None]);
        state.settle(4);
        state.forget_settled();
        assert!(state.ranges.is_empty());
        assert_eq!(state.end(), 5, "numbers are not used again");
    }
}

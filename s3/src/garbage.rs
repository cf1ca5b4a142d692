//! Removes data that no listed object names any more, once nobody can be reading it.
//!
//! Every shard numbers its garbage. The collector notes the newest number and, when the grace has passed by its own
//! clock, removes everything up to it; so no clocks of two hosts are compared. Several collectors do no harm to each
//! other: what one removed is gone for the other.
//!
//! After a crash: what was not removed is still in the list; a collector that starts again waits a grace first.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use client::{Object, Result};
use telemetry::clock::boot_clock_now;
use types::Time;

use client::classes::s3_index::{Content, Data, Tag, decode, part_prefix};

use crate::{
    blobs::Blobs,
    buckets::Buckets,
    index::{Index, garbage_page},
};

/// Parts whose records are removed at once.
const PARTS_AT_ONCE: u32 = 500;

/// When garbage is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grace {
    /// When it has lain for so long.
    After(Duration),
    /// At once; readers that are under way may be cut off.
    None,
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Data that was removed, with all its pieces.
    pub removed: u64,
    /// Bytes of it, as far as they are known.
    pub bytes: u64,
    /// Garbage that is not old enough.
    pub waiting: u64,
}

/// Notes how far each shard's garbage reached, and when.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    notes: Mutex<BTreeMap<String, Note>>,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    /// The first number that was not there yet.
    below: u64,
    at: Time,
}

impl Collector {
    /// Looks through all shards once.
    pub async fn round(&self, buckets: &Buckets, blobs: &Arc<Blobs>, grace: Grace) -> Result<Collected> {
        let mut collected = Collected::default();
        let indexes: Vec<Index> = buckets.list(None).await?.iter().map(|bucket| buckets.index(bucket)).collect();
        for index in &indexes {
            for shard in index.shards() {
                self.shard(index, shard, blobs, grace, &mut collected).await?;
            }
        }
        for index in buckets.removed().await? {
            let mut left = 0;
            for shard in index.shards() {
                left += self.shard(&index, shard, blobs, grace, &mut collected).await?;
            }
            if left == 0 {
                buckets.forget_removed(index.bucket(), index.shard_count()).await?;
            }
        }
        Ok(collected)
    }

    /// Looks through one shard. Says how much garbage is left in it.
    async fn shard(
        &self,
        index: &Index,
        shard: u32,
        blobs: &Arc<Blobs>,
        grace: Grace,
        collected: &mut Collected,
    ) -> Result<u64> {
        let name = index.shard_name(shard);
        let Some(record) = index.shard_record(shard).await? else { return Ok(0) };
        let now = boot_clock_now();
        let below = match grace {
            Grace::None => record.garbage_next,
            Grace::After(grace) => self.old_enough(&name, record.garbage_next, now, grace),
        };
        let object = index.shard(shard);
        let mut left = 0;
        let mut after = Vec::new();
        loop {
            let (page, more) = garbage_page(&object, &after).await?;
            let mut done = Vec::new();
            for (key, garbage) in &page {
                if garbage_number(key) >= below {
                    left += 1;
                    continue;
                }
                for data in &garbage.data {
                    collected.bytes += remove(&object, blobs, data).await?;
                    collected.removed += 1;
                }
                done.push(key.clone());
            }
            if !done.is_empty() {
                object.omap_remove(done).await?;
            }
            match page.last() {
                Some((last, _)) if more => after.clone_from(last),
                _ => break,
            }
        }
        collected.waiting += left;
        Ok(left)
    }

    /// The number below which garbage has lain for the grace. Notes the newest when the note before is used up.
    fn old_enough(&self, name: &str, garbage_next: u64, now: Time, grace: Duration) -> u64 {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.get(name).copied() {
            Some(note) if now.since(note.at) >= grace => {
                notes.insert(name.to_owned(), Note { below: garbage_next, at: now });
                note.below
            }
            Some(_) => 0,
            None => {
                notes.insert(name.to_owned(), Note { below: garbage_next, at: now });
                0
            }
        }
    }
}

fn garbage_number(key: &[u8]) -> u64 {
    key.last_chunk().map_or(u64::MAX, |number| u64::from_be_bytes(*number))
}

/// Removes one thing. Says how many bytes it had.
async fn remove(shard: &Object, blobs: &Arc<Blobs>, data: &Data) -> Result<u64> {
    match data {
        Data::Nothing => Ok(0),
        Data::Blob(blob) => blobs.remove(data).await.map(|()| blob.size),
        Data::Parts { upload, .. } => remove_parts(shard, blobs, *upload).await,
    }
}

async fn remove_parts(shard: &Object, blobs: &Arc<Blobs>, upload: Tag) -> Result<u64> {
    let mut bytes = 0;
    loop {
        let page = shard.omap_page(b"", part_prefix(upload), PARTS_AT_ONCE).await?;
        for (_, value) in &page.entries {
            let part: Content = decode(value)?;
            blobs.remove(&part.data).await?;
            bytes += part.size;
        }
        // The records go after the data: what is half removed is found again.
        if !page.entries.is_empty() {
            shard.omap_remove(page.entries.into_iter().map(|(key, _)| key)).await?;
        }
        if !page.more {
            return Ok(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_waits_for_a_grace_after_it_was_seen() {
        let collector = Collector::default();
        let grace = Duration::from_secs(10);
        let at = |seconds: u64| Time::from_nanoseconds(seconds * 1_000_000_000);
        assert_eq!(collector.old_enough("s", 5, at(100), grace), 0, "seen for the first time");
        assert_eq!(collector.old_enough("s", 9, at(109), grace), 0, "too early");
        assert_eq!(collector.old_enough("s", 12, at(110), grace), 5, "what was there at 100");
        assert_eq!(collector.old_enough("s", 12, at(119), grace), 0);
        assert_eq!(collector.old_enough("s", 12, at(121), grace), 12);
        assert_eq!(collector.old_enough("t", 3, at(121), grace), 0, "shards are apart");
    }
}

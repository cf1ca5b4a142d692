//! Finds what gateways that died left half written.
//!
//! A gateway counts as dead when its record has not changed for [`DEAD_AFTER`] by the watcher's clock, or when another
//! of its name has started. It is fenced before anything of it is touched: once the fence stands in the map, every
//! OSD that hears the sweep refuses what the dead one may still send, should it only have slept. Then every tag of its
//! ranges is looked at: data that an index names, or that is in the list of garbage, stays; all else goes.
//!
//! After a crash of the sweep: the record is still there; another sweep begins anew.

use std::{collections::BTreeMap, time::Duration};

use client::{Cluster, CommandArguments, ErrorKind, Object, Pool, Result};
use telemetry::clock::boot_clock_now;
use types::Time;

use client::classes::s3_index::{Content, Data, Tag, decode, entry_key, part_key};

use crate::{
    blobs::{Blobs, Owner, Place},
    buckets::Buckets,
    index::{garbage_page, shard_object},
    ledger::{WriterRecord, decode_record, record_key},
};

/// How long a gateway's record may stay as it is. Twelve beats: a gateway on a busy machine is not taken for dead.
pub(crate) const DEAD_AFTER: Duration = Duration::from_secs(60);
/// How long a fence stands, in seconds: a year, the longest that the monitors take.
const FENCE_SECONDS: u64 = 365 * 24 * 3600;
const PAGE_KEYS: u32 = 1000;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Gateways that had died.
    pub gateways: u64,
    /// Half-written data that was removed.
    pub removed: u64,
    /// Data under their tags that is named and stays.
    pub kept: u64,
}

/// Watches the records of all gateways.
#[derive(Debug)]
pub(crate) struct Sweeper {
    cluster: Cluster,
    writers: Object,
    index_pool: Pool,
    /// This gateway, which is never dead to itself.
    own: u64,
    own_name: String,
    seen: BTreeMap<u64, (u64, Time)>,
}

impl Sweeper {
    pub fn new(cluster: Cluster, writers: Object, index_pool: Pool, own_name: String) -> Self {
        let own = cluster.client_id().0;
        Self { cluster, writers, index_pool, own, own_name, seen: BTreeMap::new() }
    }

    /// Looks at all records once, and sweeps behind the gateways that are dead.
    pub async fn round(&mut self, buckets: &Buckets, blobs: &Blobs) -> Result<Swept> {
        let mut swept = Swept::default();
        let now = boot_clock_now();
        let records = self.records().await?;
        self.seen.retain(|writer, _| records.iter().any(|(other, _)| other == writer));
        for (writer, record) in &records {
            if *writer != self.own && self.is_dead(*writer, record, now) {
                self.sweep(*writer, record, buckets, blobs, &mut swept).await?;
            }
        }
        Ok(swept)
    }

    /// All gateways' records, by their numbers.
    pub async fn records(&self) -> Result<Vec<(u64, WriterRecord)>> {
        let mut found = Vec::new();
        let mut after = Vec::new();
        loop {
            let page = self.writers.omap_page(&after, b"", PAGE_KEYS).await?;
            for (key, value) in &page.entries {
                found.push(decode_record(key, value)?);
            }
            match page.entries.last() {
                Some((last, _)) if page.more => after.clone_from(last),
                _ => return Ok(found),
            }
        }
    }

    fn is_dead(&mut self, writer: u64, record: &WriterRecord, now: Time) -> bool {
        if record.name == self.own_name && writer < self.own {
            return true;
        }
        let (beat, since) = self.seen.entry(writer).or_insert((record.beat, now));
        if *beat != record.beat {
            (*beat, *since) = (record.beat, now);
        }
        now.since(*since) >= DEAD_AFTER
    }

    async fn sweep(
        &self,
        writer: u64,
        record: &WriterRecord,
        buckets: &Buckets,
        blobs: &Blobs,
        swept: &mut Swept,
    ) -> Result<()> {
        tracing::info!(writer, name = record.name, "sweeping behind a gateway that died");
        self.fence(writer).await?;
        // Read again: the fence stands, so this is the last word.
        let found = self.writers.omap_values([record_key(writer)]).await?;
        let Some(last) = found.values().next() else { return Ok(()) };
        let (_, record) = decode_record(&record_key(writer), last)?;
        buckets.forget_makings_of(writer).await?;
        for (first, end) in record.ranges {
            for sequence in first..end {
                let tag = Tag { writer, sequence };
                let Some(owner) = blobs.owner(tag).await? else { continue };
                if self.is_named(&owner, tag).await? {
                    swept.kept += 1;
                } else {
                    tracing::info!(%tag, shard = owner.shard, "removing half-written data");
                    blobs.remove_half(tag).await?;
                    swept.removed += 1;
                }
            }
        }
        self.writers.omap_remove([record_key(writer)]).await?;
        swept.gateways += 1;
        Ok(())
    }

    async fn fence(&self, writer: u64) -> Result<()> {
        let arguments = [("client".to_owned(), writer.to_string()), ("expire".to_owned(), FENCE_SECONDS.to_string())];
        self.cluster.command("osd blocklist add", CommandArguments::from(arguments), Vec::new()).await?;
        // From here on this client's operations carry an epoch that has the fence.
        self.cluster.refresh_map().await.map(drop)
    }

    /// Whether an index names this data, or knows that it is to be removed. Data moves only from the one to the other,
    /// so they are looked at in that order.
    async fn is_named(&self, owner: &Owner, tag: Tag) -> Result<bool> {
        let shard = shard_object(&self.index_pool, &owner.shard);
        let is_this = |data: &Data| matches!(data, Data::Blob(blob) if blob.tag == tag);
        let key = match &owner.place {
            Place::Entry(key) => entry_key(key),
            Place::Part(upload, number) => part_key(*upload, *number),
        };
        let found = match shard.omap_values([key]).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        if let Some(value) = found.values().next() {
            let data = decode::<Content>(value)?.data;
            if is_this(&data) {
                return Ok(true);
            }
        }
        let mut after = Vec::new();
        loop {
            let (page, more) = garbage_page(&shard, &after).await?;
            if page.iter().any(|(_, garbage)| garbage.data.iter().any(is_this)) {
                return Ok(true);
            }
            match page.last() {
                Some((last, _)) if more => after.clone_from(last),
                _ => return Ok(false),
            }
        }
    }
}

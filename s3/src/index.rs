//! The index of one bucket: which shard a key is in, calls to the shards, and listings merged over all of them.

mod merge;

use bytes::Bytes;
use client::{Error, ErrorKind, Object, Pool, Result};
use futures::future::try_join_all;

use client::classes::s3_index::{
    CHANGE, CLASS, Change, Content, GARBAGE_PREFIX, Garbage, Outcome, PAGE_ITEMS_MAX, SHARD_KEY, Shard, Tag,
    UPLOAD_PREFIX, Upload, decode, encode, entry_key, part_number, part_prefix, upload_key,
};

pub(crate) use merge::{Listing, ListingQuery};

/// Shards of a new bucket: several times the OSDs of a small cluster, so that writers to one bucket seldom wait for
/// each other, and few enough that a listing asks all of them.
pub(crate) const SHARDS_DEFAULT: u32 = 11;

/// A bucket's index.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pool: Pool,
    bucket: Tag,
    shards: u32,
}

/// The answer of a shard, or that the bucket is being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen<T> {
    /// It is open.
    Open(T),
    /// It holds nothing: the bucket is being removed by this removal.
    Closed(Tag),
    /// It does not exist: the bucket was removed.
    Gone,
}

impl Index {
    pub fn new(pool: Pool, bucket: Tag, shards: u32) -> Self {
        Self { pool, bucket, shards }
    }

    /// Whose it is.
    pub fn bucket(&self) -> Tag {
        self.bucket
    }

    /// How many shards it has.
    pub fn shard_count(&self) -> u32 {
        self.shards
    }

    /// The numbers of its shards.
    pub fn shards(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.shards
    }

    /// In which shard a key is. Stored: never another function.
    pub fn shard_of(&self, key: &[u8]) -> u32 {
        let hash = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, key);
        u32::try_from(hash % u64::from(self.shards)).expect("less than the number of shards")
    }

    /// The object of a shard.
    pub fn shard(&self, shard: u32) -> Object {
        shard_object(&self.pool, &self.shard_name(shard))
    }

    /// The name of a shard's object.
    pub fn shard_name(&self, shard: u32) -> String {
        format!("{}.{shard}", self.bucket)
    }

    /// Changes what one key names.
    pub async fn change(&self, key: &[u8], change: Change) -> Result<Seen<Outcome>> {
        let mut outcomes = match self.change_shard(self.shard_of(key), change).await? {
            Seen::Open(outcomes) => outcomes,
            Seen::Closed(removal) => return Ok(Seen::Closed(removal)),
            Seen::Gone => return Ok(Seen::Gone),
        };
        outcomes.pop().map(Seen::Open).ok_or_else(|| Error::internal("the bucket's index answered nothing"))
    }

    /// Changes a shard.
    pub async fn change_shard(&self, shard: u32, change: Change) -> Result<Seen<Vec<Outcome>>> {
        match self.shard(shard).call(CLASS, CHANGE, encode(&change)).await {
            Ok(output) => {
                let outcomes: Vec<Outcome> = decode(&output)?;
                match outcomes[..] {
                    [Outcome::Closed(removal)] => Ok(Seen::Closed(removal)),
                    _ => Ok(Seen::Open(outcomes)),
                }
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Seen::Gone),
            Err(error) => Err(error),
        }
    }

    /// Makes all shards.
    pub async fn make(&self) -> Result<()> {
        try_join_all(self.shards().map(|shard| self.change_shard(shard, Change::Make))).await.map(drop)
    }

    /// Values of one shard, with the shard's own record in front.
    async fn values(&self, shard: u32, keys: Vec<Vec<u8>>) -> Result<Seen<Vec<Option<Bytes>>>> {
        let asked = std::iter::once(SHARD_KEY.to_vec()).chain(keys.iter().cloned());
        let mut found = match self.shard(shard).omap_values(asked).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Seen::Gone),
            found => found?,
        };
        let Some(record) = found.remove(SHARD_KEY) else { return Ok(Seen::Gone) };
        if let Some(removal) = decode::<Shard>(&record)?.closed {
            return Ok(Seen::Closed(removal));
        }
        Ok(Seen::Open(keys.iter().map(|key| found.remove(key)).collect()))
    }

    /// What a key names.
    pub async fn entry(&self, key: &[u8]) -> Result<Seen<Option<Content>>> {
        let values = self.values(self.shard_of(key), vec![entry_key(key)]).await?;
        values.and_then(|mut values| values.pop().flatten().map(|bytes| decode(&bytes)).transpose())
    }

    /// An upload that is neither completed nor aborted.
    pub async fn upload(&self, key: &[u8], upload: Tag) -> Result<Seen<Option<Upload>>> {
        let values = self.values(self.shard_of(key), vec![upload_key(key, upload)]).await?;
        values.and_then(|mut values| values.pop().flatten().map(|bytes| decode(&bytes)).transpose())
    }

    /// A page of the parts of an upload with higher numbers than `after`, and whether more follow.
    pub async fn parts(&self, key: &[u8], upload: Tag, after: u16, most: u32) -> Result<(Vec<(u16, Content)>, bool)> {
        let prefix = part_prefix(upload);
        let from = if after == 0 { Vec::new() } else { client::classes::s3_index::part_key(upload, after) };
        let shard = self.shard(self.shard_of(key));
        let page = shard.omap_page(from, prefix, most.clamp(1, PAGE_ITEMS_MAX)).await?;
        let parts = page.entries.iter().map(|(key, value)| Ok((part_number(key)?, decode(value)?)));
        Ok((parts.collect::<Result<_>>()?, page.more))
    }

    /// All parts of an upload.
    pub async fn all_parts(&self, key: &[u8], upload: Tag) -> Result<Vec<(u16, Content)>> {
        let mut parts = Vec::new();
        loop {
            let after = parts.last().map_or(0, |(number, _)| *number);
            let (mut page, more) = self.parts(key, upload, after, PAGE_ITEMS_MAX).await?;
            let stuck = page.is_empty();
            parts.append(&mut page);
            if !more || stuck {
                return Ok(parts);
            }
        }
    }

    /// A page of the uploads of one shard whose keys begin with `prefix`, behind an omap key.
    pub async fn uploads(&self, shard: u32, prefix: &[u8], after: &[u8], most: u32) -> Result<(Vec<Upload>, bool)> {
        let prefix = [UPLOAD_PREFIX, prefix].concat();
        let page = self.shard(shard).omap_page(after, prefix, most.clamp(1, PAGE_ITEMS_MAX)).await?;
        let uploads = page.entries.iter().map(|(_, value)| decode(value));
        Ok((uploads.collect::<Result<_>>()?, page.more))
    }

    /// What a shard knows about itself; `None` when it is gone.
    pub async fn shard_record(&self, shard: u32) -> Result<Option<Shard>> {
        let found = match self.shard(shard).omap_values([SHARD_KEY.to_vec()]).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        found.get(SHARD_KEY).map(|record| decode(record)).transpose()
    }
}

/// A shard's object by its name.
pub(crate) fn shard_object(index_pool: &Pool, name: &str) -> Object {
    index_pool.object(name)
}

/// A page of a shard's garbage behind an omap key: omap keys with what they name, and whether more follows.
pub(crate) async fn garbage_page(shard: &Object, after: &[u8]) -> Result<(Vec<(Vec<u8>, Garbage)>, bool)> {
    let page = shard.omap_page(after, GARBAGE_PREFIX, PAGE_ITEMS_MAX).await?;
    let entries = page.entries.into_iter().map(|(key, value)| Ok((key, decode(&value)?)));
    Ok((entries.collect::<Result<_>>()?, page.more))
}

impl<T> Seen<T> {
    fn and_then<U>(self, then: impl FnOnce(T) -> Result<U>) -> Result<Seen<U>> {
        Ok(match self {
            Self::Open(value) => Seen::Open(then(value)?),
            Self::Closed(removal) => Seen::Closed(removal),
            Self::Gone => Seen::Gone,
        })
    }
}

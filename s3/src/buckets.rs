//! Buckets: one object in the meta pool names them all, each has an index of its own.
//!
//! ```text
//! b<name>    Bucket     a bucket that exists
//! n<id>      u32        shards that are being made for a bucket that does not exist yet
//! r<id>      u32        shards of a bucket that was removed, with what garbage is left in them
//! ```
//! A removal marks the bucket with a tag of its own, closes every shard by that tag (which only an empty shard takes),
//! and then takes the marked record away. Whoever finds a closed shard waits for that, and takes the mark away
//! himself when nobody goes on: then the removal cannot end any more, and the shards may be opened again
//! (decision 0082).

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use client::{Comparison, Error, Object, OpBuilder, Pool, Result};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use telemetry::clock::{boot_clock_now, instant_of, wall_clock_milliseconds};

use client::classes::s3_index::{Change, Outcome, Tag, decode, encode};

use crate::index::{Index, SHARDS_DEFAULT, Seen};

/// How long a removal may take from when somebody waits for it. Closing eleven shards takes some hundredths of a
/// second.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(5);
/// How often a waiting writer looks whether the removal ended.
const REMOVAL_LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Buckets that a gateway remembers; beyond, all are forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// Buckets of one user: AWS's own bound for an account that asks for more.
const BUCKETS_OF_USER_MAX: usize = 1000;
const PAGE_KEYS: u32 = 1000;

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// How users name it.
    pub name: String,
    /// Names its index. Never used again.
    pub(crate) id: Tag,
    /// Who may use it.
    pub owner: String,
    /// In milliseconds since 1970.
    pub created_ms: u64,
    /// Shards of its index.
    pub shards: u32,
    /// By which removal it is being removed.
    pub(crate) removal: Option<Tag>,
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct Buckets {
    object: Object,
    index_pool: Pool,
    remembered: Mutex<BTreeMap<String, Bucket>>,
}

/// What became of a wish.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Now(Bucket),
    /// One of that name exists.
    Before(Bucket),
    TooMany,
}

/// What became of a removal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    Done,
    Missing,
    NotEmpty,
    /// Another change of the bucket came between.
    Disturbed,
}

fn bucket_key(name: &str) -> Vec<u8> {
    [b"b", name.as_bytes()].concat()
}

fn id_key(letter: u8, id: Tag) -> Vec<u8> {
    [&[letter], id.to_bytes().as_slice()].concat()
}

/// The bucket id in such a key.
fn id_of_key(key: &[u8]) -> Result<Tag> {
    let damaged = || Error::damaged("a bucket's record has no bucket's id as its key");
    let bytes: [u8; 16] = key.get(1..).and_then(|id| id.try_into().ok()).ok_or_else(damaged)?;
    let number = |half: &[u8]| half.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok(Tag { writer: number(&bytes[..8]), sequence: number(&bytes[8..]) })
}

impl Buckets {
    pub async fn open(object: Object, index_pool: Pool) -> Result<Self> {
        object.operate(OpBuilder::new().create()).await.map_err(|failure| failure.error)?;
        Ok(Self { object, index_pool, remembered: Mutex::default() })
    }

    /// The index of a bucket.
    pub fn index(&self, bucket: &Bucket) -> Index {
        Index::new(self.index_pool.clone(), bucket.id, bucket.shards)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bucket, perhaps from memory: what is done to a bucket that is gone is refused by its index.
    pub async fn find(&self, name: &str) -> Result<Option<Bucket>> {
        if let Some(bucket) = self.remembered().get(name) {
            return Ok(Some(bucket.clone()));
        }
        self.look(name).await
    }

    /// A bucket as it is now.
    pub async fn look(&self, name: &str) -> Result<Option<Bucket>> {
        let found = self.object.omap_values([bucket_key(name)]).await?;
        let bucket: Option<Bucket> = found.values().next().map(|bytes| decode(bytes)).transpose()?;
        let mut remembered = self.remembered();
        match &bucket {
            Some(bucket) => {
                if remembered.len() >= REMEMBERED_MAX {
                    remembered.clear();
                }
                remembered.insert(name.to_owned(), bucket.clone());
            }
            None => {
                remembered.remove(name);
            }
        }
        Ok(bucket)
    }

    /// All buckets, of one user or of all, by name.
    pub async fn list(&self, owner: Option<&str>) -> Result<Vec<Bucket>> {
        let mut found: Vec<Bucket> = Vec::new();
        for (_, value) in self.all(b"b").await? {
            found.push(decode(&value)?);
        }
        found.retain(|bucket| owner.is_none_or(|owner| bucket.owner == owner));
        Ok(found)
    }

    async fn all(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>> {
        let mut found = Vec::new();
        let mut after = Vec::new();
        loop {
            let page = self.object.omap_page(&after, prefix, PAGE_KEYS).await?;
            let (last, more) = (page.entries.last().map(|(key, _)| key.clone()), page.more);
            found.extend(page.entries);
            match last {
                Some(last) if more => after = last,
                _ => return Ok(found),
            }
        }
    }

    /// Makes a bucket. `id` was never used before.
    pub async fn create(&self, name: &str, owner: &str, id: Tag) -> Result<Made> {
        if let Some(bucket) = self.look(name).await? {
            return Ok(Made::Before(bucket));
        }
        if self.list(Some(owner)).await?.len() >= BUCKETS_OF_USER_MAX {
            return Ok(Made::TooMany);
        }
        let bucket = Bucket {
            name: name.to_owned(),
            id,
            owner: owner.to_owned(),
            created_ms: wall_clock_milliseconds(),
            shards: SHARDS_DEFAULT,
            removal: None,
        };
        // Written down first, so that shards without a bucket are found after a crash.
        self.object.omap_set(BTreeMap::from([(id_key(b'n', id), encode(&bucket.shards))])).await?;
        self.index(&bucket).make().await?;
        let operation = OpBuilder::new()
            .compare_omap(bucket_key(name), Comparison::Equal, Bytes::new())
            .omap_set(BTreeMap::from([(bucket_key(name), encode(&bucket))]))
            .omap_remove([id_key(b'n', id)]);
        match self.object.operate(operation).await {
            Ok(_) => {
                self.remembered().insert(name.to_owned(), bucket.clone());
                Ok(Made::Now(bucket))
            }
            Err(failure) if failure.step == Some(0) => {
                self.forget_making(id, bucket.shards).await?;
                let other = self.look(name).await?;
                other.map(Made::Before).ok_or_else(|| Error::retry(format!("bucket `{name}` was made and removed")))
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// Removes shards that were made for a bucket that does not come.
    async fn forget_making(&self, id: Tag, shards: u32) -> Result<()> {
        self.remove_shards(id, shards).await?;
        self.object.omap_remove([id_key(b'n', id)]).await
    }

    async fn remove_shards(&self, id: Tag, shards: u32) -> Result<()> {
        let index = Index::new(self.index_pool.clone(), id, shards);
        try_join_all(index.shards().map(|shard| {
            let object = index.shard(shard);
            async move {
                match object.remove().await {
                    Err(error) if error.kind == client::ErrorKind::NotFound => Ok(()),
                    removed => removed,
                }
            }
        }))
        .await
        .map(drop)
    }

    /// Replaces a record if it is still this one.
    async fn replace(&self, old: &Bucket, new: &Bucket) -> Result<bool> {
        let operation = OpBuilder::new()
            .compare_omap(bucket_key(&old.name), Comparison::Equal, encode(old))
            .omap_set(BTreeMap::from([(bucket_key(&old.name), encode(new))]));
        self.remembered().remove(&old.name);
        match self.object.operate(operation).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.step == Some(0) => Ok(false),
            Err(failure) => Err(failure.error),
        }
    }

    /// Removes an empty bucket. `removal` was never used before.
    pub async fn remove(&self, name: &str, removal: Tag) -> Result<Removed> {
        let Some(bucket) = self.look(name).await? else { return Ok(Removed::Missing) };
        let marked = Bucket { removal: Some(removal), ..bucket.clone() };
        if !self.replace(&bucket, &marked).await? {
            return Ok(Removed::Disturbed);
        }
        let index = self.index(&bucket);
        let closed =
            try_join_all(index.shards().map(|shard| index.change_shard(shard, Change::Close(removal)))).await?;
        if closed.iter().any(|closed| *closed == Seen::Open(vec![Outcome::NotEmpty])) {
            let unmarked = Bucket { removal: None, ..bucket.clone() };
            if self.replace(&marked, &unmarked).await? {
                try_join_all(index.shards().map(|shard| index.change_shard(shard, Change::Open(removal)))).await?;
            }
            return Ok(Removed::NotEmpty);
        }
        let operation = OpBuilder::new()
            .compare_omap(bucket_key(name), Comparison::Equal, encode(&marked))
            .omap_remove([bucket_key(name)])
            .omap_set(BTreeMap::from([(id_key(b'r', bucket.id), encode(&bucket.shards))]));
        self.remembered().remove(name);
        match self.object.operate(operation).await {
            Ok(_) => Ok(Removed::Done),
            Err(failure) if failure.step == Some(0) => Ok(Removed::Disturbed),
            Err(failure) => Err(failure.error),
        }
    }

    /// Called by whoever met a shard that this removal closed: waits until the bucket is gone, or makes sure that it
    /// stays and opens the shards. Says whether this very bucket is there and open.
    pub async fn settle(&self, bucket: &Bucket, removal: Tag) -> Result<bool> {
        let deadline = boot_clock_now() + REMOVAL_PATIENCE;
        loop {
            let Some(now) = self.look(&bucket.name).await?.filter(|now| now.id == bucket.id) else { return Ok(false) };
            let unmarked = Bucket { removal: None, ..now.clone() };
            let is_open = match now.removal {
                None => true,
                Some(_) if boot_clock_now() >= deadline => self.replace(&now, &unmarked).await?,
                Some(_) => false,
            };
            if is_open {
                // No removal that marked the bucket before can end any more; only its own shards are opened.
                let index = self.index(bucket);
                let removals = [Some(removal), now.removal.filter(|other| *other != removal)];
                for removal in removals.into_iter().flatten() {
                    try_join_all(index.shards().map(|shard| index.change_shard(shard, Change::Open(removal)))).await?;
                }
                return Ok(true);
            }
            tokio::time::sleep_until(instant_of(boot_clock_now() + REMOVAL_LOOK_AGAIN).into()).await;
        }
    }

    /// Indexes of removed buckets in which garbage may be left.
    pub async fn removed(&self) -> Result<Vec<Index>> {
        let records = self.all(b"r").await?;
        records
            .iter()
            .map(|(key, value)| Ok(Index::new(self.index_pool.clone(), id_of_key(key)?, decode(value)?)))
            .collect()
    }

    /// The garbage of a removed bucket is gone.
    pub async fn forget_removed(&self, id: Tag, shards: u32) -> Result<()> {
        self.remove_shards(id, shards).await?;
        self.object.omap_remove([id_key(b'r', id)]).await
    }

    /// Removes the shards that a gateway which died was making.
    pub async fn forget_makings_of(&self, writer: u64) -> Result<usize> {
        let mut forgotten = 0;
        for (key, value) in self.all(b"n").await? {
            let id = id_of_key(&key)?;
            if id.writer == writer {
                self.forget_making(id, decode(&value)?).await?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_in_keys() {
        let id = Tag { writer: 0x1234_5678_9abc, sequence: 42 };
        assert_eq!(id_of_key(&id_key(b'n', id)).unwrap(), id);
        assert!(id_of_key(b"n123").is_err());
    }
}

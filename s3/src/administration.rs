//! What operators do with a cluster's S3: users, keys, a look at buckets, garbage.

use client::{Cluster, Error, Result};

use crate::{
    buckets::Bucket,
    garbage::{Collected, Grace},
    gateway::{Gateway, REGION_DEFAULT, Settings},
    sweep::Swept,
    users::{User, UserKey, Users},
};

/// A bucket with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUsage {
    /// The bucket.
    pub bucket: Bucket,
    /// Its objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What may wait and what may not when garbage is collected by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// Replaced and deleted data goes at once; who is reading it is cut off.
    Garbage,
    /// What gateways that died left half written goes too. Takes a minute: a gateway is dead when it has been silent
    /// for so long.
    GarbageAndHalfWritten,
}

/// An operator's view on a cluster's S3.
#[derive(Debug)]
pub struct Administration {
    gateway: std::sync::Arc<Gateway>,
}

impl Administration {
    /// Makes the pools where they are missing.
    pub async fn open(cluster: Cluster) -> Result<Self> {
        // Not a gateway: it has no name that one could take over from.
        let name = format!("administration-{}", cluster.client_id());
        let settings = Settings { name, endpoint: String::new(), region: REGION_DEFAULT.to_owned() };
        Ok(Self { gateway: Gateway::open(cluster, settings).await? })
    }

    /// The same where a gateway has made the pools; `None` where none ever ran. Makes nothing.
    pub async fn open_existing(cluster: Cluster) -> Result<Option<Self>> {
        if !crate::pools::exist(&cluster) {
            return Ok(None);
        }
        Self::open(cluster).await.map(Some)
    }

    /// Where the gateway that started last is found; `None` when none has.
    pub async fn endpoint(&self) -> Result<Option<String>> {
        Ok(self.gateway.endpoints().await?.pop().map(|(_, endpoint)| endpoint))
    }

    /// Users and keys.
    pub fn users(&self) -> &Users {
        &self.gateway.users
    }

    /// The user of that name, made if there is none, with a key.
    pub async fn provide_user(&self, name: &str) -> Result<(User, UserKey)> {
        let user = match self.users().create(name).await {
            Err(error) if error.kind == client::ErrorKind::Exists => self.users().user(name).await?,
            made => made?,
        };
        let key = match self.users().keys(name).await?.into_iter().next() {
            Some(key) => key,
            None => self.users().create_key(name).await?,
        };
        Ok((user, key))
    }

    /// Removes a user that owns no bucket, with its keys.
    pub async fn remove_user(&self, name: &str) -> Result<()> {
        let buckets = self.gateway.buckets.list(Some(name)).await?;
        if let Some(bucket) = buckets.first() {
            let (count, bucket) = (buckets.len(), &bucket.name);
            return Err(Error::invalid(format!(
                "user `{name}` owns {count} buckets, `{bucket}` among them; empty and remove them first"
            )));
        }
        self.users().remove(name).await
    }

    /// Buckets with what is in them, at most so many of them.
    pub async fn buckets(&self, count_max: usize) -> Result<Vec<BucketUsage>> {
        let mut usages = Vec::new();
        for bucket in self.gateway.buckets.list(None).await?.into_iter().take(count_max) {
            let (objects, bytes) = self.gateway.usage(&bucket).await?;
            usages.push(BucketUsage { bucket, objects, bytes });
        }
        Ok(usages)
    }

    /// Collects garbage now.
    pub async fn collect(&self, collection: Collection) -> Result<(Collected, Swept)> {
        let swept = match collection {
            Collection::Garbage => Swept::default(),
            Collection::GarbageAndHalfWritten => self.gateway.sweep_once().await?,
        };
        Ok((self.gateway.collect(Grace::None).await?, swept))
    }
}

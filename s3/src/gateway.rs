//! Everything that requests share, and the work in the background.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use client::{Cluster, Error, OpBuilder, Result};
use s3s::S3Result;
use tokio::task::JoinHandle;

use client::classes::s3_index::{Change, Condition, Content, DELETE_KEYS_MAX, Outcome, Tag, Upload};

use crate::{
    blobs::Blobs,
    buckets::{Bucket, Buckets},
    errors::{no_such_bucket, of_cluster, refuse},
    garbage::{Collected, Collector, Grace},
    index::{Listing, ListingQuery, Seen},
    ledger::Ledger,
    metrics::Metrics,
    pools::Pools,
    sweep::{Sweeper, Swept},
    users::Users,
};

/// How often records of other gateways are looked at. The first look is at the start.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);
/// How often garbage is looked for.
const COLLECT_INTERVAL: Duration = Duration::from_secs(60);
/// How long replaced and deleted data stays for those who are reading it: an hour's download is cut off, a minute's
/// is not.
const GARBAGE_GRACE: Duration = Duration::from_secs(300);
/// Times that a request begins again because its bucket was removed and made anew, or its object was replaced under
/// its reader, before it says so.
pub(crate) const BEGINNINGS_MAX: usize = 8;

/// The region that a gateway shows unless told otherwise.
pub const REGION_DEFAULT: &str = "us-east-1";

/// What a gateway is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name: a gateway that starts takes over from one of the same name that died.
    pub name: String,
    /// Where clients find it, like `http://127.0.0.1:7480`.
    pub endpoint: String,
    /// Shown to clients; requests for any region are served.
    pub region: String,
}

/// One gateway's share of the cluster.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub settings: Settings,
    pub ledger: Arc<Ledger>,
    pub blobs: Arc<Blobs>,
    pub buckets: Buckets,
    pub users: Users,
    pub metrics: Metrics,
    cluster: Cluster,
    pools: Pools,
    collector: Collector,
}

impl Gateway {
    pub async fn open(cluster: Cluster, settings: Settings) -> Result<Arc<Self>> {
        let pools = Pools::open(&cluster).await?;
        let writers = pools.meta.object("writers");
        writers.operate(OpBuilder::new().create()).await.map_err(|failure| failure.error)?;
        let ledger =
            Arc::new(Ledger::new(writers, settings.name.clone(), settings.endpoint.clone(), cluster.client_id().0));
        Ok(Arc::new(Self {
            blobs: Arc::new(Blobs::new(pools.data.clone(), Arc::clone(&ledger))),
            buckets: Buckets::open(pools.meta.object("buckets"), pools.index.clone()).await?,
            users: Users::open(pools.meta.object("users")).await?,
            metrics: Metrics::default(),
            collector: Collector::default(),
            settings,
            ledger,
            cluster,
            pools,
        }))
    }

    /// Gateways that have written themselves down, the newest last.
    pub async fn endpoints(&self) -> Result<Vec<(String, String)>> {
        let records = self.sweeper(String::new()).records().await?;
        let gateways = records.into_iter().filter(|(_, record)| !record.endpoint.is_empty());
        Ok(gateways.map(|(_, record)| (record.name, record.endpoint)).collect())
    }

    fn sweeper(&self, name: String) -> Sweeper {
        Sweeper::new(self.cluster.clone(), self.pools.meta.object("writers"), self.pools.index.clone(), name)
    }

    /// Works in the background until the cluster refuses this gateway.
    pub async fn run(self: &Arc<Self>) -> Error {
        let sweeping: JoinHandle<()> = tokio::spawn(Arc::clone(self).sweep_on());
        let collecting: JoinHandle<()> = tokio::spawn(Arc::clone(self).collect_on());
        let error = self.ledger.run().await;
        sweeping.abort();
        collecting.abort();
        error
    }

    async fn sweep_on(self: Arc<Self>) {
        let mut sweeper = self.sweeper(self.settings.name.clone());
        let mut interval = tokio::time::interval(SWEEP_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match sweeper.round(&self.buckets, &self.blobs).await {
                Ok(swept) => self.metrics.swept.add(swept.removed),
                Err(error) => tracing::warn!(%error, "the sweep behind dead gateways did not end"),
            }
        }
    }

    async fn collect_on(self: Arc<Self>) {
        let mut interval = tokio::time::interval(COLLECT_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match self.collect(Grace::After(GARBAGE_GRACE)).await {
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "garbage was not all collected"),
            }
        }
    }

    /// Removes garbage.
    pub async fn collect(&self, grace: Grace) -> Result<Collected> {
        let collected = self.collector.round(&self.buckets, &self.blobs, grace).await?;
        self.metrics.garbage_removed.add(collected.removed);
        #[expect(clippy::cast_precision_loss, reason = "a gauge's value; exact up to 2^53")]
        self.metrics.garbage_waiting.set(collected.waiting as f64);
        Ok(collected)
    }

    /// Sweeps behind gateways that died, once; waits until it can tell which those are.
    pub async fn sweep_once(&self) -> Result<Swept> {
        let mut sweeper = self.sweeper(self.settings.name.clone());
        let mut swept = sweeper.round(&self.buckets, &self.blobs).await?;
        let deadline = telemetry::clock::boot_clock_now() + crate::sweep::DEAD_AFTER;
        tokio::time::sleep_until(telemetry::clock::instant_of(deadline).into()).await;
        let second = sweeper.round(&self.buckets, &self.blobs).await?;
        swept.gateways += second.gateways;
        swept.removed += second.removed;
        swept.kept += second.kept;
        Ok(swept)
    }

    /// Objects and bytes of a bucket, as its index counts them.
    pub async fn usage(&self, bucket: &Bucket) -> Result<(u64, u64)> {
        let index = self.buckets.index(bucket);
        let mut usage = (0, 0);
        for shard in index.shards() {
            if let Some(record) = index.shard_record(shard).await? {
                usage = (usage.0 + record.objects, usage.1 + record.bytes);
            }
        }
        Ok(usage)
    }

    /// A bucket that this user may use.
    pub async fn bucket(&self, name: &str, user: &str) -> S3Result<Bucket> {
        let bucket = self.buckets.find(name).await.map_err(of_cluster)?;
        let bucket = bucket.ok_or_else(no_such_bucket)?;
        if bucket.owner != user {
            return Err(refuse(s3s::S3ErrorCode::AccessDenied, "Access Denied"));
        }
        Ok(bucket)
    }

    /// Called when a bucket's index is closed or gone. What holds is what the list of buckets says now: this bucket is
    /// there and empty, or another one has its name and the request begins again, or there is none.
    async fn is_still(&self, bucket: &Bucket) -> S3Result<bool> {
        let now = self.buckets.look(&bucket.name).await.map_err(of_cluster)?;
        Ok(now.ok_or_else(no_such_bucket)?.id == bucket.id)
    }

    /// What a key names.
    pub async fn entry(&self, name: &str, user: &str, key: &[u8]) -> S3Result<(Bucket, Option<Content>)> {
        for _ in 0..BEGINNINGS_MAX {
            let bucket = self.bucket(name, user).await?;
            match self.buckets.index(&bucket).entry(key).await.map_err(of_cluster)? {
                Seen::Open(entry) => return Ok((bucket, entry)),
                Seen::Closed(_) | Seen::Gone if self.is_still(&bucket).await? => return Ok((bucket, None)),
                Seen::Closed(_) | Seen::Gone => {}
            }
        }
        Err(busy())
    }

    /// An upload that is in progress.
    pub async fn upload(&self, name: &str, user: &str, key: &[u8], id: Tag) -> S3Result<(Bucket, Option<Upload>)> {
        for _ in 0..BEGINNINGS_MAX {
            let bucket = self.bucket(name, user).await?;
            match self.buckets.index(&bucket).upload(key, id).await.map_err(of_cluster)? {
                Seen::Open(upload) => return Ok((bucket, upload)),
                Seen::Closed(_) | Seen::Gone if self.is_still(&bucket).await? => return Ok((bucket, None)),
                Seen::Closed(_) | Seen::Gone => {}
            }
        }
        Err(busy())
    }

    /// A page of a bucket's listing.
    pub async fn list(&self, name: &str, user: &str, query: &ListingQuery) -> S3Result<Listing> {
        for _ in 0..BEGINNINGS_MAX {
            let bucket = self.bucket(name, user).await?;
            match self.buckets.index(&bucket).list(query).await.map_err(of_cluster)? {
                Seen::Open(listing) => return Ok(listing),
                Seen::Closed(_) | Seen::Gone if self.is_still(&bucket).await? => return Ok(Listing::default()),
                Seen::Closed(_) | Seen::Gone => {}
            }
        }
        Err(busy())
    }

    /// Changes a bucket's index. A bucket that is being removed is waited for.
    pub async fn change(&self, bucket: &Bucket, key: &[u8], change: &Change) -> S3Result<Outcome> {
        let index = self.buckets.index(bucket);
        for _ in 0..BEGINNINGS_MAX {
            match index.change(key, change.clone()).await.map_err(of_cluster)? {
                Seen::Open(outcome) => return Ok(outcome),
                Seen::Closed(removal) => {
                    if !self.buckets.settle(bucket, removal).await.map_err(of_cluster)? {
                        return Err(self.gone(&bucket.name).await);
                    }
                }
                Seen::Gone => return Err(self.gone(&bucket.name).await),
            }
        }
        Err(busy())
    }

    /// A bucket's index is gone: the bucket is, or another has its name.
    pub async fn gone(&self, name: &str) -> s3s::S3Error {
        match self.buckets.look(name).await {
            Ok(None) => no_such_bucket(),
            Ok(Some(_)) => busy(),
            Err(error) => of_cluster(error),
        }
    }

    /// Removes objects of one bucket; one outcome for each.
    pub async fn delete(&self, bucket: &Bucket, keys: Vec<(Vec<u8>, Condition)>) -> S3Result<Vec<Outcome>> {
        let index = self.buckets.index(bucket);
        let mut outcomes = vec![Outcome::Done; keys.len()];
        let mut by_shard: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, (key, _)) in keys.iter().enumerate() {
            by_shard.entry(index.shard_of(key)).or_default().push(at);
        }
        for (shard, places) in by_shard {
            for places in places.chunks(DELETE_KEYS_MAX) {
                let change = Change::Delete { keys: places.iter().map(|at| keys[*at].clone()).collect() };
                match index.change_shard(shard, change).await.map_err(of_cluster)? {
                    Seen::Open(found) => {
                        for (at, outcome) in places.iter().zip(found) {
                            outcomes[*at] = outcome;
                        }
                    }
                    // An empty shard: there is nothing to remove.
                    Seen::Closed(_) => {}
                    Seen::Gone => return Err(self.gone(&bucket.name).await),
                }
            }
        }
        Ok(outcomes)
    }
}

/// The bucket or the object changes faster than the request looks.
pub(crate) fn busy() -> s3s::S3Error {
    refuse(s3s::S3ErrorCode::SlowDown, "The bucket or the object is being changed. Please try again.")
}

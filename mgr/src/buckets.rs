//! S3 buckets as the dashboard shows them. Who knows them is given to the manager: it does not know the gateway.

use async_trait::async_trait;
use client::{Cluster, Result};
use serde::Serialize;

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BucketRow {
    /// How users name it.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// Objects in it.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Who knows the buckets.
#[async_trait]
pub trait BucketSource: Send + Sync + std::fmt::Debug {
    /// At most so many buckets, by name; none where no gateway ever ran. Must not change the cluster.
    async fn buckets(&self, cluster: &Cluster, count_max: usize) -> Result<Vec<BucketRow>>;
}

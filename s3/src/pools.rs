//! The three pools that the gateway keeps everything in.

use client::{Cluster, CommandArguments, Pool, Result};

/// Users, buckets, gateways that write.
const META: &str = ".s3.meta";
/// Shards of bucket indexes.
const INDEX: &str = ".s3.index";
/// Bytes of objects.
const DATA: &str = ".s3.data";

/// Placement groups of the meta pool: it holds three small objects.
const META_PG_NUM: u32 = 4;
/// Placement groups of the index pool: a few for each OSD of a small cluster, so that the shards of one bucket are
/// spread.
const INDEX_PG_NUM: u32 = 16;
/// Placement groups of the data pool, as many as a pool has that nobody thought about.
const DATA_PG_NUM: u32 = 32;

/// The pools.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub meta: Pool,
    pub index: Pool,
    pub data: Pool,
}

impl Pools {
    /// Opens them and makes those that are missing.
    pub async fn open(cluster: &Cluster) -> Result<Self> {
        Ok(Self {
            meta: provide(cluster, META, META_PG_NUM).await?,
            index: provide(cluster, INDEX, INDEX_PG_NUM).await?,
            data: provide(cluster, DATA, DATA_PG_NUM).await?,
        })
    }
}

/// Whether all three are there.
pub(crate) fn exist(cluster: &Cluster) -> bool {
    let map = cluster.map();
    [META, INDEX, DATA].iter().all(|name| map.pools.values().any(|pool| pool.name == *name))
}

async fn provide(cluster: &Cluster, name: &str, pg_num: u32) -> Result<Pool> {
    if !cluster.map().pools.values().any(|pool| pool.name == name) {
        let arguments = [("pool".to_owned(), name.to_owned()), ("pg_num".to_owned(), pg_num.to_string())];
        cluster.command("osd pool create", CommandArguments::from(arguments), Vec::new()).await?;
        // The monitor that is asked next may not have heard of it yet.
        cluster.wait_for(|map| map.pools.values().any(|pool| pool.name == name)).await?;
    }
    cluster.pool(name).await
}

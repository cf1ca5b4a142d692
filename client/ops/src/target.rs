//! From a pool and an object to the OSD that serves it, by one map.

use std::{collections::BTreeMap, sync::Arc};

use map::{ClusterFlags, PublishedMap};
use types::{BootNonce, Epoch, Error, OsdId, PgId, PoolId, Result};
use wire::OpTarget;

use crate::Target;

/// What must stay the same for an operation under way to be still answered: a placement group's interval, as far
/// as a client sees it. When it changes, the old primary has dropped the operation or will never answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    pub pg: PgId,
    /// Who serves it, and in which life of its process.
    pub primary: Option<(OsdId, BootNonce)>,
    /// Members with the epoch in which each came up: a member that came back is another member.
    acting: Vec<Option<(OsdId, Epoch)>>,
    up: Vec<Option<OsdId>>,
    up_primary: Option<OsdId>,
    size: u32,
    min_size: u32,
    pg_num: u32,
}

/// Placements by the newest map, computed once for each placement group in use.
#[derive(Debug, Default)]
pub(crate) struct Placements {
    map: Option<Arc<PublishedMap>>,
    /// Bounded by the PGs of the map; thrown away with it.
    intervals: BTreeMap<PgId, Arc<Interval>>,
}

impl Placements {
    pub fn map(&self) -> Option<&Arc<PublishedMap>> {
        self.map.as_ref()
    }

    pub fn epoch(&self) -> Epoch {
        self.map.as_ref().map_or(Epoch::ZERO, |map| map.epoch())
    }

    pub fn replace(&mut self, map: Arc<PublishedMap>) {
        self.map = Some(map);
        self.intervals.clear();
    }

    /// Whether client reads and writes wait.
    pub fn paused(&self) -> bool {
        self.map.as_ref().is_none_or(|map| map.map().flags.contains(ClusterFlags::PAUSE))
    }

    pub fn has_pool(&self, pool: PoolId) -> bool {
        self.map.as_ref().is_some_and(|map| map.map().pools.contains_key(&pool))
    }

    /// The process that an up OSD runs in.
    pub fn nonce(&self, osd: OsdId) -> Option<BootNonce> {
        self.map.as_ref()?.map().osds.get(&osd).filter(|state| state.up).map(|state| state.nonce)
    }

    /// The interval and the wire's form of the target. The caller has made sure that there is a map with the pool.
    pub fn locate(&mut self, pool: PoolId, target: &Target) -> Result<(Arc<Interval>, OpTarget)> {
        let map = self.map.clone().expect("operations are located only when there is a map");
        let (pg, target) = match target {
            Target::Object(name) => {
                let (pg, hash) = map.object_pg(pool, name)?;
                (pg, OpTarget::Object { name: name.clone(), hash })
            }
            Target::Pg(pg) => {
                let pg_num = map.map().pools.get(&pool).map_or(0, |pool| pool.pg_num);
                if pg.pool != pool || pg.seed >= pg_num {
                    return Err(Error::not_found(format!("placement group {pg} does not exist")));
                }
                (*pg, OpTarget::Pg)
            }
        };
        let interval = self.intervals.entry(pg).or_insert_with(|| Arc::new(interval_of(&map, pg)));
        Ok((Arc::clone(interval), target))
    }
}

fn interval_of(map: &PublishedMap, pg: PgId) -> Interval {
    let placement = map.place(pg);
    let map = map.map();
    let pool = map.pools.get(&pg.pool).expect("only placement groups of pools in the map are placed");
    let member = |osd: OsdId| (osd, map.osds.get(&osd).map_or(Epoch::ZERO, |state| state.up_from));
    let primary = placement
        .acting_primary
        .and_then(|osd| map.osds.get(&osd).filter(|state| state.up).map(|state| (osd, state.nonce)));
    Interval {
        pg,
        primary,
        acting: placement.acting.iter().map(|slot| slot.map(member)).collect(),
        up: placement.up,
        up_primary: placement.up_primary,
        size: pool.size,
        min_size: pool.min_size,
        pg_num: pool.pg_num,
    }
}

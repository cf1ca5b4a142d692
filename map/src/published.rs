//! A map as everyone computes with it: immutable, checked, ready to place.
//!
//! Owns: one epoch's [`ClusterMap`], its checksum, and the forms of it that placement reads. Does not know: the epochs before,
//! who else has it. Shared by [`Arc`]; an increment makes a new one and shares the parts that did not change.
//!
//! Invariants
//! 1. The map passed [`check`](crate::check) and every rule of its pools can be run.
//! 2. `place` is a pure function of the map.

use std::{ops::Deref, sync::Arc};

use crush::{CompiledMap, CrushMap, ITEM_NONE, Workspace};
use types::{Epoch, Error, ObjectName, OsdId, PgId, PoolId, Result, limits::CONTROL_MESSAGE_BYTES_MAX};

use crate::{
    ClusterMap, Increment, Placement, Pool,
    apply::compare_checksums,
    check::check,
    conversion::from_crush,
    encoding::{checksum_of, encode_map},
};

/// Ceph's number of the set of choose arguments that holds for pools without one of their own.
const DEFAULT_CHOOSE_ARGS: i64 = -1;

/// A map that is published: an epoch that everybody may compute places from.
#[derive(Debug)]
pub struct PublishedMap {
    map: ClusterMap,
    checksum: u32,
    hierarchy: Arc<CompiledMap>,
    /// In/out weights by OSD number; those that do not exist are out.
    weights: Vec<u32>,
}

impl PublishedMap {
    /// Checks a map and makes it ready.
    ///
    /// # Errors
    /// What [`check`](crate::check) says of it, or that its placement hierarchy cannot be used.
    pub fn new(map: ClusterMap) -> Result<Arc<Self>> {
        let hierarchy = compile(&map.crush)?;
        let checksum = checksum_within_limit(&map)?;
        Self::publish(map, checksum, hierarchy)
    }

    /// The map of the next epoch.
    ///
    /// # Errors
    /// What [`ClusterMap::apply`] and [`PublishedMap::new`] say.
    pub fn apply(&self, increment: &Increment) -> Result<Arc<Self>> {
        let map = self.map.changed_by(increment)?;
        let checksum = checksum_within_limit(&map)?;
        compare_checksums(increment, checksum)?;
        let hierarchy =
            if Arc::ptr_eq(&map.crush, &self.map.crush) { Arc::clone(&self.hierarchy) } else { compile(&map.crush)? };
        Self::publish(map, checksum, hierarchy)
    }

    fn publish(map: ClusterMap, checksum: u32, hierarchy: Arc<CompiledMap>) -> Result<Arc<Self>> {
        check(&map)?;
        let mut weights = vec![0; map.osds.last_key_value().map_or(0, |(last, _)| last.0 as usize + 1)];
        for (osd, state) in &map.osds {
            weights[osd.0 as usize] = state.weight.0;
        }
        Ok(Arc::new(Self { map, checksum, hierarchy, weights }))
    }

    /// The map.
    pub fn map(&self) -> &ClusterMap {
        &self.map
    }

    /// Its number.
    pub fn epoch(&self) -> Epoch {
        self.map.epoch
    }

    /// The CRC-32 of its canonical bytes.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The placement group of an object, and the object's whole placement hash.
    ///
    /// # Errors
    /// `NotFound` when there is no such pool.
    pub fn object_pg(&self, pool: PoolId, name: &ObjectName) -> Result<(PgId, u32)> {
        let pool = self.pools.get(&pool).ok_or_else(|| Error::not_found(format!("pool {pool} does not exist")))?;
        let hash = pool.object_hash_of(name);
        Ok((pool.pg_of_hash(hash), hash))
    }

    /// Where a placement group lives. One that does not exist lives nowhere: all sets are empty.
    pub fn place(&self, pg: PgId) -> Placement {
        self.placer().place(pg)
    }

    /// Places many groups with one workspace.
    pub fn placer(&self) -> Placer<'_> {
        Placer { map: self, workspace: Workspace::new(), devices: Vec::new() }
    }

    /// The placement hierarchy in the form that places.
    pub fn hierarchy(&self) -> &CompiledMap {
        &self.hierarchy
    }

    /// The set of choose arguments that holds for a pool, as Ceph chooses it: the pool's own, or else the default one.
    fn choose_args(&self, pool: PoolId) -> Option<i64> {
        let own = i64::try_from(pool.0).ok().filter(|id| self.hierarchy.has_choose_args(*id));
        own.or_else(|| self.hierarchy.has_choose_args(DEFAULT_CHOOSE_ARGS).then_some(DEFAULT_CHOOSE_ARGS))
    }
}

/// The map's checksum, if its bytes are few enough for everybody to read them.
fn checksum_within_limit(map: &ClusterMap) -> Result<u32> {
    let bytes = encode_map(map);
    if bytes.len() > CONTROL_MESSAGE_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the map of epoch {} has {} bytes; the limit is {CONTROL_MESSAGE_BYTES_MAX}",
            map.epoch,
            bytes.len()
        )));
    }
    Ok(checksum_of(&bytes))
}

/// The form that places, of a hierarchy that others will decode to the same one: otherwise everybody would refuse the map.
fn compile(hierarchy: &CrushMap) -> Result<Arc<CompiledMap>> {
    let bytes = hierarchy.encode();
    let decoded = CrushMap::decode(&bytes).map_err(from_crush)?;
    if decoded.encode() != bytes {
        return Err(Error::invalid("the placement hierarchy is not in the form that its own bytes decode to"));
    }
    CompiledMap::new(hierarchy).map(Arc::new).map_err(from_crush)
}

impl Deref for PublishedMap {
    type Target = ClusterMap;

    fn deref(&self) -> &ClusterMap {
        &self.map
    }
}

/// Places groups of one map, one after the other, with memory that is used again.
#[derive(Debug)]
pub struct Placer<'a> {
    map: &'a PublishedMap,
    workspace: Workspace,
    devices: Vec<i32>,
}

impl Placer<'_> {
    /// Where a placement group lives. One that does not exist lives nowhere: all sets are empty.
    pub fn place(&mut self, pg: PgId) -> Placement {
        let map = self.map;
        let Some(pool) = map.pools.get(&pg.pool).filter(|pool| pg.seed < pool.pg_num) else {
            return Placement::default();
        };
        let raw = self.raw(pool, pg);
        map.finish_placement(pool, pg, raw)
    }

    /// What CRUSH says of a group of this pool, without OSDs that do not exist.
    pub(crate) fn raw(&mut self, pool: &Pool, pg: PgId) -> Vec<Option<OsdId>> {
        let map = self.map;
        map.hierarchy.map_rule(
            pool.crush_rule,
            pool.placement_seed(pg),
            pool.size as usize,
            &map.weights,
            map.choose_args(pool.id),
            &mut self.workspace,
            &mut self.devices,
        );
        // An OSD that does not exist has weight zero and is never chosen, so there is nothing more to sort out than holes.
        let place = |device: &i32| {
            let number = u32::try_from(*device).ok().filter(|_| *device != ITEM_NONE);
            number.map(OsdId).filter(|osd| map.osds.contains_key(osd))
        };
        let places = self.devices.iter().map(place);
        if pool.kind.shifts() { places.filter(Option::is_some).collect() } else { places.collect() }
    }
}

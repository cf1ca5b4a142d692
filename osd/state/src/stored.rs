//! Which keys the OSD's own values have in its store, and what a restarted OSD finds there.
//!
//! ```text
//! map/full/<epoch, 10 digits>        a full map, every 32 epochs and after a jump
//! map/increment/<epoch, 10 digits>   the step to that epoch
//! pg/<pg id>                         a placement group that may have a copy here; value empty
//! ```
//! Zero-padded epochs make key order epoch order.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use map::PublishedMap;
use osd_pg::StoredPg;
use types::{Epoch, Error, PgId, Result};

use crate::map_gate::MapGate;

/// The prefix of the keys that name placement groups.
pub const PG_KEY_PREFIX: &[u8] = b"pg/";

const FULL_PREFIX: &str = "map/full/";
const INCREMENT_PREFIX: &str = "map/increment/";

/// The prefix of all map keys, for the listing that `StoredOsd::new` takes.
pub fn map_key_range() -> &'static [u8] {
    b"map/"
}

/// The key that remembers a placement group.
pub fn pg_key(pg: PgId) -> Vec<u8> {
    format!("pg/{pg}").into_bytes()
}

pub(crate) fn full_key(epoch: Epoch) -> Vec<u8> {
    format!("{FULL_PREFIX}{:010}", epoch.0).into_bytes()
}

pub(crate) fn increment_key(epoch: Epoch) -> Vec<u8> {
    format!("{INCREMENT_PREFIX}{:010}", epoch.0).into_bytes()
}

/// What the store holds of the OSD when it starts.
#[derive(Debug, Clone, Default)]
pub struct StoredOsd {
    pub(crate) full_maps: BTreeMap<Epoch, Bytes>,
    pub(crate) increments: BTreeMap<Epoch, Bytes>,
    pub(crate) pgs: Vec<(PgId, StoredPg)>,
}

impl StoredOsd {
    /// From the listing of the keys under [`map_key_range`] and the placement groups read one by one.
    pub fn new(map_entries: Vec<(Vec<u8>, Bytes)>, pgs: Vec<(PgId, StoredPg)>) -> Result<Self> {
        let mut stored = Self { pgs, ..Self::default() };
        for (key, value) in map_entries {
            let text = String::from_utf8_lossy(&key).into_owned();
            let unknown = || Error::damaged(format!("the store has an unknown map key `{text}`"));
            let epoch = |digits: &str| digits.parse().map(Epoch).map_err(|_| unknown());
            if let Some(digits) = text.strip_prefix(FULL_PREFIX) {
                stored.full_maps.insert(epoch(digits)?, value);
            } else if let Some(digits) = text.strip_prefix(INCREMENT_PREFIX) {
                stored.increments.insert(epoch(digits)?, value);
            } else {
                return Err(unknown());
            }
        }
        Ok(stored)
    }

    /// The epoch of the oldest map that is stored, and the newest map; `None` before the first.
    pub fn maps(&self) -> Result<Option<(Epoch, Arc<PublishedMap>)>> {
        let (_, maps) = MapGate::open(self)?;
        Ok(maps.first().zip(maps.last()).map(|(oldest, newest)| (oldest.epoch(), newest.clone())))
    }

    /// The placement group that a key names.
    pub fn pg_of_key(key: &[u8]) -> Result<PgId> {
        std::str::from_utf8(key)
            .ok()
            .and_then(|text| text.strip_prefix("pg/"))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Error::damaged(format!("the store has an unknown key `{}`", key.escape_ascii())))
    }
}

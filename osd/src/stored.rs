//! Reading what the store holds of an OSD: its maps, and its placement groups one by one.

use osd_pg::StoredPg;
use osd_state::{PG_KEY_PREFIX, StoredOsd, map_key_range};
use store::ObjectStore;
use types::{Error, ObjectId, PgId, Result, StoreRead, StoreReadResult, limits};

/// Everything that the machine must know of the store before it starts.
pub(crate) fn read_stored(store: &dyn ObjectStore) -> Result<StoredOsd> {
    let maps = store.list_config(map_key_range())?;
    let mut pgs = Vec::new();
    for pg in list_pgs(store)? {
        pgs.push((pg, read_pg(store, pg)?));
    }
    StoredOsd::new(maps, pgs)
}

/// The placement groups that may have a copy here.
pub(crate) fn list_pgs(store: &dyn ObjectStore) -> Result<Vec<PgId>> {
    store.list_config(PG_KEY_PREFIX)?.iter().map(|(key, _)| StoredOsd::pg_of_key(key)).collect()
}

/// What a placement group keeps of itself.
pub(crate) fn read_pg(store: &dyn ObjectStore, pg: PgId) -> Result<StoredPg> {
    let mut entries = Vec::new();
    loop {
        let read = StoreRead::Omap {
            object: ObjectId::pg_meta(pg),
            after: entries.last().map(|(key, _): &(Vec<u8>, _)| key.clone()).unwrap_or_default(),
            prefix: Vec::new(),
            keys_max: limits::PAGE_KEYS_MAX,
        };
        let StoreReadResult::Omap(page) =
            store.read(&read).map_err(|error| error.context(format!("read placement group {pg}")))?
        else {
            return Err(Error::internal("the store answered another question than asked"));
        };
        entries.extend(page.entries);
        if !page.more {
            return StoredPg::decode(entries).map_err(|error| error.context(format!("decode placement group {pg}")));
        }
    }
}

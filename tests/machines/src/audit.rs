//! The auditor: walks the stores after everything has settled, and believes no machine.

use std::collections::BTreeMap;

use bytes::Bytes;
use map::PublishedMap;
use store::{MemoryStore, ObjectStore};
use types::{
    Cursor, Extent, GENERATION_NONE, ObjectId, OsdId, PgId, PgRange, PoolId, StoreRead, StoreReadResult, XattrMap,
};

use crate::{clients::Clients, osds::Osds};

#[derive(Debug, PartialEq, Eq)]
struct Copy {
    data: Bytes,
    xattrs: XattrMap,
    omap: Vec<(Vec<u8>, Bytes)>,
}

/// All members of every placement group hold the same objects with the same content, and nothing else.
pub(crate) fn compare_replicas(map: &PublishedMap, pool: PoolId, osds: &Osds) -> Result<(), String> {
    let pg_num = map.pools[&pool].pg_num;
    let contents: BTreeMap<OsdId, MemoryStore> = osds.ids().into_iter().map(|osd| (osd, osds.content(osd))).collect();
    for pg in (0..pg_num).map(|seed| PgId { pool, seed }) {
        let range = PgRange::of(pg, pg_num);
        let members: Vec<OsdId> = map.place(pg).acting.into_iter().flatten().collect();
        let copies: Vec<_> = members.iter().map(|osd| objects_in(&contents[osd], range)).collect();
        for (osd, copy) in members.iter().zip(&copies).skip(1) {
            if copy != &copies[0] {
                return Err(format!(
                    "{pg} differs between osd.{} and osd.{osd}: {}",
                    members[0],
                    first_difference(&copies[0], copy)
                ));
            }
        }
    }
    Ok(())
}

/// Every appended-to object holds exactly what was appended, in order.
pub(crate) fn compare_with_histories(
    map: &PublishedMap,
    pool: PoolId,
    osds: &Osds,
    clients: &Clients,
) -> Result<(), String> {
    for (name, expected) in clients.expected_logs() {
        if expected.is_empty() {
            continue;
        }
        let (pg, hash) = map.object_pg(pool, &name).map_err(|error| error.to_string())?;
        let primary = map.place(pg).acting_primary.ok_or_else(|| format!("{pg} has no primary"))?;
        let object = ObjectId::head(pool, hash, name.clone());
        let bytes = read_data(&osds.content(primary), &object);
        let found: Vec<u64> =
            bytes.chunks(8).map(|chunk| chunk.try_into().map_or(u64::MAX, u64::from_le_bytes)).collect();
        if found != expected {
            return Err(format!("{name} holds {found:?}; acknowledged, in this order: {expected:?}"));
        }
    }
    Ok(())
}

fn objects_in(store: &MemoryStore, range: PgRange) -> BTreeMap<ObjectId, Copy> {
    let read = StoreRead::List { begin: range.begin(), end: range.end(), objects_max: usize::MAX };
    let Ok(StoreReadResult::List { objects, next }) = store.read(&read) else { panic!("a listing lists") };
    assert!(next >= range.end() || next == Cursor::End, "the listing is whole");
    let content = objects.into_iter().filter(|object| !object.is_pg_meta() && object.generation == GENERATION_NONE);
    content.map(|object| (object.clone(), copy_of(store, &object))).collect()
}

fn copy_of(store: &MemoryStore, object: &ObjectId) -> Copy {
    let meta = StoreRead::Meta { object: object.clone() };
    let Ok(StoreReadResult::Meta(Some(meta))) = store.read(&meta) else { panic!("a listed object exists") };
    let omap = StoreRead::Omap { object: object.clone(), after: vec![], prefix: vec![], keys_max: usize::MAX };
    let Ok(StoreReadResult::Omap(omap)) = store.read(&omap) else { panic!("an omap is read as an omap") };
    Copy { data: read_data(store, object), xattrs: meta.xattrs, omap: omap.entries }
}

fn read_data(store: &MemoryStore, object: &ObjectId) -> Bytes {
    let read = StoreRead::Data { object: object.clone(), extent: Extent { offset: 0, length: u64::MAX } };
    match store.read(&read) {
        Ok(StoreReadResult::Data(bytes)) => bytes,
        other => panic!("data is read as data, not as {other:?}"),
    }
}

fn first_difference(one: &BTreeMap<ObjectId, Copy>, other: &BTreeMap<ObjectId, Copy>) -> String {
    let objects = one.keys().chain(other.keys());
    let different = objects.filter(|object| one.get(object) != other.get(object)).min();
    different.map_or_else(String::new, |object| format!("{object}: {:?} and {:?}", one.get(object), other.get(object)))
}

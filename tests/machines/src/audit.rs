//! The auditor: walks the stores after everything has settled, and believes no machine.

use std::collections::BTreeMap;

use bytes::Bytes;
use map::PublishedMap;
use store::{MemoryStore, ObjectStore};
use types::{Cursor, Extent, GENERATION_NONE, ObjectId, OsdId, PgRange, StoreRead, StoreReadResult, XattrMap};

use crate::osds::Osds;

#[derive(Debug, PartialEq, Eq)]
struct Copy {
    data: Bytes,
    xattrs: XattrMap,
    omap: Vec<(Vec<u8>, Bytes)>,
}

/// All members of every placement group hold the same objects with the same content, and nothing else.
pub(crate) fn compare_replicas(map: &PublishedMap, osds: &Osds) -> Result<(), String> {
    let contents: BTreeMap<OsdId, MemoryStore> = osds.ids().into_iter().map(|osd| (osd, osds.content(osd))).collect();
    for pg in map.pgs() {
        let range = PgRange::of(pg, map.pools[&pg.pool].pg_num);
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

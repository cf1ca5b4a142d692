//! Going through a range of objects: to describe them, or to write them into an archive.

use std::io::Write;

use types::{Cursor, Error, Extent, ObjectId, PgRange, Result, StoreRead, StoreReadResult, limits};

use super::{
    ArchiveHeader, ObjectDescription,
    format::{ArchiveWriter, DATA_BYTES_MAX, Record},
};
use crate::{disk::Identity, object_store::ObjectStore};

/// Bytes of omap entries in one record.
const OMAP_BYTES_MAX: usize = 256 << 10;
/// Everything of an object: longer than any.
const WHOLE: Extent = Extent { offset: 0, length: limits::OBJECT_BYTES_MAX };

/// What goes into an archive besides the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveContents {
    /// Which objects.
    pub range: PgRange,
    /// Keys of the OSD's own values that belong to them; all must be there.
    pub config_keys: Vec<Vec<u8>>,
    /// The caller's own words, for whoever puts the archive into a store.
    pub subject: Vec<u8>,
}

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArchiveSummary {
    /// Objects.
    pub objects: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// SHA-256 of the records: equal for equal content.
    pub digest: [u8; 32],
}

/// Takes a range of objects out of a store. `hear` is told the counts so far. Fails at the first object that cannot be
/// read: what is damaged must come from another copy, not from an archive that leaves it out.
pub fn export(
    store: &dyn ObjectStore,
    identity: Identity,
    contents: &ArchiveContents,
    out: &mut dyn Write,
    hear: &mut dyn FnMut(&ArchiveSummary),
) -> Result<ArchiveSummary> {
    let header = ArchiveHeader { identity, range: contents.range, subject: contents.subject.clone() };
    let mut writer = ArchiveWriter::begin(out, &header)?;
    let mut summary = ArchiveSummary::default();
    for key in &contents.config_keys {
        let value = store.read_config(key)?;
        let value =
            value.ok_or_else(|| Error::not_found(format!("the store has no value `{}`", key.escape_ascii())))?;
        writer.record(&Record::Config { key: key.clone(), value })?;
    }
    for_each_object(store, contents.range, &mut |object| {
        let meta = meta_of(store, object)?;
        writer.record(&Record::Object { object: object.clone(), meta })?;
        summary.objects += 1;
        for extent in extents_of(store, object)? {
            let mut at = extent.offset;
            while at < extent.end() {
                let length = DATA_BYTES_MAX.min(extent.end() - at);
                let read = StoreRead::Data { object: object.clone(), extent: Extent { offset: at, length } };
                let StoreReadResult::Data(data) = store.read(&read)? else { return Err(another_answer()) };
                writer.record(&Record::Data { offset: at, data })?;
                at += length;
                summary.bytes += length;
                hear(&summary);
            }
        }
        let mut page = Vec::new();
        let mut page_bytes = 0;
        for_each_omap_entry(store, object, &mut |key, value| {
            page_bytes += key.len() + value.len();
            page.push((key, value));
            if page_bytes >= OMAP_BYTES_MAX {
                page_bytes = 0;
                writer.record(&Record::Omap(std::mem::take(&mut page)))?;
            }
            Ok(())
        })?;
        if !page.is_empty() {
            writer.record(&Record::Omap(page))?;
        }
        hear(&summary);
        Ok(())
    })?;
    summary.digest = writer.end(summary.objects, summary.bytes)?;
    Ok(summary)
}

/// Describes a range of objects, one by one, in object order.
pub fn describe(
    store: &dyn ObjectStore,
    range: PgRange,
    visit: &mut dyn FnMut(ObjectDescription) -> Result<()>,
) -> Result<()> {
    for_each_object(store, range, &mut |object| {
        let meta = meta_of(store, object)?;
        let extents = extents_of(store, object)?;
        let mut omap_entries = 0;
        for_each_omap_entry(store, object, &mut |_, _| {
            omap_entries += 1;
            Ok(())
        })?;
        visit(ObjectDescription { object: object.clone(), meta, extents, omap_entries })
    })
}

pub(super) fn for_each_object(
    store: &dyn ObjectStore,
    range: PgRange,
    visit: &mut dyn FnMut(&ObjectId) -> Result<()>,
) -> Result<()> {
    let (mut begin, end) = (range.begin(), range.end());
    while begin < end {
        let page = StoreRead::List { begin, end: end.clone(), objects_max: limits::PAGE_KEYS_MAX };
        let StoreReadResult::List { objects, next } = store.read(&page)? else { return Err(another_answer()) };
        objects.iter().try_for_each(&mut *visit)?;
        begin = if objects.is_empty() { Cursor::End } else { next };
    }
    Ok(())
}

fn for_each_omap_entry(
    store: &dyn ObjectStore,
    object: &ObjectId,
    visit: &mut dyn FnMut(Vec<u8>, bytes::Bytes) -> Result<()>,
) -> Result<()> {
    let mut after = Vec::new();
    loop {
        // Values have up to 1 MiB, so pages have few keys.
        let read = StoreRead::Omap { object: object.clone(), after, prefix: Vec::new(), keys_max: 64 };
        let StoreReadResult::Omap(page) = store.read(&read)? else { return Err(another_answer()) };
        after = page.entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
        page.entries.into_iter().try_for_each(|(key, value)| visit(key, value))?;
        if !page.more {
            return Ok(());
        }
    }
}

fn meta_of(store: &dyn ObjectStore, object: &ObjectId) -> Result<types::ObjectMeta> {
    match store.read(&StoreRead::Meta { object: object.clone() })? {
        StoreReadResult::Meta(Some(meta)) => Ok(meta),
        StoreReadResult::Meta(None) => Err(Error::internal(format!("object {object} is listed and does not exist"))),
        _ => Err(another_answer()),
    }
}

fn extents_of(store: &dyn ObjectStore, object: &ObjectId) -> Result<Vec<Extent>> {
    match store.read(&StoreRead::Extents { object: object.clone(), extent: WHOLE })? {
        StoreReadResult::Extents(extents) => Ok(extents),
        _ => Err(another_answer()),
    }
}

fn another_answer() -> Error {
    Error::internal("the store answered another question than asked")
}

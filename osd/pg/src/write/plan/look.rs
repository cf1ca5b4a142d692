//! Steps that only look: reads, and guards that fail the operation when they do not hold.

use bytes::Bytes;
use types::{Error, Extent, OmapPage, StoreReadResult, limits};
use wire::{Comparison, SubOp, SubOpResult};

use super::{Planner, checksum::checksums};

/// Bytes of keys and values in one page of omap that is answered: as many as one update may bring. An entry is
/// smaller, so a page has one at least.
const PAGE_BYTES_MAX: usize = limits::OMAP_BATCH_BYTES_MAX;

impl Planner<'_> {
    pub(super) fn look(&self, index: usize, step: &SubOp) -> Result<SubOpResult, Error> {
        let existing = self.existing();
        match step {
            SubOp::Read(_) => {
                existing?;
                self.bytes_as_before()?;
                Ok(SubOpResult::Data(self.loaded_data(index)?))
            }
            SubOp::SparseRead(extent) => {
                existing?;
                self.bytes_as_before()?;
                let (extents, data) = (self.loaded_extents(index)?, self.loaded_data(index)?);
                Ok(sparse(*extent, extents, &data))
            }
            SubOp::MapExtents(_) => {
                existing?;
                self.bytes_as_before()?;
                Ok(SubOpResult::Extents(self.loaded_extents(index)?))
            }
            SubOp::Checksum { kind, seed, extent, chunk } => {
                let size = existing?.size;
                self.bytes_as_before()?;
                let data = self.loaded_data(index)?;
                // Ceph: the range must lie within the object.
                if extent.end() > size {
                    return Err(Error::invalid(format!(
                        "the range ends at {} and the object has {size} bytes",
                        extent.end()
                    )));
                }
                checksums(*kind, *seed, &data, *chunk).map(SubOpResult::Data)
            }
            SubOp::Stat => Ok(SubOpResult::Stat { size: existing?.size, modified_ms: self.modified_ms }),
            SubOp::GetXattr(name) => match existing?.xattrs.get(name) {
                Some(value) => Ok(SubOpResult::Data(value.clone())),
                None => Err(Error::not_found(format!("the object has no attribute `{}`", name.escape_ascii()))),
            },
            SubOp::GetXattrs => Ok(SubOpResult::Xattrs(existing?.xattrs.clone())),
            SubOp::OmapGet { .. } | SubOp::OmapGetKeys(_) => {
                existing?;
                self.omap_as_before()?;
                Ok(SubOpResult::Omap(cut(self.loaded_omap(index)?)))
            }
            SubOp::OmapGetNames { .. } => {
                existing?;
                self.omap_as_before()?;
                let mut page = self.loaded_omap(index)?;
                page.entries.iter_mut().for_each(|(_, value)| *value = Bytes::new());
                Ok(SubOpResult::Omap(cut(page)))
            }
            SubOp::OmapGetRange { end, keys_max, .. } => {
                existing?;
                self.omap_as_before()?;
                let mut page = self.loaded_omap(index)?;
                if !end.is_empty() && page.entries.last().is_some_and(|(last, _)| last >= end) {
                    page.entries.retain(|(key, _)| key < end);
                    page.more = false;
                }
                let keys_max = usize::try_from(*keys_max).unwrap_or(usize::MAX);
                page.more |= page.entries.len() > keys_max;
                page.entries.truncate(keys_max);
                Ok(SubOpResult::Omap(cut(page)))
            }
            SubOp::OmapGetHeader => Ok(SubOpResult::Data(existing?.omap_header.clone())),
            SubOp::AssertExists => existing.map(|_| SubOpResult::Done),
            SubOp::AssertVersion(version) => {
                let actual = if existing.is_ok() { self.user_version } else { 0 };
                held(actual == *version, || format!("the object has version {actual}, not {version}"))
            }
            SubOp::CompareExtent { offset, data } => {
                existing?;
                self.bytes_as_before()?;
                held(self.loaded_data(index)? == *data, || format!("the bytes at offset {offset} are others"))
            }
            SubOp::CompareXattr { name, comparison, value } => {
                let stored = existing?.xattrs.get(name).cloned().unwrap_or_default();
                held(compare(stored.as_ref(), *comparison, value.as_ref()), || {
                    format!("attribute `{}` does not compare as asked", name.escape_ascii())
                })
            }
            SubOp::CompareXattrNumber { name, comparison, value } => {
                let stored = existing?.xattrs.get(name).cloned().unwrap_or_default();
                let stored = number(&stored).ok_or_else(|| {
                    Error::invalid(format!("attribute `{}` is not a decimal number of 64 bits", name.escape_ascii()))
                })?;
                held(compare(&stored, *comparison, value), || {
                    format!("attribute `{}` is {stored}, which does not compare as asked", name.escape_ascii())
                })
            }
            SubOp::CompareOmap { key, comparison, value } => {
                existing?;
                self.omap_as_before()?;
                let page = self.loaded_omap(index)?;
                let stored = page.entries.into_iter().find(|(stored, _)| stored == key);
                let stored = stored.map(|(_, value)| value).unwrap_or_default();
                held(compare(stored.as_ref(), *comparison, value.as_ref()), || {
                    format!("omap key `{}` does not compare as asked", key.escape_ascii())
                })
            }
            SubOp::WatchPing { cookie } => {
                existing?;
                match self.own_watch(*cookie) {
                    Some(_) => Ok(SubOpResult::Done),
                    None => Err(Error::not_found(format!("watch {cookie} of client {} has ended", self.client))),
                }
            }
            SubOp::ListWatchers => existing.map(|_| SubOpResult::Watchers(self.watchers.clone())),
            // The result comes when everybody has heard it (`watch.rs`).
            SubOp::Notify { .. } => existing.map(|_| SubOpResult::Done),
            // Answered where clones are found (`snapshots/find.rs`).
            SubOp::ListSnapshots { .. } => Err(Error::internal("a listing of clones was planned as a look")),
            step if step.is_of_pg() => Err(Error::invalid("a listing is asked of a placement group, not of an object")),
            _ => Err(Error::internal("a write was planned as a look")),
        }
    }

    fn bytes_as_before(&self) -> Result<(), Error> {
        if !self.bytes_touched {
            return Ok(());
        }
        Err(Error::invalid(
            "a step looks at bytes that an earlier step of the same operation changes; send two operations",
        ))
    }

    fn omap_as_before(&self) -> Result<(), Error> {
        if !self.omap_touched {
            return Ok(());
        }
        Err(Error::invalid(
            "a step looks at omap that an earlier step of the same operation changes; send two operations",
        ))
    }

    fn loaded(&self, index: usize) -> impl Iterator<Item = &StoreReadResult> {
        self.loaded.steps.get(&index).into_iter().flatten()
    }

    fn loaded_data(&self, index: usize) -> Result<Bytes, Error> {
        let mut data = self.loaded(index).filter_map(|result| match result {
            StoreReadResult::Data(data) => Some(data.clone()),
            _ => None,
        });
        data.next().ok_or_else(|| Error::internal("the store did not answer a question for bytes with bytes"))
    }

    fn loaded_extents(&self, index: usize) -> Result<Vec<Extent>, Error> {
        let mut extents = self.loaded(index).filter_map(|result| match result {
            StoreReadResult::Extents(extents) => Some(extents.clone()),
            _ => None,
        });
        extents.next().ok_or_else(|| Error::internal("the store did not answer a question for extents with extents"))
    }

    /// All pages that the step asked for, one behind the other.
    fn loaded_omap(&self, index: usize) -> Result<OmapPage, Error> {
        let mut all: Option<OmapPage> = None;
        for result in self.loaded(index) {
            let StoreReadResult::Omap(page) = result else { continue };
            let all = all.get_or_insert_default();
            all.entries.extend(page.entries.iter().cloned());
            all.more |= page.more;
        }
        all.ok_or_else(|| Error::internal("the store did not answer a question for omap with omap"))
    }
}

/// The page up to its bound of bytes.
fn cut(mut page: OmapPage) -> OmapPage {
    let mut bytes = 0usize;
    let beyond = page.entries.iter().position(|(key, value)| {
        bytes += key.len() + value.len();
        bytes > PAGE_BYTES_MAX
    });
    if let Some(beyond) = beyond {
        page.entries.truncate(beyond);
        page.more = true;
    }
    page
}

/// Of the bytes of a range, those that lie in the extents.
fn sparse(asked: Extent, extents: Vec<Extent>, data: &Bytes) -> SubOpResult {
    let at = |place: u64| usize::try_from(place - asked.offset).map_or(data.len(), |place| place.min(data.len()));
    let pieces: Vec<&[u8]> = extents.iter().map(|extent| &data[at(extent.offset)..at(extent.end())]).collect();
    let data = match pieces.as_slice() {
        [piece] => data.slice_ref(piece),
        _ => Bytes::from(pieces.concat()),
    };
    SubOpResult::Sparse { extents, data }
}

fn held(holds: bool, why: impl FnOnce() -> String) -> Result<SubOpResult, Error> {
    if holds { Ok(SubOpResult::Done) } else { Err(Error::exists(why())) }
}

/// `stored <comparison> given`; bytes in byte order.
fn compare<T: Ord + ?Sized>(stored: &T, comparison: Comparison, given: &T) -> bool {
    match comparison {
        Comparison::Equal => stored == given,
        Comparison::NotEqual => stored != given,
        Comparison::Greater => stored > given,
        Comparison::GreaterOrEqual => stored >= given,
        Comparison::Less => stored < given,
        Comparison::LessOrEqual => stored <= given,
    }
}

/// A decimal number; nothing is zero.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

//! One object as the steps of one operation see it: what is stored, under everything that earlier steps did.
//!
//! The stored object is asked through a [`Source`]; what was done since is kept beside it and laid over every answer.

mod bytes_over;
mod omap_over;

use bytes::Bytes;
use types::{Error, Extent, ObjectId, ObjectMeta, OmapPage, Result, StoreRead, StoreReadResult, limits};

use self::{bytes_over::BytesOver, omap_over::OmapOver};
use crate::Effect;

/// Answers questions about stored objects. An answer is one moment's: no write of the object begins before the
/// operation has been planned.
pub type Source<'s> = dyn Fn(&StoreRead) -> Result<StoreReadResult> + 's;

/// The object.
pub struct ObjectView<'s> {
    object: ObjectId,
    source: &'s Source<'s>,
    now: Option<ObjectMeta>,
    bytes: BytesOver,
    omap: OmapOver,
}

impl<'s> ObjectView<'s> {
    /// The object as it is stored. `existing` is its size, users' attributes and omap header, or that it is not there.
    pub fn new(object: ObjectId, existing: Option<ObjectMeta>, source: &'s Source<'s>) -> Self {
        let bytes = BytesOver::new(existing.as_ref().map_or(0, |meta| meta.size));
        let omap = OmapOver::new(existing.is_some());
        Self { object, source, now: existing, bytes, omap }
    }

    /// Size, attributes and omap header; `None` when the object does not exist.
    pub fn meta(&self) -> Option<&ObjectMeta> {
        self.now.as_ref()
    }

    /// The error of whoever needs an object that is not there.
    pub fn absent(&self) -> Error {
        Error::not_found(format!("object {} does not exist", self.object.name))
    }

    /// Bytes; what lies past the end is left out.
    pub fn read(&self, extent: Extent) -> Result<Bytes> {
        let size = self.now.as_ref().map_or(0, |meta| meta.size);
        let length = extent.end().min(size).saturating_sub(extent.offset);
        if length > limits::OPERATION_PAYLOAD_BYTES_MAX as u64 {
            let limit = limits::OPERATION_PAYLOAD_BYTES_MAX;
            return Err(Error::invalid(format!("a method reads {length} bytes at once; the limit is {limit}")));
        }
        let asked = Extent { offset: extent.offset, length };
        self.bytes.read(asked, |stored| {
            match self.ask(StoreRead::Data { object: self.object.clone(), extent: stored })? {
                StoreReadResult::Data(data) => Ok(data),
                _ => Err(misfit()),
            }
        })
    }

    /// A page of omap entries: keys greater than `after` that begin with `prefix`, at most `keys_max`.
    pub fn omap_page(&self, after: &[u8], prefix: &[u8], keys_max: usize) -> Result<OmapPage> {
        self.omap.page(after, prefix, keys_max.clamp(1, limits::PAGE_KEYS_MAX), |after, keys_max| {
            let read = StoreRead::Omap {
                object: self.object.clone(),
                after: after.to_vec(),
                prefix: prefix.to_vec(),
                keys_max,
            };
            match self.ask(read)? {
                StoreReadResult::Omap(page) => Ok(page),
                _ => Err(misfit()),
            }
        })
    }

    /// One omap value.
    pub fn omap_value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.omap.value(key, || {
            let read = StoreRead::OmapKeys { object: self.object.clone(), keys: vec![key.to_vec()] };
            match self.ask(read)? {
                StoreReadResult::Omap(page) => Ok(page.entries.into_iter().next().map(|(_, value)| value)),
                _ => Err(misfit()),
            }
        })
    }

    fn ask(&self, read: StoreRead) -> Result<StoreReadResult> {
        (self.source)(&read)
    }

    /// From now on the object is as if this had been done to it.
    pub fn apply(&mut self, effect: &Effect) {
        if matches!(effect, Effect::Remove) {
            self.now = None;
            self.bytes.truncate(0);
            self.omap.clear();
            return;
        }
        let meta = self.now.get_or_insert_default();
        match effect {
            Effect::Create | Effect::Remove => {}
            Effect::Write { offset, data } => {
                if !data.is_empty() {
                    meta.size = meta.size.max(offset.saturating_add(data.len() as u64));
                }
                self.bytes.write(*offset, data.clone());
            }
            Effect::Zero(extent) => {
                let length = extent.end().min(meta.size).saturating_sub(extent.offset);
                self.bytes.zero(Extent { offset: extent.offset, length });
            }
            Effect::Truncate(size) => {
                meta.size = *size;
                self.bytes.truncate(*size);
            }
            Effect::SetXattr { name, value } => {
                meta.xattrs.insert(name.clone(), value.clone());
            }
            Effect::RemoveXattr(name) => {
                meta.xattrs.remove(name);
            }
            Effect::OmapSet(entries) => self.omap.set(entries),
            Effect::OmapRemove(keys) => self.omap.remove(keys),
            Effect::OmapRemoveRange(begin, end) => self.omap.remove_range(begin, end),
            Effect::OmapClear => {
                meta.omap_header = Bytes::new();
                self.omap.clear();
            }
            Effect::OmapSetHeader(header) => meta.omap_header = header.clone(),
        }
    }
}

fn misfit() -> Error {
    Error::internal("the store answered another question than it was asked")
}

#[cfg(test)]
mod tests;

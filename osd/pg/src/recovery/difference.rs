//! What changed of an object between two versions, as the log tells it, and how that is cut into parts.
//!
//! Owns: the walk back through an object's entries, and the union of what they changed. Only entries that changed bytes
//! and nothing else count; whatever is not certain is `None`, and then the object is copied whole.

use bytes::{Bytes, BytesMut};
use types::{Error, Extent, LogVersion, ObjectId, Result, StoreRead, StoreReadResult, limits};
use wire::{ChangedPart, LogEntryKind, PushChunk, PushSource};

use super::Position;
use crate::{log::PgLog, pg::Pg, write::ObjectState};

/// What changed, from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who has this version can build upon it.
    pub base: LogVersion,
    /// What comes of that.
    pub to: LogVersion,
    /// Which bytes changed, in order, none touching another.
    pub extents: Vec<Extent>,
}

/// The part of a difference that is sent next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPart {
    base: LogVersion,
    to: LogVersion,
    extents: Vec<Extent>,
    last: bool,
}

impl Difference {
    /// What the entries of the object say; `None` when they do not reach back to `base`, or changed more than bytes.
    pub fn of(log: &PgLog, object: &ObjectId, base: LogVersion, to: LogVersion) -> Option<Self> {
        if base == LogVersion::ZERO || log.newest_of(object)?.version != to {
            return None;
        }
        let mut extents = Vec::new();
        let mut version = to;
        while version > base {
            let entry = log.entry(version).filter(|entry| entry.object == *object)?;
            if entry.kind != LogEntryKind::Modify {
                return None;
            }
            extents.extend(entry.changed.as_ref()?.iter().filter(|extent| extent.length > 0).copied());
            version = entry.prior_version;
        }
        (version == base).then(|| Self { base, to, extents: union(extents) })
    }

    /// What follows a position, up to so many bytes.
    pub fn part(&self, position: &Position, bytes_max: u64) -> PlannedPart {
        let mut room = bytes_max;
        let mut extents = Vec::new();
        let mut rest = self.extents.iter().filter(|extent| extent.end() > position.data_offset).peekable();
        while let Some(extent) = rest.peek() {
            if room == 0 || extents.len() >= limits::CHANGED_EXTENTS_PER_PART_MAX {
                break;
            }
            let offset = extent.offset.max(position.data_offset);
            let length = (extent.end() - offset).min(room);
            extents.push(Extent { offset, length });
            room -= length;
            if offset + length < extent.end() {
                break;
            }
            rest.next();
        }
        PlannedPart { base: self.base, to: self.to, extents, last: rest.peek().is_none() }
    }
}

/// Sorted, with what overlaps or touches made one.
fn union(mut extents: Vec<Extent>) -> Vec<Extent> {
    extents.sort_by_key(|extent| extent.offset);
    let mut all: Vec<Extent> = Vec::with_capacity(extents.len());
    for extent in extents {
        match all.last_mut() {
            Some(last) if extent.offset <= last.end() => last.length = last.end().max(extent.end()) - last.offset,
            _ => all.push(extent),
        }
    }
    all
}

impl PlannedPart {
    /// The questions for it.
    pub fn reads(&self, object: &ObjectId) -> Vec<StoreRead> {
        let meta = StoreRead::Meta { object: object.clone() };
        let data = self.extents.iter().map(|extent| StoreRead::Data { object: object.clone(), extent: *extent });
        std::iter::once(meta).chain(data).collect()
    }

    /// The part, from the store's answers. Fails when the object is not the version that the difference leads to.
    pub fn fill(
        self,
        object: &ObjectId,
        position: &Position,
        source: PushSource,
        results: Vec<Result<StoreReadResult>>,
    ) -> Result<ChangedPart> {
        let mut results = results.into_iter();
        let Some(Ok(StoreReadResult::Meta(meta))) = results.next() else {
            return Err(Error::internal("the store did not answer a question for an object's attributes"));
        };
        let existing = ObjectState::new(meta)?.existing;
        let Some(existing) = existing.filter(|existing| existing.info.version == self.to) else {
            return Err(Error::retry("the object is of another version than the log says"));
        };
        let mut pieces = Vec::with_capacity(self.extents.len());
        for (result, extent) in results.zip(&self.extents) {
            match result? {
                StoreReadResult::Data(data) if data.len() as u64 == extent.length => pieces.push(data),
                StoreReadResult::Data(data) => {
                    let (length, offset) = (data.len(), extent.offset);
                    return Err(Error::internal(format!("{length} bytes at {offset} where the log says more changed")));
                }
                _ => return Err(Error::internal("the store answered another question than it was asked")),
            }
        }
        if pieces.len() != self.extents.len() {
            return Err(Error::internal("the store left a question open"));
        }
        let part = PushChunk {
            object: object.clone(),
            version: self.to,
            source,
            info: Some(existing.info),
            data_offset: position.data_offset,
            data: joined(pieces),
            xattrs: existing.meta.xattrs,
            omap_header: Bytes::new(),
            omap_after: position.omap_after.clone(),
            omap: std::collections::BTreeMap::new(),
            last: self.last,
        };
        Ok(ChangedPart { base: self.base, extents: self.extents, part })
    }
}

fn joined(pieces: Vec<Bytes>) -> Bytes {
    if let [one] = &pieces[..] {
        return one.clone();
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        all.extend_from_slice(&piece);
    }
    all.freeze()
}

impl Pg {
    /// What changed of the object since a version, by the log here.
    pub(crate) fn difference(&self, object: &ObjectId, base: LogVersion) -> Option<Difference> {
        let to = self.log.newest_of(object)?.version;
        Difference::of(&self.log, object, base, to)
    }
}

#[cfg(test)]
mod tests;

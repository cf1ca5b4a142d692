//! Looking up headers, segments and units where memory has them, and naming what only the disk has.
//!
//! Preparing a transaction and answering a read both run under the state's lock and so must not wait. What they miss
//! they name as a [`Need`]; the engine loads it without the lock and runs them again with it in [`Loaded`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use types::{Error, ObjectId, Result};

use super::{
    keys::{header_key, segment_key},
    object::{Header, Segment, Unit},
    overlay::Pending,
    state::State,
};
use crate::key_value::{KeyValue, Lookup, ReadTier};

/// Something that must come from the disk first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    Header(ObjectId),
    Segment { number: u64, index: u32 },
    Unit(Unit),
    Omap { number: u64 },
}

/// Why work under the lock could not be finished.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Only with these.
    Missing(Vec<Need>),
    /// Only with more free units; some may come with the next checkpoint.
    Space,
    /// Never.
    Refused(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Need> for Stop {
    fn from(need: Need) -> Self {
        Self::Missing(vec![need])
    }
}

/// What was loaded for one piece of work; valid as long as the objects concerned have not changed since.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub headers: HashMap<ObjectId, Option<Arc<Header>>>,
    pub segments: HashMap<(u64, u32), Arc<Segment>>,
    /// `None` for a unit whose checksum is wrong.
    pub units: HashMap<u64, Option<Bytes>>,
    pub omaps: HashMap<u64, BTreeMap<Bytes, Bytes>>,
}

/// The places where metadata is looked for, in order.
pub(crate) struct Sources<'a> {
    pub state: &'a mut State,
    pub keys: &'a dyn KeyValue,
    pub loaded: &'a Loaded,
}

impl Sources<'_> {
    /// The newest header of an object; `None` when it does not exist.
    pub fn header(&mut self, object: &ObjectId) -> Result<Option<Arc<Header>>, Stop> {
        if let Some(header) = self.state.headers.get(object) {
            return Ok(header);
        }
        if let Some(header) = self.loaded.headers.get(object) {
            keep_header(self.state, object, header.clone());
            return Ok(header.clone());
        }
        let Some(encoded) = self.value(&header_key(object))? else {
            return Err(Need::Header(object.clone()).into());
        };
        let header = encoded.map(Header::decode).transpose()?.map(Arc::new);
        keep_header(self.state, object, header.clone());
        Ok(header)
    }

    /// The newest state of a stored segment.
    pub fn segment(&mut self, number: u64, index: u32) -> Result<Arc<Segment>, Stop> {
        if let Some(segment) = self.state.segments.get(&(number, index)) {
            return Ok(segment);
        }
        if let Some(segment) = self.loaded.segments.get(&(number, index)) {
            keep_segment(self.state, number, index, Arc::clone(segment));
            return Ok(Arc::clone(segment));
        }
        let Some(encoded) = self.value(&segment_key(number, index))? else {
            return Err(Need::Segment { number, index }.into());
        };
        let segment = Arc::new(Segment::decode(encoded.ok_or_else(|| missing_segment(number, index))?)?);
        keep_segment(self.state, number, index, Arc::clone(&segment));
        Ok(segment)
    }

    /// The bytes of a unit; `None` when they are damaged.
    pub fn unit(&self, unit: Unit) -> Result<Option<Bytes>, Stop> {
        if unit.damaged {
            return Ok(None);
        }
        if let Some(bytes) = self.state.unit_bytes(unit.place) {
            return Ok(Some(bytes));
        }
        match self.loaded.units.get(&unit.place) {
            Some(bytes) => Ok(bytes.clone()),
            None => Err(Need::Unit(unit).into()),
        }
    }

    /// A value: known and there, known and absent, or (`None`) on the disk.
    fn value(&self, key: &[u8]) -> Result<Option<Option<Bytes>>> {
        Ok(match self.state.overlay.get(key) {
            Pending::Value(value) => Some(Some(value)),
            Pending::Absent => Some(None),
            Pending::Unknown => match self.keys.get(key, ReadTier::Memory)? {
                Lookup::Found(value) => Some(Some(value)),
                Lookup::Absent => Some(None),
                Lookup::NotInMemory => None,
            },
        })
    }
}

/// The error for a segment that its header tells of and that is not there.
pub(crate) fn missing_segment(number: u64, index: u32) -> Error {
    Error::damaged(format!("the database has no segment {index} of object number {number}, which the header tells of"))
}

/// Remembers a header as the newest.
pub(crate) fn keep_header(state: &mut State, object: &ObjectId, header: Option<Arc<Header>>) {
    let weight = 128 + object.name.name.len() + header.as_ref().map_or(0, |header| header.weight());
    state.headers.replace(object, header, weight);
}

/// Remembers a segment as the newest.
pub(crate) fn keep_segment(state: &mut State, number: u64, index: u32, segment: Arc<Segment>) {
    state.segments.replace(&(number, index), segment, size_of::<Segment>() + 64);
}

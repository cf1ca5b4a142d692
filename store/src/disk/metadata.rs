//! The metadata of a store that nobody changes: the database, with what the journal still has to tell on top of it.
//!
//! Owns: one view of the database and the journal's changes. Does not know: what any key means.

use bytes::Bytes;
use types::{Error, Result};

use super::overlay::{Overlay, Pending};
use crate::key_value::{KeyValueView, Lookup, ReadTier};

/// All keys and values at one moment.
pub(crate) struct Metadata<'a> {
    pub view: Box<dyn KeyValueView + 'a>,
    /// Changes of journal records that the database lacks.
    pub pending: Overlay,
}

impl Metadata<'_> {
    /// One value.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        match self.pending.get(key) {
            Pending::Value(value) => Ok(Some(value)),
            Pending::Absent => Ok(None),
            Pending::Unknown => match self.view.get(key, ReadTier::Disk)? {
                Lookup::Found(value) => Ok(Some(value)),
                Lookup::Absent => Ok(None),
                Lookup::NotInMemory => Err(Error::internal("the database did not look on its disk when asked to")),
            },
        }
    }

    /// Visits a range in key order, to its end or to the first error.
    pub fn scan(&self, range: &(Bytes, Bytes), mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let part = self.pending.part(&range.0, &range.1);
        let visit = &mut |key: &[u8], value: &[u8]| visit(key, value).map(|()| true);
        part.scan(&*self.view, &range.0, &range.1, ReadTier::Disk, visit).map(drop)
    }
}

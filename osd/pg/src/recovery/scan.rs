//! A page of objects with their versions, read from the store here: for the primary's own side of a scan, and for a primary
//! that asks.

use types::{Cursor, GENERATION_NONE, LogVersion, ObjectId, OsdId, StoreRead, StoreReadResult, limits};
use wire::{BackfillPage, PgBody};

use crate::{
    pg::{Pending, Pg},
    turn::Turn,
    write::ObjectState,
};

/// Whom a page is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScanOwner {
    /// The scan of this target, on the primary.
    Own(OsdId),
    /// The primary, on a target; the page begins here.
    Asked(OsdId, Cursor),
}

impl Pg {
    /// Asked by the primary.
    pub(crate) fn handle_scan(&mut self, from: OsdId, begin: Cursor, objects_max: u32, turn: &mut Turn<'_>) {
        if self.peering.is_replica() {
            let objects_max = usize::try_from(objects_max).unwrap_or(usize::MAX);
            self.begin_scan(ScanOwner::Asked(from, begin.clone()), begin, objects_max, turn);
        }
    }

    pub(crate) fn begin_scan(&mut self, owner: ScanOwner, begin: Cursor, objects_max: usize, turn: &mut Turn<'_>) {
        let range = self.range();
        let read = StoreRead::List {
            begin: begin.max(range.begin()),
            end: range.end(),
            objects_max: objects_max.clamp(1, limits::SCAN_PAGE_OBJECTS),
        };
        self.read(vec![read], Pending::ScanList(owner), turn);
    }

    /// The objects are known; now their versions.
    pub(crate) fn continue_scan(
        &mut self,
        owner: ScanOwner,
        results: Vec<types::Result<StoreReadResult>>,
        turn: &mut Turn<'_>,
    ) {
        let Some(Ok(StoreReadResult::List { objects, next })) = results.into_iter().next() else {
            // The asker asks again.
            tracing::warn!(pg = %self.pg, "cannot list the objects of a scan");
            self.forget_own_scan(&owner);
            return;
        };
        let end = if next < self.range().end() { next } else { Cursor::End };
        let objects: Vec<ObjectId> =
            objects.into_iter().filter(|object| !object.is_pg_meta() && object.generation == GENERATION_NONE).collect();
        if objects.is_empty() {
            self.deliver_page(owner, Vec::new(), end, turn);
            return;
        }
        let reads = objects.iter().map(|object| StoreRead::Meta { object: object.clone() }).collect();
        self.recovery.listed.insert(owner.clone(), (objects, end));
        self.read(reads, Pending::ScanMeta(owner), turn);
    }

    pub(crate) fn finish_scan(
        &mut self,
        owner: ScanOwner,
        results: Vec<types::Result<StoreReadResult>>,
        turn: &mut Turn<'_>,
    ) {
        let Some((objects, end)) = self.recovery.listed.remove(&owner) else { return };
        let mut page = Vec::with_capacity(objects.len());
        for (object, result) in objects.into_iter().zip(results) {
            let state = match result {
                Ok(StoreReadResult::Meta(meta)) => ObjectState::new(meta),
                Ok(_) => Err(types::Error::internal("the store answered another question than it was asked")),
                Err(error) => Err(error),
            };
            match state {
                Ok(state) => page.extend(state.existing.map(|existing| (object, existing.info.version))),
                // No version equals this one: the copy is replaced, or is a source for nobody.
                Err(error) => {
                    tracing::warn!(pg = %self.pg, %object, %error, "cannot read an object's version");
                    page.push((object, LogVersion::ZERO));
                }
            }
        }
        self.deliver_page(owner, page, end, turn);
    }

    fn deliver_page(
        &mut self,
        owner: ScanOwner,
        objects: Vec<(ObjectId, LogVersion)>,
        end: Cursor,
        turn: &mut Turn<'_>,
    ) {
        match owner {
            ScanOwner::Own(target) => self.take_own_page(target, objects, end),
            ScanOwner::Asked(to, begin) => {
                let page = BackfillPage { begin, end, objects };
                self.send(to, PgBody::BackfillScanned(page), turn);
            }
        }
    }
}

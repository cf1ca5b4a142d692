//! The primary gives a member what it lacks, part by part, each read anew from the store.

use types::{Error, Extent, LogVersion, ObjectId, OsdId, Result, StoreRead, StoreReadResult, XattrMap, limits};
use wire::{PgBody, PushChunk, PushSource};

use super::{Position, Push};
use crate::{
    damage::is_damaged,
    pg::{Pending, Pg},
    turn::Turn,
    write::ObjectState,
};

/// Omap keys asked for one part; a part carries as many of them as fit `OMAP_BATCH_BYTES_MAX`.
const PART_KEYS: usize = 256;

impl Pg {
    /// Begins to bring the object to a member; `removes` at a version when it should not have it.
    pub(crate) fn begin_push(
        &mut self,
        object: &ObjectId,
        target: OsdId,
        source: PushSource,
        removes: Option<LogVersion>,
        turn: &mut Turn<'_>,
    ) {
        let lacking = self.peers.get(&target).and_then(|peer| peer.missing.get(object));
        let base = lacking.and_then(|missing| missing.have).filter(|_| source == PushSource::Recovery);
        let difference = base.filter(|_| removes.is_none()).and_then(|base| self.difference(object, base));
        let push =
            Push { source, removes, difference, position: Position::default(), loading: None, sent_at: turn.now };
        self.recovery.pushes.insert((object.clone(), target), push);
        self.send_part(object, target, turn);
    }

    /// Sends the part at the push's position.
    pub(crate) fn send_part(&mut self, object: &ObjectId, target: OsdId, turn: &mut Turn<'_>) {
        let Some(push) = self.recovery.pushes.get_mut(&(object.clone(), target)) else { return };
        push.sent_at = turn.now;
        if let Some(version) = push.removes {
            let chunk = removal(object, version, push.source);
            self.send(target, PgBody::Push(Box::new(chunk)), turn);
        } else if push.loading.is_none() {
            let position = push.position.clone();
            push.loading = Some(position.clone());
            let bytes_max = self.config.recovery_chunk_bytes;
            let reads = match &push.difference {
                Some(difference) => difference.part(&position, bytes_max).reads(object),
                None => self.part_reads(object, &position),
            };
            self.read(reads, Pending::PushLoad(object.clone(), target), turn);
        }
    }

    /// The store has answered.
    pub(crate) fn continue_push(
        &mut self,
        object: &ObjectId,
        target: OsdId,
        results: Vec<Result<StoreReadResult>>,
        turn: &mut Turn<'_>,
    ) {
        let key = (object.clone(), target);
        let Some(push) = self.recovery.pushes.get_mut(&key) else { return };
        // A late or doubled answer may have moved the push while the store was asked for another part.
        if push.loading.take().as_ref() != Some(&push.position) {
            self.send_part(object, target, turn);
            return;
        }
        push.sent_at = turn.now;
        if is_damaged(&results) && self.fetch_instead(object, &results, turn) {
            return;
        }
        let Some(push) = self.recovery.pushes.get_mut(&key) else { return };
        if let Some(difference) = &push.difference {
            let part = difference.part(&push.position, self.config.recovery_chunk_bytes);
            match part.fill(object, &push.position, push.source, results) {
                Ok(changed) => {
                    self.counters.note_recovered_bytes(changed.part.data.len());
                    self.send(target, PgBody::PushChanges(Box::new(changed)), turn);
                }
                Err(error) => {
                    tracing::info!(pg = %self.pg, %object, %error, "changes alone cannot be given; the object is, whole");
                    self.push_whole(object, target, turn);
                }
            }
            return;
        }
        let chunk = Self::part(object, &push.position, push.source, results);
        match chunk {
            Ok(Some(chunk)) => {
                self.counters.note_recovered_bytes(chunk.data.len());
                self.send(target, PgBody::Push(Box::new(chunk)), turn);
            }
            Ok(None) => {
                // The object was removed since; the member shall not have it either.
                let version = self.log.newest_of(object).map_or(self.log.head(), |entry| entry.version);
                push.removes = Some(version);
                self.send_part(object, target, turn);
            }
            Err(error) => {
                // DESIGN section 6, invariant 7. The push stays, and is tried again by `retry`.
                tracing::warn!(pg = %self.pg, %object, %error, "cannot read an object that a member lacks");
            }
        }
    }

    /// Begins the push anew, with the whole object.
    fn push_whole(&mut self, object: &ObjectId, target: OsdId, turn: &mut Turn<'_>) {
        if let Some(push) = self.recovery.pushes.get_mut(&(object.clone(), target)) {
            push.difference = None;
            push.position = Position::default();
            push.loading = None;
            self.send_part(object, target, turn);
        }
    }

    /// The member has not what the changes build upon.
    pub(crate) fn hear_changes_unusable(
        &mut self,
        from: OsdId,
        object: &ObjectId,
        version: LogVersion,
        turn: &mut Turn<'_>,
    ) {
        let push = self.recovery.pushes.get(&(object.clone(), from));
        if push.and_then(|push| push.difference.as_ref()).is_some_and(|difference| difference.to == version) {
            self.push_whole(object, from, turn);
        }
    }

    /// The member has a part.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(crate) fn hear_pushed(
        &mut self,
        from: OsdId,
        object: &ObjectId,
        version: LogVersion,
        data_offset: u64,
        omap_after: Vec<u8>,
        complete: bool,
        turn: &mut Turn<'_>,
    ) {
        let key = (object.clone(), from);
        let Some(push) = self.recovery.pushes.get_mut(&key) else { return };
        if complete {
            let source = push.source;
            // A late answer to an earlier push of the same object says nothing about this one.
            let newest = self.log.newest_of(object).map(|entry| entry.version);
            let removes = push.removes;
            if removes.is_none() && newest.is_some_and(|newest| version < newest) {
                return;
            }
            self.recovery.pushes.remove(&key);
            self.finish_push(object, from, source, turn);
            return;
        }
        let position = Position { data_offset, omap_after };
        if position == push.position {
            // The answer to the part before; the one that was sent since is on its way.
            return;
        }
        push.position = position;
        self.send_part(object, from, turn);
    }

    fn finish_push(&mut self, object: &ObjectId, target: OsdId, source: PushSource, turn: &mut Turn<'_>) {
        self.counters.recovered_objects += 1;
        match source {
            PushSource::Recovery => {
                if let Some(peer) = self.peers.get_mut(&target) {
                    peer.missing.remove(object);
                }
            }
            PushSource::Backfill => {
                if let Some(backfill) = self.recovery.backfills.get_mut(&target) {
                    backfill.in_flight.remove(object);
                }
            }
        }
        self.pump(object, turn);
    }

    /// The questions for one part.
    pub(crate) fn part_reads(&self, object: &ObjectId, position: &Position) -> Vec<StoreRead> {
        vec![
            StoreRead::Meta { object: object.clone() },
            StoreRead::Data {
                object: object.clone(),
                extent: Extent { offset: position.data_offset, length: self.config.recovery_chunk_bytes },
            },
            StoreRead::Omap {
                object: object.clone(),
                after: position.omap_after.clone(),
                prefix: Vec::new(),
                keys_max: PART_KEYS,
            },
        ]
    }

    /// One part, from the store's answers; `None` when the object does not exist.
    pub(crate) fn part(
        object: &ObjectId,
        position: &Position,
        source: PushSource,
        results: Vec<Result<StoreReadResult>>,
    ) -> Result<Option<PushChunk>> {
        let mut results = results.into_iter();
        let mut next = || results.next().unwrap_or_else(|| Err(Error::internal("the store left a question open")));
        let (meta, data, omap) = (next()?, next()?, next()?);
        let (StoreReadResult::Meta(meta), StoreReadResult::Data(data), StoreReadResult::Omap(page)) =
            (meta, data, omap)
        else {
            return Err(Error::internal("the store answered other questions than it was asked"));
        };
        let Some(existing) = ObjectState::new(meta)?.existing else { return Ok(None) };
        let is_first = *position == Position::default();
        let bytes_end = position.data_offset + data.len() as u64 >= existing.info.size;
        let mut chunk = PushChunk {
            object: object.clone(),
            version: existing.info.version,
            source,
            data_offset: position.data_offset,
            data,
            xattrs: if is_first { existing.meta.xattrs } else { XattrMap::new() },
            omap_header: if is_first { existing.meta.omap_header } else { bytes::Bytes::new() },
            omap_after: position.omap_after.clone(),
            omap: std::collections::BTreeMap::new(),
            info: Some(existing.info),
            last: bytes_end && !page.more,
        };
        if !bytes_end {
            return Ok(Some(chunk));
        }
        let mut sum = 0;
        for (key, value) in page.entries {
            sum += key.len() + value.len();
            if sum > limits::OMAP_BATCH_BYTES_MAX && !chunk.omap.is_empty() {
                chunk.last = false;
                break;
            }
            chunk.omap.insert(key, value);
        }
        Ok(Some(chunk))
    }
}

fn removal(object: &ObjectId, version: LogVersion, source: PushSource) -> PushChunk {
    PushChunk {
        object: object.clone(),
        version,
        source,
        info: None,
        data_offset: 0,
        data: bytes::Bytes::new(),
        xattrs: XattrMap::new(),
        omap_header: bytes::Bytes::new(),
        omap_after: Vec::new(),
        omap: std::collections::BTreeMap::new(),
        last: true,
    }
}

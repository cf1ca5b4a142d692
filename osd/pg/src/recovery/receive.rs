//! Parts of an object arrive: as a member from the primary, or as the primary from whoever it asked.
//!
//! A single part goes straight to its place. More gather beside it, under [`super::TEMPORARY_GENERATION`], and take the place
//! together with the last; a key in the PG's own omap says so, that a restarted member may throw them away.

use types::{
    Extent, LogVersion, ObjectId, OsdId, StoreOp, Transaction, XattrMap,
    simulation::{Bug, planted},
};
use wire::{ChangedPart, PgBody, PushChunk, PushSource, encode_object_info};

use super::{Position, Receiving, temporary_of};
use crate::{
    AfterCommit,
    pg::{Pending, Pg},
    snapshots::index,
    turn::Turn,
    write::OBJECT_INFO_XATTR,
};

/// A part that arrived: of a whole object, or of what changed of one.
#[derive(Debug, Clone)]
pub struct Arrival {
    chunk: PushChunk,
    changes: Option<(LogVersion, Vec<Extent>)>,
}

impl Arrival {
    /// Of a whole object.
    pub fn whole(chunk: PushChunk) -> Self {
        Self { chunk, changes: None }
    }

    /// Of what changed.
    pub fn changes(changed: ChangedPart) -> Self {
        Self { chunk: changed.part, changes: Some((changed.base, changed.extents)) }
    }

    /// The version that it builds upon.
    fn base(&self) -> Option<LogVersion> {
        self.changes.as_ref().map(|(base, _)| *base)
    }

    fn position(&self) -> Position {
        position_of(&self.chunk)
    }

    /// Where the next part begins.
    fn position_after(&self) -> Position {
        let chunk = &self.chunk;
        let data_end = match &self.changes {
            Some((_, extents)) => extents.last().map_or(chunk.data_offset, Extent::end),
            None => chunk.data_offset + chunk.data.len() as u64,
        };
        let last_key = chunk.omap.last_key_value().map(|(key, _)| key.clone());
        Position { data_offset: data_end, omap_after: last_key.unwrap_or_else(|| chunk.omap_after.clone()) }
    }

    /// The bytes and where they belong.
    fn writes(&self) -> Vec<(u64, bytes::Bytes)> {
        let data = &self.chunk.data;
        let Some((_, extents)) = &self.changes else {
            return if data.is_empty() { Vec::new() } else { vec![(self.chunk.data_offset, data.clone())] };
        };
        let mut rest = data.clone();
        let mut writes = Vec::with_capacity(extents.len());
        for extent in extents {
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX).min(rest.len());
            writes.push((extent.offset, rest.split_to(length)));
        }
        writes
    }
}

/// What a member thinks of a part before it looks at its position.
enum Welcome {
    /// It lacks the object.
    Needed,
    /// It has it already.
    Had,
    /// The part is of the past.
    Stale,
}

impl Pg {
    pub(crate) fn hear_push(&mut self, from: OsdId, arrival: Arrival, turn: &mut Turn<'_>) {
        if self.is_primary() {
            self.receive_pulled(from, &arrival, turn);
        } else if self.peering.is_replica() && self.peering.activation_stored {
            self.receive_pushed(from, &arrival, turn);
        }
    }

    fn receive_pulled(&mut self, from: OsdId, arrival: &Arrival, turn: &mut Turn<'_>) {
        let chunk = &arrival.chunk;
        let object = chunk.object.clone();
        let Some(pull) = self.recovery.pulls.get_mut(&object) else { return };
        if pull.from != from || pull.version != chunk.version || pull.position != arrival.position() {
            return;
        }
        let needed = self.missing.get(&object).is_some_and(|missing| missing.need == chunk.version);
        if !needed || chunk.info.is_none() {
            return;
        }
        match arrival.base() {
            Some(base) if pull.have != Some(base) => return,
            Some(_) => {}
            // Whoever was asked gives all of it, and goes on so.
            None => pull.have = None,
        }
        self.counters.note_recovered_bytes(chunk.data.len());
        let mut transaction = Transaction::new();
        self.take_part(arrival, &mut transaction);
        if !chunk.last {
            self.commit(transaction, Pending::PulledPart(object), Vec::new(), turn);
            return;
        }
        self.finish_part(chunk, &mut transaction);
        self.recovery.pulls.remove(&object);
        self.recovery.failed_sources.remove(&object);
        self.note_fetched(&object);
        self.counters.recovered_objects += 1;
        self.commit(transaction, Pending::Logged(self.log.head()), Vec::new(), turn);
        self.pump(&object, turn);
    }

    fn receive_pushed(&mut self, from: OsdId, arrival: &Arrival, turn: &mut Turn<'_>) {
        let chunk = &arrival.chunk;
        match self.welcome(chunk) {
            Welcome::Stale => return,
            Welcome::Had => {
                self.send(from, pushed(chunk, Position::default(), Completeness::Whole), turn);
                return;
            }
            Welcome::Needed => {}
        }
        if let Some(base) = arrival.base()
            && self.missing.get(&chunk.object).is_none_or(|here| here.have != Some(base) || here.need != chunk.version)
        {
            let (object, version) = (chunk.object.clone(), chunk.version);
            self.send(from, PgBody::ChangesUnusable { object, version }, turn);
            return;
        }
        let here = self.recovery.receiving.get(&chunk.object).filter(|here| here.version == chunk.version);
        let here = here.map(|here| here.position.clone()).unwrap_or_default();
        let position = arrival.position();
        if position != Position::default() && position != here && !planted(Bug::PartsMixed) {
            // Not the part that comes next: the primary goes on where we are.
            self.send(from, pushed(chunk, here, Completeness::Part), turn);
            return;
        }
        let mut transaction = Transaction::new();
        self.take_part(arrival, &mut transaction);
        let completeness = if chunk.last { Completeness::Whole } else { Completeness::Part };
        if chunk.last {
            self.finish_part(chunk, &mut transaction);
        }
        let body = pushed(chunk, arrival.position_after(), completeness);
        if planted(Bug::PushAnsweredBeforeCommit) {
            self.send(from, body.clone(), turn);
        }
        let then = vec![AfterCommit::Send { to: from, message: self.message(body) }];
        self.commit(transaction, Pending::Logged(self.log.head()), then, turn);
    }

    /// Receivers decide by versions: a part may arrive twice, or after the object has been written again.
    fn welcome(&self, chunk: &PushChunk) -> Welcome {
        let object = &chunk.object;
        match chunk.source {
            PushSource::Recovery => match self.missing.get(object) {
                None => Welcome::Had,
                Some(missing) if chunk.version < missing.need && !planted(Bug::StalePartTaken) => Welcome::Stale,
                Some(_) => Welcome::Needed,
            },
            PushSource::Backfill => {
                let newest = self.log.newest_of(object).map(|entry| entry.version);
                if self.is_past_cursor(object) {
                    Welcome::Had
                } else if newest.is_some_and(|newest| newest > chunk.version) {
                    Welcome::Stale
                } else {
                    Welcome::Needed
                }
            }
        }
    }

    /// Puts a part where the parts gather; the only part goes straight to the object's place. Changes gather on a clone
    /// of what they build upon, so that a crash between two parts leaves the earlier version whole.
    fn take_part(&mut self, arrival: &Arrival, transaction: &mut Transaction) {
        let chunk = &arrival.chunk;
        let object = &chunk.object;
        let is_first = arrival.position() == Position::default();
        let gathers = !(is_first && chunk.last);
        let builds_on = arrival.base().is_some();
        let place = if gathers { temporary_of(object) } else { object.clone() };
        if is_first && let Some(old) = self.recovery.receiving.remove(object) {
            transaction.push(StoreOp::Remove { object: temporary_of(object) });
            self.changes.remove_temporary(old.version);
        }
        if is_first {
            match (builds_on, gathers) {
                (true, true) => transaction.push(StoreOp::Clone { source: object.clone(), target: place.clone() }),
                (true, false) => {}
                (false, _) => transaction.push(StoreOp::Remove { object: place.clone() }),
            }
        }
        let Some(info) = &chunk.info else { return };
        if is_first {
            transaction.push(StoreOp::Touch { object: place.clone() });
            let mut xattrs: XattrMap = chunk.xattrs.clone();
            xattrs.insert(OBJECT_INFO_XATTR.to_vec(), encode_object_info(info));
            transaction.push(StoreOp::SetXattrs { object: place.clone(), xattrs });
            transaction.push(StoreOp::Truncate { object: place.clone(), size: info.size });
            if !chunk.omap_header.is_empty() {
                let header = chunk.omap_header.clone();
                transaction.push(StoreOp::OmapSetHeader { object: place.clone(), header });
            }
        }
        for (offset, data) in arrival.writes() {
            transaction.push(StoreOp::Write { object: place.clone(), offset, data });
        }
        if !chunk.omap.is_empty() && !planted(Bug::PushWithoutOmap) {
            transaction.push(StoreOp::OmapSet { object: place, entries: chunk.omap.clone() });
        }
        if gathers {
            self.changes.put_temporary(object, chunk.version);
            let receiving = Receiving { version: chunk.version, position: arrival.position_after() };
            self.recovery.receiving.insert(object.clone(), receiving);
        }
    }

    /// The last part is here: the object takes its place, and is missing no longer.
    fn finish_part(&mut self, chunk: &PushChunk, transaction: &mut Transaction) {
        let object = &chunk.object;
        if let Some(receiving) = self.recovery.receiving.remove(object) {
            let temporary = temporary_of(object);
            transaction.push(StoreOp::Clone { source: temporary.clone(), target: object.clone() });
            transaction.push(StoreOp::Remove { object: temporary });
            self.changes.remove_temporary(receiving.version);
        }
        if let Some(info) = &chunk.info {
            transaction.ops.extend(index::enter(self.pg, object, info));
        }
        self.missing.remove(object, &mut self.changes);
        self.info_changed = true;
    }
}

/// Whether a part was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Whole,
    Part,
}

fn position_of(chunk: &PushChunk) -> Position {
    Position { data_offset: chunk.data_offset, omap_after: chunk.omap_after.clone() }
}

fn pushed(chunk: &PushChunk, position: Position, completeness: Completeness) -> PgBody {
    PgBody::Pushed {
        object: ObjectId::clone(&chunk.object),
        version: chunk.version,
        data_offset: position.data_offset,
        omap_after: position.omap_after,
        complete: completeness == Completeness::Whole,
    }
}

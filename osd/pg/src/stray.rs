//! Letting a copy go: when the PG is clean without it, or its pool is gone.
//!
//! The account goes first, and a mark takes its place, in a commit of its own: from then on there is no copy. Then the
//! objects, in bounded batches; the mark goes with the last of them. A member that finds the mark at its start goes on.

use types::{Cursor, ObjectId, StoreOp, StoreRead, StoreReadResult, Transaction, limits};

use crate::{
    pg::{Pending, Pg, remove_ops},
    turn::Turn,
};

/// How far the removal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    next: Cursor,
}

impl Pg {
    /// The primary says that the PG is clean without this copy.
    pub(crate) fn handle_remove_stray(&mut self, turn: &mut Turn<'_>) {
        if !self.interval.is_member(self.config.whoami) && self.peering.interval_stored {
            self.begin_removal(turn);
        }
    }

    /// From here on the copy serves nobody and nothing.
    pub(crate) fn begin_removal(&mut self, turn: &mut Turn<'_>) {
        self.tickets.clear();
        self.peers.clear();
        self.peering = crate::peering::Peering::default();
        let open_ops = self.writes.take_open_ops();
        self.removal = Some(Removal { next: self.range().begin() });
        self.place_open_ops(open_ops, turn);
        let mut transaction = Transaction::new();
        self.abandon_recovery(&mut transaction, turn);
        self.end_scrub_interval(turn);
        self.info_changed = false;
        self.changes = crate::stored::Changes::default();
        self.changes.put_gone(self.map.epoch());
        transaction.push(StoreOp::Remove { object: ObjectId::pg_meta(self.pg) });
        self.commit(transaction, Pending::RemovalBatch, Vec::new(), turn);
    }

    /// A batch is gone: the next one.
    pub(crate) fn continue_removal(&mut self, turn: &mut Turn<'_>) {
        let Some(removal) = &self.removal else { return };
        let begin = removal.next.clone();
        let read = StoreRead::List { begin, end: self.range().end(), objects_max: limits::SCAN_PAGE_OBJECTS };
        self.read(vec![read], Pending::RemovalList, turn);
    }

    pub(crate) fn remove_listed(&mut self, results: Vec<types::Result<StoreReadResult>>, turn: &mut Turn<'_>) {
        let (objects, next) = match results.into_iter().next() {
            Some(Ok(StoreReadResult::List { objects, next })) => (objects, next),
            other => {
                // The store is closed; the removal goes on when it is opened again.
                tracing::warn!(pg = %self.pg, ?other, "cannot list the objects of a copy that is being removed");
                return;
            }
        };
        let is_last = next == Cursor::End || next >= self.range().end();
        if let Some(removal) = &mut self.removal {
            removal.next = next;
        }
        let meta = ObjectId::pg_meta(self.pg);
        let mut transaction = remove_ops(objects.into_iter().filter(|object| *object != meta));
        let pending = if is_last {
            transaction.push(StoreOp::Remove { object: meta });
            Pending::RemovalLast
        } else {
            Pending::RemovalBatch
        };
        self.commit(transaction, pending, Vec::new(), turn);
    }
}

impl Pg {
    /// Whether the copy is being removed.
    pub fn is_being_removed(&self) -> bool {
        self.removal.is_some()
    }
}

/// Nothing of the PG may be acted upon once its removal began.
pub(crate) fn assert_nothing_left(pg: &Pg) {
    assert!(
        pg.peers.is_empty() && pg.writes.in_flight.is_empty(),
        "removal.final: a copy that is removed serves nobody"
    );
    assert!(!matches!(pg.tickets.values().next(), Some(Pending::Logged(_))), "removal.final: no write is under way");
}

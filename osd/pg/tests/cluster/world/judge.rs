//! What must hold: while it runs, of each answer; in the end, of all copies.

use osd_pg::{Pg, SessionId};
use types::{ObjectId, OsdId};
use wire::{ClientOp, ClientReply, OpTarget, PgStateFlags};

use super::World;
use crate::{client::Work, monitor::PG};

impl World {
    pub(super) fn primary(&self) -> Option<&Pg> {
        let primary = self.monitor.newest().place(PG).acting_primary?;
        self.members[&primary].pg.as_ref().filter(|pg| pg.is_primary())
    }

    pub(super) fn is_clean(&self) -> bool {
        let state = self.primary().map(|pg| pg.statistics().state);
        state.is_some_and(|state| state.contains(PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN)))
    }

    pub(super) fn is_healed(&self) -> bool {
        let newest = self.monitor.newest();
        let acting = newest.place(PG).acting;
        self.members.values().all(|member| {
            member.runs
                && member.epoch == newest.epoch()
                && newest.is_up(member.osd)
                && (member.pg.is_some() == acting.contains(&Some(member.osd)))
                && member.store.pending_count() == 0
        }) && self.is_clean()
            && self.is_trimmed()
            && self.clients.values().all(|client| client.open.is_empty())
            && (!self.faults.rot || self.is_scrubbed())
    }

    /// Whether no clone of any member preserves what was removed, and the primary's index names none.
    pub(super) fn is_trimmed(&self) -> bool {
        let newest = self.monitor.newest();
        let removed = &newest.pools[&PG.pool].removed_snapshots;
        let Some(primary) = newest.place(PG).acting_primary else { return false };
        let named = |key: &Vec<u8>| types::SnapshotId(u64::from_be_bytes(key[..8].try_into().expect("eight bytes")));
        let index = self.members[&primary].snapshot_index();
        !index.iter().any(|key| removed.contains(named(key)))
            && newest.place(PG).acting_osds().all(|osd| {
                let is_removed = |snapshot: &types::SnapshotId| removed.contains(*snapshot);
                let clones = self.members[&osd].clones();
                !clones.iter().any(|(_, info)| info.snapshot_context.snapshots.iter().any(is_removed))
            })
    }

    /// Whether every byte was read again since the faults have ended, and was right or was repaired.
    pub(super) fn is_scrubbed(&self) -> bool {
        let record = self.primary().and_then(|pg| pg.statistics().scrub);
        record.is_some_and(|record| record.deep_stamp_ms > self.scrubbed_since_ms && record.errors == 0)
    }

    /// What is acknowledged is with every member that acts: a log entry alone is no copy. A primary that answers the repeat of
    /// a write from its log, while it is the only one that has the object, would lose it with its device.
    pub(super) fn judge_promise(&self, primary: OsdId, session: SessionId, reply: &ClientReply) {
        let Ok(success) = &reply.outcome else { return };
        let open = self.clients[&session.0].open.get(&reply.request.sequence);
        let Some((ClientOp { target: OpTarget::Object { name, hash }, .. }, Work::Write(_) | Work::Append(_))) = open
        else {
            return;
        };
        let object = ObjectId::head(PG.pool, *hash, name.clone());
        let interval = self.members[&primary].pg.as_ref().map(Pg::interval);
        for osd in self.monitor.map_of(self.members[&primary].epoch).place(PG).acting_osds() {
            let member = &self.members[&osd];
            let serves_with_it = member.runs && member.pg.as_ref().map(Pg::interval) == interval;
            if serves_with_it {
                let version = member.version_of(&object);
                let is_there = version.is_some_and(|version| version >= success.version);
                assert!(
                    is_there,
                    "seed {}: {object} at {} is acknowledged and osd.{osd} has {version:?}",
                    self.seed, success.version
                );
            }
        }
    }

    pub(super) fn judge(&mut self) {
        self.history.assert_linearizable();
        self.judge_copies();
        let done: u64 = self.clients.values().map(|client| client.done).sum();
        if self.faults.rot {
            let refused: u64 = self.clients.values().map(|client| client.refused_as_damaged).sum();
            let all_stayed = !self.faults.crashes && !self.faults.moves;
            assert!(!all_stayed || refused == 0, "seed {}: a good copy was there ({refused})", self.seed);
            assert!(!all_stayed || self.rotted > 3, "seed {}: something rots ({})", self.seed, self.rotted);
        }
        assert!(done > 100, "seed {}: clients did something ({done})", self.seed);
    }

    /// All copies are the same, and as many as the statistics say.
    pub(super) fn judge_copies(&self) {
        let acting: Vec<OsdId> = self.monitor.newest().place(PG).acting_osds().collect();
        let primary = self.members[&acting[0]].content();
        for osd in &acting[1..] {
            let copy = self.members[osd].content();
            for (object, content) in &primary {
                assert_eq!(Some(content), copy.get(object), "seed {}: {object} on osd.{osd}", self.seed);
            }
            assert_eq!(copy.len(), primary.len(), "seed {}: osd.{osd} has other objects", self.seed);
        }
        for osd in &acting {
            let index = self.members[osd].snapshot_index();
            for (clone, info) in self.members[osd].clones() {
                let made = info.cloned_at.expect("a clone was made");
                assert!(!info.snapshot_context.snapshots.is_empty(), "seed {}: {clone} is for nothing", self.seed);
                for snapshot in &info.snapshot_context.snapshots {
                    let mut key = snapshot.0.to_be_bytes().to_vec();
                    key.extend(made.epoch.0.to_be_bytes());
                    key.extend(made.number.to_be_bytes());
                    assert!(index.contains(&key), "seed {}: osd.{osd} does not know {clone}", self.seed);
                }
            }
        }
        let statistics = self.primary().expect("a clean PG has a primary").statistics();
        assert_eq!((statistics.degraded_copies, statistics.unfound_objects), (0, 0));
        let live = primary.keys().filter(|object| !object.is_clone()).count();
        assert_eq!(statistics.objects, live as u64, "seed {}: the count of objects", self.seed);
    }

    pub(super) fn fail(&self, why: &str) -> ! {
        let mut text = format!("seed {}: {why} by {}\n", self.seed, self.queue.now());
        let newest = self.monitor.newest();
        text += &format!("map {} {:?} temp {:?}\n", newest.epoch(), newest.place(PG), newest.pg_temp);
        for member in self.members.values() {
            let open: Vec<_> = member.commits.iter().map(|(number, ..)| *number).collect();
            text += &format!("--- osd.{} runs {} epoch {} commits {open:?}\n", member.osd, member.runs, member.epoch);
            text += &member.pg.as_ref().map_or("no copy\n".to_owned(), Pg::dump);
        }
        for client in self.clients.values() {
            let open: Vec<_> = client.open.keys().collect();
            text += &format!("client {} epoch {} open {open:?}\n", client.id, client.epoch);
        }
        panic!("{text}");
    }
}

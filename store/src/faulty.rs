//! A memory store that fails as devices and power supplies do, at the moments its owner chooses.
//!
//! Owns: what is committed, what is submitted (and so readable), and the transactions between the two.
//! Does not know: time, randomness, threads. The simulator decides when a flush ends, when power fails, and what rots.
//!
//! Invariants
//! 1. `applied` is `committed` with all `pending` transactions carried out in order.
//! 2. A transaction that was refused is in neither. Whether it is refused is decided at submit.
//! 3. After `fail_writes` nothing is accepted and nothing commits until `crash`.
//!
//! A crash leaves the committed transactions and a prefix, of the owner's choice, of the pending ones: the contract
//! of the real store. Damage is of the medium and survives crashes.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;
use types::{Error, ObjectId, Result, StoreRead, StoreReadResult, StoreUsage, Transaction};

use crate::{
    memory::MemoryStore,
    object_store::{CommitCallback, ConfigChanges, ObjectStore},
};

enum Change {
    Objects(Transaction),
    Config(ConfigChanges),
}

impl Change {
    fn apply(&self, store: &MemoryStore) -> Result<()> {
        match self {
            Self::Objects(transaction) => store.apply(transaction),
            Self::Config(changes) => {
                store.apply_config(changes);
                Ok(())
            }
        }
    }
}

struct Pending {
    sequence: u64,
    change: Change,
    done: Option<CommitCallback>,
}

struct State {
    committed: MemoryStore,
    applied: MemoryStore,
    pending: VecDeque<Pending>,
    last_sequence: u64,
    refusal: Option<Error>,
}

/// The memory store with faults. All methods take `&self`; use it from one thread where determinism matters.
pub struct FaultyStore {
    state: Mutex<State>,
}

impl FaultyStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_content(&MemoryStore::new())
    }

    /// A store that begins with this content, all of it committed.
    pub fn with_content(content: &MemoryStore) -> Self {
        Self {
            state: Mutex::new(State {
                committed: content.clone(),
                applied: content.clone(),
                pending: VecDeque::new(),
                last_sequence: 0,
                refusal: None,
            }),
        }
    }

    /// Submits a transaction without a callback. It reads back at once; it is durable when [`Self::flush`] has told
    /// its number. Numbers count up from one and are not used again after a crash.
    pub fn submit_numbered(&self, transaction: Transaction) -> Result<u64> {
        self.submit_change(Change::Objects(transaction), None).map_err(|(error, _)| error)
    }

    /// The same for the OSD's own values.
    pub fn submit_config_numbered(&self, changes: ConfigChanges) -> Result<u64> {
        self.submit_change(Change::Config(changes), None).map_err(|(error, _)| error)
    }

    /// How many transactions are submitted and not committed.
    pub fn pending_count(&self) -> usize {
        self.state().pending.len()
    }

    /// The flush ends for the oldest `count` pending transactions (all of them with `usize::MAX`). They are durable
    /// now; their callbacks are called and their numbers returned, both in order. Nothing after `fail_writes`.
    pub fn flush(&self, count: usize) -> Vec<u64> {
        let mut state = self.state();
        if state.refusal.is_some() {
            return Vec::new();
        }
        let count = count.min(state.pending.len());
        let flushed: Vec<Pending> = state.pending.drain(..count).collect();
        for pending in &flushed {
            pending.change.apply(&state.committed).expect("what the applied state took, the committed state takes");
        }
        drop(state);
        flushed
            .into_iter()
            .map(|pending| {
                if let Some(done) = pending.done {
                    done(Ok(()));
                }
                pending.sequence
            })
            .collect()
    }

    /// Power fails and the store is opened again: of the pending transactions the oldest `survivors` are there, the
    /// others are lost. Returns the numbers of the survivors. No callback is called: whoever waited is gone too.
    pub fn crash(&self, survivors: usize) -> Vec<u64> {
        let mut state = self.state();
        let pending = mem::take(&mut state.pending);
        let mut survived = Vec::new();
        for pending in pending.into_iter().take(survivors) {
            pending.change.apply(&state.committed).expect("what the applied state took, the committed state takes");
            survived.push(pending.sequence);
        }
        state.applied = state.committed.clone();
        state.refusal = None;
        survived
    }

    /// The device fails a write: all that is pending fails, and everything is refused until [`Self::crash`].
    pub fn fail_writes(&self, reason: &str) {
        let mut state = self.state();
        let error = Error::closed(format!("the store refuses everything since a write failed: {reason}"));
        state.refusal = Some(error.clone());
        let callbacks: Vec<CommitCallback> =
            state.pending.iter_mut().filter_map(|pending| pending.done.take()).collect();
        drop(state);
        for done in callbacks {
            done(Err(error.clone()));
        }
    }

    /// Bit rot in the unit that holds this byte. `false` when there is no data at that place.
    pub fn damage(&self, object: &ObjectId, offset: u64) -> bool {
        let state = self.state();
        state.committed.damage(object, offset);
        state.applied.damage(object, offset)
    }

    /// Sets how many bytes of object data fit; transactions with data beyond are refused with kind `Full`.
    ///
    /// Only call it with nothing pending: what was accepted must still fit when it commits.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        let state = self.state();
        assert!(state.pending.is_empty(), "the capacity changes between flushes only");
        state.committed.set_capacity(capacity_bytes);
        state.applied.set_capacity(capacity_bytes);
    }

    /// A snapshot of what reads see: everything submitted.
    pub fn applied(&self) -> MemoryStore {
        self.state().applied.clone()
    }

    /// A snapshot of what a crash that loses everything pending would leave.
    pub fn committed(&self) -> MemoryStore {
        self.state().committed.clone()
    }

    fn submit_change(
        &self,
        change: Change,
        done: Option<CommitCallback>,
    ) -> std::result::Result<u64, (Error, Option<CommitCallback>)> {
        let mut state = self.state();
        if let Some(error) = &state.refusal {
            return Err((error.clone(), done));
        }
        if let Err(error) = change.apply(&state.applied) {
            return Err((error, done));
        }
        state.last_sequence += 1;
        let sequence = state.last_sequence;
        state.pending.push_back(Pending { sequence, change, done });
        Ok(sequence)
    }

    fn refuse_or_queue(&self, change: Change, done: CommitCallback) {
        if let Err((error, Some(done))) = self.submit_change(change, Some(done)) {
            done(Err(error));
        }
    }

    fn open_applied(&self) -> Result<MemoryStore> {
        let state = self.state();
        match &state.refusal {
            Some(error) => Err(error.clone()),
            None => Ok(state.applied.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics: callbacks run outside of it")
    }
}

impl Default for FaultyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl ObjectStore for FaultyStore {
    fn submit(&self, transaction: Transaction, done: CommitCallback) {
        self.refuse_or_queue(Change::Objects(transaction), done);
    }

    fn read(&self, read: &StoreRead) -> Result<StoreReadResult> {
        self.open_applied()?.read(read)
    }

    fn try_read(&self, read: &StoreRead) -> Option<Result<StoreReadResult>> {
        Some(self.read(read))
    }

    fn usage(&self) -> Result<StoreUsage> {
        self.open_applied()?.usage()
    }

    fn submit_config(&self, changes: ConfigChanges, done: CommitCallback) {
        self.refuse_or_queue(Change::Config(changes), done);
    }

    fn read_config(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.open_applied()?.read_config(key)
    }

    fn list_config(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>> {
        self.open_applied()?.list_config(prefix)
    }

    fn close(&self) -> Result<()> {
        self.open_applied()?;
        self.flush(usize::MAX);
        self.state().refusal = Some(Error::closed("the store is closed; open it again"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use types::{ErrorKind, Extent, ObjectName, PoolId, StoreOp};

    use super::*;

    fn object(number: u32) -> ObjectId {
        ObjectId::head(PoolId(1), number, ObjectName::new(format!("o{number}")))
    }

    fn write(number: u32, data: &'static [u8]) -> Transaction {
        Transaction { ops: vec![StoreOp::Write { object: object(number), offset: 0, data: Bytes::from_static(data) }] }
    }

    fn content(store: &FaultyStore, number: u32) -> Result<StoreReadResult> {
        store.read(&StoreRead::Data { object: object(number), extent: Extent { offset: 0, length: 100 } })
    }

    fn bytes(data: &'static [u8]) -> Result<StoreReadResult> {
        Ok(StoreReadResult::Data(Bytes::from_static(data)))
    }

    #[test]
    fn reads_see_the_submitted_and_a_crash_leaves_a_prefix() {
        let store = FaultyStore::new();
        for number in 1..=4 {
            assert_eq!(store.submit_numbered(write(number, b"new")), Ok(u64::from(number)));
        }
        assert_eq!(content(&store, 4), bytes(b"new"));
        assert_eq!(store.flush(2), [1, 2]);
        assert_eq!(store.pending_count(), 2);
        assert_eq!(store.crash(1), [3]);
        assert_eq!(content(&store, 2), bytes(b"new"));
        assert_eq!(content(&store, 3), bytes(b"new"));
        assert_eq!(content(&store, 4), bytes(b""));
        assert!(store.applied().is_same(&store.committed()));
        assert_eq!(store.submit_numbered(write(4, b"again")), Ok(5));
    }

    #[test]
    fn a_failed_write_refuses_everything_until_the_crash() {
        let store = FaultyStore::new();
        let failed = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&failed);
        store.submit(
            write(1, b"a"),
            Box::new(move |result| {
                assert_eq!(result.expect_err("must fail").kind, ErrorKind::Closed);
                counted.fetch_add(1, Ordering::Relaxed);
            }),
        );
        store.fail_writes("no such device");
        assert_eq!(failed.load(Ordering::Relaxed), 1);
        assert_eq!(content(&store, 1).expect_err("refused").kind, ErrorKind::Closed);
        assert!(store.submit_numbered(write(2, b"b")).is_err());
        assert_eq!(store.flush(usize::MAX), []);
        assert_eq!(store.crash(0), []);
        assert_eq!(content(&store, 1), bytes(b""));
    }

    #[test]
    fn damage_survives_the_crash_and_is_healed_by_a_whole_rewrite() {
        let store = FaultyStore::new();
        store.submit_numbered(write(1, b"abc")).expect("submit");
        store.flush(1);
        assert!(store.damage(&object(1), 0));
        assert!(!store.damage(&object(1), 1 << 20));
        store.crash(0);
        let error = content(&store, 1).expect_err("damaged");
        assert_eq!(error.kind, ErrorKind::Damaged);
        assert!(error.message.contains("offset 0"), "{error}");
        store.submit_numbered(write(1, b"x")).expect("submit");
        assert!(content(&store, 1).is_err(), "a part does not heal the unit");
        store
            .submit_numbered(Transaction { ops: vec![StoreOp::Truncate { object: object(1), size: 0 }] })
            .expect("submit");
        store.submit_numbered(write(1, b"whole")).expect("submit");
        assert_eq!(content(&store, 1), bytes(b"whole"));
    }

    #[test]
    fn a_full_store_refuses_data_and_takes_removals() {
        let store = FaultyStore::new();
        store.set_capacity(4096);
        store.submit_numbered(write(1, b"abc")).expect("fits");
        assert_eq!(store.submit_numbered(write(2, b"abc")).expect_err("full").kind, ErrorKind::Full);
        store
            .submit_numbered(Transaction { ops: vec![StoreOp::Remove { object: object(1) }] })
            .expect("removals need no space");
        store.submit_numbered(write(2, b"abc")).expect("fits again");
    }
}

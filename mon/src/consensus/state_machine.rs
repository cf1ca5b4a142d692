//! The replicated state as the consensus library drives it, and its snapshots.
//!
//! Owns: applying agreed entries in order, and the newest snapshot on disk. Does not know: who proposed an entry.
//!
//! Invariants
//! 1. The state is the snapshot's plus exactly the applied entries behind it.
//! 2. A snapshot is synced, with its description, in one batch.
//!
//! After a crash: the state is the snapshot's; the library applies the entries behind it again.

use std::{
    io::Cursor,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use mon_state::{Outcome, State, decode_entry};
use openraft::{
    BasicNode, EntryPayload, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError,
    StorageIOError, StoredMembership, storage::RaftStateMachine,
};
use tokio::sync::watch;
use types::{Epoch, Error, Result};

use super::{
    encoding::{decode, encode},
    log_store::{LogStore, SNAPSHOT, SNAPSHOT_META, any},
    raft::{LogEntry, Response, Types},
};

type StoreResult<T> = std::result::Result<T, StorageError<u64>>;
type Meta = SnapshotMeta<u64, BasicNode>;

/// The applied state, for everybody in this process to read.
#[derive(Debug)]
pub(crate) struct SharedState {
    state: RwLock<State>,
    epoch: watch::Sender<Epoch>,
}

impl SharedState {
    fn new(state: State) -> Self {
        let epoch = watch::Sender::new(state.epoch());
        Self { state: RwLock::new(state), epoch }
    }

    /// The state. Held for as short as possible: agreed entries wait for it.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        // A reader cannot leave the state half changed, and a writer that panics stops the process's log task.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch of the applied map, now and later.
    pub fn epoch(&self) -> watch::Receiver<Epoch> {
        self.epoch.subscribe()
    }

    fn publish(&self) {
        let epoch = self.read().epoch();
        self.epoch.send_if_modified(|published| {
            let changed = *published != epoch;
            *published = epoch;
            changed
        });
    }
}

/// The state machine.
#[derive(Clone)]
pub(super) struct StateMachine {
    store: LogStore,
    shared: Arc<SharedState>,
    last_applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
}

impl StateMachine {
    /// The state of the newest snapshot in the store.
    pub fn load(store: LogStore) -> Result<Self> {
        let Some((meta, bytes)) = read_snapshot(&store)? else {
            return Ok(Self {
                store,
                shared: Arc::new(SharedState::new(State::new())),
                last_applied: None,
                membership: StoredMembership::default(),
            });
        };
        Ok(Self {
            store,
            shared: Arc::new(SharedState::new(State::restore(&bytes)?)),
            last_applied: meta.last_log_id,
            membership: meta.last_membership,
        })
    }

    pub fn shared(&self) -> Arc<SharedState> {
        Arc::clone(&self.shared)
    }

    fn apply_entry(&mut self, entry: LogEntry) -> Result<Response> {
        self.last_applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Ok(Response::default()),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                Ok(Response::default())
            }
            EntryPayload::Normal(payload) => {
                let applied = self.shared.write().apply(&decode_entry(&payload.0)?)?;
                Ok(Response {
                    sequence: applied.sequence,
                    is_done: applied.outcome == Outcome::Done,
                    epoch: applied.epoch,
                })
            }
        }
    }

    async fn save(&self, meta: &Meta, bytes: &[u8]) -> Result<()> {
        let encoded = encode(meta)?;
        let build = |store: &LogStore, batch: &mut rocksdb::WriteBatch| {
            store.put_meta(batch, SNAPSHOT_META, &encoded);
            store.put_meta(batch, SNAPSHOT, bytes);
        };
        self.store.write(build, true).await
    }
}

fn read_snapshot(store: &LogStore) -> Result<Option<(Meta, Vec<u8>)>> {
    let Some(meta) = store.get_meta(SNAPSHOT_META)? else { return Ok(None) };
    let bytes = store.get_meta(SNAPSHOT)?.ok_or_else(|| Error::damaged("a snapshot's description has no snapshot"))?;
    Ok(Some((decode(&meta, "snapshot description")?, bytes)))
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> StoreResult<Snapshot<Types>> {
        // This is the frozen copy that `get_snapshot_builder` made: its state is that of its `last_applied`.
        let state = self.shared.read().clone();
        let encoded = tokio::task::spawn_blocking(move || state.snapshot()).await;
        let bytes = encoded.map_err(|error| StorageIOError::write_snapshot(None, openraft::AnyError::new(&error)))?;
        let position = self.last_applied.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let meta = Meta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
            snapshot_id: format!("{position}-{:08x}", bytes.len()),
        };
        self.save(&meta, &bytes).await.map_err(|error| StorageIOError::write_snapshot(None, any(&error)))?;
        tracing::info!(position, bytes = bytes.len(), "a snapshot of the monitors' state is made");
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes.to_vec())) })
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> StoreResult<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>)> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> StoreResult<Vec<Response>>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut responses = Vec::new();
        for entry in entries {
            let log_id = entry.log_id;
            let response = self.apply_entry(entry).map_err(|error| {
                tracing::error!(%log_id, %error, "this monitor cannot follow the others and stops");
                StorageIOError::apply(log_id, any(&error))
            })?;
            responses.push(response);
        }
        self.shared.publish();
        Ok(responses)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        // A frozen copy: what is applied while the snapshot is built must not be in it.
        let frozen = SharedState::new(self.shared.read().clone());
        Self { shared: Arc::new(frozen), ..self.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> StoreResult<Box<Cursor<Vec<u8>>>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<Cursor<Vec<u8>>>) -> StoreResult<()> {
        let bytes = snapshot.into_inner();
        let signature = Some(meta.signature());
        let state =
            State::restore(&bytes).map_err(|error| StorageIOError::read_snapshot(signature.clone(), any(&error)))?;
        self.save(meta, &bytes).await.map_err(|error| StorageIOError::write_snapshot(signature, any(&error)))?;
        *self.shared.write() = state;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.shared.publish();
        tracing::info!(%meta, bytes = bytes.len(), "a snapshot of the leader's state is taken over");
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> StoreResult<Option<Snapshot<Types>>> {
        let found = read_snapshot(&self.store).map_err(|error| StorageIOError::read_snapshot(None, any(&error)))?;
        Ok(found.map(|(meta, bytes)| Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }
}

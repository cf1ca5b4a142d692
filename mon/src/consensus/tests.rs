//! The library's own suite against our store and state machine, and what a restart finds.

use openraft::{
    RaftLogReader, RaftSnapshotBuilder, StorageError, Vote,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
    testing::{StoreBuilder, Suite, blank_ent},
};

use super::{log_store::LogStore, raft::Types, state_machine::StateMachine};

struct Folders;

impl StoreBuilder<Types, LogStore, StateMachine, tempfile::TempDir> for Folders {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<u64>> {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore::open(folder.path()).unwrap();
        let machine = StateMachine::load(store.clone()).unwrap();
        Ok((folder, store, machine))
    }
}

#[test]
fn the_librarys_suite_passes() {
    Suite::<Types, LogStore, StateMachine, Folders, tempfile::TempDir>::test_all(Folders).unwrap();
}

#[tokio::test]
async fn vote_log_and_snapshot_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let vote = Vote::new(7, 2);
    {
        let mut store = LogStore::open(folder.path()).unwrap();
        let mut machine = StateMachine::load(store.clone()).unwrap();
        store.save_vote(&vote).await.unwrap();
        let entries: Vec<_> = (0..10).map(|index| blank_ent::<Types>(1, 1, index)).collect();
        store.blocking_append(entries.clone()).await.unwrap();
        machine.apply(entries[..6].to_vec()).await.unwrap();
        machine.get_snapshot_builder().await.build_snapshot().await.unwrap();
        store.purge(entries[3].log_id).await.unwrap();
        store.truncate(entries[8].log_id).await.unwrap();
    }
    let mut store = LogStore::open(folder.path()).unwrap();
    let mut machine = StateMachine::load(store.clone()).unwrap();
    assert_eq!(store.read_vote().await.unwrap(), Some(vote));
    let state = store.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id.map(|id| id.index), Some(3));
    assert_eq!(state.last_log_id.map(|id| id.index), Some(7));
    let left = store.try_get_log_entries(0..100).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.log_id.index).collect::<Vec<_>>(), [4, 5, 6, 7]);
    let (applied, _) = machine.applied_state().await.unwrap();
    assert_eq!(applied.map(|id| id.index), Some(5));
}

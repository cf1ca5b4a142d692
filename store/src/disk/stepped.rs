//! The engine without threads, for counting what its steps cost.

use std::sync::Arc;

use types::{Result, Transaction};

use super::{engine::Engine, replay, state::Change, store::StoreOptions};
use crate::{device::BlockDevice, key_value::KeyValue, object_store::CommitCallback};

/// An open store whose steps its owner runs.
pub(crate) struct SteppedStore {
    engine: Engine,
}

impl SteppedStore {
    pub fn open(device: Arc<dyn BlockDevice>, keys: Arc<dyn KeyValue>, options: &StoreOptions) -> Result<Self> {
        Ok(Self { engine: replay::open(device, keys, options.checked()?.engine_memory())? })
    }

    pub fn submit(&self, transaction: Transaction, done: CommitCallback) {
        self.engine.submit(Change::Objects(transaction), done);
    }

    /// What the threads would do now: one group, what it leaves to carry out, and a checkpoint when one is due.
    pub fn step(&self) {
        while self.engine.step_prepare() {}
        self.engine.step_journal();
        self.engine.step_apply();
        let scope = self.engine.checkpoint_scope(&self.engine.state());
        if let Some(scope) = scope {
            self.engine.step_checkpoint(scope);
        }
    }

    pub fn settle(&self) -> Result<()> {
        self.engine.settle()
    }
}

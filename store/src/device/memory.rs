//! The twin in memory: the same contract, failures on demand, and its history on a tape for crash images.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use types::{Error, Result};

use super::BlockDevice;
use crate::{
    counts::DeviceCounts,
    tape::{Tape, TapeEvent},
};

/// What every byte of a discarded range reads as.
const DISCARDED: u8 = 0xdd;

/// Called before each write and flush.
type Hook = Arc<dyn Fn() + Send + Sync>;

struct State {
    content: Vec<u8>,
    operations_until_failure: Option<u64>,
    counts: DeviceCounts,
    hook: Option<Hook>,
}

/// A device in memory.
pub struct MemoryDevice {
    state: Mutex<State>,
    tape: Option<Arc<Tape>>,
}

impl MemoryDevice {
    /// A device full of zeroes.
    pub fn new(size_bytes: usize) -> Self {
        Self::with_content(vec![0; size_bytes])
    }

    /// A device with this content.
    pub fn with_content(content: Vec<u8>) -> Self {
        let state = State { content, operations_until_failure: None, counts: DeviceCounts::default(), hook: None };
        Self { state: Mutex::new(state), tape: None }
    }

    /// A device that records what is done to it.
    pub fn recorded(content: Vec<u8>, tape: Arc<Tape>) -> Self {
        Self { tape: Some(tape), ..Self::with_content(content) }
    }

    /// What is on it now.
    pub fn content(&self) -> Vec<u8> {
        self.state().content.clone()
    }

    /// Flips one bit, as rot would.
    pub fn flip_bit(&self, offset: usize, bit: u8) {
        self.state().content[offset] ^= 1 << (bit % 8);
    }

    /// After so many further writes and flushes, each of them fails.
    pub fn fail_after(&self, operations: u64) {
        self.state().operations_until_failure = Some(operations);
    }

    /// Calls this before each further write and flush, without holding any lock: what it does happens in the middle
    /// of whatever writes.
    pub fn set_hook(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.state().hook = Some(Arc::new(hook));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics: ranges are checked by slicing in tests only")
    }

    fn begin_change(&self, doing: &str) -> Result<MutexGuard<'_, State>> {
        let hook = self.state().hook.clone();
        if let Some(hook) = hook {
            hook();
        }
        let mut state = self.state();
        if let Some(left) = &mut state.operations_until_failure {
            if *left == 0 {
                return Err(Error::closed(format!("{doing} device {}: it fails as it was told to", self.name())));
            }
            *left -= 1;
        }
        Ok(state)
    }
}

impl BlockDevice for MemoryDevice {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn size_bytes(&self) -> u64 {
        self.state().content.len() as u64
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let first = position(offset);
        let mut state = self.state();
        buffer.copy_from_slice(&state.content[first..first + buffer.len()]);
        state.counts.reads += 1;
        state.counts.read_bytes += buffer.len() as u64;
        Ok(())
    }

    fn write(&self, offset: u64, buffer: &[u8]) -> Result<()> {
        let mut state = self.begin_change("write to")?;
        let first = position(offset);
        state.content[first..first + buffer.len()].copy_from_slice(buffer);
        state.counts.writes += 1;
        state.counts.written_bytes += buffer.len() as u64;
        if let Some(tape) = &self.tape {
            tape.record(TapeEvent::DeviceWrite { offset, data: Bytes::copy_from_slice(buffer) });
        }
        Ok(())
    }

    /// Spoils the range: whoever needs it still will notice.
    fn discard(&self, offset: u64, length: u64) -> Result<()> {
        self.write(offset, &vec![DISCARDED; position(length)])
    }

    fn flush(&self) -> Result<()> {
        let mut state = self.begin_change("flush")?;
        state.counts.flushes += 1;
        if let Some(tape) = &self.tape {
            tape.record(TapeEvent::DeviceFlush);
        }
        Ok(())
    }

    fn counts(&self) -> DeviceCounts {
        self.state().counts
    }
}

/// An offset on the device, as a position in memory.
pub(crate) fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("a device in memory is smaller than memory")
}

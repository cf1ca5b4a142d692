//! What was done to a device and a key-value part in memory, in one order, and the states a crash could leave.
//!
//! Crash model (DESIGN 7): at any moment, everything written to the device since its last flush may be lost, torn at
//! 512 bytes, or there without what came before it. The key-value part keeps a prefix of its writes that contains at
//! least those before its last flush.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use types::SeededRandom;

use crate::{
    device::MemoryDevice,
    key_value::{KeyChange, MemoryKeyValue},
};

/// The piece of a device write that is never torn.
const SECTOR_BYTES: usize = 512;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum TapeEvent {
    /// The device took a write.
    DeviceWrite {
        /// Where.
        offset: u64,
        /// What.
        data: Bytes,
    },
    /// The device finished a flush.
    DeviceFlush,
    /// The key-value part took a batch.
    KeyWrite(Arc<Vec<KeyChange>>),
    /// The key-value part finished a flush.
    KeyFlush,
    /// The test's own mark, such as "transaction 7 was acknowledged".
    Mark(u64),
}

/// How a crash treats what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashStyle {
    /// All that was written is there.
    KeepAll,
    /// Nothing that was not flushed is there.
    LoseUnflushed,
    /// Each unflushed write is there, lost, or torn, independently.
    Scramble,
}

/// The record of both halves since a common beginning.
#[derive(Debug)]
pub struct Tape {
    device_at_start: Vec<u8>,
    keys_at_start: Vec<(Bytes, Bytes)>,
    events: Mutex<Vec<TapeEvent>>,
}

impl Tape {
    /// A tape that begins with these contents, all of it durable.
    pub fn new(device: Vec<u8>, keys: Vec<(Bytes, Bytes)>) -> Arc<Self> {
        Arc::new(Self { device_at_start: device, keys_at_start: keys, events: Mutex::new(Vec::new()) })
    }

    /// Adds an event behind the others.
    pub fn record(&self, event: TapeEvent) {
        self.events().push(event);
    }

    /// How many events there are.
    pub fn length(&self) -> usize {
        self.events().len()
    }

    /// Where events of a kind stand.
    pub fn positions(&self, is_wanted: impl Fn(&TapeEvent) -> bool) -> Vec<usize> {
        self.events().iter().enumerate().filter(|(_, event)| is_wanted(event)).map(|(index, _)| index).collect()
    }

    /// The marks among the first `end` events.
    pub fn marks(&self, end: usize) -> Vec<u64> {
        let mark = |event: &TapeEvent| if let TapeEvent::Mark(mark) = event { Some(*mark) } else { None };
        self.events()[..end].iter().filter_map(mark).collect()
    }

    /// Both halves as a crash after the first `end` events could leave them.
    pub fn crash_image(
        &self,
        end: usize,
        style: CrashStyle,
        random: &mut SeededRandom,
    ) -> (MemoryDevice, MemoryKeyValue) {
        let events = self.events();
        let events = &events[..end];
        let is_device_flush = |event: &TapeEvent| matches!(event, TapeEvent::DeviceFlush);
        let is_key_flush = |event: &TapeEvent| matches!(event, TapeEvent::KeyFlush);
        let device_durable = events.iter().rposition(is_device_flush).unwrap_or(0);
        let keys_durable = events.iter().rposition(is_key_flush).unwrap_or(0);

        let mut content = self.device_at_start.clone();
        for (index, event) in events.iter().enumerate() {
            let TapeEvent::DeviceWrite { offset, data } = event else { continue };
            let at = usize::try_from(*offset).expect("a device in memory is smaller than memory");
            if index < device_durable || style == CrashStyle::KeepAll {
                content[at..at + data.len()].copy_from_slice(data);
            } else if style == CrashStyle::Scramble {
                match random.below(3) {
                    0 => {}
                    1 => content[at..at + data.len()].copy_from_slice(data),
                    _ => {
                        for first in (0..data.len()).step_by(SECTOR_BYTES) {
                            let last = (first + SECTOR_BYTES).min(data.len());
                            if random.chance(1, 2) {
                                content[at + first..at + last].copy_from_slice(&data[first..last]);
                            }
                        }
                    }
                }
            }
        }

        let keys = MemoryKeyValue::with_content(self.keys_at_start.clone());
        let unflushed =
            events[keys_durable..].iter().filter(|event| matches!(event, TapeEvent::KeyWrite(_))).count() as u64;
        let mut survivors = match style {
            CrashStyle::KeepAll => unflushed,
            CrashStyle::LoseUnflushed => 0,
            CrashStyle::Scramble => random.below(unflushed + 1),
        };
        for (index, event) in events.iter().enumerate() {
            let TapeEvent::KeyWrite(changes) = event else { continue };
            if index >= keys_durable {
                if survivors == 0 {
                    break;
                }
                survivors -= 1;
            }
            keys.apply(changes);
        }
        (MemoryDevice::with_content(content), keys)
    }

    fn events(&self) -> MutexGuard<'_, Vec<TapeEvent>> {
        self.events.lock().expect("no holder of this lock panics")
    }
}

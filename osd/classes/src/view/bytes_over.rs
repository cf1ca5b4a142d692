//! Bytes that were written and not stored yet, over those that are stored.

use bytes::{Bytes, BytesMut};
use types::{Extent, Result};

/// What was done to bytes, in order.
#[derive(Debug)]
enum Patch {
    Data { offset: u64, data: Bytes },
    Zeroes(Extent),
}

/// The changes since the stored state.
#[derive(Debug)]
pub(super) struct BytesOver {
    /// Stored bytes from here on are not seen any more.
    stored_end: u64,
    patches: Vec<Patch>,
}

impl BytesOver {
    pub fn new(stored_end: u64) -> Self {
        Self { stored_end, patches: Vec::new() }
    }

    pub fn write(&mut self, offset: u64, data: Bytes) {
        self.patches.push(Patch::Data { offset, data });
    }

    pub fn zero(&mut self, extent: Extent) {
        self.patches.push(Patch::Zeroes(extent));
    }

    pub fn truncate(&mut self, size: u64) {
        self.stored_end = self.stored_end.min(size);
        self.patches.push(Patch::Zeroes(Extent { offset: size, length: u64::MAX - size }));
    }

    /// The bytes of a range that lies below the object's size.
    pub fn read(&self, asked: Extent, stored: impl FnOnce(Extent) -> Result<Bytes>) -> Result<Bytes> {
        if asked.length == 0 {
            return Ok(Bytes::new());
        }
        let seen = asked.end().min(self.stored_end).saturating_sub(asked.offset);
        let below = if seen > 0 { stored(Extent { offset: asked.offset, length: seen })? } else { Bytes::new() };
        if self.patches.is_empty() && below.len() as u64 == asked.length {
            return Ok(below);
        }
        let mut bytes = BytesMut::from(&below[..]);
        bytes.resize(size(asked.length), 0);
        for patch in &self.patches {
            let (extent, data) = match patch {
                Patch::Data { offset, data } => (Extent { offset: *offset, length: data.len() as u64 }, Some(data)),
                Patch::Zeroes(extent) => (*extent, None),
            };
            let (from, to) = (extent.offset.max(asked.offset), extent.end().min(asked.end()));
            if from >= to {
                continue;
            }
            let target = &mut bytes[size(from - asked.offset)..size(to - asked.offset)];
            match data {
                Some(data) => target.copy_from_slice(&data[size(from - extent.offset)..size(to - extent.offset)]),
                None => target.fill(0),
            }
        }
        Ok(bytes.freeze())
    }
}

fn size(count: u64) -> usize {
    usize::try_from(count).expect("what a method reads at once is bounded")
}

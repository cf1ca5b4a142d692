//! Memory for large payloads, used again and again: pages that are new to a process cost the kernel more than the copy of
//! the bytes into them, and an allocator gives memory of this size back each time it is free.
//!
//! Owns: the memory that is free, of one process: sessions come and go, and payloads outlive them. Whoever drops the
//! last part of a payload gives its memory back. Does not know: what payloads mean.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{BufMut, Bytes};

/// Bytes of free memory that are kept: what a handful of clients with large payloads have in turn. More would lie idle
/// beside the budgets that memory has elsewhere.
const FREE_BYTES_MAX: usize = 32 << 20;
/// How much larger than the payload its memory may be: a small part of a payload may be held long.
const LARGER_MAX: usize = 2;
/// Where a large payload begins in memory: what every device takes, so that it goes there without a copy.
const ALIGNMENT: usize = 4096;

static FREE: Free = Free::new();

/// A payload that is coming in.
pub(super) struct PayloadBuffer {
    memory: Vec<u8>,
    /// Where the payload begins in the memory.
    begin: usize,
    free: &'static Free,
}

impl PayloadBuffer {
    /// Room for so many bytes, which will begin at an aligned address.
    pub fn new(bytes: usize) -> Self {
        FREE.take(bytes)
    }

    /// Bytes that are there.
    pub fn len(&self) -> usize {
        self.memory.len() - self.begin
    }

    /// Where the next bytes go. No more than the buffer was made for may go there: it would move.
    pub fn target(&mut self) -> &mut impl BufMut {
        &mut self.memory
    }

    /// The payload, whole.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PayloadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.begin..]
    }
}

impl Drop for PayloadBuffer {
    fn drop(&mut self) {
        self.free.give(std::mem::take(&mut self.memory));
    }
}

impl fmt::Debug for PayloadBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadBuffer").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

/// Memory that nobody uses, the longest unused first.
struct Free {
    memories: Mutex<VecDeque<Vec<u8>>>,
}

impl Free {
    const fn new() -> Self {
        Self { memories: Mutex::new(VecDeque::new()) }
    }

    fn memories(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&'static self, bytes: usize) -> PayloadBuffer {
        let needed = bytes + ALIGNMENT;
        let fits = |memory: &Vec<u8>| (needed..=LARGER_MAX * needed).contains(&memory.capacity());
        let found = {
            let mut memories = self.memories();
            // The one that was used last is the likeliest to be in a cache.
            memories.iter().rposition(fits).and_then(|at| memories.remove(at))
        };
        let mut memory = found.unwrap_or_else(|| Vec::with_capacity(needed));
        memory.clear();
        let begin = memory.as_ptr().align_offset(ALIGNMENT);
        memory.put_bytes(0, begin);
        PayloadBuffer { memory, begin, free: self }
    }

    fn give(&self, memory: Vec<u8>) {
        let mut dropped = Vec::new();
        let mut memories = self.memories();
        memories.push_back(memory);
        let mut bytes: usize = memories.iter().map(Vec::capacity).sum();
        // What fits nobody any more goes first.
        while bytes > FREE_BYTES_MAX
            && let Some(oldest) = memories.pop_front()
        {
            bytes -= oldest.capacity();
            dropped.push(oldest);
        }
        // Given to the allocator when nobody waits for the lock.
        drop(memories);
    }

    #[cfg(test)]
    fn capacities(&self) -> Vec<usize> {
        self.memories().iter().map(Vec::capacity).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn payload(free: &'static Free, bytes: usize) -> Bytes {
        let mut buffer = free.take(bytes);
        buffer.target().put_bytes(7, bytes);
        assert_eq!(buffer.len(), bytes);
        buffer.freeze()
    }

    #[test]
    fn a_large_payload_lies_as_devices_want_it() {
        for bytes in [64 << 10, 100_001, 4 * MIB] {
            let mut buffer = PayloadBuffer::new(bytes);
            let address = buffer.as_ref().as_ptr().addr();
            assert!(address.is_multiple_of(ALIGNMENT) && buffer.len() == 0);
            buffer.target().put_bytes(7, bytes);
            let payload = buffer.freeze();
            assert_eq!(payload.as_ptr().addr(), address, "it was not moved while it was filled");
            assert!(payload.len() == bytes && payload.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn memory_comes_back_with_the_last_part_of_a_payload() {
        static OWN: Free = Free::new();
        let mut whole = payload(&OWN, 4 * MIB);
        let part = whole.split_to(100);
        drop(whole);
        assert!(OWN.capacities().is_empty() && part.iter().all(|byte| *byte == 7));
        let address = part.as_ptr().addr();
        drop(part);
        assert_eq!(OWN.capacities().len(), 1);
        let again = payload(&OWN, 3 * MIB);
        assert!(OWN.capacities().is_empty());
        assert_eq!((again.as_ptr().addr(), again.len()), (address, 3 * MIB), "the same memory, of another length");
        drop(again);
        drop(payload(&OWN, MIB));
        assert_eq!(OWN.capacities().len(), 2, "a small payload does not hold a large memory");
    }

    #[test]
    fn free_memory_has_a_bound_and_the_oldest_goes() {
        static OWN: Free = Free::new();
        let small = payload(&OWN, MIB);
        let payloads: Vec<Bytes> = (0..12).map(|_| payload(&OWN, 4 * MIB)).collect();
        drop(small);
        assert_eq!(OWN.capacities().len(), 1);
        drop(payloads);
        let kept = OWN.capacities();
        assert!(kept.iter().sum::<usize>() <= FREE_BYTES_MAX && kept.len() == 7, "{kept:?}");
        assert!(kept.iter().all(|capacity| *capacity > 4 * MIB), "the small one was the oldest: {kept:?}");
    }
}

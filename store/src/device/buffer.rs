//! Memory that a device can read and write directly: aligned to [`DEVICE_ALIGNMENT`].
//!
//! The one place of this crate with raw memory. A buffer becomes `Bytes` without a copy, so what was read from the
//! device travels to the network as it is.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::DEVICE_ALIGNMENT;

/// Smallest buffer worth keeping: below, the allocator keeps its own; above, it asks the kernel for fresh pages each
/// time, and clearing those costs as much as reading the device.
const KEPT_BYTES_MIN: usize = 256 << 10;
/// Bytes kept for the next user, in all. Eight reads of the largest common object.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// Buffers without a user, by length.
static KEPT: Mutex<Kept> = Mutex::new(Kept { buffers: BTreeMap::new(), bytes: 0 });

struct Kept {
    buffers: BTreeMap<usize, Vec<Address>>,
    bytes: usize,
}

/// An address that nobody else has.
struct Address(NonNull<u8>);

// SAFETY: it is the only one to its memory, like a `Box`.
unsafe impl Send for Address {}

/// Zeroed bytes at an aligned address; the length is a multiple of the alignment.
pub struct AlignedBuffer {
    address: NonNull<u8>,
    length: usize,
}

impl AlignedBuffer {
    /// Zeroes, at least `length` of them, rounded up to the alignment.
    pub fn zeroed(length: usize) -> Self {
        let length = length.max(1).next_multiple_of(DEVICE_ALIGNMENT);
        let layout = Self::layout(length);
        // SAFETY: the layout's size is not zero, because `length` is at least the alignment.
        let address = unsafe { alloc_zeroed(layout) };
        let Some(address) = NonNull::new(address) else { handle_alloc_error(layout) };
        Self { address, length }
    }

    /// At least `length` bytes of any content, rounded up to the alignment; what an earlier user left may be in it.
    pub fn recycled(length: usize) -> Self {
        let length = length.max(1).next_multiple_of(DEVICE_ALIGNMENT);
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.buffers.get_mut(&length).and_then(Vec::pop) {
            Some(Address(address)) => {
                kept.bytes -= length;
                Self { address, length }
            }
            None => {
                drop(kept);
                Self::zeroed(length)
            }
        }
    }

    /// The buffer as shared bytes, without a copy.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }

    fn layout(length: usize) -> Layout {
        Layout::from_size_align(length, DEVICE_ALIGNMENT).expect("buffers are far below the address space's half")
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        if self.length >= KEPT_BYTES_MIN {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.bytes + self.length <= KEPT_BYTES_MAX {
                kept.bytes += self.length;
                kept.buffers.entry(self.length).or_default().push(Address(self.address));
                return;
            }
        }
        // SAFETY: the address came from `alloc_zeroed` with this same layout and is freed once.
        unsafe { dealloc(self.address.as_ptr(), Self::layout(self.length)) };
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is owned, initialised and `length` bytes long.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.length) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the borrow unique.
        unsafe { slice::from_raw_parts_mut(self.address.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: the buffer owns its memory alone, like a `Box<[u8]>`.
unsafe impl Send for AlignedBuffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedBuffer {}

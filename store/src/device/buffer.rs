//! Memory that a device can read and write directly: aligned to [`DEVICE_ALIGNMENT`].
//!
//! The one place of this crate with raw memory. A buffer becomes `Bytes` without a copy, so what was read from the
//! device travels to the network as it is.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
};

use bytes::Bytes;

use super::DEVICE_ALIGNMENT;

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

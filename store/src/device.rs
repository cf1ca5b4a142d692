//! The device under a store: the few things that are asked of it, in one trait.
//!
//! Contract of every device: a write that has returned is seen by reads at once. It survives a loss of power only
//! after a `flush` that was called later has returned; until then it may be lost, may be there in part (each 512
//! bytes whole or not), and may be there without writes that came before it. Nothing else ever changes.

mod buffer;
mod file;
mod memory;
mod ring;
mod tally;

pub use buffer::AlignedBuffer;
pub use file::FileDevice;
pub use memory::MemoryDevice;

use types::Result;

use crate::counts::DeviceCounts;

/// Alignment of every offset, length and memory address given to a device. All known disks take 4 KiB.
pub const DEVICE_ALIGNMENT: usize = 4096;

/// A block device, a file that serves as one, or a twin in memory.
///
/// Offsets and lengths are multiples of [`DEVICE_ALIGNMENT`], and so are the addresses of buffers. Methods may be
/// called from many threads at once. Errors have kind `Closed` and name the device and what the system said.
pub trait BlockDevice: Send + Sync {
    /// What an operator calls it.
    fn name(&self) -> String;

    /// Its size, rounded down to whole units of the alignment.
    fn size_bytes(&self) -> u64;

    /// Fills the buffer from this offset.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Writes the buffer at this offset.
    fn write(&self, offset: u64, buffer: &[u8]) -> Result<()>;

    /// Carries out many writes; in any order and side by side, where the device can. The ranges do not overlap.
    fn write_many(&self, writes: &[(u64, &[u8])]) -> Result<()> {
        writes.iter().try_for_each(|(offset, buffer)| self.write(*offset, buffer))
    }

    /// Makes every write that returned before this call durable.
    fn flush(&self) -> Result<()>;

    /// Tells the device that the content of a range is not needed. What is read there afterwards is anything. An error
    /// means that it takes no such hints.
    fn discard(&self, offset: u64, length: u64) -> Result<()>;

    /// What was done with it since it was opened.
    fn counts(&self) -> DeviceCounts;
}

//! A block device or a file of the operating system, past its page cache.
//!
//! Opened with O_DIRECT, so that a write is one device write and memory is not used twice; where the file system
//! does not know O_DIRECT (tmpfs), through the page cache, which `flush` makes durable all the same.
//! Locked for as long as it is open: two daemons on one device would destroy it (FOUNDATIONS 23).

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Seek, SeekFrom},
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, OFlag, fallocate},
};
use types::{Error, Result};

use super::{BlockDevice, DEVICE_ALIGNMENT, ring::WriteRings, tally::Tally};
use crate::counts::DeviceCounts;

// BLKDISCARD of linux/fs.h: `_IO(0x12, 119)`, with the address of {offset, length}.
nix::ioctl_write_ptr_bad!(block_discard, nix::request_code_none!(0x12, 119), [u64; 2]);

/// How long the lock is waited for: longer than the writes under way of a killed process take, shorter than patience.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(3);

/// A device of the operating system.
pub struct FileDevice {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    /// `None` where the kernel has no io_uring, or forbids it.
    rings: Option<WriteRings>,
    tally: Tally,
}

impl FileDevice {
    /// Opens and locks what is there.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |doing: &str, error: &dyn std::fmt::Display| {
            Error::closed(format!("{doing} device {}: {error}", path.display()))
        };
        let open = |flags: OFlag| OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path);
        let mut file = match open(OFlag::O_DIRECT | OFlag::O_CLOEXEC) {
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => open(OFlag::O_CLOEXEC),
            opened => opened,
        }
        .map_err(|error| failed("open", &error))?;
        lock(&file).map_err(|error| failed("lock", &error))?;
        let size = file.seek(SeekFrom::End(0)).map_err(|error| failed("measure", &error))?;
        let size_bytes = size - size % DEVICE_ALIGNMENT as u64;
        let rings =
            WriteRings::new().inspect_err(|error| tracing::info!(%error, "no io_uring; writes go one by one")).ok();
        Ok(Self { path: path.to_owned(), file, size_bytes, rings, tally: Tally::default() })
    }

    /// Makes a file of this size with all its blocks allocated, for clusters without spare block devices.
    /// Refuses to touch a file that exists.
    pub fn create_file(path: &Path, size_bytes: u64) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::invalid(format!("create {} with {size_bytes} bytes: {error}", path.display()))
        };
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| failed(&error))?;
        let length = i64::try_from(size_bytes).map_err(|error| failed(&error))?;
        nix::fcntl::posix_fallocate(&file, 0, length).map_err(|error| failed(&error))?;
        file.sync_all().map_err(|error| failed(&error))
    }

    fn failed(&self, doing: &str, error: &std::io::Error) -> Error {
        Error::closed(format!("{doing} device {}: {error}", self.path.display()))
    }
}

/// Locks an open device, and waits for that a little: of a process that was killed, writes under way keep the file open
/// until the kernel has ended them, which may be after the process is gone.
fn lock(file: &File) -> std::io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => return Ok(()),
    }
    // The lock belongs to the opened file, which both handles share.
    let handle = file.try_clone()?;
    let (locked, waiting) = sync_channel(1);
    std::thread::spawn(move || drop(locked.send(handle.lock())));
    waiting.recv_timeout(LOCK_WAIT_MAX).unwrap_or_else(|_| {
        Err(std::io::Error::new(ErrorKind::WouldBlock, "another process has it open; stop that one first"))
    })
}

impl BlockDevice for FileDevice {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.tally.read(buffer.len());
        self.file.read_exact_at(buffer, offset).map_err(|error| self.failed(&format!("read at {offset} from"), &error))
    }

    fn write(&self, offset: u64, buffer: &[u8]) -> Result<()> {
        self.tally.write(buffer.len());
        self.file.write_all_at(buffer, offset).map_err(|error| self.failed(&format!("write at {offset} to"), &error))
    }

    fn write_many(&self, writes: &[(u64, &[u8])]) -> Result<()> {
        match &self.rings {
            Some(rings) if writes.len() > 1 => {
                writes.iter().for_each(|(_, buffer)| self.tally.write(buffer.len()));
                rings.write_all(&self.file, writes).map_err(|error| self.failed("write many pieces to", &error))
            }
            _ => writes.iter().try_for_each(|(offset, buffer)| self.write(*offset, buffer)),
        }
    }

    fn discard(&self, offset: u64, length: u64) -> Result<()> {
        let failed = |error: nix::Error| Error::closed(format!("discard from device {}: {error}", self.path.display()));
        let kind = self.file.metadata().map_err(|error| self.failed("look at", &error))?.file_type();
        if kind.is_block_device() {
            let range = [offset, length];
            // SAFETY: the request reads two 64-bit integers at the address, and they live until it returns.
            unsafe { block_discard(self.file.as_raw_fd(), &range) }.map(drop).map_err(failed)
        } else {
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let (offset, length) = (offset.cast_signed(), length.cast_signed());
            fallocate(&self.file, hole, offset, length).map_err(failed)
        }
    }

    fn flush(&self) -> Result<()> {
        self.tally.flush();
        self.file.sync_data().map_err(|error| self.failed("flush", &error))
    }

    fn counts(&self) -> DeviceCounts {
        self.tally.counts()
    }
}

//! Many writes side by side through io_uring: one system call for a batch instead of one for each, and the device
//! sees them together.

use std::{
    fs::File,
    io::{Error, ErrorKind, Result},
    os::{fd::AsRawFd, unix::fs::FileExt},
    sync::Mutex,
};

use io_uring::{IoUring, opcode, types::Fd};

/// Writes in flight at once. Disks take 32 (SATA) to 1,024 (NVMe) per queue; 64 keep either busy.
const IN_FLIGHT_MAX: u32 = 64;

/// A ring for writes. One batch at a time uses it.
pub(super) struct WriteRing {
    ring: Mutex<IoUring>,
}

impl WriteRing {
    pub fn new() -> Result<Self> {
        Ok(Self { ring: Mutex::new(IoUring::new(IN_FLIGHT_MAX)?) })
    }

    /// Carries out all the writes, or tells the first error after all that were begun have ended.
    pub fn write_all(&self, file: &File, writes: &[(u64, &[u8])]) -> Result<()> {
        let mut ring = self.ring.lock().expect("no holder of this lock panics: it does nothing but system calls");
        let mut outcome = Ok(());
        for batch in writes.chunks(IN_FLIGHT_MAX as usize) {
            let done = write_batch(&mut ring, file, batch);
            if outcome.is_ok() {
                outcome = done;
            }
        }
        outcome
    }
}

fn write_batch(ring: &mut IoUring, file: &File, writes: &[(u64, &[u8])]) -> Result<()> {
    for (index, (offset, buffer)) in (0u64..).zip(writes) {
        let length = u32::try_from(buffer.len()).map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
        let entry =
            opcode::Write::new(Fd(file.as_raw_fd()), buffer.as_ptr(), length).offset(*offset).build().user_data(index);
        // SAFETY: the buffer is borrowed until this function returns, and it returns only after the completions of
        // all entries pushed were seen.
        unsafe { ring.submission().push(&entry) }.expect("a batch is no larger than the ring, which is empty here");
    }
    let mut outcome = Ok(());
    let mut in_flight = writes.len();
    while in_flight > 0 {
        if let Err(error) = ring.submit_and_wait(in_flight)
            && !matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::ResourceBusy)
        {
            // Entries may be in flight on memory that the caller is about to free: there is no way on from here.
            panic!("wait for io_uring: {error}");
        }
        while let Some(completion) = ring.completion().next() {
            in_flight -= 1;
            let (offset, buffer) =
                writes[usize::try_from(completion.user_data()).expect("it is an index into the batch")];
            let result = match usize::try_from(completion.result()) {
                Ok(written) if written == buffer.len() => Ok(()),
                // The kernel may write less than asked; the rest goes the plain way.
                Ok(written) => file.write_all_at(&buffer[written..], offset + written as u64),
                Err(_) => Err(Error::from_raw_os_error(-completion.result())),
            };
            if outcome.is_ok() {
                outcome = result;
            }
        }
    }
    outcome
}

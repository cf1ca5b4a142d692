//! Many writes side by side through io_uring: few system calls instead of one for each, and the device sees them
//! together.

use std::{
    fs::File,
    io::{Error, ErrorKind, Result},
    ops::Range,
    os::{fd::AsRawFd, unix::fs::FileExt},
    sync::{Mutex, PoisonError},
};

use io_uring::{IoUring, opcode, squeue, types::Fd};
use nix::libc::iovec;

/// Writes in flight at once. Disks take 32 (SATA) to 1,024 (NVMe) per queue; 32 keep either busy, and a write of the
/// journal that comes meanwhile waits behind no more than these.
const IN_FLIGHT_MAX: u32 = 32;
/// Bytes of the largest write that neighbours are joined to, so that a device with several channels uses them.
const JOINED_BYTES_MAX: usize = 512 << 10;
/// Pieces of memory in one write; the kernel takes 1,024.
const PIECES_MAX: usize = 256;

/// One write: neighbours on the device, from one or more pieces of memory.
struct Span {
    offset: u64,
    bytes: usize,
    /// Its pieces among all, as the kernel is told them.
    vectors: Range<usize>,
    /// The writes that were joined to it.
    writes: Range<usize>,
}

/// Rings for writes: as many as batches were ever written at once.
pub(super) struct WriteRings {
    idle: Mutex<Vec<IoUring>>,
}

impl WriteRings {
    pub fn new() -> Result<Self> {
        Ok(Self { idle: Mutex::new(vec![IoUring::new(IN_FLIGHT_MAX)?]) })
    }

    /// Carries out all the writes, or tells the first error after all that were begun have ended.
    pub fn write_all(&self, file: &File, writes: &[(u64, &[u8])]) -> Result<()> {
        let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut ring = taken.map_or_else(|| IoUring::new(IN_FLIGHT_MAX), Ok)?;
        let (spans, vectors) = join(writes);
        let outcome = write_spans(&mut ring, file, writes, &spans, &vectors);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(ring);
        outcome
    }
}

/// Joins writes that follow each other on the device, and pieces that follow each other in memory.
fn join(writes: &[(u64, &[u8])]) -> (Vec<Span>, Vec<iovec>) {
    let mut spans: Vec<Span> = Vec::with_capacity(writes.len());
    let mut vectors: Vec<iovec> = Vec::with_capacity(writes.len());
    for (index, (offset, buffer)) in writes.iter().enumerate() {
        let address = buffer.as_ptr().cast_mut().cast();
        let joins = spans.last().is_some_and(|last| {
            last.offset + last.bytes as u64 == *offset
                && last.bytes + buffer.len() <= JOINED_BYTES_MAX
                && last.vectors.len() < PIECES_MAX
        });
        if let Some(last) = spans.last_mut().filter(|_| joins) {
            last.bytes += buffer.len();
            last.writes.end = index + 1;
            match vectors.last_mut() {
                Some(piece) if piece.iov_base.wrapping_byte_add(piece.iov_len) == address => {
                    piece.iov_len += buffer.len();
                }
                _ => {
                    vectors.push(iovec { iov_base: address, iov_len: buffer.len() });
                    last.vectors.end += 1;
                }
            }
        } else {
            let first = vectors.len();
            vectors.push(iovec { iov_base: address, iov_len: buffer.len() });
            spans.push(Span {
                offset: *offset,
                bytes: buffer.len(),
                vectors: first..first + 1,
                writes: index..index + 1,
            });
        }
    }
    (spans, vectors)
}

fn entry(file: &File, span: &Span, vectors: &[iovec]) -> squeue::Entry {
    let pieces = &vectors[span.vectors.clone()];
    let count = u32::try_from(pieces.len()).expect("at most PIECES_MAX");
    opcode::Writev::new(Fd(file.as_raw_fd()), pieces.as_ptr(), count).offset(span.offset).build()
}

/// Keeps the ring full until every span is written. It is empty before and after.
fn write_spans(
    ring: &mut IoUring,
    file: &File,
    writes: &[(u64, &[u8])],
    spans: &[Span],
    vectors: &[iovec],
) -> Result<()> {
    let mut outcome = Ok(());
    let mut next = 0;
    let mut in_flight = 0;
    while in_flight > 0 || next < spans.len() {
        while in_flight < IN_FLIGHT_MAX as usize
            && let Some(span) = spans.get(next)
        {
            let entry = entry(file, span, vectors).user_data(next as u64);
            // SAFETY: the pieces and what they point to are borrowed until this function returns, and it returns only
            // after the completions of all entries pushed were seen.
            unsafe { ring.submission().push(&entry) }.expect("no more are in flight than the ring has places");
            in_flight += 1;
            next += 1;
        }
        // The last ones are waited for together; before that the ring is filled again when half of it is free.
        let wanted = if next == spans.len() { in_flight } else { in_flight / 2 };
        if let Err(error) = ring.submit_and_wait(wanted)
            && !matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::ResourceBusy)
        {
            // Entries may be in flight on memory that the caller is about to free: there is no way on from here.
            panic!("wait for io_uring: {error}");
        }
        while let Some(completion) = ring.completion().next() {
            in_flight -= 1;
            let span = &spans[usize::try_from(completion.user_data()).expect("it is an index into the spans")];
            let result = match usize::try_from(completion.result()) {
                Ok(written) if written == span.bytes => Ok(()),
                // The kernel may write less than asked; then all of it goes again, the plain way.
                Ok(_) => {
                    let mut again = writes[span.writes.clone()].iter();
                    again.try_for_each(|(offset, buffer)| file.write_all_at(buffer, *offset))
                }
                Err(_) => Err(Error::from_raw_os_error(-completion.result())),
            };
            if result.is_err() {
                next = spans.len();
            }
            outcome = outcome.and(result);
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::AlignedBuffer;

    #[test]
    fn neighbours_are_joined_on_the_device_and_in_memory() {
        let buffer = AlignedBuffer::zeroed(4 * 4096);
        let piece = |index: usize| &buffer[index * 4096..(index + 1) * 4096];
        let writes = [(0, piece(0)), (4096, piece(1)), (8192, piece(3)), (20480, piece(2))];
        let (spans, vectors) = join(&writes);
        let told: Vec<_> = spans.iter().map(|span| (span.offset, span.bytes, span.vectors.clone())).collect();
        assert_eq!(told, [(0, 3 * 4096, 0..2), (20480, 4096, 2..3)]);
        assert_eq!(vectors.iter().map(|vector| vector.iov_len).collect::<Vec<_>>(), [8192, 4096, 4096]);
    }

    #[test]
    fn no_write_grows_beyond_its_bound() {
        let buffer = AlignedBuffer::zeroed(4096);
        let writes: Vec<(u64, &[u8])> = (0..600).map(|index| (index * 4096, &buffer[..])).collect();
        let (spans, vectors) = join(&writes);
        assert!(spans.iter().all(|span| span.bytes <= JOINED_BYTES_MAX && span.vectors.len() <= PIECES_MAX));
        assert_eq!(spans.iter().map(|span| span.bytes).sum::<usize>(), 600 * 4096);
        assert_eq!(spans.last().map(|span| (span.vectors.end, span.writes.end)), Some((vectors.len(), 600)));
    }

    #[test]
    fn more_writes_than_the_ring_has_places_arrive_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let file = File::options().create_new(true).read(true).write(true).open(&path).expect("open");
        let Ok(rings) = WriteRings::new() else { return };
        let mut content = AlignedBuffer::zeroed(400 * 4096);
        for (number, unit) in (1u32..).zip(content.chunks_exact_mut(4096)) {
            unit.fill(number.to_le_bytes()[0]);
        }
        // Every second unit apart from its neighbours, the rest in one row.
        let mut writes: Vec<(u64, &[u8])> = Vec::new();
        for (place, unit) in (0u64..).zip(content.chunks_exact(4096)) {
            writes.push((if place < 200 { place * 2 } else { place + 400 } * 4096, unit));
        }
        rings.write_all(&file, &writes).expect("write");
        for (offset, unit) in &writes {
            let mut found = [0; 4096];
            file.read_exact_at(&mut found, *offset).expect("read");
            assert!(found == **unit, "at {offset}");
        }
    }
}

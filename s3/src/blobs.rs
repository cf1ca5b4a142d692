//! Bytes of objects in the data pool: written in pieces with few in flight, read in order, removed.
//!
//! ```text
//! <tag>        the first piece, with the attribute `owner`: where the index names this blob, or will
//! <tag>.<n>    the n-th piece, from 1 on
//! ```
//! The first piece is on disk before any other is sent, and pieces are sent in order with at most
//! [`PIECES_IN_FLIGHT`] unanswered. So whoever finds a half-written blob knows how far to look: behind that many
//! missing pieces there is none.
//!
//! Memory: every piece that is being filled, sent or read holds its bytes of a budget; who finds none left waits.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use client::{Error, ErrorKind, Object, OpBuilder, Pool, Result, SubOpResult};
use futures::{
    FutureExt, StreamExt, TryStreamExt,
    stream::{self, BoxStream, FuturesUnordered},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use client::classes::s3_index::{Blob, Content, Data, Tag, decode, encode};

use crate::{
    body::{Body, BodyError},
    index::Index,
    ledger::{Lease, Ledger},
};

/// Bytes in a piece: large enough that the cost of an operation is small beside that of its bytes, small enough that
/// a piece's way through memory is short.
pub(crate) const PIECE_BYTES: u32 = 4 << 20;
/// Pieces of one blob that are written at once: enough to keep three OSDs busy.
pub(crate) const PIECES_IN_FLIGHT: usize = 4;
/// Pieces of one blob that are read ahead of the client.
const PIECES_READ_AHEAD: usize = 2;
/// Bytes that all pieces being written may hold.
const WRITE_MEMORY_BYTES: usize = 192 << 20;
/// Bytes that all pieces being read may hold.
const READ_MEMORY_BYTES: usize = 192 << 20;
/// The unit in which memory is counted, so that a semaphore's 32 bits count it.
const MEMORY_UNIT_BYTES: usize = 4096;
/// Pieces removed at once.
const REMOVALS_AT_ONCE: usize = 8;
/// The attribute of a first piece that says who owns it.
pub(crate) const OWNER_ATTRIBUTE: &str = "owner";

/// Where the index names a blob, or was going to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The object of the bucket's shard.
    pub shard: String,
    /// Where in it.
    pub place: Place,
}

/// Where in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The entry of this key.
    Entry(Vec<u8>),
    /// A part.
    Part(Tag, u16),
}

/// The data pool.
#[derive(Debug)]
pub(crate) struct Blobs {
    pool: Pool,
    ledger: Arc<Ledger>,
    write_memory: Arc<Semaphore>,
    read_memory: Arc<Semaphore>,
}

/// What was written, with its tag until the index names it.
#[derive(Debug)]
#[must_use = "written data is either committed or undone"]
pub(crate) struct Written {
    pub data: Data,
    lease: Option<Lease>,
}

impl Written {
    /// Data that the index names already.
    pub fn named(data: Data) -> Self {
        Self { data, lease: None }
    }

    /// The index names it now.
    pub fn committed(self) {
        if let Some(lease) = self.lease {
            lease.settle();
        }
    }
}

impl Blobs {
    pub fn new(pool: Pool, ledger: Arc<Ledger>) -> Self {
        let units = |bytes: usize| Arc::new(Semaphore::new(bytes / MEMORY_UNIT_BYTES));
        Self { pool, ledger, write_memory: units(WRITE_MEMORY_BYTES), read_memory: units(READ_MEMORY_BYTES) }
    }

    fn piece(&self, tag: Tag, number: u64) -> Object {
        if number == 0 { self.pool.object(tag.to_string()) } else { self.pool.object(format!("{tag}.{number}")) }
    }

    /// Writes a body to its end, however long it is. On an error nothing is left behind, or what is left is found by
    /// a sweep.
    pub async fn write(&self, owner: &Owner, body: &mut Body) -> Result<Written, BodyError> {
        let Some((first, memory)) = self.next_piece(body).await? else { return Ok(Written::named(Data::Nothing)) };
        let lease = self.ledger.take().await?;
        let tag = lease.tag();
        let mut size = first.len() as u64;
        let first_is_last = body.is_at_end();
        let head = self.write_first(tag, first, owner);
        let outcome = if first_is_last {
            let outcome = head.await;
            drop(memory);
            outcome.map_err(BodyError::from)
        } else {
            // The second piece comes in while the first is written.
            let (head, second) = tokio::join!(head, self.next_piece(body));
            drop(memory);
            match head {
                Err(error) => Err(error.into()),
                Ok(()) => self.write_rest(tag, second, body, &mut size).await,
            }
        };
        match outcome {
            Ok(()) => {
                let data = Data::Blob(Blob { tag, size, piece_bytes: PIECE_BYTES });
                Ok(Written { data, lease: Some(lease) })
            }
            Err(error) => {
                self.remove_half(tag).await?;
                lease.settle();
                Err(error)
            }
        }
    }

    /// Fetches the next piece of a body into memory. `None` at its end.
    async fn next_piece(&self, body: &mut Body) -> Result<Option<(Bytes, OwnedSemaphorePermit)>, BodyError> {
        let limit = PIECE_BYTES as usize;
        let expected = body.remaining().map_or(limit, |bytes| usize::try_from(bytes).unwrap_or(limit).min(limit));
        let memory = take_memory(&self.write_memory, expected).await?;
        Ok(body.piece(limit).await?.map(|piece| (piece, memory)))
    }

    async fn write_first(&self, tag: Tag, piece: Bytes, owner: &Owner) -> Result<()> {
        let operation = OpBuilder::new().write_full(piece).set_xattr(OWNER_ATTRIBUTE, encode(owner));
        let written = self.piece(tag, 0).operate(operation.full_try()).await;
        written.map(drop).map_err(|failure| failure.error.context("write data"))
    }

    async fn write_rest(
        &self,
        tag: Tag,
        second: Result<Option<(Bytes, OwnedSemaphorePermit)>, BodyError>,
        body: &mut Body,
        size: &mut u64,
    ) -> Result<(), BodyError> {
        let mut in_flight = FuturesUnordered::new();
        let mut next = second;
        let mut number = 1;
        let outcome = loop {
            let (piece, memory) = match next {
                Err(error) => break Err(error),
                Ok(None) => break Ok(()),
                Ok(Some(piece)) => piece,
            };
            *size += piece.len() as u64;
            let object = self.piece(tag, number);
            number += 1;
            in_flight.push(async move {
                let written = object.operate(OpBuilder::new().write_full(piece).full_try()).await;
                drop(memory);
                written.map(drop).map_err(|failure| BodyError::from(failure.error.context("write data")))
            });
            if in_flight.len() >= PIECES_IN_FLIGHT
                && let Some(Err(error)) = in_flight.next().await
            {
                break Err(error);
            }
            next = {
                // Pieces on their way go on while the next comes in.
                let fetched = self.next_piece(body).fuse();
                futures::pin_mut!(fetched);
                let mut failed = None;
                let next = loop {
                    tokio::select! {
                        next = &mut fetched => break next,
                        Some(written) = in_flight.next(), if !in_flight.is_empty() => {
                            if let Err(error) = written {
                                failed.get_or_insert(error);
                            }
                        }
                    }
                };
                failed.map_or(next, Err)
            };
        };
        // Nothing may be on its way when the outcome is told: a removal would overtake it.
        let mut outcome = outcome;
        while let Some(written) = in_flight.next().await {
            if outcome.is_ok() {
                outcome = written;
            }
        }
        outcome
    }

    /// Takes back what was written and not named.
    pub async fn undo(&self, written: Written) -> Result<()> {
        if let (Data::Blob(blob), Some(lease)) = (written.data, written.lease) {
            self.remove_blob(&blob).await?;
            lease.settle();
        }
        Ok(())
    }

    /// A range of a blob, in order, in pieces. `NotFound` when it was removed meanwhile.
    pub fn read(self: &Arc<Self>, blob: Blob, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let blobs = Arc::clone(self);
        let reads = piece_ranges(&blob, range).into_iter().map(move |(number, range)| {
            let blobs = Arc::clone(&blobs);
            async move {
                let wanted = range.end - range.start;
                let length = usize::try_from(wanted).unwrap_or(usize::MAX);
                let memory = take_memory(&blobs.read_memory, length).await?;
                let bytes =
                    blobs.piece(blob.tag, number).read(range).await.map_err(|error| error.context("read data"))?;
                if bytes.len() as u64 != wanted {
                    let (tag, found) = (blob.tag, bytes.len());
                    return Err(Error::damaged(format!(
                        "piece {number} of {tag} ends after {found} of {wanted} bytes"
                    )));
                }
                Ok((bytes, memory))
            }
        });
        // The memory is given back when the next piece is asked for, that is, when this one is on its way out.
        stream::iter(reads).buffered(PIECES_READ_AHEAD).map_ok(|(bytes, _memory)| bytes).boxed()
    }

    /// Removes what is named. What is gone already is no error.
    pub async fn remove(&self, data: &Data) -> Result<()> {
        match data {
            Data::Blob(blob) => self.remove_blob(blob).await,
            Data::Nothing | Data::Parts { .. } => Ok(()),
        }
    }

    async fn remove_blob(&self, blob: &Blob) -> Result<()> {
        let pieces = blob.size.div_ceil(u64::from(blob.piece_bytes)).max(1);
        // The first goes last: it says whose the others are.
        let others = stream::iter((1..pieces).map(|number| self.remove_piece(blob.tag, number)));
        others.buffer_unordered(REMOVALS_AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
        self.remove_piece(blob.tag, 0).await.map(drop)
    }

    /// Removes a blob of which nobody knows how much was written.
    pub async fn remove_half(&self, tag: Tag) -> Result<()> {
        let (mut number, mut missing) = (1, 0);
        while missing <= PIECES_IN_FLIGHT {
            let was_there = self.remove_piece(tag, number).await?;
            missing = if was_there { 0 } else { missing + 1 };
            number += 1;
        }
        self.remove_piece(tag, 0).await.map(drop)
    }

    /// Says whether it was there.
    async fn remove_piece(&self, tag: Tag, number: u64) -> Result<bool> {
        match self.piece(tag, number).operate(OpBuilder::new().remove().full_try()).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.error.kind == ErrorKind::NotFound => Ok(false),
            Err(failure) => Err(failure.error.context("remove data")),
        }
    }

    /// Whose a blob is; `None` when nothing was written under this tag.
    pub async fn owner(&self, tag: Tag) -> Result<Option<Owner>> {
        let asked = OpBuilder::new().stat().get_xattr(OWNER_ATTRIBUTE);
        match self.piece(tag, 0).operate(asked).await {
            Ok(success) => match success.results.last() {
                Some(SubOpResult::Data(bytes)) => decode(bytes).map(Some),
                _ => Err(Error::internal("the OSD's answer does not fit the question")),
            },
            Err(failure) if failure.error.kind == ErrorKind::NotFound => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    /// A range of an object, whatever its data is.
    pub async fn read_object(
        self: &Arc<Self>,
        index: &Index,
        key: &[u8],
        data: Data,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        match data {
            Data::Nothing => Ok(stream::empty().boxed()),
            Data::Blob(blob) => Ok(self.read(blob, range)),
            Data::Parts { upload, count } => {
                let parts = index.all_parts(key, upload).await?;
                if parts.len() != usize::from(count) {
                    return Err(Error::not_found(format!("{} of {count} parts are there", parts.len())));
                }
                let blobs = Arc::clone(self);
                let wanted = part_ranges(&parts, range);
                Ok(stream::iter(wanted).map(move |(blob, range)| blobs.read(blob, range)).flatten().boxed())
            }
        }
    }
}

/// A piece never waits for more than the whole budget.
async fn take_memory(memory: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit> {
    let units = u32::try_from(bytes.div_ceil(MEMORY_UNIT_BYTES).max(1)).unwrap_or(u32::MAX);
    Arc::clone(memory).acquire_many_owned(units).await.map_err(|_| Error::closed("the gateway is closed"))
}

/// The pieces that a range of a blob lies in, with the range in each.
fn piece_ranges(blob: &Blob, range: Range<u64>) -> Vec<(u64, Range<u64>)> {
    let piece_bytes = u64::from(blob.piece_bytes);
    let range = range.start..range.end.min(blob.size);
    if range.is_empty() {
        return Vec::new();
    }
    let numbers = range.start / piece_bytes..range.end.div_ceil(piece_bytes);
    let part = |number: u64| {
        let begin = number * piece_bytes;
        (number, range.start.max(begin) - begin..range.end.min(begin + piece_bytes) - begin)
    };
    numbers.map(part).collect()
}

/// The blobs that a range of an object of parts lies in, with the range in each.
pub(crate) fn part_ranges(parts: &[(u16, Content)], range: Range<u64>) -> Vec<(Blob, Range<u64>)> {
    let mut begin = 0;
    let mut found = Vec::new();
    for (_, part) in parts {
        let end = begin + part.size;
        if let Data::Blob(blob) = part.data
            && begin < range.end
            && range.start < end
        {
            found.push((blob, range.start.max(begin) - begin..range.end.min(end) - begin));
        }
        begin = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { writer: 1, sequence: 2 };

    #[test]
    fn ranges_are_cut_at_pieces() {
        let blob = Blob { tag: TAG, size: 25, piece_bytes: 10 };
        assert_eq!(piece_ranges(&blob, 0..25), [(0, 0..10), (1, 0..10), (2, 0..5)]);
        assert_eq!(piece_ranges(&blob, 9..11), [(0, 9..10), (1, 0..1)]);
        assert_eq!(piece_ranges(&blob, 10..20), [(1, 0..10)]);
        assert_eq!(piece_ranges(&blob, 24..99), [(2, 4..5)]);
        assert!(piece_ranges(&blob, 7..7).is_empty());
    }

    #[test]
    fn ranges_are_cut_at_parts() {
        let part = |sequence, size| {
            let data = match size {
                0 => Data::Nothing,
                size => Data::Blob(Blob { tag: Tag { writer: 1, sequence }, size, piece_bytes: 10 }),
            };
            Content { data, size, etag: String::new(), modified_ms: 0, attributes: Vec::new() }
        };
        let parts = [(1, part(1, 10)), (5, part(2, 0)), (7, part(3, 5)), (9, part(4, 10))];
        let cut = |range| -> Vec<(u64, Range<u64>)> {
            part_ranges(&parts, range).into_iter().map(|(blob, range)| (blob.tag.sequence, range)).collect()
        };
        assert_eq!(cut(0..25), [(1, 0..10), (3, 0..5), (4, 0..10)]);
        assert_eq!(cut(9..11), [(1, 9..10), (3, 0..1)]);
        assert_eq!(cut(15..16), [(4, 0..1)]);
        assert!(cut(25..30).is_empty());
    }
}

//! Writing striped objects: whole ones as a stream, and ranges in place.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;
use types::{Error, ErrorKind, Result, limits};

use super::{
    CONTENTION_RETRIES_MAX, PIECES_AT_ONCE, PieceExtent, PieceStore, StripedStat, Striper, contended,
    head::{LAYOUT, Mark, MarkKind, Promise, REACH, SIZE},
    is_guard, no_such, piece_name, show,
};
use crate::{OpBuilder, submit::error_of};

/// Bytes that are cut at once: a piece of the default layout.
const CUT_BYTES: u64 = 4 << 20;

/// Most bytes of one operation: a fraction of its limit, so that one operation does not hold all permits.
const OPERATION_BYTES: u64 = limits::OPERATION_PAYLOAD_BYTES_MAX as u64 / 4;

/// Pieces that a new upload names at first: 1 GiB by the default layout; doubled when they are used up.
const RESERVED_FIRST: u64 = 256;

/// Writes one striped object from its first byte to its last, then makes it readable in one step.
///
/// Dropped before [`StripedWriter::finish`], it leaves what was there before readable, and pieces that the next
/// `remove` of the name removes; [`StripedWriter::abort`] removes them at once.
#[derive(Debug)]
pub struct StripedWriter<P: PieceStore> {
    striper: Striper<P>,
    name: Arc<[u8]>,
    generation: String,
    /// Pieces that the head names.
    reserved: u64,
    /// Bytes that were cut.
    cut: u64,
    /// Bytes that wait to be enough.
    buffer: BytesMut,
    under_way: JoinSet<Result<()>>,
}

impl<P: PieceStore> StripedWriter<P> {
    pub(super) fn new(striper: Striper<P>, name: &[u8]) -> Self {
        let generation = striper.store.unique();
        let under_way = JoinSet::new();
        Self { striper, name: name.into(), generation, reserved: 0, cut: 0, buffer: BytesMut::new(), under_way }
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.cut + self.buffer.len() as u64
    }

    /// Adds bytes behind the others. Waits when too many pieces are under way.
    pub async fn write(&mut self, mut data: Bytes) -> Result<()> {
        let cut_bytes = usize::try_from(CUT_BYTES).expect("a few mebibytes fit");
        while !data.is_empty() {
            if self.buffer.is_empty() && data.len() >= cut_bytes {
                let whole = data.split_to(cut_bytes);
                self.cut(whole).await?;
                continue;
            }
            let room = cut_bytes - self.buffer.len();
            self.buffer.extend_from_slice(&data.split_to(room.min(data.len())));
            if self.buffer.len() == cut_bytes {
                let whole = self.buffer.split().freeze();
                self.cut(whole).await?;
            }
        }
        Ok(())
    }

    async fn cut(&mut self, data: Bytes) -> Result<()> {
        let range = self.cut..self.cut + data.len() as u64;
        self.reserve(self.striper.layout.pieces(range.end)).await?;
        for (extent, part) in parts(self.striper.layout.extents(range.clone()), &data) {
            while self.under_way.len() >= PIECES_AT_ONCE {
                self.wait_for_one().await?;
            }
            let (store, object) = (self.striper.store.clone(), piece_name(&self.name, &self.generation, extent.piece));
            let write = OpBuilder::new().write_at(extent.offset, part);
            self.under_way.spawn(async move { store.operate(object, write).await.map(drop).map_err(error_of) });
        }
        self.cut = range.end;
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<()> {
        match self.under_way.join_next().await {
            None => Ok(()),
            Some(Ok(result)) => result.map_err(|error| error.context(show(&self.name))),
            Some(Err(_)) => Err(Error::internal("a task that writes a piece panicked")),
        }
    }

    /// Names pieces in the head before any of them is written.
    pub(super) async fn reserve(&mut self, pieces: u64) -> Result<()> {
        if pieces <= self.reserved {
            return Ok(());
        }
        let reserved = pieces.max(RESERVED_FIRST).max(self.reserved * 2);
        let operation = match self.reserved {
            0 => OpBuilder::new().create(),
            _ => self.mark().guard(OpBuilder::new()),
        };
        let operation = Mark { pieces: reserved, ..self.mark() }.set(operation);
        match self.striper.store.operate(self.name.to_vec(), operation).await {
            Ok(_) => {
                self.reserved = reserved;
                Ok(())
            }
            Err(failure) if is_guard(&failure) => Err(removed_meanwhile(&self.name)),
            Err(failure) => Err(error_of(failure).context(show(&self.name))),
        }
    }

    fn mark(&self) -> Mark {
        Mark { kind: MarkKind::Upload, generation: self.generation.clone(), pieces: self.reserved }
    }

    /// Waits for all pieces, then replaces what was there. Only when this answers is anything new readable.
    pub async fn finish(mut self) -> Result<StripedStat> {
        let rest = self.buffer.split().freeze();
        if !rest.is_empty() {
            self.cut(rest).await?;
        }
        self.reserve(1).await?;
        while !self.under_way.is_empty() {
            self.wait_for_one().await?;
        }
        match self.commit().await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                // Whoever removed the name may have done so before the last pieces were written.
                let dead = Mark { kind: MarkKind::Dead, ..self.mark() };
                self.striper.bury(&self.name, &dead).await?;
                Err(removed_meanwhile(&self.name))
            }
            outcome => outcome,
        }
    }

    /// Makes the head promise what was written; `NotFound` when it no longer names the upload.
    async fn commit(&self) -> Result<StripedStat> {
        let layout = self.striper.layout;
        let promise =
            Promise { layout, generation: self.generation.clone(), size: self.cut, reach: layout.pieces(self.cut) };
        let name = Arc::clone(&self.name);
        for _ in 0..CONTENTION_RETRIES_MAX {
            let head = self.striper.head(&name).await?.filter(|head| head.marks.contains(&self.mark()));
            let head = head.ok_or_else(|| no_such(&name))?;
            let guard = match &head.promise {
                Some(old) => old.guard().compare_xattr_equal(REACH, old.reach.to_string()),
                None => OpBuilder::new().compare_xattr_equal(LAYOUT, Bytes::new()),
            };
            // A plain object of that name gives up its bytes in the same step.
            let operation = self.mark().guard(guard).truncate(0).remove_xattr(self.mark().xattr());
            let mut operation = promise.set(operation);
            let dead = head.promise.as_ref().map(Promise::dead);
            if let Some(dead) = &dead {
                operation = dead.set(operation);
            }
            match self.striper.store.operate(name.to_vec(), operation).await {
                Ok(_) => {
                    if let Some(dead) = dead {
                        self.striper.bury(&name, &dead).await?;
                    }
                    return self.striper.stat(&name).await;
                }
                Err(failure) if is_guard(&failure) => {}
                Err(failure) => return Err(error_of(failure).context(show(&name))),
            }
        }
        Err(contended(&name))
    }

    /// Removes what was written.
    pub async fn abort(mut self) -> Result<()> {
        self.under_way.shutdown().await;
        let dead = Mark { kind: MarkKind::Dead, ..self.mark() };
        let turn = self.mark().guard(OpBuilder::new().assert_exists()).remove_xattr(self.mark().xattr());
        match self.striper.store.operate(self.name.to_vec(), dead.set(turn)).await {
            Ok(_) => {}
            // Nothing was written, or somebody else removes it.
            Err(failure) if is_guard(&failure) => return Ok(()),
            Err(failure) => return Err(error_of(failure)),
        }
        self.striper.bury(&self.name, &dead).await?;
        self.striper.remove_empty_head(&self.name).await
    }
}

impl<P: PieceStore> Striper<P> {
    /// Writes the whole anew from bytes at hand.
    pub async fn write_full(&self, name: impl AsRef<[u8]>, data: Bytes) -> Result<StripedStat> {
        let mut writer = self.writer(name)?;
        writer.write(data).await?;
        writer.finish().await
    }

    /// Replaces bytes in place, making the object when there is none; a gap reads as zeroes.
    ///
    /// Not atomic: another reader may see some of the pieces changed and others not yet.
    pub async fn write_at(&self, name: impl AsRef<[u8]>, offset: u64, data: Bytes) -> Result<()> {
        let name = name.as_ref();
        let end = offset
            .checked_add(data.len() as u64)
            .ok_or_else(|| Error::invalid(format!("an object does not reach beyond {} bytes", u64::MAX)))?;
        let promise = self.promise_reach(name, end).await?;
        let write = |(extent, part): (PieceExtent, Bytes)| {
            let object = piece_name(name, &promise.generation, extent.piece);
            let write = OpBuilder::new().write_at(extent.offset, part);
            async move { self.store.operate(object, write).await.map(drop).map_err(error_of) }
        };
        let extents = parts(promise.layout.extents(offset..end), &data);
        let writes = stream::iter(extents).map(write).buffer_unordered(PIECES_AT_ONCE);
        writes.try_collect::<()>().await.map_err(|error| error.context(show(name)))?;
        self.promise_size(name, &promise, end).await
    }

    /// Makes the head name every piece that bytes up to `end` need, and answers what it says then.
    async fn promise_reach(&self, name: &[u8], end: u64) -> Result<Promise> {
        for _ in 0..CONTENTION_RETRIES_MAX {
            let old = self.head(name).await?.and_then(|head| head.promise);
            let (guard, mut promise) = match old {
                Some(old) if old.layout.pieces(end) <= old.reach => return Ok(old),
                Some(old) => (old.guard().compare_xattr_equal(REACH, old.reach.to_string()), old),
                None => {
                    self.layout.check()?;
                    let (layout, generation) = (self.layout, self.store.unique());
                    let guard = OpBuilder::new().create().compare_xattr_equal(LAYOUT, Bytes::new()).truncate(0);
                    let guard = guard.set_xattr(SIZE, "0");
                    (guard, Promise { layout, generation, size: 0, reach: 0 })
                }
            };
            promise.reach = promise.layout.pieces(end);
            let operation = guard.set_xattr(LAYOUT, promise.layout_text()).set_xattr(REACH, promise.reach.to_string());
            match self.store.operate(name.to_vec(), operation).await {
                Ok(_) => return Ok(promise),
                Err(failure) if is_guard(&failure) => {}
                Err(failure) => return Err(error_of(failure).context(show(name))),
            }
        }
        Err(contended(name))
    }

    /// Makes the size at least `end`, now that the bytes are there.
    async fn promise_size(&self, name: &[u8], written: &Promise, end: u64) -> Result<()> {
        for _ in 0..CONTENTION_RETRIES_MAX {
            let head = self.promised(name).await?;
            let now = head.promise.as_ref().ok_or_else(|| no_such(name))?;
            if now.generation != written.generation {
                return Err(Error::retry(format!("`{}` was replaced while it was written", show(name))));
            }
            if now.size >= end {
                return Ok(());
            }
            let operation =
                now.guard().compare_xattr_equal(SIZE, now.size.to_string()).set_xattr(SIZE, end.to_string());
            match self.store.operate(name.to_vec(), operation).await {
                Ok(_) => return Ok(()),
                Err(failure) if is_guard(&failure) => {}
                Err(failure) => return Err(error_of(failure).context(show(name))),
            }
        }
        Err(contended(name))
    }
}

/// Each extent with its bytes, none larger than an operation may be.
fn parts(extents: Vec<PieceExtent>, data: &Bytes) -> Vec<(PieceExtent, Bytes)> {
    let first = extents.first().map_or(0, |extent| extent.whole_offset);
    let mut parts = Vec::new();
    for extent in extents {
        let mut done = 0;
        while done < extent.length {
            let length = OPERATION_BYTES.min(extent.length - done);
            let whole_offset = extent.whole_offset + done;
            let begin = usize::try_from(whole_offset - first).expect("the bytes are in memory");
            let end = begin + usize::try_from(length).expect("the bytes are in memory");
            let part = PieceExtent { offset: extent.offset + done, length, whole_offset, ..extent };
            parts.push((part, data.slice(begin..end)));
            done += length;
        }
    }
    parts
}

fn removed_meanwhile(name: &[u8]) -> Error {
    Error { kind: ErrorKind::Retry, message: format!("`{}` was removed while it was written", show(name)) }
}

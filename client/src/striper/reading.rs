//! Reading striped objects.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use types::{Error, ErrorKind, Result, limits};
use wire::SubOpResult;

use super::{
    CONTENTION_RETRIES_MAX, PIECES_AT_ONCE, PieceExtent, PieceStore, Striper, head::Promise, piece_name, show,
};
use crate::{OpBuilder, object::unexpected, submit::error_of};

/// Most bytes of one read, as for writes.
const OPERATION_BYTES: u64 = limits::OPERATION_PAYLOAD_BYTES_MAX as u64 / 4;

impl<P: PieceStore> Striper<P> {
    /// Reads a range of one generation; what lies past the end is left out.
    pub async fn read(&self, name: impl AsRef<[u8]>, range: Range<u64>) -> Result<Bytes> {
        let name = name.as_ref();
        for _ in 0..CONTENTION_RETRIES_MAX {
            let parts = self.stream(name, range.clone()).await?.try_collect::<Vec<Bytes>>().await;
            match parts {
                Ok(parts) if parts.len() == 1 => return Ok(parts.into_iter().next().unwrap_or_default()),
                Ok(parts) => return Ok(parts.into_iter().fold(BytesMut::new(), joined).freeze()),
                Err(error) if error.kind == ErrorKind::Retry => {}
                Err(error) => return Err(error),
            }
        }
        Err(super::contended(name))
    }

    /// The bytes of a range in order, some pieces ahead. Fails with `Retry` when the object is replaced meanwhile.
    pub async fn stream(&self, name: impl AsRef<[u8]>, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        let name = name.as_ref().to_vec();
        let head = self.promised(&name).await?;
        let promise = head.promise.expect("`promised` answers heads that promise");
        let range = range.start.min(promise.size)..range.end.min(promise.size);
        let extents = promise.layout.extents(range).into_iter().flat_map(small_parts);
        let striper = self.clone();
        Ok(stream::iter(extents)
            .map(move |extent| {
                let (striper, name, promise) = (striper.clone(), name.clone(), promise.clone());
                async move { striper.read_extent(&name, &promise, extent).await }
            })
            .buffered(PIECES_AT_ONCE)
            .boxed())
    }

    async fn read_extent(&self, name: &[u8], promise: &Promise, extent: PieceExtent) -> Result<Bytes> {
        let object = piece_name(name, &promise.generation, extent.piece);
        let read = OpBuilder::new().read(extent.offset..extent.offset + extent.length);
        let data = match self.store.operate(object, read).await {
            Ok(success) => match success.results.into_iter().next() {
                Some(SubOpResult::Data(data)) => data,
                _ => return Err(unexpected(show(name))),
            },
            Err(failure) if failure.error.kind == ErrorKind::NotFound => Bytes::new(),
            Err(failure) => return Err(error_of(failure).context(show(name))),
        };
        let length = usize::try_from(extent.length).expect("an extent is at most an operation's payload");
        if data.len() == length {
            return Ok(data);
        }
        // A gap that was never written, or a piece that a newer generation has made dead.
        let now = self.head(name).await?.and_then(|head| head.promise);
        if now.is_none_or(|now| now.generation != promise.generation) {
            return Err(Error::retry(format!("`{}` was replaced or removed while it was read", show(name))));
        }
        let mut filled = BytesMut::from(data);
        filled.resize(length, 0);
        Ok(filled.freeze())
    }
}

fn joined(mut all: BytesMut, part: Bytes) -> BytesMut {
    all.extend_from_slice(&part);
    all
}

fn small_parts(extent: PieceExtent) -> impl Iterator<Item = PieceExtent> {
    let count = extent.length.div_ceil(OPERATION_BYTES);
    (0..count).map(move |index| {
        let done = index * OPERATION_BYTES;
        let length = OPERATION_BYTES.min(extent.length - done);
        PieceExtent { offset: extent.offset + done, length, whole_offset: extent.whole_offset + done, ..extent }
    })
}

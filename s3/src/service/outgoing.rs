//! Bytes on their way out, with their number known beforehand.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use client::Result;
use futures::{Stream, stream::BoxStream};
use s3s::{
    StdError,
    dto::StreamingBlob,
    stream::{ByteStream, RemainingLength},
};

/// A stream that the library may share between threads, although only one ever asks it: the mutex is never locked.
struct Outgoing {
    stream: Mutex<BoxStream<'static, Result<Bytes>>>,
    remaining: u64,
}

/// The body of an answer.
pub(super) fn outgoing(stream: BoxStream<'static, Result<Bytes>>, length: u64) -> StreamingBlob {
    StreamingBlob::new(Outgoing { stream: Mutex::new(stream), remaining: length })
}

impl Stream for Outgoing {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = stream.as_mut().poll_next(context);
        Poll::Ready(match std::task::ready!(next) {
            Some(Ok(bytes)) => {
                self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
                Some(Ok(bytes))
            }
            Some(Err(error)) => {
                // The head of the answer is out: all that is left is to break the connection, which the client sees.
                tracing::warn!(%error, "an answer was broken off");
                Some(Err(error.into()))
            }
            None => None,
        })
    }
}

impl ByteStream for Outgoing {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.remaining).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

//! A request's body on its way in: cut into pieces, hashed as it passes, compared with what its sender claims.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use client::Error;
use futures::{StreamExt, stream::BoxStream};
use md5::{Digest, Md5};
use s3s::{S3Error, S3ErrorCode, StdError, dto::StreamingBlob, stream::ByteStream};
use telemetry::clock::{boot_clock_now, instant_of};

use crate::checksum::{Algorithm, Hasher};

/// How long a client may be silent while its body is awaited. What it holds of the memory budget is given back then.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Why a body did not become data.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It did not come, or is not what its sender signed.
    Refused(S3Error),
    /// The cluster did not take it.
    Cluster(Error),
}

impl From<Error> for BodyError {
    fn from(error: Error) -> Self {
        Self::Cluster(error)
    }
}

impl From<S3Error> for BodyError {
    fn from(error: S3Error) -> Self {
        Self::Refused(error)
    }
}

/// A body that is being received.
pub(crate) struct Body {
    stream: BoxStream<'static, Result<Bytes, BodyError>>,
    /// Came in and is not part of a piece yet.
    rest: Bytes,
    /// Bytes that are still to come, when that is known.
    remaining: Option<u64>,
    ended: bool,
    md5: Md5,
    checksum: Option<Hasher>,
    size: u64,
}

/// What passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digests {
    pub size: u64,
    pub md5: [u8; 16],
    /// In base64.
    pub checksum: Option<(Algorithm, String)>,
}

impl Body {
    /// A body from the network.
    pub fn of_request(blob: Option<StreamingBlob>, length: Option<u64>, checksum: Option<Algorithm>) -> Self {
        let Some(blob) = blob else { return Self::new(futures::stream::empty().boxed(), Some(0), checksum) };
        let exact = blob.remaining_length().exact().map(|bytes| bytes as u64);
        let stream = blob.map(|chunk| chunk.map_err(|error| BodyError::Refused(refusal(&error))));
        Self::new(stream.boxed(), length.or(exact), checksum)
    }

    /// A body from the cluster.
    pub fn of_object(
        stream: BoxStream<'static, client::Result<Bytes>>,
        length: u64,
        checksum: Option<Algorithm>,
    ) -> Self {
        Self::new(stream.map(|chunk| chunk.map_err(BodyError::Cluster)).boxed(), Some(length), checksum)
    }

    fn new(
        stream: BoxStream<'static, Result<Bytes, BodyError>>,
        remaining: Option<u64>,
        checksum: Option<Algorithm>,
    ) -> Self {
        Self {
            stream,
            rest: Bytes::new(),
            remaining,
            ended: false,
            md5: Md5::new(),
            checksum: checksum.map(Hasher::new),
            size: 0,
        }
    }

    /// Bytes that are still to come, when that is known.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Whether all of it was handed out and its end was heard.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty() && self.ended
    }

    /// The next bytes: `limit` of them, fewer only at the end; `None` behind it.
    pub async fn piece(&mut self, limit: usize) -> Result<Option<Bytes>, BodyError> {
        let mut piece = self.rest.split_to(self.rest.len().min(limit));
        let mut gathered: Option<BytesMut> = None;
        loop {
            let have = gathered.as_ref().map_or(piece.len(), BytesMut::len);
            if have > 0 && self.remaining == Some(0) && !self.ended {
                // Signatures and trailers are checked at the end of the stream, which is still to be heard.
                self.hear_end().await?;
            }
            if have >= limit || self.ended {
                break;
            }
            let Some(mut chunk) = self.next_chunk().await? else { break };
            let take = chunk.split_to(chunk.len().min(limit - have));
            self.rest = chunk;
            if have == 0 {
                piece = take;
                continue;
            }
            let expected = self.remaining.map_or(limit, |more| {
                usize::try_from(more).unwrap_or(limit).saturating_add(have + take.len()).min(limit)
            });
            let buffer = gathered.get_or_insert_with(|| {
                let mut buffer = BytesMut::with_capacity(expected);
                buffer.extend_from_slice(&piece);
                buffer
            });
            buffer.extend_from_slice(&take);
        }
        let piece = gathered.map_or(piece, BytesMut::freeze);
        if piece.is_empty() {
            return Ok(None);
        }
        self.md5.update(&piece);
        if let Some(hasher) = &mut self.checksum {
            hasher.update(&piece);
        }
        self.size += piece.len() as u64;
        Ok(Some(piece))
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let deadline = instant_of(boot_clock_now() + SILENCE_MAX);
            let chunk = tokio::time::timeout_at(deadline.into(), self.stream.next()).await;
            let silent = || S3Error::with_message(S3ErrorCode::RequestTimeout, "The body stopped coming in.");
            match chunk.map_err(|_| silent())? {
                None => {
                    self.ended = true;
                    if self.remaining.is_some_and(|bytes| bytes > 0) {
                        return Err(incomplete().into());
                    }
                    return Ok(None);
                }
                Some(chunk) => {
                    let chunk = chunk?;
                    if let Some(remaining) = &mut self.remaining {
                        *remaining = remaining.checked_sub(chunk.len() as u64).ok_or_else(incomplete)?;
                    }
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                }
            }
        }
    }

    async fn hear_end(&mut self) -> Result<(), BodyError> {
        match self.next_chunk().await? {
            None => Ok(()),
            Some(_) => Err(incomplete().into()),
        }
    }

    /// The digests of what passed. Call it at the end.
    pub fn digests(&mut self) -> Digests {
        let md5 = std::mem::replace(&mut self.md5, Md5::new()).finalize().into();
        let checksum = self.checksum.take().map(|hasher| (hasher.algorithm(), hasher.finish()));
        Digests { size: self.size, md5, checksum }
    }
}

fn incomplete() -> S3Error {
    let sentence = "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    S3Error::with_message(S3ErrorCode::IncompleteBody, sentence)
}

/// The library tells what is wrong with a body by errors whose types are its own; their words are what they have.
fn refusal(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("SignatureMismatch") {
        return S3Error::new(S3ErrorCode::SignatureDoesNotMatch);
    }
    if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let sentence = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let mut refusal = S3Error::with_message(code, sentence);
        refusal.set_status_code(hyper::StatusCode::BAD_REQUEST);
        return refusal;
    }
    incomplete()
}

/// Sixteen bytes as S3 shows them.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(chunks: &[&'static [u8]], length: Option<u64>) -> Body {
        let chunks: Vec<Result<Bytes, BodyError>> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        Body::new(futures::stream::iter(chunks).boxed(), length, Some(Algorithm::Crc32))
    }

    async fn pieces(mut body: Body, limit: usize) -> Result<(Vec<Bytes>, Digests), BodyError> {
        let mut pieces = Vec::new();
        while let Some(piece) = body.piece(limit).await? {
            pieces.push(piece);
        }
        Ok((pieces, body.digests()))
    }

    #[tokio::test]
    async fn pieces_are_whole_whatever_the_chunks_are() {
        for length in [None, Some(9)] {
            let (found, digests) = pieces(body(&[b"123", b"", b"456", b"789"], length), 4).await.unwrap();
            assert_eq!(found, ["1234", "5678", "9"]);
            assert_eq!(digests.size, 9);
            assert_eq!(hexadecimal(&digests.md5), "25f9e794323b453885f5181f1b624d0b");
            assert_eq!(digests.checksum, Some((Algorithm::Crc32, "y/Q5Jg==".to_owned())));
        }
        let (found, digests) = pieces(body(&[], Some(0)), 4).await.unwrap();
        assert!(found.is_empty());
        assert_eq!(hexadecimal(&digests.md5), "d41d8cd98f00b204e9800998ecf8427e");
        let (found, _) = pieces(body(&[b"12345678"], Some(8)), 4).await.unwrap();
        assert_eq!(found, ["1234", "5678"]);
    }

    #[tokio::test]
    async fn a_body_of_another_length_is_refused() {
        for (chunks, length) in [(&[b"123".as_slice()], 4), (&[b"12345".as_slice()], 4)] {
            let refused = pieces(body(chunks, Some(length)), 16).await;
            assert!(
                matches!(&refused, Err(BodyError::Refused(error)) if *error.code() == S3ErrorCode::IncompleteBody),
                "{refused:?}"
            );
        }
    }
}

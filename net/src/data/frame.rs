//! Frames: a fixed header, a body, a payload. The drawing stands in docs/internals/wire-format.md.

use bytes::{BufMut, BytesMut};
use types::{Error, Result, limits};

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 32;

/// First of the kinds that belong to the session itself; messages have lower ones.
pub(super) const KIND_SESSION_FIRST: u16 = 0xff00;
/// "I am here."
pub(super) const KIND_KEEP_ALIVE: u16 = 0xff01;
/// "I close, because": the body is the reason.
pub(super) const KIND_GOODBYE: u16 = 0xff02;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which message, or which word of the session.
    pub(crate) kind: u16,
    /// Zero; bits that a reader does not know refuse.
    pub(super) flags: u16,
    pub(crate) body_bytes: usize,
    pub(crate) payload_bytes: usize,
    /// Of everything behind it in the header, and of the body.
    pub(super) crc: u32,
    /// Of the payload.
    pub(super) payload_crc: u32,
    /// Counts the frames of one direction from one.
    pub(super) sequence: u64,
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("offsets are inside the header"))
}

fn length_at(bytes: &[u8; HEADER_BYTES], at: usize, what: &str, limit: usize) -> Result<usize> {
    match usize::try_from(u32_at(bytes, at)) {
        Ok(length) if length <= limit => Ok(length),
        _ => Err(Error::invalid(format!(
            "a frame announces a {what} of {} bytes; the limit is {limit}",
            u32_at(bytes, at)
        ))),
    }
}

impl Header {
    /// The header of these bytes; lengths are within their limits. The checksum is compared when the body is there.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self> {
        let header = Self {
            crc: u32_at(bytes, 0),
            payload_crc: u32_at(bytes, 4),
            kind: u16::from_le_bytes([bytes[8], bytes[9]]),
            flags: u16::from_le_bytes([bytes[10], bytes[11]]),
            body_bytes: length_at(bytes, 12, "body", limits::FRAME_BODY_BYTES_MAX)?,
            payload_bytes: length_at(bytes, 16, "payload", limits::FRAME_PAYLOAD_BYTES_MAX)?,
            sequence: u64::from_le_bytes(*bytes[24..].first_chunk().expect("the header ends at 32")),
        };
        if header.flags != 0 {
            return Err(Error::invalid(format!("a frame has flags {:#x} that are not known here", header.flags)));
        }
        Ok(header)
    }
}

/// Appends header and body to `out`; the payload's pieces follow on their own.
pub(super) fn put_frame(out: &mut BytesMut, kind: u16, sequence: u64, body: &[u8], payload: &[bytes::Bytes]) {
    let payload_bytes: usize = payload.iter().map(bytes::Bytes::len).sum();
    let mut payload_crc = crc32fast::Hasher::new();
    payload.iter().for_each(|piece| payload_crc.update(piece));
    let length = |bytes: usize| u32::try_from(bytes).expect("the sender checked the limits");
    let begin = out.len();
    out.reserve(HEADER_BYTES + body.len());
    out.put_u32_le(0);
    out.put_u32_le(payload_crc.finalize());
    out.put_u16_le(kind);
    out.put_u16_le(0);
    out.put_u32_le(length(body.len()));
    out.put_u32_le(length(payload_bytes));
    out.put_u32_le(0);
    out.put_u64_le(sequence);
    out.put_slice(body);
    const _: () = assert!(HEADER_BYTES == 4 + 4 + 2 + 2 + 4 + 4 + 4 + 8, "the fields fill the header");
    let crc = crc32fast::hash(&out[begin + 4..]);
    out[begin..begin + 4].copy_from_slice(&crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn header(out: &[u8]) -> Result<Header> {
        Header::decode(out.first_chunk().expect("a header"))
    }

    #[test]
    fn the_headers_bytes_never_change() {
        let mut out = BytesMut::new();
        put_frame(&mut out, 0x0102, 0x0304, b"body", &[Bytes::from_static(b"pay"), Bytes::from_static(b"load")]);
        let text: String = out[8..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, ["02010000", "04000000", "07000000", "00000000", "0403000000000000", "626f6479"].concat());
        let read = header(&out).expect("readable");
        assert_eq!((read.kind, read.sequence, read.body_bytes, read.payload_bytes), (0x0102, 0x0304, 4, 7));
        assert_eq!(read.crc, crc32fast::hash(&out[4..]));
        assert_eq!(read.payload_crc, crc32fast::hash(b"payload"));
    }

    #[test]
    fn lengths_are_bounded_on_both_sides() {
        let announce = |at: usize, length: usize| {
            let mut out = BytesMut::new();
            put_frame(&mut out, 1, 1, b"", &[]);
            out[at..at + 4].copy_from_slice(&u32::try_from(length).expect("small").to_le_bytes());
            header(&out)
        };
        assert!(announce(12, limits::FRAME_BODY_BYTES_MAX).is_ok());
        assert!(announce(12, limits::FRAME_BODY_BYTES_MAX + 1).is_err());
        assert!(announce(16, limits::FRAME_PAYLOAD_BYTES_MAX).is_ok());
        assert!(announce(16, limits::FRAME_PAYLOAD_BYTES_MAX + 1).is_err());
    }
}

//! Bytes of the store's own formats: little-endian integers, variable-length integers, and counted bytes.
//!
//! Whoever decodes has already compared a checksum, so a decoding error means damage that the checksum did not see
//! or a format this program does not know; both have kind `Damaged` and name the thing.

use bytes::{Buf, Bytes};
use types::{Error, Result};

/// Appends a variable-length integer: seven bits per byte, lowest first, the top bit says that more follow.
pub(crate) fn encode_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a length and the bytes.
pub(crate) fn encode_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    encode_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes values off the front of some bytes.
pub(crate) struct Decoder {
    bytes: Bytes,
    what: &'static str,
}

impl Decoder {
    /// Decodes these bytes; `what` names them in errors.
    pub fn new(bytes: Bytes, what: &'static str) -> Self {
        Self { bytes, what }
    }

    /// The error for content that makes no sense.
    pub fn refuse(&self, why: &str) -> Error {
        Error::damaged(format!("decode the {}: {why}", self.what))
    }

    fn check(&self, length: usize) -> Result<()> {
        if self.bytes.remaining() < length { Err(self.refuse("it ends too early")) } else { Ok(()) }
    }

    pub fn take_u8(&mut self) -> Result<u8> {
        self.check(1)?;
        Ok(self.bytes.get_u8())
    }

    pub fn take_u32(&mut self) -> Result<u32> {
        self.check(4)?;
        Ok(self.bytes.get_u32_le())
    }

    pub fn take_u64(&mut self) -> Result<u64> {
        self.check(8)?;
        Ok(self.bytes.get_u64_le())
    }

    pub fn take_varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take_u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.refuse("an integer has more than ten bytes"))
    }

    /// A count or length; never more than the bytes that are left could hold at one byte each.
    pub fn take_count(&mut self) -> Result<usize> {
        let count = self.take_varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.bytes.remaining() => Ok(count),
            _ => Err(self.refuse("a count exceeds what is there")),
        }
    }

    pub fn take_counted(&mut self) -> Result<Bytes> {
        let length = self.take_count()?;
        Ok(self.bytes.split_to(length))
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is left.
    pub fn rest(self) -> Bytes {
        self.bytes
    }
}

//! The writer and the reader of tagged fields.

use bytes::Bytes;
use types::{Error, Result};

/// Nesting of records at which reading stops; the deepest real value has 7.
const DEPTH_MAX: u32 = 24;

/// Bytes from which a blob rides in the payload instead of in the body: below, a copy costs less than one more
/// buffer in a vectored write.
pub(super) const BULK_BYTES_MIN: usize = 1024;

/// How a field's value is laid out; the numbers are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireType {
    /// Seven bits per byte, least significant first.
    Varint,
    /// Eight bytes. Not written today; skipped.
    Fixed64,
    /// A length and so many bytes.
    Delimited,
    /// A length; the bytes stand in the payload.
    Payload,
    /// Four bytes, little-endian.
    Fixed32,
}

impl WireType {
    fn number(self) -> u64 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Delimited => 2,
            Self::Payload => 3,
            Self::Fixed32 => 5,
        }
    }

    fn from_number(number: u64) -> Result<Self> {
        Ok(match number {
            0 => Self::Varint,
            1 => Self::Fixed64,
            2 => Self::Delimited,
            3 => Self::Payload,
            5 => Self::Fixed32,
            other => return Err(Error::invalid(format!("wire type {other} is unknown"))),
        })
    }
}

/// A varint's bytes and how many of them count.
fn varint_bytes(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut length = 0;
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes[length] = low;
            return (bytes, length + 1);
        }
        bytes[length] = low | 0x80;
        length += 1;
    }
}

/// Writes a body, and gathers the payload beside it where there is one.
pub(super) struct Encoder {
    body: Vec<u8>,
    payload: Option<Vec<Bytes>>,
}

impl Encoder {
    /// A writer that keeps everything in the body: for disk and for the control plane.
    pub(super) fn inline(capacity: usize) -> Self {
        Self { body: Vec::with_capacity(capacity), payload: None }
    }

    /// A writer that puts bulk bytes beside the body.
    pub(super) fn with_payload(capacity: usize) -> Self {
        Self { body: Vec::with_capacity(capacity), payload: Some(Vec::new()) }
    }

    /// What was written.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<Bytes>) {
        (self.body, self.payload.unwrap_or_default())
    }

    /// One byte outside of any field.
    pub(super) fn raw_byte(&mut self, byte: u8) {
        self.body.push(byte);
    }

    fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.body.push(value.to_le_bytes()[0]);
            return;
        }
        let (bytes, length) = varint_bytes(value);
        self.body.extend_from_slice(&bytes[..length]);
    }

    fn key(&mut self, tag: u32, wire: WireType) {
        self.varint(u64::from(tag) << 3 | wire.number());
    }

    /// A number.
    pub(super) fn integer(&mut self, tag: u32, value: u64) {
        self.key(tag, WireType::Varint);
        self.varint(value);
    }

    /// A number that is evenly spread over its range, as hashes and checksums are.
    pub(super) fn fixed32(&mut self, tag: u32, value: u32) {
        self.key(tag, WireType::Fixed32);
        self.body.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes in the body.
    pub(super) fn delimited(&mut self, tag: u32, bytes: &[u8]) {
        self.key(tag, WireType::Delimited);
        self.varint(bytes.len() as u64);
        self.body.extend_from_slice(bytes);
    }

    /// Bytes in the payload when they are many and there is one, else in the body.
    pub(super) fn bulk(&mut self, tag: u32, bytes: &Bytes) {
        match &mut self.payload {
            Some(payload) if bytes.len() >= BULK_BYTES_MIN => {
                payload.push(bytes.clone());
                self.key(tag, WireType::Payload);
                self.varint(bytes.len() as u64);
            }
            _ => self.delimited(tag, bytes),
        }
    }

    /// A record within the record. Its length is known only behind it; most are short, so one byte is left free
    /// and the record moves up when that is too few.
    pub(super) fn nested(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        self.key(tag, WireType::Delimited);
        let length_at = self.body.len();
        self.body.push(0);
        write(self);
        let begin = length_at + 1;
        let end = self.body.len();
        let (bytes, length) = varint_bytes((end - begin) as u64);
        if length > 1 {
            self.body.resize(end + length - 1, 0);
            self.body.copy_within(begin..end, begin + length - 1);
        }
        self.body[length_at..length_at + length].copy_from_slice(&bytes[..length]);
    }
}

/// Reads a body and takes bulk bytes from the payload in the order in which the body names them.
pub(super) struct Decoder<'a> {
    input: &'a [u8],
    payload: &'a mut Bytes,
    depth: u32,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8], payload: &'a mut Bytes) -> Self {
        Self { input, payload, depth: 0 }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.input.split_at_checked(length) else {
            return Err(Error::invalid(format!("{length} bytes are announced where {} are left", self.input.len())));
        };
        self.input = rest;
        Ok(taken)
    }

    /// One byte outside of any field.
    pub(super) fn raw_byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (index, &byte) in self.input.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.input = &self.input[index + 1..];
                return Ok(value);
            }
        }
        Err(Error::invalid("a number ends too early or has more than 64 bits"))
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(self.varint()?).map_err(|_| Error::invalid("a length exceeds the address space"))
    }

    /// The next field's tag and layout; `None` at the end.
    pub(super) fn next_key(&mut self) -> Result<Option<(u32, WireType)>> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).map_err(|_| Error::invalid("a field's tag exceeds 32 bits"))?;
        Ok(Some((tag, WireType::from_number(key & 7)?)))
    }

    fn expect(wire: WireType, expected: WireType) -> Result<()> {
        if wire == expected {
            return Ok(());
        }
        Err(Error::invalid(format!("a field is laid out as {wire:?} where {expected:?} belongs")))
    }

    /// A number.
    pub(super) fn integer(&mut self, wire: WireType) -> Result<u64> {
        Self::expect(wire, WireType::Varint)?;
        self.varint()
    }

    /// A number of four bytes.
    pub(super) fn fixed32(&mut self, wire: WireType) -> Result<u32> {
        Self::expect(wire, WireType::Fixed32)?;
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Bytes in the body.
    pub(super) fn delimited(&mut self, wire: WireType) -> Result<&'a [u8]> {
        Self::expect(wire, WireType::Delimited)?;
        let length = self.length()?;
        self.take(length)
    }

    fn take_payload(&mut self) -> Result<Bytes> {
        let length = self.length()?;
        if length > self.payload.len() {
            let left = self.payload.len();
            return Err(Error::invalid(format!("{length} payload bytes are announced where {left} are left")));
        }
        Ok(self.payload.split_to(length))
    }

    /// Bytes: from the payload as a slice of it, or a copy from the body (a slice would keep the body alive).
    pub(super) fn bulk(&mut self, wire: WireType) -> Result<Bytes> {
        match wire {
            WireType::Payload => self.take_payload(),
            _ => Ok(Bytes::copy_from_slice(self.delimited(wire)?)),
        }
    }

    /// A record within the record.
    pub(super) fn nested<T>(&mut self, wire: WireType, read: impl FnOnce(&mut Decoder<'_>) -> Result<T>) -> Result<T> {
        let input = self.delimited(wire)?;
        let depth = self.depth + 1;
        if depth > DEPTH_MAX {
            return Err(Error::invalid(format!("records are nested deeper than {DEPTH_MAX}")));
        }
        read(&mut Decoder { input, payload: &mut *self.payload, depth })
    }

    /// Passes over a field that this reader does not know.
    pub(super) fn skip(&mut self, wire: WireType) -> Result<()> {
        match wire {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.take(8).map(drop),
            WireType::Fixed32 => self.take(4).map(drop),
            WireType::Delimited => self.delimited(wire).map(drop),
            WireType::Payload => self.take_payload().map(drop),
        }
    }
}

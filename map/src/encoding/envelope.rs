//! The first twelve bytes, and the walk over the records behind them.

use bytes::{Buf, Bytes};
use prost::Message;
use types::{Error, Result, limits::CONTROL_MESSAGE_BYTES_MAX};

/// The newest version of the contents that this release knows. It writes the first one that knows every record there is,
/// so that bytes stay what they were as long as nobody uses what is new.
pub(super) const VERSION: u16 = 2;

/// The first version: every record but those that a later one brought.
pub(super) const VERSION_FIRST: u16 = 1;

/// The version that brought settings.
pub(super) const VERSION_CONFIGURATION: u16 = 2;

/// Bytes before the first record.
const HEADER_BYTES: usize = 12;

/// Where the CRC stands.
const CRC_OFFSET: usize = 8;

/// Protobuf's number for a field that says its length.
const WIRE_TYPE_LENGTH_DELIMITED: usize = 2;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Map,
    Increment,
}

impl Kind {
    fn magic(self) -> [u8; 4] {
        match self {
            Self::Map => *b"ikaM",
            Self::Increment => *b"ikaI",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Map => "cluster map",
            Self::Increment => "map increment",
        }
    }
}

/// Writes records one behind the other, then the envelope around them.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(kind: Kind, version: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&kind.magic());
        bytes.extend_from_slice(&version.to_le_bytes());
        // Every version so far can be read by a reader of version 1.
        bytes.extend_from_slice(&1u16.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes }
    }

    pub(super) fn message(&mut self, number: u32, message: &impl Message) {
        self.start(number, message.encoded_len());
        message.encode(&mut self.bytes).expect("a vector grows as needed");
    }

    pub(super) fn raw(&mut self, number: u32, content: &[u8]) {
        self.start(number, content.len());
        self.bytes.extend_from_slice(content);
    }

    /// Appends whole records as they came.
    pub(super) fn records(&mut self, records: &[u8]) {
        self.bytes.extend_from_slice(records);
    }

    pub(super) fn finish(mut self) -> Bytes {
        let crc = crc_of(&self.bytes);
        self.bytes[CRC_OFFSET..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        self.bytes.into()
    }

    fn start(&mut self, number: u32, length: usize) {
        let key = (number as usize) << 3 | WIRE_TYPE_LENGTH_DELIMITED;
        for value in [key, length] {
            prost::encode_length_delimiter(value, &mut self.bytes).expect("a vector grows as needed");
        }
    }
}

/// The CRC of an envelope: of everything but the place where the CRC stands.
fn crc_of(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..CRC_OFFSET]);
    hasher.update(&bytes[HEADER_BYTES..]);
    hasher.finalize()
}

/// The checksum that encoded bytes carry. They must come from [`Writer::finish`] or have passed [`Reader::new`].
pub(crate) fn checksum_of(bytes: &[u8]) -> u32 {
    let crc = bytes[CRC_OFFSET..HEADER_BYTES].try_into().expect("an envelope has its header");
    u32::from_le_bytes(crc)
}

/// One record, with the place of its first byte.
pub(super) struct Record<'a> {
    pub(super) offset: usize,
    pub(super) number: u32,
    pub(super) content: &'a [u8],
    /// The record with its number and length.
    pub(super) whole: &'a [u8],
}

impl Record<'_> {
    /// The content as a message.
    pub(super) fn message<M: Message + Default>(&self) -> Result<M> {
        M::decode(self.content).map_err(|error| self.damaged(error))
    }

    /// An error that says where.
    pub(super) fn damaged(&self, reason: impl std::fmt::Display) -> Error {
        Error::damaged(format!("record {} at byte {}: {reason}", self.number, self.offset))
    }
}

/// Walks over the records of checked bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    pub(super) version: u16,
}

impl<'a> Reader<'a> {
    /// Checks the envelope.
    pub(super) fn new(kind: Kind, bytes: &'a [u8]) -> Result<Self> {
        let name = kind.name();
        if bytes.len() < HEADER_BYTES {
            return Err(Error::damaged(format!(
                "a {name} has at least {HEADER_BYTES} bytes; here are {}",
                bytes.len()
            )));
        }
        if bytes.len() > CONTROL_MESSAGE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a {name} has at most {CONTROL_MESSAGE_BYTES_MAX} bytes; here are {}",
                bytes.len()
            )));
        }
        if bytes[..4] != kind.magic() {
            return Err(Error::damaged(format!("the bytes do not begin like a {name}")));
        }
        let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (version, oldest_reader) = (number(4), number(6));
        if oldest_reader > VERSION {
            return Err(Error::invalid(format!(
                "the {name} needs a reader of format {oldest_reader} or later; this program knows formats up to {VERSION}"
            )));
        }
        let (found, stated) = (crc_of(bytes), checksum_of(bytes));
        if found != stated {
            return Err(Error::damaged(format!("the {name} has checksum {found:08x} and says {stated:08x}")));
        }
        Ok(Self { bytes, position: HEADER_BYTES, version })
    }

    /// The next record, `None` behind the last.
    pub(super) fn next_record(&mut self) -> Result<Option<Record<'a>>> {
        let offset = self.position;
        let mut rest = &self.bytes[offset..];
        if rest.is_empty() {
            return Ok(None);
        }
        let refuse = |reason: &str| Error::damaged(format!("byte {offset}: {reason}"));
        let mut varint = || prost::decode_length_delimiter(&mut rest).map_err(|error| refuse(&error.to_string()));
        let key = varint()?;
        let length = varint()?;
        if key & 7 != WIRE_TYPE_LENGTH_DELIMITED {
            return Err(refuse("a record must say its length"));
        }
        let number = u32::try_from(key >> 3).map_err(|_| refuse("a record's number is too large"))?;
        if length > rest.remaining() {
            return Err(refuse(&format!("the record has {length} bytes, but only {} are left", rest.remaining())));
        }
        let begin = self.bytes.len() - rest.len();
        self.position = begin + length;
        Ok(Some(Record {
            offset,
            number,
            content: &self.bytes[begin..self.position],
            whole: &self.bytes[offset..self.position],
        }))
    }
}

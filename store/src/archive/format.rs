//! The bytes of an archive.

use std::io::{Read, Write};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use types::{Error, ObjectId, ObjectMeta, PgRange, PoolId, Result, XattrMap};

use crate::disk::{
    Identity,
    codec::{Decoder, encode_counted, encode_varint},
    keys::{decode_header_key, header_key},
};

const MAGIC: &[u8; 8] = b"ikaarchv";
const VERSION: u16 = 1;
/// Bytes of data in one record: one buffer's worth, and the most that is lost sight of by one wrong checksum.
pub(super) const DATA_BYTES_MAX: u64 = 1 << 20;
/// Bytes in one record: an object with all its attributes, or one omap value with its key, and then some.
const RECORD_BYTES_MAX: u32 = 4 << 20;
/// Bytes in a header: its fields, and a subject of up to 64 KiB.
const HEADER_BYTES_MAX: u32 = 66 << 10;

/// What an archive says in front of its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveHeader {
    /// The store that it was taken out of.
    pub identity: Identity,
    /// Which objects it holds: all of this range.
    pub range: PgRange,
    /// The caller's own words.
    pub subject: Vec<u8>,
}

/// An object without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDescription {
    /// Which object.
    pub object: ObjectId,
    /// Size and attributes.
    pub meta: ObjectMeta,
    /// The parts that hold data.
    pub extents: Vec<types::Extent>,
    /// How many omap entries it has.
    pub omap_entries: u64,
}

/// One piece of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Object { object: ObjectId, meta: ObjectMeta },
    Data { offset: u64, data: Bytes },
    Omap(Vec<(Vec<u8>, Bytes)>),
    Config { key: Vec<u8>, value: Bytes },
    End { objects: u64, bytes: u64, digest: [u8; 32] },
}

fn failed(doing: &str, error: &std::io::Error) -> Error {
    Error::invalid(format!("{doing} the archive: {error}"))
}

/// Writes an archive, counting what goes into its digest.
pub(super) struct ArchiveWriter<'a> {
    out: &'a mut dyn Write,
    digest: Sha256,
}

impl<'a> ArchiveWriter<'a> {
    pub fn begin(out: &'a mut dyn Write, header: &ArchiveHeader) -> Result<Self> {
        let mut body = Vec::new();
        header.identity.encode(&mut body);
        body.extend_from_slice(&header.range.pool.0.to_le_bytes());
        body.extend_from_slice(&header.range.first_reversed_hash.to_le_bytes());
        body.extend_from_slice(&header.range.last_reversed_hash.to_le_bytes());
        encode_counted(&mut body, &header.subject);
        let length = u32::try_from(body.len() + 4).ok().filter(|length| *length <= HEADER_BYTES_MAX);
        let length = length.ok_or_else(|| Error::invalid("an archive's subject has at most 64 KiB"))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&body);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        out.write_all(&bytes).map_err(|error| failed("write", &error))?;
        Ok(Self { out, digest: Sha256::new() })
    }

    pub fn record(&mut self, record: &Record) -> Result<()> {
        let mut bytes = Vec::new();
        let (kind, end) = encode_body(record, &mut bytes);
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= RECORD_BYTES_MAX);
        let length = length.ok_or_else(|| {
            Error::invalid(format!("a record of {} bytes is over an archive's {RECORD_BYTES_MAX}", bytes.len()))
        })?;
        let mut head = [0; 9];
        head[0] = kind;
        head[1..5].copy_from_slice(&length.to_le_bytes());
        head[5..].copy_from_slice(&record_crc(kind, length, &bytes).to_le_bytes());
        if !end {
            self.digest.update(head);
            self.digest.update(&bytes);
        }
        self.out.write_all(&head).and_then(|()| self.out.write_all(&bytes)).map_err(|error| failed("write", &error))
    }

    pub fn end(mut self, objects: u64, bytes: u64) -> Result<[u8; 32]> {
        let digest = self.digest.clone().finalize().into();
        self.record(&Record::End { objects, bytes, digest })?;
        self.out.flush().map_err(|error| failed("write", &error))?;
        Ok(digest)
    }
}

/// The record's kind, and whether it is the last.
fn encode_body(record: &Record, out: &mut Vec<u8>) -> (u8, bool) {
    match record {
        Record::Object { object, meta } => {
            encode_counted(out, &header_key(object));
            encode_varint(out, meta.size);
            encode_counted(out, &meta.omap_header);
            encode_varint(out, meta.xattrs.len() as u64);
            for (name, value) in &meta.xattrs {
                encode_counted(out, name);
                encode_counted(out, value);
            }
            (1, false)
        }
        Record::Data { offset, data } => {
            encode_varint(out, *offset);
            out.extend_from_slice(data);
            (2, false)
        }
        Record::Omap(entries) => {
            for (key, value) in entries {
                encode_counted(out, key);
                encode_counted(out, value);
            }
            (3, false)
        }
        Record::Config { key, value } => {
            encode_counted(out, key);
            encode_counted(out, value);
            (4, false)
        }
        Record::End { objects, bytes, digest } => {
            out.extend_from_slice(&objects.to_le_bytes());
            out.extend_from_slice(&bytes.to_le_bytes());
            out.extend_from_slice(digest);
            (5, true)
        }
    }
}

fn record_crc(kind: u8, length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// Reads an archive, believing nothing that its checksums do not confirm.
pub(super) struct ArchiveReader<'a> {
    input: &'a mut dyn Read,
    pub header: ArchiveHeader,
    digest: Sha256,
    at: u64,
}

impl<'a> ArchiveReader<'a> {
    pub fn begin(input: &'a mut dyn Read) -> Result<Self> {
        let mut start = [0; 16];
        input.read_exact(&mut start).map_err(|error| failed("read", &error))?;
        let short = |at: usize| u16::from_le_bytes([start[at], start[at + 1]]);
        if &start[..8] != MAGIC {
            return Err(Error::invalid("the file is no archive of objects"));
        }
        if short(10) > VERSION {
            return Err(Error::invalid(format!(
                "the archive has format {}, which needs a program that knows format {}; this one knows up to {VERSION}",
                short(8),
                short(10)
            )));
        }
        let length = u32::from_le_bytes([start[12], start[13], start[14], start[15]]);
        if !(4..=HEADER_BYTES_MAX).contains(&length) {
            return Err(Error::damaged("the archive's header has no sensible length"));
        }
        let mut body = vec![0; length as usize];
        input.read_exact(&mut body).map_err(|error| failed("read", &error))?;
        let (fields, crc) = body.split_at(body.len() - 4);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&start);
        hasher.update(fields);
        if crc != hasher.finalize().to_le_bytes() {
            return Err(Error::damaged("the archive's header has the wrong checksum"));
        }
        let refuse = || Error::damaged("the archive's header ends too early");
        let (identity, rest) = fields.split_first_chunk().ok_or_else(refuse)?;
        let mut decoder = Decoder::new(Bytes::copy_from_slice(rest), "archive's header");
        let range = PgRange {
            pool: PoolId(decoder.take_u64()?),
            first_reversed_hash: decoder.take_u32()?,
            last_reversed_hash: decoder.take_u32()?,
        };
        let subject = decoder.take_counted()?.to_vec();
        let header = ArchiveHeader { identity: Identity::decode(identity), range, subject };
        Ok(Self { input, header, digest: Sha256::new(), at: 16 + u64::from(length) })
    }

    /// The next record. When it is the last, the digest has been compared.
    pub fn take(&mut self) -> Result<Record> {
        let mut head = [0; 9];
        let at = self.at;
        self.input.read_exact(&mut head).map_err(|error| failed(&format!("read at {at} of"), &error))?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let damaged = |what: &str| Error::damaged(format!("the archive's record at {at} {what}"));
        if length > RECORD_BYTES_MAX {
            return Err(damaged("has no sensible length"));
        }
        let mut body = vec![0; length as usize];
        self.input.read_exact(&mut body).map_err(|error| failed(&format!("read at {at} of"), &error))?;
        if head[5..] != record_crc(head[0], length, &body).to_le_bytes() {
            return Err(damaged("has the wrong checksum"));
        }
        let sum = self.digest.clone();
        self.digest.update(head);
        self.digest.update(&body);
        self.at += 9 + u64::from(length);
        let record = decode_body(head[0], body.into()).map_err(|error| error.context(format!("record at {at}")))?;
        if let Record::End { digest, .. } = &record
            && *digest != <[u8; 32]>::from(sum.finalize())
        {
            return Err(Error::damaged("the archive's records are not those that its end tells of"));
        }
        Ok(record)
    }
}

fn decode_body(kind: u8, body: Bytes) -> Result<Record> {
    let mut decoder = Decoder::new(body, "archive's record");
    let record = match kind {
        1 => {
            let object = decode_header_key(&decoder.take_counted()?)?;
            let size = decoder.take_varint()?;
            let omap_header = decoder.take_counted()?;
            let mut xattrs = XattrMap::new();
            for _ in 0..decoder.take_count()? {
                let name = decoder.take_counted()?.to_vec();
                xattrs.insert(name, decoder.take_counted()?);
            }
            Record::Object { object, meta: ObjectMeta { size, xattrs, omap_header } }
        }
        2 => {
            let offset = decoder.take_varint()?;
            return Ok(Record::Data { offset, data: decoder.rest() });
        }
        3 => {
            let mut entries = Vec::new();
            while !decoder.is_empty() {
                let key = decoder.take_counted()?.to_vec();
                entries.push((key, decoder.take_counted()?));
            }
            Record::Omap(entries)
        }
        4 => Record::Config { key: decoder.take_counted()?.to_vec(), value: decoder.take_counted()? },
        5 => {
            let (objects, bytes) = (decoder.take_u64()?, decoder.take_u64()?);
            let digest = decoder.rest();
            let digest = digest.as_ref().try_into().map_err(|_| Error::damaged("the archive's end has no digest"))?;
            return Ok(Record::End { objects, bytes, digest });
        }
        _ => return Err(Error::invalid(format!("a record of kind {kind} is of no kind that this program knows"))),
    };
    if decoder.is_empty() { Ok(record) } else { Err(decoder.refuse("something stands behind its end")) }
}

//! Journal groups: what one device write and one flush make durable together.
//!
//! ```text
//! group    0  magic            8  "ikagroup"        40  sequence_first  8
//!          8  crc              4  of 12..meta_bytes 48  record_count    4
//!         12  version          2                    52  meta_bytes      4  header and records
//!         14  oldest_reader    2                    56  payload_units   4
//!         16  store_uuid      16                    60  -               4
//!         32  position         8                    64  flushed_through 8
//!         72  generation       8                    80  -              16
//!         96  records, then zeroes to a multiple of 4 KiB, then the payload units
//!
//! record   length:4 sequence:8 change_count:4 unit_count:4 run_count:4
//!          changes  1 key:counted value:counted | 2 key:counted | 3 begin:counted end:counted
//!          units    place:8 crc:4                     bytes are in the group's payload, in this order
//!          runs     place:8 count:4 crc:4*count       bytes are on the device, at their place
//! ```
//!
//! `position` counts bytes since the store was formatted; modulo the ring's size it is the place. So a group of an
//! earlier lap is never taken for one of this lap. The checksum covers what must be believed to go on (header and
//! records). Payload has checksums of its own: a bad unit damages one object, a bad record stops the store
//! (FOUNDATIONS 4). Payload is aligned, so that it is written back from this same memory.

use std::sync::Arc;

use bytes::Bytes;
use types::{Result, StoreUuid, Uuid};

use super::codec::{Decoder, encode_counted};
use crate::{
    device::{AlignedBuffer, DEVICE_ALIGNMENT},
    key_value::KeyChange,
    object_store::CommitCallback,
};

/// Bytes of a group's header.
pub(crate) const GROUP_HEADER_BYTES: usize = 96;
const MAGIC: &[u8; 8] = b"ikagroup";
const VERSION: u16 = 1;
const CRC_END: usize = 12;
const RECORD_HEADER_BYTES: usize = 24;

const _: () = assert!(GROUP_HEADER_BYTES < DEVICE_ALIGNMENT);

/// A unit whose new bytes ride in the journal and are written to their place later.
#[derive(Debug, Clone)]
pub(crate) struct JournaledUnit {
    pub place: u64,
    pub crc: u32,
    pub data: Bytes,
}

/// Freshly allocated units whose bytes go straight to their place.
#[derive(Debug, Clone)]
pub(crate) struct DirectRun {
    pub place: u64,
    pub crcs: Vec<u32>,
    /// One piece per unit; empty in records read from the journal.
    pub data: Vec<Bytes>,
}

/// A transaction as it is written: physical, and the same whether run or replayed (FOUNDATIONS 3).
#[derive(Default)]
pub(crate) struct Record {
    pub sequence: u64,
    pub changes: Vec<KeyChange>,
    pub units: Vec<JournaledUnit>,
    pub runs: Vec<Arc<DirectRun>>,
    /// Units that nothing refers to any more once this record is carried out. Not written: metadata tells it.
    pub freed: Vec<u64>,
    /// Who waits for it.
    pub done: Option<CommitCallback>,
}

impl Record {
    /// Bytes it takes among a group's records.
    pub fn meta_bytes(&self) -> usize {
        let changes: usize = self.changes.iter().map(change_bytes_max).sum();
        let runs: usize = self.runs.iter().map(|run| 12 + 4 * run.crcs.len()).sum();
        RECORD_HEADER_BYTES + changes + 12 * self.units.len() + runs
    }

    /// Bytes it takes in the ring, at most.
    pub fn ring_bytes(&self) -> usize {
        self.meta_bytes() + self.units.len() * DEVICE_ALIGNMENT
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        for count in [self.changes.len(), self.units.len(), self.runs.len()] {
            out.extend_from_slice(&length_word(count));
        }
        for change in &self.changes {
            match change {
                KeyChange::Put { key, value } => {
                    out.push(1);
                    encode_counted(out, key);
                    encode_counted(out, value);
                }
                KeyChange::Delete { key } => {
                    out.push(2);
                    encode_counted(out, key);
                }
                KeyChange::DeleteRange { begin, end } => {
                    out.push(3);
                    encode_counted(out, begin);
                    encode_counted(out, end);
                }
            }
        }
        for unit in &self.units {
            out.extend_from_slice(&unit.place.to_le_bytes());
            out.extend_from_slice(&unit.crc.to_le_bytes());
        }
        for run in &self.runs {
            out.extend_from_slice(&run.place.to_le_bytes());
            out.extend_from_slice(&length_word(run.crcs.len()));
            for crc in &run.crcs {
                out.extend_from_slice(&crc.to_le_bytes());
            }
        }
        let length = length_word(out.len() - start);
        out[start..start + 4].copy_from_slice(&length);
    }

    fn decode(decoder: &mut Decoder) -> Result<Self> {
        decoder.take_u32()?;
        let mut record = Self { sequence: decoder.take_u64()?, ..Self::default() };
        let change_count = decoder.take_u32()?;
        let unit_count = decoder.take_u32()?;
        let run_count = decoder.take_u32()?;
        for _ in 0..change_count {
            record.changes.push(match decoder.take_u8()? {
                1 => KeyChange::Put { key: decoder.take_counted()?, value: decoder.take_counted()? },
                2 => KeyChange::Delete { key: decoder.take_counted()? },
                3 => KeyChange::DeleteRange { begin: decoder.take_counted()?, end: decoder.take_counted()? },
                _ => return Err(decoder.refuse("a change is of no known kind")),
            });
        }
        for _ in 0..unit_count {
            let (place, crc) = (decoder.take_u64()?, decoder.take_u32()?);
            record.units.push(JournaledUnit { place, crc, data: Bytes::new() });
        }
        for _ in 0..run_count {
            let place = decoder.take_u64()?;
            let mut crcs = Vec::new();
            for _ in 0..decoder.take_u32()? {
                crcs.push(decoder.take_u32()?);
            }
            record.runs.push(Arc::new(DirectRun { place, crcs, data: Vec::new() }));
        }
        Ok(record)
    }
}

/// A counted string has at most five bytes in front of it, since nothing has 32 GiB.
fn change_bytes_max(change: &KeyChange) -> usize {
    match change {
        KeyChange::Put { key, value } => 11 + key.len() + value.len(),
        KeyChange::Delete { key } => 6 + key.len(),
        KeyChange::DeleteRange { begin, end } => 11 + begin.len() + end.len(),
    }
}

fn length_word(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a group is bounded by an eighth of a ring, far below 4 GiB").to_le_bytes()
}

/// What a group's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub store_uuid: StoreUuid,
    pub position: u64,
    pub sequence_first: u64,
    pub record_count: u32,
    pub meta_bytes: usize,
    pub payload_units: usize,
    pub flushed_through: u64,
    pub generation: u64,
}

impl GroupHeader {
    /// The header of a group with these records, its lengths counted.
    pub fn of(
        records: &[Record],
        store_uuid: StoreUuid,
        generation: u64,
        position: u64,
        sequence_first: u64,
        flushed_through: u64,
    ) -> Self {
        Self {
            store_uuid,
            position,
            sequence_first,
            record_count: u32::try_from(records.len()).expect("a group is bounded in bytes, so in records"),
            meta_bytes: 0,
            payload_units: records.iter().map(|record| record.units.len()).sum(),
            flushed_through,
            generation,
        }
    }

    /// Where the payload begins, from the group's beginning.
    pub fn payload_offset(&self) -> usize {
        self.meta_bytes.next_multiple_of(DEVICE_ALIGNMENT)
    }

    /// Bytes of the whole group in the ring.
    pub fn group_bytes(&self) -> usize {
        self.payload_offset() + self.payload_units * DEVICE_ALIGNMENT
    }

    /// The last sequence in it; one before the first, when it is empty.
    pub fn sequence_last(&self) -> u64 {
        self.sequence_first + u64::from(self.record_count) - 1
    }

    /// The header at the beginning of these bytes, its checksum not yet compared; `None` when there is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < GROUP_HEADER_BYTES || &bytes[..8] != MAGIC {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let header = Self {
            store_uuid: StoreUuid(Uuid(std::array::from_fn(|index| bytes[16 + index]))),
            position: long(32),
            sequence_first: long(40),
            record_count: word(48),
            meta_bytes: word(52) as usize,
            payload_units: word(56) as usize,
            flushed_through: long(64),
            generation: long(72),
        };
        let sensible = word(12) >> 16 <= u32::from(VERSION)
            && header.meta_bytes >= GROUP_HEADER_BYTES
            && header.sequence_first > 0
            && header.sequence_first.checked_add(u64::from(header.record_count)).is_some();
        sensible.then_some(header)
    }
}

/// A group ready for the device.
pub(crate) struct EncodedGroup {
    pub header: GroupHeader,
    pub buffer: AlignedBuffer,
}

/// Puts records into the form of the drawing above.
pub(crate) fn encode_group(mut header: GroupHeader, records: &[Record]) -> EncodedGroup {
    let meta_bytes_max: usize = records.iter().map(Record::meta_bytes).sum();
    let mut meta = Vec::with_capacity(GROUP_HEADER_BYTES + meta_bytes_max);
    meta.resize(GROUP_HEADER_BYTES, 0);
    for record in records {
        record.encode(&mut meta);
    }
    header.meta_bytes = meta.len();
    meta[..8].copy_from_slice(MAGIC);
    meta[12..14].copy_from_slice(&VERSION.to_le_bytes());
    meta[14..16].copy_from_slice(&VERSION.to_le_bytes());
    meta[16..32].copy_from_slice(&header.store_uuid.0.0);
    meta[32..40].copy_from_slice(&header.position.to_le_bytes());
    meta[40..48].copy_from_slice(&header.sequence_first.to_le_bytes());
    meta[48..52].copy_from_slice(&header.record_count.to_le_bytes());
    meta[52..56].copy_from_slice(&length_word(header.meta_bytes));
    meta[56..60].copy_from_slice(&length_word(header.payload_units));
    meta[64..72].copy_from_slice(&header.flushed_through.to_le_bytes());
    meta[72..80].copy_from_slice(&header.generation.to_le_bytes());
    let crc = crc32fast::hash(&meta[CRC_END..]);
    meta[8..CRC_END].copy_from_slice(&crc.to_le_bytes());

    let mut buffer = AlignedBuffer::zeroed(header.group_bytes());
    buffer[..meta.len()].copy_from_slice(&meta);
    let mut at = header.payload_offset();
    for unit in records.iter().flat_map(|record| &record.units) {
        buffer[at..at + DEVICE_ALIGNMENT].copy_from_slice(&unit.data);
        at += DEVICE_ALIGNMENT;
    }
    EncodedGroup { header, buffer }
}

/// The records of a group whose first `meta_bytes` are these; `None` when the checksum or the content is wrong.
pub(crate) fn decode_group(header: &GroupHeader, meta: &Bytes) -> Option<Vec<Record>> {
    if meta.len() < header.meta_bytes
        || meta[8..CRC_END] != crc32fast::hash(&meta[CRC_END..header.meta_bytes]).to_le_bytes()
    {
        return None;
    }
    let mut decoder = Decoder::new(meta.slice(GROUP_HEADER_BYTES..header.meta_bytes), "journal record");
    let mut records = Vec::new();
    for sequence in (header.sequence_first..).take(header.record_count as usize) {
        let record = Record::decode(&mut decoder).ok()?;
        if record.sequence != sequence {
            return None;
        }
        records.push(record);
    }
    let units: usize = records.iter().map(|record| record.units.len()).sum();
    (decoder.is_empty() && units == header.payload_units).then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let key = |text: &'static str| Bytes::from_static(text.as_bytes());
        let first = Record {
            sequence: 5,
            changes: vec![
                KeyChange::Put { key: key("a"), value: key("1") },
                KeyChange::Delete { key: key("b") },
                KeyChange::DeleteRange { begin: key("c"), end: key("d") },
            ],
            units: vec![JournaledUnit { place: 77, crc: 9, data: Bytes::from(vec![1; DEVICE_ALIGNMENT]) }],
            runs: vec![Arc::new(DirectRun { place: 100, crcs: vec![1, 2, 3], data: Vec::new() })],
            ..Record::default()
        };
        vec![first, Record { sequence: 6, ..Record::default() }]
    }

    fn encoded() -> EncodedGroup {
        let records = records();
        encode_group(GroupHeader::of(&records, StoreUuid(Uuid([3; 16])), 2, 8192, 5, 4), &records)
    }

    #[test]
    fn a_group_survives_encoding() {
        let group = encoded();
        let header = GroupHeader::decode(&group.buffer).expect("a header");
        assert_eq!(header, group.header);
        assert_eq!((header.sequence_last(), header.group_bytes()), (6, 2 * DEVICE_ALIGNMENT));
        let found = decode_group(&header, &Bytes::copy_from_slice(&group.buffer)).expect("records");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].changes, records()[0].changes);
        assert_eq!((found[0].units[0].place, found[0].runs[0].crcs.len()), (77, 3));
        assert!(found[0].meta_bytes() + found[1].meta_bytes() + GROUP_HEADER_BYTES >= header.meta_bytes);
    }

    #[test]
    fn no_flipped_bit_of_header_or_records_is_believed() {
        let group = encoded();
        for bit in 0..group.header.meta_bytes * 8 {
            let mut bytes = group.buffer.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let believed = GroupHeader::decode(&bytes).and_then(|header| decode_group(&header, &bytes.into()));
            assert!(believed.is_none(), "bit {bit}");
        }
    }
}

//! The superblock: whose device this is, how it is divided, and where the journal begins.
//!
//! ```text
//! device   0        superblock A
//!          64 KiB   superblock B
//!          128 KiB  journal ring
//!          …        data area, in units of 4 KiB
//!
//! superblock (4096 bytes, little-endian)
//!   0  magic          8   "ikastore"          96  osd            4
//!   8  crc            4   of bytes 12..4096  100  partition      2   further partitions 2
//!  12  version        2                      104  device_bytes   8
//!  14  oldest_reader  2                      112  ring_start     8
//!  16  required       8   feature bits       120  ring_bytes     8
//!  24  optional       8   feature bits       128  data_start     8
//!  32  cluster       16                      136  data_units     8
//!  48  osd_uuid      16                      144  tail_position  8
//!  64  store_uuid    16                      152  tail_sequence  8
//!  80  generation     8                      160  flushed_through 8
//!  88  writes         8                      168  zero
//! ```
//!
//! Two copies, written in turn, with `writes` counting up: a torn write spoils one, and the other still tells a state
//! from which the journal leads on, because what it calls the tail is overwritten only after the next superblock is
//! durable. 64 KiB apart, so that no device's physical block holds both.

use bytes::Bytes;
use types::{ClusterId, Error, OsdId, OsdUuid, Result, StoreUuid, Uuid};

use super::codec::Decoder;
use crate::{
    device::{AlignedBuffer, BlockDevice},
    object_store::UNIT_BYTES,
};

/// Bytes of one superblock: one device write, never torn between two.
pub(crate) const SUPERBLOCK_BYTES: usize = 4096;
/// Where the two copies lie.
pub(crate) const SUPERBLOCK_OFFSETS: [u64; 2] = [0, 64 << 10];
/// Where the journal ring begins.
const RING_START: u64 = 128 << 10;
const MAGIC: &[u8; 8] = b"ikastore";
const VERSION: u16 = 1;
const OLDEST_READER: u16 = 1;
/// Feature bits that this program knows; a store that requires others is refused.
const KNOWN_FEATURES: u64 = 0;
const ENCODED_BYTES: usize = 168;
const CRC_END: usize = 12;

const _: () = assert!(ENCODED_BYTES <= SUPERBLOCK_BYTES);
const _: () = assert!(SUPERBLOCK_OFFSETS[1] + SUPERBLOCK_BYTES as u64 <= RING_START);
const _: () = assert!(RING_START.is_multiple_of(UNIT_BYTES));

/// Number of this partition, and how many there are besides it. A partition is a part of the device with superblocks,
/// ring and data area of its own, told by the offsets in its superblock; the database is shared, with one
/// `applied_through` for each (decision 0022).
const ONE_PARTITION: [u16; 2] = [0, 0];

/// Smallest ring: sixteen records of 64 KiB, the least that holds a transaction with a few small writes.
pub(crate) const RING_BYTES_MIN: u64 = 1 << 20;
/// Largest ring when none is asked for. At half a ring metadata is flushed: 128 MiB of 4 KiB overwrites are some
/// 10 MB of metadata, enough for one sensible file.
const RING_BYTES_DEFAULT_MAX: u64 = 256 << 20;

/// Whose store it is. Both halves hold it; a half of another store is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The OSD's number.
    pub osd: OsdId,
    /// This life of the OSD's number.
    pub osd_uuid: OsdUuid,
    /// This formatting of the device.
    pub store_uuid: StoreUuid,
}

impl Identity {
    /// Bytes of an encoded identity.
    pub(crate) const ENCODED_BYTES: usize = 52;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.cluster.0.0);
        out.extend_from_slice(&self.osd_uuid.0.0);
        out.extend_from_slice(&self.store_uuid.0.0);
        out.extend_from_slice(&self.osd.0.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8; Self::ENCODED_BYTES]) -> Self {
        let uuid = |at: usize| Uuid(std::array::from_fn(|index| bytes[at + index]));
        Self {
            cluster: ClusterId(uuid(0)),
            osd_uuid: OsdUuid(uuid(16)),
            store_uuid: StoreUuid(uuid(32)),
            osd: OsdId(u32::from_le_bytes(std::array::from_fn(|index| bytes[48 + index]))),
        }
    }
}

/// How a device is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub device_bytes: u64,
    pub ring_start: u64,
    pub ring_bytes: u64,
    pub data_start: u64,
    pub data_units: u64,
}

impl Layout {
    /// Divides a device: a sixteenth of it for the ring, within bounds, unless a size is asked for.
    pub fn plan(device_bytes: u64, ring_bytes: Option<u64>) -> Result<Self> {
        let ring_bytes = ring_bytes
            .unwrap_or_else(|| (device_bytes / 16).clamp(RING_BYTES_MIN, RING_BYTES_DEFAULT_MAX))
            .next_multiple_of(UNIT_BYTES);
        if ring_bytes < RING_BYTES_MIN {
            return Err(Error::invalid(format!(
                "a journal of {ring_bytes} bytes is too small; it needs at least {RING_BYTES_MIN}"
            )));
        }
        let data_start = RING_START + ring_bytes;
        let data_units = device_bytes.saturating_sub(data_start) / UNIT_BYTES;
        if data_units * UNIT_BYTES < ring_bytes {
            return Err(Error::invalid(format!(
                "the device has {device_bytes} bytes; with a journal of {ring_bytes} bytes it needs at least {}",
                data_start + ring_bytes
            )));
        }
        Ok(Self { device_bytes, ring_start: RING_START, ring_bytes, data_start, data_units })
    }

    /// The number of the first unit of the data area; units are numbered from the device's beginning.
    pub fn first_unit(&self) -> u64 {
        self.data_start / UNIT_BYTES
    }

    /// Bytes in the largest journal record (FOUNDATIONS 19).
    pub fn record_bytes_max(&self) -> u64 {
        self.ring_bytes / 16
    }
}

/// Everything a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub identity: Identity,
    pub layout: Layout,
    /// Counts the times the store was opened; in both halves, so that an old copy of one is noticed.
    pub generation: u64,
    /// Counts the writes of superblocks; the higher one is newer.
    pub writes: u64,
    /// Where the first journal group needed lies, as a position that never wraps.
    pub tail_position: u64,
    /// The first sequence number that the journal still has to tell.
    pub tail_sequence: u64,
    /// A sequence known to be flushed.
    pub flushed_through: u64,
}

impl Superblock {
    pub fn encode(&self) -> AlignedBuffer {
        let mut out = Vec::with_capacity(ENCODED_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&OLDEST_READER.to_le_bytes());
        let identity = {
            let mut bytes = Vec::with_capacity(Identity::ENCODED_BYTES);
            self.identity.encode(&mut bytes);
            bytes
        };
        let (uuids, osd) = identity.split_at(48);
        for word in [0u64, 0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(uuids);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.writes.to_le_bytes());
        out.extend_from_slice(osd);
        for word in ONE_PARTITION {
            out.extend_from_slice(&word.to_le_bytes());
        }
        let layout = &self.layout;
        for word in [
            layout.device_bytes,
            layout.ring_start,
            layout.ring_bytes,
            layout.data_start,
            layout.data_units,
            self.tail_position,
            self.tail_sequence,
            self.flushed_through,
        ] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        assert_eq!(out.len(), ENCODED_BYTES, "the drawing above and this function agree");
        let mut buffer = AlignedBuffer::zeroed(SUPERBLOCK_BYTES);
        buffer[..ENCODED_BYTES].copy_from_slice(&out);
        let crc = crc32fast::hash(&buffer[CRC_END..]);
        buffer[8..CRC_END].copy_from_slice(&crc.to_le_bytes());
        buffer
    }

    /// `None` when there is no whole superblock; an error when there is one that this program must not touch.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>> {
        if bytes.len() < SUPERBLOCK_BYTES || &bytes[..8] != MAGIC {
            return Ok(None);
        }
        let mut decoder = Decoder::new(Bytes::copy_from_slice(&bytes[8..SUPERBLOCK_BYTES]), "superblock");
        if decoder.take_u32()? != crc32fast::hash(&bytes[CRC_END..SUPERBLOCK_BYTES]) {
            return Ok(None);
        }
        let versions = decoder.take_u32()?;
        let (version, oldest_reader) = (versions & 0xffff, versions >> 16);
        if oldest_reader > u32::from(VERSION) {
            return Err(Error::invalid(format!(
                "the store has format {version}, which needs a program that knows format {oldest_reader}; this one \
                 knows up to {VERSION}"
            )));
        }
        let required = decoder.take_u64()?;
        if required & !KNOWN_FEATURES != 0 {
            return Err(Error::invalid(format!(
                "the store requires features {:#x} that this program does not know",
                required & !KNOWN_FEATURES
            )));
        }
        decoder.take_u64()?;
        let partition = [100, 102].map(|at| u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        if partition != ONE_PARTITION {
            return Err(Error::invalid(format!(
                "the store is divided in {} partitions, this being number {}; this program knows stores of one",
                u32::from(partition[1]) + 1,
                partition[0]
            )));
        }
        let mut identity = [0; Identity::ENCODED_BYTES];
        identity[..48].copy_from_slice(&bytes[32..80]);
        identity[48..].copy_from_slice(&bytes[96..100]);
        for _ in 0..6 {
            decoder.take_u64()?;
        }
        let generation = decoder.take_u64()?;
        let writes = decoder.take_u64()?;
        decoder.take_u64()?;
        let layout = Layout {
            device_bytes: decoder.take_u64()?,
            ring_start: decoder.take_u64()?,
            ring_bytes: decoder.take_u64()?,
            data_start: decoder.take_u64()?,
            data_units: decoder.take_u64()?,
        };
        Ok(Some(Self {
            identity: Identity::decode(&identity),
            layout,
            generation,
            writes,
            tail_position: decoder.take_u64()?,
            tail_sequence: decoder.take_u64()?,
            flushed_through: decoder.take_u64()?,
        }))
    }

    /// The copy at one of [`SUPERBLOCK_OFFSETS`]; `None` when it is not whole.
    pub fn read_copy(device: &dyn BlockDevice, offset: u64) -> Result<Option<Self>> {
        let mut buffer = AlignedBuffer::zeroed(SUPERBLOCK_BYTES);
        if offset + SUPERBLOCK_BYTES as u64 <= device.size_bytes() {
            device.read(offset, &mut buffer)?;
        }
        Self::decode(&buffer)
    }

    /// The newer of the two copies on a device.
    pub fn read(device: &dyn BlockDevice) -> Result<Self> {
        let mut newest: Option<Self> = None;
        let mut refusal = None;
        for offset in SUPERBLOCK_OFFSETS {
            match Self::read_copy(device, offset) {
                Ok(Some(found)) if newest.as_ref().is_none_or(|known| known.writes < found.writes) => {
                    newest = Some(found);
                }
                Ok(_) => {}
                Err(error) => refusal = Some(error),
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let newest = newest.ok_or_else(|| {
            Error::not_found(format!("device {} holds no ika store: neither superblock is whole", device.name()))
        })?;
        if newest.layout.device_bytes > device.size_bytes() {
            return Err(Error::damaged(format!(
                "device {} has {} bytes; the store on it was made for {}",
                device.name(),
                device.size_bytes(),
                newest.layout.device_bytes
            )));
        }
        Ok(newest)
    }

    /// Writes this superblock over the older copy. Durable after the next flush.
    pub fn write(&self, device: &dyn BlockDevice) -> Result<()> {
        let copy = usize::from(!self.writes.is_multiple_of(2));
        device.write(SUPERBLOCK_OFFSETS[copy], &self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::MemoryDevice;

    fn superblock(writes: u64) -> Superblock {
        Superblock {
            identity: Identity {
                cluster: ClusterId(Uuid([1; 16])),
                osd: OsdId(7),
                osd_uuid: OsdUuid(Uuid([2; 16])),
                store_uuid: StoreUuid(Uuid([3; 16])),
            },
            layout: Layout::plan(4 << 20, None).expect("large enough"),
            generation: 5,
            writes,
            tail_position: 8192,
            tail_sequence: 9,
            flushed_through: 8,
        }
    }

    #[test]
    fn the_newer_copy_counts_and_a_spoiled_one_leaves_the_other() {
        let device = MemoryDevice::new(4 << 20);
        assert_eq!(Superblock::read(&device).expect_err("empty").kind, types::ErrorKind::NotFound);
        superblock(4).write(&device).expect("write");
        superblock(5).write(&device).expect("write");
        assert_eq!(Superblock::read(&device), Ok(superblock(5)));
        device.flip_bit(usize::try_from(SUPERBLOCK_OFFSETS[1]).expect("small") + 3000, 1);
        assert_eq!(Superblock::read(&device), Ok(superblock(4)));
    }

    #[test]
    fn a_store_for_newer_programs_is_refused_with_the_reason() {
        let device = MemoryDevice::new(4 << 20);
        for (at, word) in [(14, "format 9"), (16, "features 0x9"), (102, "in 10 partitions, this being number 0")] {
            let mut bytes = superblock(4).encode();
            bytes[at] = 9;
            let crc = crc32fast::hash(&bytes[CRC_END..]);
            bytes[8..CRC_END].copy_from_slice(&crc.to_le_bytes());
            device.write(0, &bytes).expect("write");
            let error = Superblock::read(&device).expect_err("too new");
            assert!(error.kind == types::ErrorKind::Invalid && error.message.contains(word), "{error}");
        }
    }

    #[test]
    fn a_device_too_small_for_its_journal_is_refused() {
        assert!(Layout::plan(1 << 20, None).is_err());
        assert!(Layout::plan(64 << 20, Some(4096)).is_err());
        assert!(Layout::plan(3 << 20, None).is_ok());
    }
}

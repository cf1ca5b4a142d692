//! What the key-value half holds of an object: its header, and its segments (places and checksums of units).
//!
//! ```text
//! header   version:1 oldest_reader:1 flags:v number:8 size:v segments:counted omap_header:counted
//!          xattr_count:v (name:counted value:counted)* unknown…
//! segment  version:1 oldest_reader:1 ( gap:v length:v flags:v place:v crc:4*length )*
//! ```
//! (`v` is a variable-length integer.) A header's tail that this version does not know survives a rewrite.
//!
//! Why segments: an overwrite of 4 KiB rewrites the metadata of 256 KiB (some 300 bytes), not of the whole object.
//! Why runs: 64 units in one place cost one place and 64 checksums.

use bytes::Bytes;
use types::{Error, Result, XattrMap};

use super::codec::{Decoder, encode_counted, encode_varint};

/// Units in a segment: 256 KiB of data.
pub(crate) const SEGMENT_UNITS: usize = 64;

const VERSION: u8 = 1;
const OLDEST_READER: u8 = 1;
const FLAG_OMAP: u64 = 1;
const FLAG_DAMAGED: u64 = 1;

/// An object, apart from its data and omap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Header {
    /// Names this incarnation of the object in the keys of its segments and omap. Never used again.
    pub number: u64,
    /// Bytes from zero to its end.
    pub size: u64,
    /// One bit per segment: whether it is stored.
    pub segments: SegmentSet,
    /// Whether it ever had an omap entry.
    pub has_omap: bool,
    /// The omap's header.
    pub omap_header: Bytes,
    /// Its attributes.
    pub xattrs: XattrMap,
    /// What a newer version wrote behind.
    pub unknown: Bytes,
}

impl Header {
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.omap_header.len() + self.weight());
        out.extend_from_slice(&[VERSION, OLDEST_READER]);
        encode_varint(&mut out, if self.has_omap { FLAG_OMAP } else { 0 });
        out.extend_from_slice(&self.number.to_le_bytes());
        encode_varint(&mut out, self.size);
        encode_counted(&mut out, &self.segments.bits);
        encode_counted(&mut out, &self.omap_header);
        encode_varint(&mut out, self.xattrs.len() as u64);
        for (name, value) in &self.xattrs {
            encode_counted(&mut out, name);
            encode_counted(&mut out, value);
        }
        out.extend_from_slice(&self.unknown);
        out.into()
    }

    pub fn decode(bytes: Bytes) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, "header of an object");
        check_version(&mut decoder)?;
        let flags = decoder.take_varint()?;
        let number = decoder.take_u64()?;
        let size = decoder.take_varint()?;
        let segments = SegmentSet { bits: decoder.take_counted()?.to_vec() };
        let omap_header = decoder.take_counted()?;
        let mut xattrs = XattrMap::new();
        for _ in 0..decoder.take_count()? {
            let name = decoder.take_counted()?.to_vec();
            xattrs.insert(name, decoder.take_counted()?);
        }
        let has_omap = flags & FLAG_OMAP != 0;
        Ok(Self { number, size, segments, has_omap, omap_header, xattrs, unknown: decoder.rest() })
    }

    /// Bytes of memory, about.
    pub fn weight(&self) -> usize {
        let xattrs: usize = self.xattrs.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        128 + xattrs + self.omap_header.len() + self.segments.bits.len()
    }
}

fn check_version(decoder: &mut Decoder) -> Result<()> {
    let version = decoder.take_u8()?;
    let oldest_reader = decoder.take_u8()?;
    if oldest_reader > VERSION {
        return Err(Error::invalid(format!(
            "the store has metadata of version {version}, which needs a reader of version {oldest_reader}; this \
             program reads up to {VERSION}"
        )));
    }
    Ok(())
}

/// Which segments of an object are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SegmentSet {
    bits: Vec<u8>,
}

impl SegmentSet {
    pub fn contains(&self, index: u32) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|byte| self.bits.get(byte));
        byte.is_some_and(|byte| byte >> (index % 8) & 1 != 0)
    }

    /// Adds a segment; `true` when it was not in.
    pub fn insert(&mut self, index: u32) -> bool {
        let byte = (index / 8) as usize;
        if self.bits.len() <= byte {
            self.bits.resize(byte + 1, 0);
        }
        let added = !self.contains(index);
        self.bits[byte] |= 1 << (index % 8);
        added
    }

    /// Takes a segment out; `true` when it was in.
    pub fn remove(&mut self, index: u32) -> bool {
        let removed = self.contains(index);
        if removed {
            self.bits[(index / 8) as usize] &= !(1 << (index % 8));
            while self.bits.last() == Some(&0) {
                self.bits.pop();
            }
        }
        removed
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..)
            .zip(&self.bits)
            .flat_map(|(byte, bits)| (0..8u32).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| byte * 8 + bit))
    }
}

/// Where one unit of data is and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unit {
    /// The unit on the device; zero (where the superblock lies) is a hole.
    pub place: u64,
    /// CRC-32 of its bytes.
    pub crc: u32,
    /// Whether a part of it was overwritten while the rest could not be read.
    pub damaged: bool,
}

impl Unit {
    /// No data.
    pub const HOLE: Self = Self { place: 0, crc: 0, damaged: false };

    pub fn is_hole(&self) -> bool {
        self.place == 0
    }
}

/// The units of 256 KiB of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub units: [Unit; SEGMENT_UNITS],
}

impl Segment {
    pub const EMPTY: Self = Self { units: [Unit::HOLE; SEGMENT_UNITS] };

    pub fn is_empty(&self) -> bool {
        self.units.iter().all(Unit::is_hole)
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(24 + 4 * SEGMENT_UNITS);
        out.extend_from_slice(&[VERSION, OLDEST_READER]);
        let mut index = 0;
        let mut described = 0;
        while index < SEGMENT_UNITS {
            let first = self.units[index];
            if first.is_hole() {
                index += 1;
                continue;
            }
            let continues =
                |unit: &Unit, offset: u64| unit.place == first.place + offset && unit.damaged == first.damaged;
            let length = (0..).zip(&self.units[index..]).take_while(|(offset, unit)| continues(unit, *offset)).count();
            encode_varint(&mut out, (index - described) as u64);
            encode_varint(&mut out, length as u64);
            encode_varint(&mut out, if first.damaged { FLAG_DAMAGED } else { 0 });
            encode_varint(&mut out, first.place);
            for unit in &self.units[index..index + length] {
                out.extend_from_slice(&unit.crc.to_le_bytes());
            }
            index += length;
            described = index;
        }
        out.into()
    }

    pub fn decode(bytes: Bytes) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, "segment of an object");
        check_version(&mut decoder)?;
        let mut segment = Self::EMPTY;
        let mut index = 0;
        while !decoder.is_empty() {
            let mut take_small =
                || decoder.take_varint().map(|count| usize::try_from(count).unwrap_or(usize::MAX).min(1 << 16));
            let (gap, length) = (take_small()?, take_small()?);
            let damaged = decoder.take_varint()? & FLAG_DAMAGED != 0;
            let place = decoder.take_varint()?;
            index += gap;
            if place == 0 || length == 0 || length > SEGMENT_UNITS || index + length > SEGMENT_UNITS {
                return Err(decoder.refuse("a run of units has no sensible place or length"));
            }
            for (place, unit) in (place..).zip(&mut segment.units[index..index + length]) {
                *unit = Unit { place, crc: decoder.take_u32()?, damaged };
            }
            index += length;
        }
        Ok(segment)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "random draws are bounded far below every type's limit")]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_encoding_with_what_a_newer_version_added() {
        let mut header = Header { number: 7, size: 1 << 33, has_omap: true, ..Header::default() };
        header.segments.insert(0);
        header.segments.insert(511);
        header.xattrs.insert(b"_".to_vec(), Bytes::from_static(b"info"));
        header.omap_header = Bytes::from_static(b"header");
        header.unknown = Bytes::from_static(b"from the future");
        assert_eq!(Header::decode(header.encode()), Ok(header.clone()));
        assert_eq!(header.segments.iter().collect::<Vec<_>>(), [0, 511]);
        assert!(header.segments.remove(511) && !header.segments.remove(511));
        assert_eq!(header.segments.bits.len(), 1);
    }

    #[test]
    fn a_header_for_newer_readers_is_refused_with_the_reason() {
        let mut bytes = Header::default().encode().to_vec();
        bytes[0] = 9;
        bytes[1] = 8;
        let error = Header::decode(bytes.into()).expect_err("too new");
        assert!(error.message.contains("needs a reader of version 8"), "{error}");
    }

    #[test]
    fn segments_survive_encoding() {
        let mut segment = Segment::EMPTY;
        assert_eq!(Segment::decode(segment.encode()), Ok(segment.clone()));
        for (index, place) in [(0, 100), (1, 101), (2, 103), (10, 5), (62, 900), (63, 901)] {
            segment.units[index] = Unit { place, crc: index as u32 * 77, damaged: index == 1 };
        }
        assert_eq!(Segment::decode(segment.encode()), Ok(segment.clone()));
        let whole =
            Segment { units: std::array::from_fn(|index| Unit { place: 50 + index as u64, crc: 1, damaged: false }) };
        assert!(whole.encode().len() <= 2 + 4 + 4 * SEGMENT_UNITS);
        assert_eq!(Segment::decode(whole.encode()), Ok(whole));
    }

    #[test]
    fn nonsense_is_refused_not_believed() {
        let mut segment = Segment::EMPTY;
        segment.units[63] = Unit { place: 9, crc: 1, damaged: false };
        let bytes = segment.encode();
        for length in 2..bytes.len() {
            let cut = Segment::decode(bytes.slice(..length));
            assert!(cut.is_err() || length == 2);
        }
        let mut long = bytes.to_vec();
        long[3] = 2;
        assert!(Segment::decode(long.into()).is_err());
    }
}

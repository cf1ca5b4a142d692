//! Which byte of a striped object lies where: pure arithmetic.
//!
//! Bytes go round robin, a stripe unit at a time, over `stripe_count` pieces, until these are full; then over the
//! next ones. Ceph's striping, with the same meaning of the three numbers.
//!
//! ```text
//! unit 2, count 3, piece 4:   bytes 0-1 2-3 4-5 | 6-7 8-9 10-11 | 12-13 …
//!                             piece  0   1   2  |  0   1   2    |  3 …
//! ```

use std::ops::Range;

use types::{Error, Result, limits};

/// The version of the layout's text form.
const VERSION: u32 = 1;

/// How a striped object is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripeLayout {
    /// Bytes in a row on one piece.
    pub stripe_unit: u64,
    /// Pieces that take turns.
    pub stripe_count: u64,
    /// Bytes of a full piece; a multiple of the unit.
    pub object_size: u64,
}

impl Default for StripeLayout {
    /// Pieces of 4 MiB, one after the other: large enough that a disk streams, small enough that recovery moves
    /// one in a fraction of a second, and Ceph's default.
    fn default() -> Self {
        Self { stripe_unit: 4 << 20, stripe_count: 1, object_size: 4 << 20 }
    }
}

/// A part of a piece that is a contiguous part of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceExtent {
    /// Which piece.
    pub piece: u64,
    /// Where in the piece.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// Where in the whole.
    pub whole_offset: u64,
}

impl StripeLayout {
    /// Refuses what cannot be cut so.
    pub fn check(&self) -> Result<()> {
        let whole_units = self.stripe_unit > 0 && self.object_size.checked_rem(self.stripe_unit) == Some(0);
        if !whole_units || self.object_size == 0 || self.object_size > limits::OBJECT_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a piece has a whole number of stripe units and from 1 to {} bytes, not {} in units of {}",
                limits::OBJECT_BYTES_MAX,
                self.object_size,
                self.stripe_unit
            )));
        }
        if !(1..=4096).contains(&self.stripe_count) {
            return Err(Error::invalid(format!("from 1 to 4096 pieces take turns, not {}", self.stripe_count)));
        }
        Ok(())
    }

    /// Where the byte range lies, in its order. Neighbours on one piece are one extent.
    pub fn extents(&self, range: Range<u64>) -> Vec<PieceExtent> {
        let mut extents: Vec<PieceExtent> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (piece, offset) = self.locate(at);
            let length = (self.stripe_unit - at % self.stripe_unit).min(range.end - at);
            match extents.last_mut() {
                Some(last) if last.piece == piece && last.offset + last.length == offset => last.length += length,
                _ => extents.push(PieceExtent { piece, offset, length, whole_offset: at }),
            }
            at += length;
        }
        extents
    }

    /// The piece and the place in it of one byte.
    fn locate(&self, at: u64) -> (u64, u64) {
        let units_per_piece = self.object_size / self.stripe_unit;
        let unit = at / self.stripe_unit;
        let (stripe, position) = (unit / self.stripe_count, unit % self.stripe_count);
        let (set, stripe_in_set) = (stripe / units_per_piece, stripe % units_per_piece);
        (set * self.stripe_count + position, stripe_in_set * self.stripe_unit + at % self.stripe_unit)
    }

    /// How many pieces an object of this size has: the highest number in use, plus one.
    pub fn pieces(&self, size: u64) -> u64 {
        let set_bytes = self.object_size * self.stripe_count;
        let rest = size % set_bytes;
        size / set_bytes * self.stripe_count + rest.div_ceil(self.stripe_unit).min(self.stripe_count)
    }

    /// The text that is stored with the object: `1 UNIT COUNT PIECE`.
    pub fn to_text(&self) -> String {
        format!("{VERSION} {} {} {}", self.stripe_unit, self.stripe_count, self.object_size)
    }

    /// Understands the text.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = || Error::invalid(format!("`{text}` is not a stripe layout of version {VERSION}"));
        let numbers: Vec<u64> = text.split(' ').map(str::parse).collect::<Result<_, _>>().map_err(|_| refuse())?;
        let [version, stripe_unit, stripe_count, object_size] = numbers[..] else { return Err(refuse()) };
        if version != u64::from(VERSION) {
            return Err(refuse());
        }
        let layout = Self { stripe_unit, stripe_count, object_size };
        layout.check()?;
        Ok(layout)
    }
}

#[cfg(test)]
mod tests {
    use types::{Seed, SeededRandom};

    use super::*;

    #[test]
    fn the_drawing_above_is_true() {
        let layout = StripeLayout { stripe_unit: 2, stripe_count: 3, object_size: 4 };
        let places: Vec<(u64, u64)> = (0..14).map(|at| layout.locate(at)).collect();
        assert_eq!(places[..6], [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
        assert_eq!(places[6..12], [(0, 2), (0, 3), (1, 2), (1, 3), (2, 2), (2, 3)]);
        assert_eq!(places[12..], [(3, 0), (3, 1)]);
        assert_eq!([0, 1, 2, 3, 5, 12, 13, 15, 24].map(|size| layout.pieces(size)), [0, 1, 1, 2, 3, 3, 4, 5, 6]);
    }

    #[test]
    fn every_byte_has_its_own_place_within_the_pieces_counted() {
        let mut random = SeededRandom::new(Seed(1));
        for _ in 0..200 {
            let stripe_unit = 1 + random.below(5);
            let layout = StripeLayout {
                stripe_unit,
                stripe_count: 1 + random.below(4),
                object_size: stripe_unit * (1 + random.below(4)),
            };
            layout.check().unwrap();
            assert_eq!(StripeLayout::parse(&layout.to_text()).unwrap(), layout);
            let size = random.below(200);
            let mut places = std::collections::BTreeSet::new();
            let mut at = 0;
            for extent in layout.extents(0..size) {
                assert_eq!(extent.whole_offset, at, "{layout:?}");
                assert!(extent.offset + extent.length <= layout.object_size, "{layout:?} {extent:?}");
                for byte in 0..extent.length {
                    assert_eq!(layout.locate(at + byte), (extent.piece, extent.offset + byte));
                    assert!(places.insert((extent.piece, extent.offset + byte)), "{layout:?} {extent:?}");
                }
                at += extent.length;
            }
            assert_eq!(at, size);
            let highest = places.iter().map(|(piece, _)| piece + 1).max().unwrap_or(0);
            assert_eq!(layout.pieces(size), highest, "{layout:?} of {size}");
        }
    }

    #[test]
    fn refuses_other_versions_and_impossible_cuts() {
        for text in ["2 4 1 4", "1 0 1 4", "1 4 1 6", "1 4 0 4", "1 4 1", "one", "1 4 1 0", "1 134217729 1 134217729"] {
            assert!(StripeLayout::parse(text).is_err(), "{text}");
        }
        assert!(StripeLayout::parse("1 134217728 4096 134217728").is_ok());
    }
}

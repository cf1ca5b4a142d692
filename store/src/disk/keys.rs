//! Keys of the key-value half. Each begins with a byte for what it is, so that one family holds them all.
//!
//! ```text
//! A                                              the journal sequence carried out so far
//! C key                                          one of the OSD's own values
//! I                                              whose half this is
//! M number:8 key                                 an omap entry of the object with this number
//! O pool:8 hash':4 namespace key name snapshot:8 generation:8 shard:1      an object's header
//! S number:8 index:4                             the places and checksums of 64 units of an object
//! ```
//!
//! Integers are big-endian, the hash is bit-reversed, and strings end with two zero bytes, a zero inside them being
//! written as `00 ff`: so keys sort as `ObjectId` does, and a placement group is one range. There is no PG in a key:
//! splits rewrite nothing (FOUNDATIONS 6). Units and omap hang on the object's number, not on its name: short keys,
//! and a removed object's keys never meet those of its successor.

use bytes::Bytes;
use types::{Cursor, Error, ObjectId, ObjectName, PoolId, Result, ShardId, SnapshotId};

/// The key of `applied_through`.
pub(crate) const APPLIED_THROUGH: &[u8] = b"A";
/// The key of the identity.
pub(crate) const IDENTITY: &[u8] = b"I";
/// The first byte of the OSD's own values.
const CONFIG: u8 = b'C';
/// The first byte of omap entries.
const OMAP: u8 = b'M';
/// The first byte of object headers.
const HEADER: u8 = b'O';
/// The first byte of segments.
const SEGMENT: u8 = b'S';

/// The key of one of the OSD's own values.
pub(crate) fn config_key(key: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(CONFIG);
    bytes.extend_from_slice(key);
    bytes.into()
}

/// The range of keys that begin with `prefix`: itself, and the first key after all of them.
pub(crate) fn prefix_range(prefix: &[u8]) -> (Bytes, Bytes) {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            break;
        }
        end.pop();
    }
    (Bytes::copy_from_slice(prefix), end.into())
}

/// The key of an object's header.
pub(crate) fn header_key(object: &ObjectId) -> Bytes {
    let name = &object.name;
    let mut bytes = Vec::with_capacity(48 + name.namespace.len() + name.key.len() + name.name.len());
    bytes.push(HEADER);
    bytes.extend_from_slice(&object.pool.0.to_be_bytes());
    bytes.extend_from_slice(&object.hash.reverse_bits().to_be_bytes());
    for text in [&name.namespace, &name.key, &name.name] {
        for byte in text {
            bytes.push(*byte);
            if *byte == 0 {
                bytes.push(u8::MAX);
            }
        }
        bytes.extend_from_slice(&[0, 0]);
    }
    bytes.extend_from_slice(&object.snapshot.0.to_be_bytes());
    bytes.extend_from_slice(&object.generation.to_be_bytes());
    bytes.push(object.shard.0.cast_unsigned() ^ 0x80);
    bytes.into()
}

/// The object whose header has this key.
pub(crate) fn decode_header_key(key: &[u8]) -> Result<ObjectId> {
    let refuse = || Error::damaged(format!("the database has an object key of no known form: {}", key.escape_ascii()));
    let mut rest = key.strip_prefix(&[HEADER]).ok_or_else(refuse)?;
    let pool = u64::from_be_bytes(take_array(&mut rest).ok_or_else(refuse)?);
    let reversed = u32::from_be_bytes(take_array(&mut rest).ok_or_else(refuse)?);
    let namespace = take_text(&mut rest).ok_or_else(refuse)?;
    let locator = take_text(&mut rest).ok_or_else(refuse)?;
    let name = take_text(&mut rest).ok_or_else(refuse)?;
    let snapshot = u64::from_be_bytes(take_array(&mut rest).ok_or_else(refuse)?);
    let generation = u64::from_be_bytes(take_array(&mut rest).ok_or_else(refuse)?);
    let [shard] = take_array(&mut rest).ok_or_else(refuse)?;
    if !rest.is_empty() {
        return Err(refuse());
    }
    Ok(ObjectId {
        pool: PoolId(pool),
        hash: reversed.reverse_bits(),
        name: ObjectName { namespace, key: locator, name },
        snapshot: SnapshotId(snapshot),
        generation,
        shard: ShardId((shard ^ 0x80).cast_signed()),
    })
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*array)
}

fn take_text(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        if *byte == 0 {
            let (mark, after) = rest.split_first()?;
            *rest = after;
            match *mark {
                0 => return Some(text),
                u8::MAX => text.push(0),
                _ => return None,
            }
        } else {
            text.push(*byte);
        }
    }
}

/// Where a listing that begins (or ends) at this cursor begins (or ends) among the keys.
pub(crate) fn cursor_key(cursor: &Cursor) -> Bytes {
    match cursor {
        Cursor::Start => Bytes::from_static(&[HEADER]),
        Cursor::Before(object) => header_key(object),
        Cursor::End => Bytes::from_static(&[HEADER + 1]),
    }
}

/// The range of all headers.
pub(crate) fn all_headers() -> (Bytes, Bytes) {
    prefix_range(&[HEADER])
}

/// The range of all segments.
pub(crate) fn all_segments() -> (Bytes, Bytes) {
    prefix_range(&[SEGMENT])
}

/// The range of all omap entries.
pub(crate) fn all_omap() -> (Bytes, Bytes) {
    prefix_range(&[OMAP])
}

/// The range of all the OSD's own values.
pub(crate) fn all_config() -> (Bytes, Bytes) {
    prefix_range(&[CONFIG])
}

/// The range of all segments of one object.
pub(crate) fn segment_range(number: u64) -> (Bytes, Bytes) {
    prefix_range(&segment_key(number, 0)[..9])
}

/// The key of a segment.
pub(crate) fn segment_key(number: u64, index: u32) -> Bytes {
    let mut bytes = [0; 13];
    bytes[0] = SEGMENT;
    bytes[1..9].copy_from_slice(&number.to_be_bytes());
    bytes[9..].copy_from_slice(&index.to_be_bytes());
    Bytes::copy_from_slice(&bytes)
}

/// The object number and index of the segment with this key.
pub(crate) fn decode_segment_key(key: &[u8]) -> Result<(u64, u32)> {
    let refuse = || Error::damaged(format!("the database has a segment key of no known form: {}", key.escape_ascii()));
    let mut rest = key.strip_prefix(&[SEGMENT]).ok_or_else(refuse)?;
    let number = u64::from_be_bytes(take_array(&mut rest).ok_or_else(refuse)?);
    let index = u32::from_be_bytes(take_array(&mut rest).ok_or_else(refuse)?);
    if rest.is_empty() { Ok((number, index)) } else { Err(refuse()) }
}

/// The key of an omap entry.
pub(crate) fn omap_key(number: u64, key: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(9 + key.len());
    bytes.push(OMAP);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.into()
}

/// Bytes in front of the user's key in an omap entry's key.
pub(crate) const OMAP_PREFIX_BYTES: usize = 9;

/// The object number of the omap entry with this key.
pub(crate) fn decode_omap_number(key: &[u8]) -> Result<u64> {
    let mut rest = key.strip_prefix(&[OMAP]).unwrap_or_default();
    let number = take_array(&mut rest).map(u64::from_be_bytes);
    number
        .ok_or_else(|| Error::damaged(format!("the database has an omap key of no known form: {}", key.escape_ascii())))
}

/// The range of all omap entries of one object.
pub(crate) fn omap_range(number: u64) -> (Bytes, Bytes) {
    prefix_range(&omap_key(number, &[]))
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "random draws are bounded far below every type's limit")]
mod tests {
    use types::{Seed, SeededRandom};

    use super::*;

    fn random_text(random: &mut SeededRandom) -> Vec<u8> {
        (0..random.below(4)).map(|_| [0, 1, 0x61, 0xfe, 0xff][random.below(5) as usize]).collect()
    }

    #[test]
    fn keys_sort_as_objects_do_and_decode_to_them() {
        let mut random = SeededRandom::new(Seed(1));
        let mut objects: Vec<ObjectId> = (0..2000)
            .map(|_| ObjectId {
                pool: PoolId(random.below(3)),
                hash: (random.below(4) as u32).reverse_bits() ^ random.below(2) as u32,
                name: ObjectName {
                    namespace: random_text(&mut random),
                    key: random_text(&mut random),
                    name: random_text(&mut random),
                },
                snapshot: if random.chance(1, 2) { SnapshotId::HEAD } else { SnapshotId(random.below(3)) },
                generation: if random.chance(1, 2) { types::GENERATION_NONE } else { random.below(3) },
                shard: ShardId(random.below(4) as i8 - 1),
            })
            .collect();
        for object in &objects {
            assert_eq!(decode_header_key(&header_key(object)).as_ref(), Ok(object));
        }
        objects.sort();
        assert!(objects.iter().map(header_key).is_sorted());
    }

    #[test]
    fn a_prefix_range_ends_after_the_last_key_with_the_prefix() {
        assert_eq!(prefix_range(&[1, 0xff]), (Bytes::from_static(&[1, 0xff]), Bytes::from_static(&[2])));
        let (_, end) = omap_range(0xff);
        assert!(omap_key(0xff, &[0xff; 100]) < end && end <= omap_key(0x100, &[]));
    }
}

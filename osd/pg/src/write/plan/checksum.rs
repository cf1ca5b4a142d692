//! Checksums that users ask for, chunk by chunk.

use bytes::{BufMut, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};
use twox_hash::{XxHash32, XxHash64};
use types::{Error, Result};
use wire::ChecksumKind;

/// The sums one after the other, little-endian. A `chunk` of zero is one chunk of everything.
pub(super) fn checksums(kind: ChecksumKind, seed: u64, data: &[u8], chunk: u32) -> Result<Bytes> {
    let chunk = match usize::try_from(chunk) {
        Ok(0) | Err(_) => data.len(),
        Ok(chunk) => chunk,
    };
    if data.is_empty() {
        return Ok(Bytes::new());
    }
    if !data.len().is_multiple_of(chunk) {
        return Err(Error::invalid(format!("chunks of {chunk} bytes do not divide a range of {} bytes", data.len())));
    }
    let mut sums = BytesMut::with_capacity(data.len() / chunk * kind.bytes());
    for piece in data.chunks(chunk) {
        match kind {
            ChecksumKind::XxHash32 => sums.put_u32_le(XxHash32::oneshot(low(seed), piece)),
            ChecksumKind::XxHash64 => sums.put_u64_le(XxHash64::oneshot(seed, piece)),
            ChecksumKind::Crc32c => sums.put_u32_le(crc32c(low(seed), piece)),
        }
    }
    Ok(sums.freeze())
}

/// The lower half.
fn low(seed: u64) -> u32 {
    u32::try_from(seed & u64::from(u32::MAX)).expect("32 bits fit")
}

/// Ceph: the seed is the first remainder, and the last remainder is not inverted.
fn crc32c(first: u32, data: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(first));
    digest.update(data);
    !low(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_published_test_vectors() {
        let sum = |kind, seed, text: &str| checksums(kind, seed, text.as_bytes(), 0).expect("sums").to_vec();
        // RFC 3720 and the catalogue of CRCs give e3069283 for CRC-32C, which inverts at both ends.
        let plain = sum(ChecksumKind::Crc32c, 0xffff_ffff, "123456789");
        assert_eq!(!u32::from_le_bytes(plain.try_into().expect("four")), 0xe306_9283);
        // The xxHash repository's own: seed 0 of `abc` and of a sentence.
        assert_eq!(sum(ChecksumKind::XxHash32, 0, "abc"), 0x32d1_53ff_u32.to_le_bytes());
        assert_eq!(sum(ChecksumKind::XxHash64, 0, "abc"), 0x44bc_2cf5_ad77_0999_u64.to_le_bytes());
    }

    #[test]
    fn chunks_have_a_sum_each_and_continue_by_seed() {
        let whole = checksums(ChecksumKind::Crc32c, 7, b"abcdefgh", 0).expect("sums");
        let halves = checksums(ChecksumKind::Crc32c, 7, b"abcdefgh", 4).expect("sums");
        assert_eq!((whole.len(), halves.len()), (4, 8));
        let first = u32::from_le_bytes(halves[..4].try_into().expect("four"));
        let second = checksums(ChecksumKind::Crc32c, u64::from(first), b"efgh", 0).expect("sums");
        assert_eq!(second, whole, "a sum goes on from the one before");
        assert!(checksums(ChecksumKind::Crc32c, 0, b"abcdefgh", 3).is_err());
        assert_eq!(checksums(ChecksumKind::XxHash64, 0, b"", 3).expect("nothing"), Bytes::new());
    }
}

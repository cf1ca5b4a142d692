//! The hashes that placement is made of.
//!
//! [`hash32`] is Robert Jenkins' 32-bit mix over one to five words with Ceph's seed: it draws for items in buckets and
//! mixes placement seeds. The two string hashes turn object names into 32 bits before they are folded onto a pool's
//! placement groups. All of them are part of the contract with existing clusters: a changed bit moves data.

mod lanes;

pub(crate) use lanes::hash32_3_lanes;

/// The start value of every word hash.
pub(crate) const SEED: u32 = 1_315_423_911;
/// Two arbitrary words that fill the mix where there are fewer arguments than it takes.
pub(crate) const FILLER_X: u32 = 231_232;
pub(crate) const FILLER_Y: u32 = 1232;
/// The golden ratio in 32 bits, start value of the string hash.
const GOLDEN_RATIO: u32 = 0x9e37_79b9;

/// One Jenkins mix: nine steps, each of which folds two words into the third.
#[inline(always)]
fn mix(a: &mut u32, b: &mut u32, c: &mut u32) {
    #[inline(always)]
    fn fold(target: &mut u32, first: u32, second: u32, shifted: u32) {
        *target = target.wrapping_sub(first).wrapping_sub(second) ^ shifted;
    }
    fold(a, *b, *c, *c >> 13);
    fold(b, *c, *a, *a << 8);
    fold(c, *a, *b, *b >> 13);
    fold(a, *b, *c, *c >> 12);
    fold(b, *c, *a, *a << 16);
    fold(c, *a, *b, *b >> 5);
    fold(a, *b, *c, *c >> 3);
    fold(b, *c, *a, *a << 10);
    fold(c, *a, *b, *b >> 15);
}

/// The hash of one word.
#[must_use]
pub fn hash32_1(a: u32) -> u32 {
    let mut hash = SEED ^ a;
    let (mut a, mut b, mut x, mut y) = (a, a, FILLER_X, FILLER_Y);
    mix(&mut b, &mut x, &mut hash);
    mix(&mut y, &mut a, &mut hash);
    hash
}

/// The hash of two words.
#[inline]
#[must_use]
pub fn hash32_2(a: u32, b: u32) -> u32 {
    let mut hash = SEED ^ a ^ b;
    let (mut a, mut b, mut x, mut y) = (a, b, FILLER_X, FILLER_Y);
    mix(&mut a, &mut b, &mut hash);
    mix(&mut x, &mut a, &mut hash);
    mix(&mut b, &mut y, &mut hash);
    hash
}

/// The hash of three words.
#[inline(always)]
#[must_use]
pub fn hash32_3(a: u32, b: u32, c: u32) -> u32 {
    let mut hash = SEED ^ a ^ b ^ c;
    let (mut a, mut b, mut c, mut x, mut y) = (a, b, c, FILLER_X, FILLER_Y);
    mix(&mut a, &mut b, &mut hash);
    mix(&mut c, &mut x, &mut hash);
    mix(&mut y, &mut a, &mut hash);
    mix(&mut b, &mut x, &mut hash);
    mix(&mut y, &mut c, &mut hash);
    hash
}

/// The hash of four words.
#[inline]
#[must_use]
pub fn hash32_4(a: u32, b: u32, c: u32, d: u32) -> u32 {
    let mut hash = SEED ^ a ^ b ^ c ^ d;
    let (mut a, mut b, mut c, mut d, mut x, mut y) = (a, b, c, d, FILLER_X, FILLER_Y);
    mix(&mut a, &mut b, &mut hash);
    mix(&mut c, &mut d, &mut hash);
    mix(&mut a, &mut x, &mut hash);
    mix(&mut y, &mut b, &mut hash);
    mix(&mut c, &mut x, &mut hash);
    mix(&mut y, &mut d, &mut hash);
    hash
}

/// The hash of five words.
#[must_use]
pub fn hash32_5(a: u32, b: u32, c: u32, d: u32, e: u32) -> u32 {
    let mut hash = SEED ^ a ^ b ^ c ^ d ^ e;
    let (mut a, mut b, mut c, mut d, mut e, mut x, mut y) = (a, b, c, d, e, FILLER_X, FILLER_Y);
    mix(&mut a, &mut b, &mut hash);
    mix(&mut c, &mut d, &mut hash);
    mix(&mut e, &mut x, &mut hash);
    mix(&mut y, &mut a, &mut hash);
    mix(&mut b, &mut x, &mut hash);
    mix(&mut y, &mut c, &mut hash);
    mix(&mut d, &mut x, &mut hash);
    mix(&mut y, &mut e, &mut hash);
    hash
}

/// The hash of one to five words; `None` for any other number of them.
#[must_use]
pub fn hash32(words: &[u32]) -> Option<u32> {
    match *words {
        [a] => Some(hash32_1(a)),
        [a, b] => Some(hash32_2(a, b)),
        [a, b, c] => Some(hash32_3(a, b, c)),
        [a, b, c, d] => Some(hash32_4(a, b, c, d)),
        [a, b, c, d, e] => Some(hash32_5(a, b, c, d, e)),
        _ => None,
    }
}

/// The Jenkins hash of a string of bytes: object hash 2, the one that every pool uses today.
#[must_use]
pub fn string_hash_rjenkins(bytes: &[u8]) -> u32 {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
    let (mut a, mut b, mut c) = (GOLDEN_RATIO, GOLDEN_RATIO, 0u32);
    let mut blocks = bytes.chunks_exact(12);
    for block in &mut blocks {
        a = a.wrapping_add(word(&block[..4]));
        b = b.wrapping_add(word(&block[4..8]));
        c = c.wrapping_add(word(&block[8..]));
        mix(&mut a, &mut b, &mut c);
    }
    // The last, partial block: the length goes into the lowest byte of the third word, so its text starts one byte up.
    let rest = blocks.remainder();
    let part = |from: usize, to: usize| word(&rest[from.min(rest.len())..to.min(rest.len())]);
    #[expect(clippy::cast_possible_truncation, reason = "the hash takes the length modulo 2^32")]
    let length = bytes.len() as u32;
    a = a.wrapping_add(part(0, 4));
    b = b.wrapping_add(part(4, 8));
    c = c.wrapping_add(length).wrapping_add(part(8, 11) << 8);
    mix(&mut a, &mut b, &mut c);
    c
}

/// The hash that Linux' directory cache once used: object hash 1, found in very old pools.
#[must_use]
pub fn string_hash_linux(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |hash, byte| {
        let byte = u32::from(*byte);
        hash.wrapping_add(byte << 4).wrapping_add(byte >> 4).wrapping_mul(11)
    })
}

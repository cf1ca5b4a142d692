//! Seeded changes of an input: what a fuzzer without feedback can do.

use types::SeededRandom;

/// Changes of one input, at most.
const CHANGES_MAX: u64 = 8;

/// Bytes that one insertion adds, at most.
const INSERTED_BYTES_MAX: u64 = 64;

/// Words at which lengths and counts go wrong.
const TELLING_WORDS: [u32; 10] = [0, 1, 2, 0x7f, 0xff, 0xffff, 0x0010_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// Words at which texts go wrong.
const TELLING_TEXTS: [&str; 12] =
    ["{", "}", "-1", "0", "99999999999", "-2147483648", "1e30", "item", "step", "é", "\n", "# "];

fn place(random: &mut SeededRandom, length: usize) -> usize {
    usize::try_from(random.below(length as u64 + 1)).expect("not above a length")
}

/// Changes the bytes; `others` are inputs to take pieces of.
pub fn mutate(random: &mut SeededRandom, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=random.below(CHANGES_MAX) {
        let (at, end) = (place(random, bytes.len()), place(random, bytes.len()));
        let (begin, end) = (at.min(end), at.max(end));
        let byte = random.draw().to_le_bytes()[0];
        match random.below(10) {
            0 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
            1 if at < bytes.len() => bytes[at] = byte,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(begin..end)),
            4 => {
                let piece = bytes[begin..end.min(begin + 256)].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let count = random.below(INSERTED_BYTES_MAX);
                let piece: Vec<u8> = (0..count).map(|_| random.draw().to_le_bytes()[0]).collect();
                bytes.splice(at..at, piece);
            }
            6 | 7 => {
                let word = TELLING_WORDS[place(random, TELLING_WORDS.len() - 1)].to_le_bytes();
                let width = [1, 2, 4][place(random, 2)];
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, word[..width].iter().copied());
            }
            8 if !others.is_empty() => {
                let other = &others[place(random, others.len() - 1)];
                let (from, to) = (place(random, other.len()), place(random, other.len()));
                bytes.splice(at..at, other[from.min(to)..from.max(to)].iter().copied().take(4096));
            }
            _ => {
                let text = TELLING_TEXTS[place(random, TELLING_TEXTS.len() - 1)];
                bytes.splice(at..at, format!(" {text} ").into_bytes());
            }
        }
    }
}

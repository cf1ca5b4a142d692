//! The three-word hash of many values at once, written so that the compiler keeps them in vector registers.
//!
//! Every step is a loop over all lanes without a branch. The more lanes, the more independent operations hide the latency of
//! each, which the long chain of dependent steps of one hash cannot; so 32 lanes take hardly longer than 16.

use super::{FILLER_X, FILLER_Y, SEED};

#[derive(Clone, Copy)]
struct Lanes<const LANES: usize>([u32; LANES]);

impl<const LANES: usize> Lanes<LANES> {
    #[inline(always)]
    fn of(value: u32) -> Self {
        Self([value; LANES])
    }

    /// `self - first - second ^ shifted`, the one operation that the mix is made of.
    #[inline(always)]
    fn fold(&mut self, first: Self, second: Self, shifted: Self) {
        for lane in 0..LANES {
            self.0[lane] = self.0[lane].wrapping_sub(first.0[lane]).wrapping_sub(second.0[lane]) ^ shifted.0[lane];
        }
    }

    #[inline(always)]
    fn left<const BITS: u32>(mut self) -> Self {
        for lane in &mut self.0 {
            *lane <<= BITS;
        }
        self
    }

    #[inline(always)]
    fn right<const BITS: u32>(mut self) -> Self {
        for lane in &mut self.0 {
            *lane >>= BITS;
        }
        self
    }
}

/// As [`super::mix`].
#[inline(always)]
fn mix<const LANES: usize>(a: &mut Lanes<LANES>, b: &mut Lanes<LANES>, c: &mut Lanes<LANES>) {
    a.fold(*b, *c, c.right::<13>());
    b.fold(*c, *a, a.left::<8>());
    c.fold(*a, *b, b.right::<13>());
    a.fold(*b, *c, c.right::<12>());
    b.fold(*c, *a, a.left::<16>());
    c.fold(*a, *b, b.right::<5>());
    a.fold(*b, *c, c.right::<3>());
    b.fold(*c, *a, a.left::<10>());
    c.fold(*a, *b, b.right::<15>());
}

/// [`super::hash32_3`] of `a`, each of `b`, and each of `c`.
#[inline(always)]
pub(crate) fn hash32_3_lanes<const LANES: usize>(a: u32, b: &[i32; LANES], c: &[u32; LANES]) -> [u32; LANES] {
    let (mut b, mut c) = (Lanes(b.map(i32::cast_unsigned)), Lanes(*c));
    let mut hash = b;
    for lane in 0..LANES {
        hash.0[lane] ^= SEED ^ a ^ c.0[lane];
    }
    let (mut a, mut x, mut y) = (Lanes::of(a), Lanes::of(FILLER_X), Lanes::of(FILLER_Y));
    mix(&mut a, &mut b, &mut hash);
    mix(&mut c, &mut x, &mut hash);
    mix(&mut y, &mut a, &mut hash);
    mix(&mut b, &mut x, &mut hash);
    mix(&mut y, &mut c, &mut hash);
    hash.0
}

#[cfg(test)]
mod tests {
    use super::super::hash32_3;
    use super::hash32_3_lanes;

    #[test]
    fn lanes_hash_as_single_values_do() {
        for x in [0, 1, 0xffff_ffff, 0x1234_5678] {
            let ids: [i32; 32] = std::array::from_fn(|lane| i32::try_from(lane).unwrap() * 7_919 - 40_000);
            let hashes = hash32_3_lanes(x, &ids, &[3; 32]);
            for (id, hash) in ids.iter().zip(hashes) {
                assert_eq!(hash, hash32_3(x, id.cast_unsigned(), 3));
            }
        }
    }
}

//! The few operations on vector registers that estimating needs, per width.
//!
//! Compilers turn loops over arrays into such operations too, but how many they interleave is their guess, and decides about half
//! of the time here. Everything is a wrapper of one instruction; the mathematics is in `estimate.rs`, once.

/// 32-bit words in one register: as numbers, and as single-precision floats of the same bits.
pub(super) trait Vector: Copy {
    /// Words in a register.
    const LANES: usize;

    fn splat(word: u32) -> Self;
    fn splat_float(number: f32) -> Self {
        Self::splat(number.to_bits())
    }
    /// The first words.
    fn load(words: &[u32]) -> Self;
    fn load_ids(ids: &[i32]) -> Self;
    fn load_floats(numbers: &[f32]) -> Self;
    fn store_floats(self, numbers: &mut [f32]);

    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn left<const BITS: u32>(self) -> Self;
    fn right<const BITS: u32>(self) -> Self;
    /// Shifts the sign in.
    fn right_signed<const BITS: u32>(self) -> Self;

    /// The signed numbers as floats.
    fn to_floats(self) -> Self;
    fn plus_floats(self, other: Self) -> Self;
    fn minus_floats(self, other: Self) -> Self;
    fn times_floats(self, other: Self) -> Self;
}

/// What any processor can do; tests compare with it.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[derive(Clone, Copy)]
pub(super) struct Portable([u32; 4]);

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(u32, u32) -> u32) -> Self {
        Self(std::array::from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    fn zip_floats(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        self.zip(other, |one, other| operation(f32::from_bits(one), f32::from_bits(other)).to_bits())
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Vector for Portable {
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self([word; 4])
    }
    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        Self(std::array::from_fn(|lane| words[lane]))
    }
    #[inline(always)]
    fn load_ids(ids: &[i32]) -> Self {
        Self(std::array::from_fn(|lane| ids[lane].cast_unsigned()))
    }
    #[inline(always)]
    fn load_floats(numbers: &[f32]) -> Self {
        Self(std::array::from_fn(|lane| numbers[lane].to_bits()))
    }
    #[inline(always)]
    fn store_floats(self, numbers: &mut [f32]) {
        numbers[..4].copy_from_slice(&self.0.map(f32::from_bits));
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_add)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_sub)
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self.zip(other, |one, other| one & other)
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self.zip(other, |one, other| one | other)
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self.zip(other, |one, other| one ^ other)
    }
    #[inline(always)]
    fn left<const BITS: u32>(self) -> Self {
        Self(self.0.map(|word| word << BITS))
    }
    #[inline(always)]
    fn right<const BITS: u32>(self) -> Self {
        Self(self.0.map(|word| word >> BITS))
    }
    #[inline(always)]
    fn right_signed<const BITS: u32>(self) -> Self {
        Self(self.0.map(|word| (word.cast_signed() >> BITS).cast_unsigned()))
    }
    #[inline(always)]
    fn to_floats(self) -> Self {
        Self(self.0.map(|word| (word.cast_signed() as f32).to_bits()))
    }
    #[inline(always)]
    fn plus_floats(self, other: Self) -> Self {
        self.zip_floats(other, |one, other| one + other)
    }
    #[inline(always)]
    fn minus_floats(self, other: Self) -> Self {
        self.zip_floats(other, |one, other| one - other)
    }
    #[inline(always)]
    fn times_floats(self, other: Self) -> Self {
        self.zip_floats(other, |one, other| one * other)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{Bits128, Bits256, Bits512};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_add_epi32, _mm_add_ps, _mm_and_si128, _mm_castps_si128, _mm_castsi128_ps,
        _mm_cvtepi32_ps, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_mul_ps, _mm_or_si128, _mm_set1_epi32, _mm_sll_epi32,
        _mm_sra_epi32, _mm_srl_epi32, _mm_storeu_ps, _mm_sub_epi32, _mm_sub_ps, _mm_xor_si128, _mm256_add_epi32,
        _mm256_add_ps, _mm256_and_si256, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cvtepi32_ps,
        _mm256_loadu_si256, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi32, _mm256_sll_epi32, _mm256_sra_epi32,
        _mm256_srl_epi32, _mm256_storeu_ps, _mm256_sub_epi32, _mm256_sub_ps, _mm256_xor_si256, _mm512_add_epi32,
        _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtepi32_ps,
        _mm512_loadu_si512, _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi32, _mm512_sll_epi32, _mm512_sra_epi32,
        _mm512_srl_epi32, _mm512_storeu_ps, _mm512_sub_epi32, _mm512_sub_ps, _mm512_xor_si512,
    };

    use super::Vector;

    /// One width: its name and register, the lanes, and the instructions in the order of the trait.
    macro_rules! vector {
        ($(#[$doc:meta])* $name:ident($register:ty), $lanes:literal, $set1:ident, $load:ident, $store:ident, $add:ident,
         $sub:ident, $and:ident, $or:ident, $xor:ident, $sll:ident, $srl:ident, $sra:ident, $convert:ident,
         $from_floats:ident, $as_floats:ident, $add_floats:ident, $sub_floats:ident, $mul_floats:ident) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($register);

            // SAFETY of all: the value exists only in functions that are called when the processor has the registers; whoever reads or
            // writes a slice checks before that it has so many words.
            impl Vector for $name {
                const LANES: usize = $lanes;

                #[inline(always)]
                fn splat(word: u32) -> Self {
                    Self(unsafe { $set1(word.cast_signed()) })
                }
                #[inline(always)]
                fn load(words: &[u32]) -> Self {
                    Self(unsafe { $load(words[..$lanes].as_ptr().cast()) })
                }
                #[inline(always)]
                fn load_ids(ids: &[i32]) -> Self {
                    Self(unsafe { $load(ids[..$lanes].as_ptr().cast()) })
                }
                #[inline(always)]
                fn load_floats(numbers: &[f32]) -> Self {
                    Self(unsafe { $load(numbers[..$lanes].as_ptr().cast()) })
                }
                #[inline(always)]
                fn store_floats(self, numbers: &mut [f32]) {
                    unsafe { $store(numbers[..$lanes].as_mut_ptr(), $as_floats(self.0)) }
                }
                #[inline(always)]
                fn plus(self, other: Self) -> Self {
                    Self(unsafe { $add(self.0, other.0) })
                }
                #[inline(always)]
                fn minus(self, other: Self) -> Self {
                    Self(unsafe { $sub(self.0, other.0) })
                }
                #[inline(always)]
                fn and(self, other: Self) -> Self {
                    Self(unsafe { $and(self.0, other.0) })
                }
                #[inline(always)]
                fn or(self, other: Self) -> Self {
                    Self(unsafe { $or(self.0, other.0) })
                }
                #[inline(always)]
                fn xor(self, other: Self) -> Self {
                    Self(unsafe { $xor(self.0, other.0) })
                }
                #[inline(always)]
                fn left<const BITS: u32>(self) -> Self {
                    Self(unsafe { $sll(self.0, _mm_cvtsi32_si128(BITS.cast_signed())) })
                }
                #[inline(always)]
                fn right<const BITS: u32>(self) -> Self {
                    Self(unsafe { $srl(self.0, _mm_cvtsi32_si128(BITS.cast_signed())) })
                }
                #[inline(always)]
                fn right_signed<const BITS: u32>(self) -> Self {
                    Self(unsafe { $sra(self.0, _mm_cvtsi32_si128(BITS.cast_signed())) })
                }
                #[inline(always)]
                fn to_floats(self) -> Self {
                    Self(unsafe { $from_floats($convert(self.0)) })
                }
                #[inline(always)]
                fn plus_floats(self, other: Self) -> Self {
                    Self(unsafe { $from_floats($add_floats($as_floats(self.0), $as_floats(other.0))) })
                }
                #[inline(always)]
                fn minus_floats(self, other: Self) -> Self {
                    Self(unsafe { $from_floats($sub_floats($as_floats(self.0), $as_floats(other.0))) })
                }
                #[inline(always)]
                fn times_floats(self, other: Self) -> Self {
                    Self(unsafe { $from_floats($mul_floats($as_floats(self.0), $as_floats(other.0))) })
                }
            }
        };
    }

    vector! {
        /// SSE2, which every such processor has.
        Bits128(__m128i), 4, _mm_set1_epi32, _mm_loadu_si128, _mm_storeu_ps, _mm_add_epi32,
        _mm_sub_epi32, _mm_and_si128, _mm_or_si128, _mm_xor_si128, _mm_sll_epi32, _mm_srl_epi32, _mm_sra_epi32,
        _mm_cvtepi32_ps, _mm_castps_si128, _mm_castsi128_ps, _mm_add_ps, _mm_sub_ps, _mm_mul_ps
    }

    vector! {
        /// AVX2.
        Bits256(__m256i), 8, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_storeu_ps, _mm256_add_epi32,
        _mm256_sub_epi32, _mm256_and_si256, _mm256_or_si256, _mm256_xor_si256, _mm256_sll_epi32, _mm256_srl_epi32,
        _mm256_sra_epi32, _mm256_cvtepi32_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_add_ps,
        _mm256_sub_ps, _mm256_mul_ps
    }

    vector! {
        /// AVX-512, its foundation.
        Bits512(__m512i), 16, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_storeu_ps, _mm512_add_epi32,
        _mm512_sub_epi32, _mm512_and_si512, _mm512_or_si512, _mm512_xor_si512, _mm512_sll_epi32, _mm512_srl_epi32,
        _mm512_sra_epi32, _mm512_cvtepi32_ps, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_add_ps,
        _mm512_sub_ps, _mm512_mul_ps
    }
}

//! Three draws made together: those of the attempt numbers 0, 1 and 2.
//!
//! One draw is a long chain of steps that wait for each other; three at once take hardly longer, because the processor works on the
//! others meanwhile. Their items stand one behind the other, so that no lane but the last few is hashed for nothing.

use super::estimate::{Items, LANES_NUMBERED, certain_winner, fill_keys};
#[cfg(not(target_arch = "x86_64"))]
use super::vector::Portable;
use super::vector::Vector;
#[cfg(target_arch = "x86_64")]
use super::vector::{Bits128, Bits256, Bits512};
use super::{Registers, Straws, straw2_pick_exactly};

/// How many draws are made together.
pub(crate) const TOGETHER: usize = 3;

/// The most items of each. With more, one draw alone keeps a processor busy.
pub(crate) const TOGETHER_ITEMS_MAX: usize = 32;

/// Items that are copied at once, whether there are so many or not.
const CHUNK: usize = 16;

const _: () = assert!(TOGETHER * TOGETHER_ITEMS_MAX <= LANES_NUMBERED && TOGETHER_ITEMS_MAX.is_multiple_of(CHUNK));

/// The items of three draws, and their keys. Kept from draw to draw, so that it needs not be cleared.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    ids: [i32; LANES_NUMBERED],
    reciprocals: [f32; LANES_NUMBERED],
    attempts: [u32; LANES_NUMBERED],
    keys: [f32; LANES_NUMBERED],
}

impl Default for Table {
    fn default() -> Self {
        Self {
            ids: [0; LANES_NUMBERED],
            reciprocals: [0.0; LANES_NUMBERED],
            attempts: [0; LANES_NUMBERED],
            keys: [0.0; LANES_NUMBERED],
        }
    }
}

/// The index of the item that each draws, the first with the attempt number 0, the second with 1, and so on. None may have more than
/// [`TOGETHER_ITEMS_MAX`] items, or none.
pub(crate) fn straw2_pick_together(
    registers: Registers,
    table: &mut Table,
    straws: [Straws<'_>; TOGETHER],
    x: u32,
) -> [usize; TOGETHER] {
    match registers {
        // SAFETY: whoever has these registers has asked the processor for the one feature that the function needs.
        #[cfg(target_arch = "x86_64")]
        Registers::Bits512 => unsafe { pick_with_avx512(table, straws, x) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Registers::Bits256 => unsafe { pick_with_avx2(table, straws, x) },
        #[cfg(target_arch = "x86_64")]
        Registers::Baseline => pick_in_vectors::<Bits128, 4>(registers, table, straws, x),
        #[cfg(not(target_arch = "x86_64"))]
        _ => pick_in_vectors::<Portable, 4>(registers, table, straws, x),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn pick_with_avx2(table: &mut Table, straws: [Straws<'_>; TOGETHER], x: u32) -> [usize; TOGETHER] {
    pick_in_vectors::<Bits256, 4>(Registers::Bits256, table, straws, x)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn pick_with_avx512(table: &mut Table, straws: [Straws<'_>; TOGETHER], x: u32) -> [usize; TOGETHER] {
    pick_in_vectors::<Bits512, 4>(Registers::Bits512, table, straws, x)
}

#[inline(always)]
fn pick_in_vectors<V: Vector, const WIDTH: usize>(
    registers: Registers,
    table: &mut Table,
    straws: [Straws<'_>; TOGETHER],
    x: u32,
) -> [usize; TOGETHER] {
    let mut ends = [0; TOGETHER];
    let mut end = 0;
    for (attempt, straws) in (0..).zip(&straws) {
        let count = straws.weights.len();
        for at in (0..count).step_by(CHUNK) {
            table.ids[end + at..end + at + CHUNK].copy_from_slice(&straws.ids[at..at + CHUNK]);
            table.reciprocals[end + at..end + at + CHUNK].copy_from_slice(&straws.reciprocals[at..at + CHUNK]);
            table.attempts[end + at..end + at + CHUNK].fill(attempt);
        }
        end += count;
        ends[attempt as usize] = end;
    }
    let items = Items { ids: &table.ids, reciprocals: &table.reciprocals, attempts: &table.attempts };
    fill_keys::<V, WIDTH>(items, x, end, &mut table.keys);
    let mut picks = [0; TOGETHER];
    let mut begin = 0;
    for (attempt, (pick, end)) in (0..).zip(picks.iter_mut().zip(ends)) {
        *pick = match certain_winner(&table.keys[begin..end]) {
            Some(lane) => lane - begin,
            None => straw2_pick_exactly(registers, straws[attempt as usize], x, attempt),
        };
        begin = end;
    }
    picks
}

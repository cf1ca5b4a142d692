//! What one input may cost, and how it is measured: memory by an allocator that counts per thread, time by the thread's
//! own processor time, so that a busy machine makes nobody fail.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

/// What one input may cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Bytes of memory at the worst moment, whatever the input.
    pub bytes_fixed: usize,
    /// And so many per byte of input.
    pub bytes_per_byte: usize,
    /// Processor time.
    pub time: Duration,
}

impl Budget {
    /// A placement map names the highest of its devices and buckets, and what places has a table of each: 2^22 devices
    /// with four bytes of weight, 2^20 buckets with a place in a table of the map, its compiled form and its encoding.
    pub(crate) const PLACEMENT_MAP: Self =
        Self { bytes_fixed: 400 << 20, bytes_per_byte: 1000, time: Duration::from_secs(4) };
    /// Everything else justifies its memory by its length.
    pub(crate) const MESSAGE: Self = Self { bytes_fixed: 1 << 20, bytes_per_byte: 400, time: Duration::from_secs(1) };

    /// The sentence that says which part of the budget was overdrawn, if one was.
    #[must_use]
    pub fn overdrawn(&self, input_bytes: usize, spent: Spent) -> Option<String> {
        let bytes_max = self.bytes_fixed + self.bytes_per_byte * input_bytes;
        if spent.bytes > bytes_max {
            return Some(format!("{input_bytes} bytes took {} bytes of memory; {bytes_max} are allowed", spent.bytes));
        }
        (spent.time > self.time).then(|| {
            format!("{input_bytes} bytes took {:?} of processor time; {:?} are allowed", spent.time, self.time)
        })
    }
}

/// What a piece of work cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Bytes of memory at the worst moment, above what was there before. Zero without [`CountingAllocator`].
    pub bytes: usize,
    /// Processor time of the thread.
    pub time: Duration,
}

thread_local! {
    /// Bytes that this thread has allocated and not freed; negative when it frees what others allocated.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    LIVE.with(|live| {
        live.set(live.get() + change);
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

/// The system's allocator with a counter per thread; for `#[global_allocator]` of a test binary.
pub struct CountingAllocator;

// SAFETY: every call goes to the system's allocator with the arguments as they came; counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promise that the pointer came from here with this layout is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs the work and says what it cost.
pub fn measure(work: impl FnOnce()) -> Spent {
    let (begun, before) = (thread_time(), LIVE.get());
    PEAK.set(before);
    work();
    let bytes = usize::try_from(PEAK.get() - before).unwrap_or(0);
    Spent { bytes, time: thread_time().saturating_sub(begun) }
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Linux has this clock").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_a_budget_are_watched() {
        let budget = Budget { bytes_fixed: 100, bytes_per_byte: 2, time: Duration::from_secs(1) };
        let spent = |bytes, milliseconds| Spent { bytes, time: Duration::from_millis(milliseconds) };
        assert_eq!(budget.overdrawn(10, spent(120, 1000)), None);
        assert!(budget.overdrawn(10, spent(121, 0)).is_some_and(|sentence| sentence.contains("121 bytes of memory")));
        assert!(budget.overdrawn(10, spent(0, 1001)).is_some_and(|sentence| sentence.contains("processor time")));
    }
}

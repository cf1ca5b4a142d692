//! Which counters of a session have been used: each one at most once, in nearly any order.

/// Counters behind the highest that may still come: more than any client has calls in flight.
const WINDOW: u64 = 4096;
const WORDS: usize = 64;
const _: () = assert!(WINDOW == 64 * WORDS as u64, "one bit for each counter of the window");

/// The counters seen, as a ring of bits behind the highest one.
#[derive(Debug)]
pub(super) struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    pub(super) fn new() -> Self {
        Self { highest: 0, seen: [0; WORDS] }
    }

    fn place(counter: u64) -> (usize, u64) {
        let index = counter % WINDOW;
        (usize::try_from(index / 64).expect("below the number of words"), 1 << (index % 64))
    }

    /// Takes the counter; false when it was used, or is too old to tell. Zero is never good.
    pub(super) fn take(&mut self, counter: u64) -> bool {
        if counter == 0 || counter + WINDOW <= self.highest {
            return false;
        }
        if counter > self.highest {
            if counter - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for passed in self.highest + 1..counter {
                    let (word, bit) = Self::place(passed);
                    self.seen[word] &= !bit;
                }
            }
            self.highest = counter;
        } else {
            let (word, bit) = Self::place(counter);
            if self.seen[word] & bit != 0 {
                return false;
            }
        }
        let (word, bit) = Self::place(counter);
        self.seen[word] |= bit;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use types::{Seed, SeededRandom};

    use super::*;

    #[test]
    fn each_counter_passes_at_most_once_and_recent_ones_pass() {
        let seed = Seed(7);
        println!("seed {seed}");
        let mut random = SeededRandom::new(seed);
        let (mut window, mut used, mut highest) = (ReplayWindow::new(), BTreeSet::new(), 0u64);
        for _ in 0..200_000 {
            let counter = match random.below(10) {
                0 => highest + random.below(3 * WINDOW),
                1..5 => highest + 1,
                _ => highest.saturating_sub(random.below(WINDOW + 10)),
            };
            let is_recent = counter > 0 && counter + WINDOW > highest;
            let expected = is_recent && !used.contains(&counter);
            assert_eq!(window.take(counter), expected, "counter {counter}, highest {highest}");
            if expected {
                used.insert(counter);
                highest = highest.max(counter);
            }
        }
    }

    #[test]
    fn both_ends_of_the_window() {
        let mut window = ReplayWindow::new();
        assert!(!window.take(0));
        assert!(window.take(WINDOW + 1));
        assert!(!window.take(1), "just outside");
        assert!(window.take(2), "just inside");
        assert!(!window.take(2));
    }
}

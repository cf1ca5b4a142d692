//! Places for scrubs: a bounded number of placement groups are read again here at once.
//!
//! Unlike places for recovery these are given or refused at once. Who is refused gives back what it holds elsewhere and
//! comes again later; so nobody waits with a place in hand, and no two groups can wait for each other.

use std::collections::{BTreeSet, VecDeque};

use osd_pg::ScrubPlace;
use types::PgId;

/// Who has a place, and who has not been answered.
#[derive(Debug)]
pub(crate) struct ScrubPlaces {
    places_max: usize,
    held: BTreeSet<PgId>,
    asked: VecDeque<PgId>,
}

impl ScrubPlaces {
    /// Nobody holds a place.
    pub fn new(places_max: usize) -> Self {
        assert!(places_max > 0, "without a place nothing is ever scrubbed");
        Self { places_max, held: BTreeSet::new(), asked: VecDeque::new() }
    }

    /// How many there are from now on; who holds one keeps it.
    pub fn set_places(&mut self, places_max: usize) {
        self.places_max = places_max.max(1);
    }

    /// Asks for a place; the answer comes before the event ends.
    pub fn request(&mut self, pg: PgId) {
        self.asked.push_back(pg);
    }

    /// Gives a place back.
    pub fn release(&mut self, pg: PgId) {
        self.held.remove(&pg);
        self.asked.retain(|asked| *asked != pg);
    }

    /// The next answer.
    pub fn answer(&mut self) -> Option<(PgId, ScrubPlace)> {
        let pg = self.asked.pop_front()?;
        if self.held.contains(&pg) || self.held.len() < self.places_max {
            self.held.insert(pg);
            return Some((pg, ScrubPlace::Granted));
        }
        Some((pg, ScrubPlace::Refused))
    }
}

#[cfg(test)]
mod tests {
    use types::PoolId;

    use super::*;

    #[test]
    fn places_are_bounded_and_nobody_waits() {
        let pg = |seed| PgId { pool: PoolId(1), seed };
        let mut places = ScrubPlaces::new(2);
        for seed in [0, 1, 2, 0] {
            places.request(pg(seed));
        }
        assert_eq!(places.answer(), Some((pg(0), ScrubPlace::Granted)));
        assert_eq!(places.answer(), Some((pg(1), ScrubPlace::Granted)));
        assert_eq!(places.answer(), Some((pg(2), ScrubPlace::Refused)));
        assert_eq!(places.answer(), Some((pg(0), ScrubPlace::Granted)));
        assert_eq!(places.answer(), None);
        places.release(pg(1));
        places.request(pg(2));
        assert_eq!(places.answer(), Some((pg(2), ScrubPlace::Granted)));
    }
}

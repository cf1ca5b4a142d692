//! Places for recovery and backfill: a bounded number of placement groups heal here at once, first come, first served.

use std::collections::{BTreeSet, VecDeque};

use types::PgId;

/// Who has a place and who waits for one.
#[derive(Debug)]
pub(crate) struct Reservations {
    places_max: usize,
    held: BTreeSet<PgId>,
    waiting: VecDeque<PgId>,
}

impl Reservations {
    /// Nobody holds a place.
    pub fn new(places_max: usize) -> Self {
        assert!(places_max > 0, "without a place nothing ever heals");
        Self { places_max, held: BTreeSet::new(), waiting: VecDeque::new() }
    }

    /// From now on so many places. Nobody loses one that he holds.
    pub fn set_places(&mut self, places_max: usize) {
        self.places_max = places_max.max(1);
    }

    /// Asks for a place. Asking twice changes nothing, except that a holder is told again by `grant`.
    pub fn request(&mut self, pg: PgId) {
        if !self.waiting.contains(&pg) {
            self.waiting.push_back(pg);
        }
    }

    /// Gives a place back, or stops waiting.
    pub fn release(&mut self, pg: PgId) {
        self.held.remove(&pg);
        self.waiting.retain(|waiting| *waiting != pg);
    }

    /// The next one that has a place now.
    pub fn grant(&mut self) -> Option<PgId> {
        if let Some(at) = self.waiting.iter().position(|pg| self.held.contains(pg)) {
            return self.waiting.remove(at);
        }
        if self.held.len() >= self.places_max {
            return None;
        }
        let pg = self.waiting.pop_front()?;
        self.held.insert(pg);
        Some(pg)
    }
}

#[cfg(test)]
mod tests {
    use types::PoolId;

    use super::*;

    fn pg(seed: u32) -> PgId {
        PgId { pool: PoolId(1), seed }
    }

    #[test]
    fn places_are_bounded_and_given_in_order() {
        let mut reservations = Reservations::new(2);
        for seed in 0..4 {
            reservations.request(pg(seed));
        }
        assert_eq!(reservations.grant(), Some(pg(0)));
        assert_eq!(reservations.grant(), Some(pg(1)));
        assert_eq!(reservations.grant(), None);
        reservations.release(pg(2));
        reservations.release(pg(0));
        assert_eq!(reservations.grant(), Some(pg(3)));
        assert_eq!(reservations.grant(), None);
    }

    #[test]
    fn a_holder_that_asks_again_is_told_again() {
        let mut reservations = Reservations::new(1);
        reservations.request(pg(0));
        assert_eq!(reservations.grant(), Some(pg(0)));
        reservations.request(pg(1));
        reservations.request(pg(0));
        assert_eq!(reservations.grant(), Some(pg(0)));
        assert_eq!(reservations.grant(), None);
    }
}

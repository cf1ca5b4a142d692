//! A bounded map of things that can be read again, in two generations.
//!
//! What is used lives in the young generation; when that is full it becomes the old one and the old one is dropped.
//! So what was used recently stays, at the cost of one move per generation and without lists to maintain.

use std::{collections::HashMap, hash::Hash};

use crate::counts::CacheCounts;

/// A cache bounded in bytes.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    young_bytes: usize,
    generation_bytes_max: usize,
    counts: CacheCounts,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// A cache of at most so many bytes, as its users weigh their entries.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_bytes: 0,
            generation_bytes_max: bytes_max / 2,
            counts: CacheCounts::default(),
        }
    }

    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            self.counts.hits += 1;
            return Some(value.clone());
        }
        let Some((value, weight)) = self.old.remove(key) else {
            self.counts.misses += 1;
            return None;
        };
        self.counts.hits += 1;
        self.insert(key.clone(), value.clone(), weight);
        Some(value)
    }

    /// As `insert`, without a copy of the key where it is there already.
    pub fn replace(&mut self, key: &K, value: V, weight: usize) {
        match self.young.get_mut(key) {
            Some(entry) => {
                self.young_bytes = self.young_bytes - entry.1 + weight;
                *entry = (value, weight);
                self.turn_over();
            }
            None => self.insert(key.clone(), value, weight),
        }
    }

    pub fn counts(&self) -> CacheCounts {
        self.counts
    }

    pub fn insert(&mut self, key: K, value: V, weight: usize) {
        self.old.remove(&key);
        if let Some((_, replaced)) = self.young.insert(key, (value, weight)) {
            self.young_bytes -= replaced;
        }
        self.young_bytes += weight;
        self.turn_over();
    }

    fn turn_over(&mut self) {
        if self.young_bytes > self.generation_bytes_max {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_stays_within_its_bound() {
        let mut cache = Cache::new(200);
        for number in 0..1000 {
            cache.insert(number, number, 10);
            assert_eq!(cache.get(&0), Some(0), "used every time, never dropped");
            assert!(cache.young.len() + cache.old.len() <= 22);
        }
        assert_eq!(cache.get(&500), None);
    }
}

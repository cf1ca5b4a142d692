//! The simulation's clock and everything that is going to happen.
//!
//! Time stands still while an event is handled and jumps to the next event's instant after it, so a test of hours
//! takes as long as its events do.
//!
//! Invariants
//! 1. Time never goes back.
//! 2. Events come out by time, those of one instant in the order in which they went in.

use std::{collections::BTreeMap, time::Duration};

use types::Time;

/// Names one scheduled event, to cancel it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey(Time, u64);

/// Virtual time and the events ahead of it.
#[derive(Debug, Clone)]
pub struct EventQueue<E> {
    now: Time,
    scheduled_count: u64,
    events: BTreeMap<EventKey, E>,
}

impl<E> EventQueue<E> {
    /// An empty queue at the origin of time.
    pub fn new() -> Self {
        Self { now: Time::ZERO, scheduled_count: 0, events: BTreeMap::new() }
    }

    /// The present instant.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Schedules an event. An instant that has passed means now, behind all that is scheduled for now already.
    pub fn schedule_at(&mut self, at: Time, event: E) -> EventKey {
        let key = EventKey(at.max(self.now), self.scheduled_count);
        self.scheduled_count += 1;
        self.events.insert(key, event);
        key
    }

    /// Schedules an event `delay` from now.
    pub fn schedule_after(&mut self, delay: Duration, event: E) -> EventKey {
        self.schedule_at(self.now + delay, event)
    }

    /// Takes back an event that has not happened yet.
    pub fn cancel(&mut self, key: EventKey) -> Option<E> {
        self.events.remove(&key)
    }

    /// Keeps only the events that `keep` approves: a crashed node's timers go this way.
    pub fn retain(&mut self, mut keep: impl FnMut(&E) -> bool) {
        self.events.retain(|_, event| keep(event));
    }

    /// The next event; time moves to its instant.
    pub fn pop(&mut self) -> Option<E> {
        let (key, event) = self.events.pop_first()?;
        self.now = key.0;
        Some(event)
    }

    /// The next event if it happens at `end` or before. Otherwise time moves to `end`.
    pub fn pop_until(&mut self, end: Time) -> Option<E> {
        if self.next_time().is_some_and(|at| at <= end) {
            return self.pop();
        }
        self.now = self.now.max(end);
        None
    }

    /// When the next event happens.
    pub fn next_time(&self) -> Option<Time> {
        self.events.first_key_value().map(|(key, _)| key.0)
    }

    /// The events ahead, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Time, &E)> {
        self.events.iter().map(|(key, event)| (key.0, event))
    }

    /// How many events are ahead.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing is going to happen.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_order_of_scheduling() {
        let mut queue = EventQueue::new();
        queue.schedule_at(Time::from_milliseconds(2), "c");
        queue.schedule_at(Time::from_milliseconds(1), "a");
        queue.schedule_at(Time::from_milliseconds(1), "b");
        assert_eq!(queue.pop(), Some("a"));
        assert_eq!(queue.now(), Time::from_milliseconds(1));
        queue.schedule_at(Time::ZERO, "late");
        assert_eq!(queue.pop(), Some("b"));
        assert_eq!(queue.pop(), Some("late"));
        assert_eq!(queue.now(), Time::from_milliseconds(1));
        assert_eq!(queue.pop(), Some("c"));
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.now(), Time::from_milliseconds(2));
    }

    #[test]
    fn a_cancelled_event_does_not_happen() {
        let mut queue = EventQueue::new();
        let key = queue.schedule_after(Duration::from_millis(5), 1);
        queue.schedule_after(Duration::from_millis(6), 2);
        assert_eq!(queue.cancel(key), Some(1));
        assert_eq!(queue.cancel(key), None);
        assert_eq!(queue.pop(), Some(2));
    }

    #[test]
    fn time_moves_to_the_asked_end_and_not_beyond() {
        let mut queue = EventQueue::new();
        queue.schedule_at(Time::from_milliseconds(10), ());
        assert_eq!(queue.pop_until(Time::from_milliseconds(9)), None);
        assert_eq!(queue.now(), Time::from_milliseconds(9));
        assert_eq!(queue.pop_until(Time::from_milliseconds(10)), Some(()));
    }

    #[test]
    fn a_crash_takes_the_events_of_its_node() {
        let mut queue = EventQueue::new();
        for node in [1, 2, 1, 3] {
            queue.schedule_after(Duration::from_millis(1), node);
        }
        queue.retain(|node| *node != 1);
        assert_eq!(queue.iter().map(|(_, node)| *node).collect::<Vec<_>>(), [2, 3]);
    }
}

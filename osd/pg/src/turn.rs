//! One call of the machine: when it is, and where its wishes go.

use types::Time;

use crate::Action;

/// Handed down through everything that one event sets in motion.
pub struct Turn<'a> {
    /// Now.
    pub now: Time,
    /// What is wanted so far.
    pub actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    /// Wants one thing more.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }
}

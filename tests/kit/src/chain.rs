//! The judge of objects whose history can be read from themselves: each effective step names the one before it.
//!
//! A log that is only appended to, or a register that is only changed by compare-and-swap, goes through one known
//! sequence of states. Whether that sequence explains all that clients saw has an exact and cheap answer: give each
//! step the earliest moment that its own beginning, the step before it and the looks at the state before it allow, and
//! see whether it still lies before its own end and before the end of every look at what it made.
//!
//! Owns: steps, looks and refusals with their beginnings and ends. Does not know: objects, clients, bytes. The order of
//! the calls is the real-time order, as in [`crate::RegisterHistory`].

use std::{collections::BTreeMap, fmt::Debug};

/// Names one operation of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainKey(usize);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome<V> {
    /// No answer yet, or none will come.
    Unknown,
    /// The step took effect.
    Stepped,
    /// The last step that the look saw.
    Saw(Option<V>),
    /// The step was refused because the last one was not this.
    RefusedAfter(Option<V>),
}

#[derive(Debug, Clone)]
struct Operation<V> {
    client: u64,
    step: Option<V>,
    begin: u64,
    end: u64,
    outcome: Outcome<V>,
}

/// All operations on one object.
#[derive(Debug, Clone, Default)]
pub struct ChainHistory<V> {
    positions: u64,
    operations: Vec<Operation<V>>,
}

impl<V: Ord + Clone + Debug> ChainHistory<V> {
    /// A history without operations.
    pub fn new() -> Self {
        Self { positions: 0, operations: Vec::new() }
    }

    /// A client begins a step; its value must be new.
    pub fn begin_step(&mut self, client: u64, value: V) -> ChainKey {
        self.begin(client, Some(value))
    }

    /// A client begins to look.
    pub fn begin_look(&mut self, client: u64) -> ChainKey {
        self.begin(client, None)
    }

    /// The step was acknowledged.
    pub fn acknowledge(&mut self, key: ChainKey) {
        self.end(key, Outcome::Stepped);
    }

    /// The look saw this as the last step.
    pub fn saw(&mut self, key: ChainKey, last: Option<V>) {
        self.end(key, Outcome::Saw(last));
    }

    /// The step had no effect, because the last step was not this one.
    pub fn refused_after(&mut self, key: ChainKey, not: Option<V>) {
        self.end(key, Outcome::RefusedAfter(not));
    }

    fn begin(&mut self, client: u64, step: Option<V>) -> ChainKey {
        self.positions += 1;
        let operation = Operation { client, step, begin: self.positions, end: u64::MAX, outcome: Outcome::Unknown };
        self.operations.push(operation);
        ChainKey(self.operations.len() - 1)
    }

    fn end(&mut self, key: ChainKey, outcome: Outcome<V>) {
        self.positions += 1;
        let operation = &mut self.operations[key.0];
        assert_eq!(operation.outcome, Outcome::Unknown, "an operation ends once");
        operation.outcome = outcome;
        operation.end = self.positions;
    }

    /// Whether `chain`, all steps that took effect in their order, explains every answer.
    pub fn check(&self, chain: &[V]) -> Result<(), String> {
        let mut places: BTreeMap<&V, usize> = BTreeMap::new();
        for (at, value) in chain.iter().enumerate() {
            if places.insert(value, at + 1).is_some() {
                return Err(format!("{value:?} took effect twice: {chain:?}"));
            }
        }
        let place_of = |value: &Option<V>| match value {
            None => Some(0),
            Some(value) => places.get(value).copied(),
        };
        // By place in the chain: the step's own span, and the span that the looks at it demand.
        let mut steps: Vec<Option<&Operation<V>>> = vec![None; chain.len() + 1];
        let mut looks_begin = vec![0; chain.len() + 1];
        let mut looks_end = vec![u64::MAX; chain.len() + 1];
        for operation in &self.operations {
            match (&operation.step, &operation.outcome) {
                (Some(value), outcome) => match places.get(value) {
                    Some(_) if matches!(outcome, Outcome::RefusedAfter(_)) => {
                        return Err(format!("{} took effect", self.describe(operation)));
                    }
                    Some(place) => steps[*place] = Some(operation),
                    None if *outcome == Outcome::Stepped => {
                        return Err(format!("{} is lost; there is {chain:?}", self.describe(operation)));
                    }
                    None => {}
                },
                (None, Outcome::Saw(last)) => {
                    let place = place_of(last).ok_or_else(|| {
                        format!("{} saw what never was; there is {chain:?}", self.describe(operation))
                    })?;
                    looks_begin[place] = operation.begin.max(looks_begin[place]);
                    looks_end[place] = operation.end.min(looks_end[place]);
                }
                (None, _) => {}
            }
        }
        let mut earliest = vec![0; chain.len() + 1];
        for place in 1..=chain.len() {
            let step = steps[place].ok_or_else(|| format!("{:?} was written by nobody", chain[place - 1]))?;
            earliest[place] = earliest[place - 1].max(step.begin).max(looks_begin[place - 1]);
            if earliest[place] >= step.end.min(looks_end[place]) {
                return Err(format!(
                    "step {place} of {chain:?} fits no moment: {}; the step before it and those who saw that push it to \
                     {}, and whoever saw it had done so at {}",
                    self.describe(step),
                    earliest[place],
                    looks_end[place]
                ));
            }
        }
        self.check_refusals(&steps, place_of)
    }

    /// A refusal is wrong when the expected step was the last one from its beginning to its end.
    fn check_refusals(
        &self,
        steps: &[Option<&Operation<V>>],
        place_of: impl Fn(&Option<V>) -> Option<usize>,
    ) -> Result<(), String> {
        for operation in &self.operations {
            let Outcome::RefusedAfter(not) = &operation.outcome else { continue };
            let Some(place) = place_of(not) else { continue };
            let was_there = place == 0 || steps[place].is_some_and(|step| step.end < operation.begin);
            let stayed = steps.get(place + 1).copied().flatten().is_none_or(|next| next.begin > operation.end);
            if was_there && stayed {
                return Err(format!("{} although nothing had come after {not:?}", self.describe(operation)));
            }
        }
        Ok(())
    }

    fn describe(&self, operation: &Operation<V>) -> String {
        let Operation { client, step, begin, end, outcome } = operation;
        let what = step.as_ref().map_or_else(|| "look".to_owned(), |value| format!("step {value:?}"));
        let end = if *end == u64::MAX { "the end".to_owned() } else { end.to_string() };
        format!("{what} of client {client} from {begin} to {end} ({outcome:?})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_explains_everything_passes() {
        let mut history = ChainHistory::new();
        let first = history.begin_step(1, 10);
        let look = history.begin_look(2);
        let second = history.begin_step(2, 20);
        history.saw(look, Some(20));
        history.acknowledge(first);
        history.acknowledge(second);
        let refused = history.begin_step(1, 30);
        history.refused_after(refused, Some(10));
        history.check(&[10, 20]).unwrap();
    }

    #[test]
    fn lost_doubled_foreign_and_refused_steps_are_found() {
        let mut history = ChainHistory::new();
        let first = history.begin_step(1, 10);
        history.acknowledge(first);
        assert!(history.check(&[]).unwrap_err().contains("lost"));
        assert!(history.check(&[10, 10]).unwrap_err().contains("twice"));
        assert!(history.check(&[10, 11]).unwrap_err().contains("nobody"));
        let refused = history.begin_step(1, 20);
        history.refused_after(refused, Some(10));
        assert!(history.check(&[10]).unwrap_err().contains("although nothing"));
        assert!(history.check(&[10, 20]).unwrap_err().contains("took effect"));
    }

    #[test]
    fn steps_keep_the_order_of_time() {
        let mut history = ChainHistory::new();
        for value in [1, 2] {
            let step = history.begin_step(1, value);
            history.acknowledge(step);
        }
        history.check(&[1, 2]).unwrap();
        assert!(history.check(&[2, 1]).unwrap_err().contains("fits no moment"));
    }

    #[test]
    fn a_look_sees_no_old_and_no_future_state() {
        let mut history = ChainHistory::new();
        let first = history.begin_step(1, 1);
        history.acknowledge(first);
        let mut old = history.clone();
        let look = old.begin_look(2);
        old.saw(look, None);
        assert!(old.check(&[1]).unwrap_err().contains("fits no moment"));
        let look = history.begin_look(2);
        history.saw(look, Some(2));
        let second = history.begin_step(1, 2);
        history.acknowledge(second);
        assert!(history.check(&[1, 2]).unwrap_err().contains("fits no moment"));
    }
}

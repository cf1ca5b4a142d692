//! Histories with known verdicts, and random ones against a search through all orders.

use types::{Seed, SeededRandom};

use super::*;

type History = RegisterHistory<&'static str, u32>;

const AT: Time = Time::ZERO;

fn written(history: &mut History, value: u32) {
    let key = history.begin_write(AT, 1, "a", value);
    history.acknowledge_write(AT, key);
}

fn read(history: &mut History, value: u32) {
    let key = history.begin_read(AT, 2, "a");
    history.finish_read(AT, key, value);
}

fn reason(history: &History) -> String {
    let violations = history.check().unwrap_err();
    assert_eq!(violations.len(), 1);
    violations[0].to_string()
}

#[test]
fn reads_of_the_last_acknowledged_write_are_right() {
    let mut history = History::new(0);
    read(&mut history, 0);
    written(&mut history, 1);
    read(&mut history, 1);
    written(&mut history, 2);
    read(&mut history, 2);
    history.assert_linearizable();
    assert_eq!((history.len(), history.acknowledged_writes()), (5, 2));
}

#[test]
fn an_acknowledged_write_that_is_gone_is_found() {
    let mut history = History::new(0);
    written(&mut history, 1);
    written(&mut history, 2);
    read(&mut history, 1);
    let reason = reason(&history);
    assert!(reason.contains("2 was in the register for some moment while 1 never left it"), "{reason}");
    assert!(reason.contains("#1 client 1: write 2"), "{reason}");
}

#[test]
fn the_initial_value_after_an_acknowledged_write_is_found() {
    let mut history = History::new(0);
    written(&mut history, 1);
    read(&mut history, 0);
    assert!(history.check().is_err());
}

#[test]
fn a_concurrent_write_may_be_read_or_not_but_never_back_and_forth() {
    let mut history = History::new(0);
    let write = history.begin_write(AT, 1, "a", 1);
    read(&mut history, 0);
    read(&mut history, 1);
    history.assert_linearizable();
    read(&mut history, 0);
    history.acknowledge_write(AT, write);
    assert!(reason(&history).contains("never left") || reason(&history).contains("both have to be"));
}

#[test]
fn a_write_of_unknown_outcome_may_take_effect_late_or_never() {
    let mut history = History::new(0);
    history.begin_write(AT, 1, "a", 1);
    history.begin_write(AT, 3, "a", 5);
    written(&mut history, 2);
    read(&mut history, 2);
    history.assert_linearizable();
    read(&mut history, 1);
    history.assert_linearizable();
    read(&mut history, 2);
    assert!(history.check().is_err(), "the late write cannot be undone");
}

#[test]
fn a_failed_write_and_a_value_from_nowhere_are_found() {
    let mut history = History::new(0);
    let write = history.begin_write(AT, 1, "a", 1);
    history.fail(AT, write);
    read(&mut history, 0);
    history.assert_linearizable();
    read(&mut history, 1);
    assert!(reason(&history).contains("had failed"));

    let mut history = History::new(0);
    read(&mut history, 9);
    assert!(reason(&history).contains("never written"));

    let mut history = History::new(0);
    let early = history.begin_read(AT, 2, "a");
    history.finish_read(AT, early, 1);
    written(&mut history, 1);
    assert!(reason(&history).contains("before its write began"));
}

#[test]
fn registers_are_judged_apart() {
    let mut history = History::new(0);
    written(&mut history, 1);
    let key = history.begin_read(AT, 2, "b");
    history.finish_read(AT, key, 0);
    history.assert_linearizable();
    assert_eq!(history.registers().copied().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
#[should_panic(expected = "written twice")]
fn a_value_written_twice_cannot_be_judged() {
    let mut history = History::new(0);
    written(&mut history, 1);
    written(&mut history, 1);
    drop(history.check());
}

/// Whether some order of the operations explains every answer, by trying them all.
fn has_some_order(history: &History, value: u32, open: u32) -> bool {
    let end = |key: usize| match history.operations[key].outcome {
        Outcome::Done(position) => position,
        _ => u64::MAX,
    };
    let waiting = (0..history.len()).filter(|key| open & 1 << key != 0);
    let first_end = waiting.clone().map(end).min().unwrap_or(u64::MAX);
    if first_end == u64::MAX {
        return true;
    }
    waiting.filter(|key| history.operations[*key].began < first_end).any(|key| {
        let operation = &history.operations[key];
        let rest = open & !(1 << key);
        match operation.value {
            Some(written) if operation.is_write => has_some_order(history, written, rest),
            Some(seen) => seen == value && has_some_order(history, value, rest),
            None => has_some_order(history, value, rest),
        }
    })
}

#[test]
fn the_verdict_is_that_of_a_search_through_all_orders() {
    let mut good = 0;
    for seed in 0..20_000 {
        let mut random = SeededRandom::new(Seed(seed));
        let mut history = History::new(0);
        let mut open: Vec<OperationKey> = Vec::new();
        let mut values = 1;
        for _ in 0..16 {
            if !open.is_empty() && random.chance(1, 2) {
                let choice = usize::try_from(random.below(open.len() as u64)).unwrap();
                let key = open.swap_remove(choice);
                if history.operations[key.0].is_write {
                    history.acknowledge_write(AT, key);
                } else {
                    let recent = u32::try_from(random.below(3)).unwrap();
                    history.finish_read(AT, key, (values - 1u32).saturating_sub(recent));
                }
            } else if random.chance(1, 2) {
                open.push(history.begin_write(AT, 1, "a", values));
                values += 1;
            } else {
                open.push(history.begin_read(AT, 2, "a"));
            }
        }
        let expected = has_some_order(&history, 0, (1 << history.len()) - 1);
        assert_eq!(history.check().is_ok(), expected, "seed {seed}: {:#?}\n{:?}", history, history.check());
        good += u32::from(expected);
    }
    assert!((2_000..18_000).contains(&good), "{good} of 20,000 were right: the generator shows one side only");
}

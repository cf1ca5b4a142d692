//! The cluster's settings: what operators chose, for whom, and what follows for one daemon.
//!
//! Settings are part of the map. So every daemon has the same ones at the same epoch, hears of a change as it hears of
//! any other, finds them again after a restart without a monitor, and the simulator covers them. The table of options
//! (`options`) is the only place where an option is declared.
//!
//! Owns: for whom a value is (`ConfigTarget`), which of several values counts, the table of options. Does not know:
//! what a daemon does with a value.
//!
//! Invariants
//! 1. A stored value was accepted by its option's declaration, and stands in canonical form: equal settings have equal
//!    bytes. A value that this program cannot read (a later version wrote it) counts as not set; it is kept.
//! 2. Of several values for one daemon the most particular counts: its own name before its place in the hierarchy
//!    (the closest one first), before its device class, before its kind, before everybody.

mod options;
mod target;
mod unit;

pub use options::{ConfigOption, OptionSpec, Takes};
pub use target::{ConfigSubject, ConfigTarget, Mask, Who};
pub use unit::Unit;

use std::{collections::BTreeMap, time::Duration};

/// Values in one map. Sixty options with some exceptions each; the bound keeps the map small, which everybody holds.
pub const CONFIG_VALUES_MAX: usize = 1000;
/// Bytes of an option's name, of a target and of a value.
pub const CONFIG_TEXT_BYTES_MAX: usize = 256;

/// What operators chose: (option, for whom) → value in canonical form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    values: BTreeMap<(String, ConfigTarget), String>,
}

impl Configuration {
    /// All values, by option.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ConfigTarget, &str)> {
        self.values.iter().map(|((option, target), value)| (option.as_str(), target, value.as_str()))
    }

    /// How many values are set.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether everything is at its default.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value that was set for exactly this target.
    pub fn get(&self, option: &str, target: &ConfigTarget) -> Option<&str> {
        self.values.get(&(option.to_owned(), target.clone())).map(String::as_str)
    }

    /// Sets or, with `None`, forgets a value. For working copies: what is published comes from increments alone.
    pub fn set(&mut self, option: &str, target: &ConfigTarget, value: Option<String>) {
        let key = (option.to_owned(), target.clone());
        match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
    }

    /// What counts for one daemon, with the target that said so; the default where nothing was set.
    pub fn effective(&self, subject: &ConfigSubject) -> EffectiveSettings {
        let mut chosen: BTreeMap<ConfigOption, Chosen> = BTreeMap::new();
        for ((name, target), text) in &self.values {
            let (Some(option), Some(rank)) = (ConfigOption::by_name(name), target.rank_for(subject)) else { continue };
            let Ok(value) = option.spec().unit.parse(text) else { continue };
            if chosen.get(&option).is_none_or(|present| present.rank <= rank) {
                chosen.insert(option, Chosen { rank, value, target: target.clone() });
            }
        }
        EffectiveSettings { chosen }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Chosen {
    rank: target::Rank,
    value: u64,
    target: ConfigTarget,
}

/// Every option's value for one daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EffectiveSettings {
    chosen: BTreeMap<ConfigOption, Chosen>,
}

impl EffectiveSettings {
    /// The value, in the option's own unit (milliseconds, bytes, thousandths, a count, or a choice's place in the list).
    pub fn value(&self, option: ConfigOption) -> u64 {
        self.set_value(option).unwrap_or(option.spec().default)
    }

    /// The value, if somebody set it.
    pub fn set_value(&self, option: ConfigOption) -> Option<u64> {
        self.chosen.get(&option).map(|chosen| chosen.value)
    }

    /// The target that set it; `None` for a default.
    pub fn set_by(&self, option: ConfigOption) -> Option<&ConfigTarget> {
        self.chosen.get(&option).map(|chosen| &chosen.target)
    }

    /// A duration.
    ///
    /// # Panics
    /// When the option is declared as something else: a fault of this program that any test of the caller finds.
    pub fn duration(&self, option: ConfigOption) -> Duration {
        assert!(matches!(option.spec().unit, Unit::Duration { .. }), "{} is no duration", option.spec().name);
        Duration::from_millis(self.value(option))
    }

    /// A count that the declaration bounds to 32 bits.
    ///
    /// # Panics
    /// When the declaration does not bound it so.
    pub fn count(&self, option: ConfigOption) -> u32 {
        u32::try_from(self.value(option)).expect("the declaration bounds the option to 32 bits")
    }

    /// How many of something.
    ///
    /// # Panics
    /// When the declaration does not bound it to what this machine can address.
    pub fn places(&self, option: ConfigOption) -> usize {
        usize::try_from(self.value(option)).expect("the declaration bounds the option to a small count")
    }

    /// The word that was chosen.
    ///
    /// # Panics
    /// When the option is declared as something else.
    pub fn word(&self, option: ConfigOption) -> &'static str {
        let Unit::Choice(words) = option.spec().unit else { panic!("{} is no choice", option.spec().name) };
        words[self.places(option)]
    }

    /// Whether a switch is on.
    pub fn is_on(&self, option: ConfigOption) -> bool {
        self.value(option) != 0
    }
}

#[cfg(test)]
mod tests;

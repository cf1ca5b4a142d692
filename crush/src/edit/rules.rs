//! Making, naming and removing rules.

use crate::error::Error;
use crate::map::{CrushMap, RULES_MAX, Rule, RuleType, Step};

/// How a simple rule chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gaps close: for replicated pools.
    FirstN,
    /// Gaps stay: for erasure-coded pools.
    Indep,
}

impl CrushMap {
    /// Makes the usual rule: below `root` (its devices of `class`, if given) choose as many of `failure_domain` as the pool
    /// wants, and a device in each. Returns its id.
    ///
    /// # Errors
    /// `Exists` when the name is taken; `NotFound` or `Invalid` when root, type or class do not exist.
    pub fn create_simple_rule(
        &mut self,
        name: &str,
        root: &str,
        failure_domain: &str,
        mode: Mode,
        class: Option<&str>,
    ) -> Result<u32, Error> {
        let rule_type = match mode {
            Mode::FirstN => RuleType::REPLICATED,
            Mode::Indep => RuleType::ERASURE,
        };
        self.create_rule_of_type(name, root, failure_domain, mode, class, rule_type)
    }

    /// As [`Self::create_simple_rule`], for a kind of pool that does not go with the mode.
    ///
    /// # Errors
    /// As there.
    pub fn create_rule_of_type(
        &mut self,
        name: &str,
        root: &str,
        failure_domain: &str,
        mode: Mode,
        class: Option<&str>,
        rule_type: RuleType,
    ) -> Result<u32, Error> {
        Self::check_name(name)?;
        if self.rule_by_name(name).is_some() {
            return Err(Error::exists(format!("rule {name} exists")));
        }
        let root_id =
            self.item_by_name(root).ok_or_else(|| Error::not_found(format!("root item {root} does not exist")))?;
        let type_id = if failure_domain.is_empty() {
            0
        } else {
            self.type_by_name(failure_domain).ok_or_else(|| Error::invalid(format!("unknown type {failure_domain}")))?
        };
        let item = match class {
            None => root_id,
            Some(class) => {
                if self.class_by_name(class).is_none() {
                    return Err(Error::invalid(format!("device class {class} does not exist")));
                }
                self.shadow_of(root_id, class)
                    .ok_or_else(|| Error::invalid(format!("root {root} has no devices with class {class}")))?
            }
        };
        let mut steps = Vec::new();
        if mode == Mode::Indep {
            steps.extend([Step::SetChooseLeafTries(5), Step::SetChooseTries(100)]);
        }
        steps.push(Step::Take { item });
        steps.push(match (mode, type_id) {
            (Mode::FirstN, 0) => Step::ChooseFirstN { count: 0, type_id: 0 },
            (Mode::FirstN, type_id) => Step::ChooseLeafFirstN { count: 0, type_id },
            (Mode::Indep, 0) => Step::ChooseIndep { count: 0, type_id: 0 },
            (Mode::Indep, type_id) => Step::ChooseLeafIndep { count: 0, type_id },
        });
        steps.push(Step::Emit);
        let (min_size, max_size) = if mode == Mode::FirstN { (1, 10) } else { (3, 20) };
        self.add_rule(name, Rule { steps, ruleset: 0, rule_type, min_size, max_size }, None)
    }

    /// Adds a rule under this id, or under the first that is free. Its ruleset becomes its id.
    ///
    /// # Errors
    /// `Exists` when the name or id is taken, `Invalid` when there are too many rules.
    pub fn add_rule(&mut self, name: &str, mut rule: Rule, id: Option<u32>) -> Result<u32, Error> {
        if self.rule_by_name(name).is_some() {
            return Err(Error::exists(format!("rule {name} exists")));
        }
        let is_free = |id: usize| {
            self.rules.get(id).is_none_or(Option::is_none)
                && !self.rules.iter().flatten().any(|rule| usize::from(rule.ruleset) == id)
        };
        let slot = match id {
            Some(id) => usize::try_from(id).unwrap_or(usize::MAX),
            None => (0..).find(|id| is_free(*id)).unwrap_or(usize::MAX),
        };
        let number = u8::try_from(slot)
            .map_err(|_| Error::invalid(format!("a map has at most {RULES_MAX} rules, with ids below that")))?;
        if self.rules.get(slot).is_some_and(Option::is_some) {
            return Err(Error::exists(format!("there is a rule {slot} already")));
        }
        rule.ruleset = number;
        if self.rules.len() <= slot {
            self.rules.resize(slot + 1, None);
        }
        self.rules[slot] = Some(rule);
        self.rule_names.insert(i32::from(number), name.to_owned());
        Ok(u32::from(number))
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// `NotFound` when there is none of this id.
    pub fn remove_rule(&mut self, id: u32) -> Result<(), Error> {
        let slot = usize::try_from(id).ok().and_then(|id| self.rules.get_mut(id));
        let Some(slot) = slot.filter(|slot| slot.is_some()) else {
            return Err(Error::not_found(format!("there is no rule {id}")));
        };
        *slot = None;
        self.rule_names.retain(|named, _| u32::try_from(*named) != Ok(id));
        self.rebuild_shadows()
    }

    /// Renames a rule.
    ///
    /// # Errors
    /// `NotFound` for the old name, `Exists` or `Invalid` for the new one.
    pub fn rename_rule(&mut self, from: &str, to: &str) -> Result<(), Error> {
        Self::check_name(to)?;
        let id = self.rule_by_name(from).ok_or_else(|| Error::not_found(format!("there is no rule '{from}'")))?;
        if from != to && self.rule_by_name(to).is_some() {
            return Err(Error::exists(format!("there is a rule '{to}' already")));
        }
        self.rule_names.insert(i32::try_from(id).expect("rule ids are below 256"), to.to_owned());
        Ok(())
    }
}

//! The changes that options ask for, in the tool's order.

use super::arguments::{Arguments, CreateRule};
use super::number::general;
use super::run::Run;
use super::{NAME, Stop, exit_code};
use crate::edit::Mode;
use crate::map::{CrushMap, RuleType};
use crate::weight;

impl Run<'_> {
    /// Makes the changes; returns whether there were any.
    pub(super) fn modify(&mut self, map: &mut CrushMap, arguments: &Arguments) -> Result<bool, Stop> {
        let mut is_modified = false;
        if let Some((name, new_weight)) = &arguments.reweight_item {
            self.say(&format!("{NAME} reweighting item {name} to {}", general(f64::from(*new_weight), 6)));
            let item = self.item(map, name)?;
            let new_weight = self.weight(*new_weight)?;
            let changed = map.adjust_item_weight(item, new_weight, true);
            if self.check(changed)? == 0 {
                return self.fail_as_system(2, "No such file or directory");
            }
            is_modified = true;
        }
        if let Some(name) = &arguments.remove_item {
            self.say(&format!("{NAME} removing item {name}"));
            let item = self.item(map, name)?;
            let removed = map.remove(item);
            self.check(removed)?;
            is_modified = true;
        }
        is_modified |= self.add_or_update(map, arguments)?;
        is_modified |= self.add_bucket(map, arguments)?;
        is_modified |= self.move_item(map, arguments)?;
        if let Some(rule) = &arguments.create_rule {
            self.create_rule(map, rule, &arguments.device_class)?;
            is_modified = true;
        }
        if let Some(name) = &arguments.remove_rule {
            match map.rule_by_name(name) {
                None => self.fail(&format!("rule {name} does not exist"), 0)?,
                Some(rule) => {
                    if map.remove_rule(rule).is_err() {
                        return self.fail(&format!("fail to remove rule {name}"), 1);
                    }
                }
            }
            is_modified = true;
        }
        if arguments.reweight {
            let changed = map.reweight_all();
            self.check(changed)?;
            is_modified = true;
        }
        if arguments.rebuild_class_roots {
            if map.rebuild_shadows().is_err() {
                return self.fail("failed to rebuild roots with classes", 1);
            }
            is_modified = true;
        }
        for (bucket, class) in &arguments.subtree_class {
            Self::set_subtree_class(map, bucket, class);
            is_modified = true;
        }
        if arguments.reclassify {
            self.reclassify(map, arguments)?;
            is_modified = true;
        }
        Ok(is_modified)
    }

    fn item(&mut self, map: &CrushMap, name: &str) -> Result<i32, Stop> {
        match map.item_by_name(name) {
            Some(item) => Ok(item),
            None => {
                self.complain(&format!(" name {name} dne"));
                self.fail_as_system(2, "No such file or directory")
            }
        }
    }

    fn weight(&mut self, number: f32) -> Result<u32, Stop> {
        match weight::from_float(number) {
            Some(weight) => Ok(weight),
            None => self.fail_as_system(75, "Value too large for defined data type"),
        }
    }

    fn add_or_update(&mut self, map: &mut CrushMap, arguments: &Arguments) -> Result<bool, Stop> {
        let Some(add) = &arguments.add else { return Ok(false) };
        if add.id < 0 {
            return Ok(false);
        }
        let new_weight = self.weight(add.weight)?;
        let location = arguments.location();
        let done = if add.update {
            map.update_item(add.id, new_weight, &add.name, &location).map(|_| ())
        } else {
            map.insert_item(add.id, new_weight, &add.name, &location, true)
        };
        self.check(done)?;
        Ok(true)
    }

    fn add_bucket(&mut self, map: &mut CrushMap, arguments: &Arguments) -> Result<bool, Stop> {
        let Some((name, type_name)) = &arguments.add_bucket else { return Ok(false) };
        if map.item_by_name(name).is_some() {
            return self.fail(&format!("{NAME} bucket '{name}' already exists"), exit_code(17));
        }
        if map.type_by_name(type_name).is_none_or(|type_id| type_id <= 0) {
            return self.fail(&format!("{NAME} bad bucket type: {type_name}"), exit_code(22));
        }
        if !crate::edit::is_valid_name(name) {
            return self.fail(&format!("{NAME} bad bucket name: {name}"), exit_code(22));
        }
        let made = map.create_bucket(name, type_name);
        let id = self.check(made)?;
        if !arguments.location.is_empty() {
            let moved = map.move_bucket(id, &arguments.location());
            self.check(moved)?;
        }
        Ok(true)
    }

    fn move_item(&mut self, map: &mut CrushMap, arguments: &Arguments) -> Result<bool, Stop> {
        let Some(name) = &arguments.move_item else { return Ok(false) };
        let Some(item) = map.item_by_name(name) else {
            return self.fail(&format!("{NAME} item '{name}' does not exist"), exit_code(2));
        };
        if arguments.location.is_empty() {
            return self.fail(&format!("{NAME} expecting additional --loc argument to --move"), exit_code(22));
        }
        let location = arguments.location();
        if map.weight_at(item, &location).is_some() {
            let pairs: Vec<String> = arguments.location.iter().map(|(key, value)| format!("{key}={value}")).collect();
            return self.fail(&format!("{NAME} item '{name}' already at {{{}}}", pairs.join(",")), 1);
        }
        let done = if item >= 0 {
            let kept = map.parent_of(item).and_then(|parent| map.bucket(parent)).map_or(0, |bucket| {
                bucket.items().iter().position(|held| *held == item).map_or(0, |at| bucket.item_weight(at))
            });
            map.update_item(item, kept, name, &location).map(|_| ())
        } else {
            map.move_bucket(item, &location)
        };
        self.check(done)?;
        Ok(true)
    }

    fn create_rule(&mut self, map: &mut CrushMap, rule: &CreateRule, class: &str) -> Result<(), Stop> {
        if map.rule_by_name(&rule.name).is_some() {
            return self.fail(&format!("rule {} already exists", rule.name), 1);
        }
        let mode = match rule.mode.as_str() {
            "" | "firstn" => Some(Mode::FirstN),
            "indep" => Some(Mode::Indep),
            _ => None,
        };
        let class = (!class.is_empty()).then_some(class);
        // The mode is looked at last, so that the complaints come in the usual order.
        let chosen = mode.unwrap_or(Mode::FirstN);
        let mut changed = map.clone();
        let made =
            changed.create_rule_of_type(&rule.name, &rule.root, &rule.type_name, chosen, class, RuleType::REPLICATED);
        if let Err(error) = made {
            return self.fail(error.message(), 1);
        }
        if mode.is_none() {
            return self.fail(&format!("unknown mode {}", rule.mode), 1);
        }
        *map = changed;
        Ok(())
    }
}

impl Arguments {
    pub(super) fn location(&self) -> Vec<(&str, &str)> {
        self.location.iter().map(|(type_name, name)| (type_name.as_str(), name.as_str())).collect()
    }
}

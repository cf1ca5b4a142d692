//! How many mappings differ between two maps.

use super::{CHOOSE_ARGS, DEFAULT_INPUTS, Settings, chosen_rules, device_weights, replicas_of};
use crate::compiled::CompiledMap;
use crate::error::Error;
use crate::map::CrushMap;
use crate::rule::Workspace;

/// What a comparison found for one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The rule's id.
    pub rule: u32,
    /// How many mappings differ.
    pub differing: u64,
    /// How many were made with each map.
    pub total: u64,
}

/// Maps the same inputs with two maps. One entry per rule of the first; `None` in place of a rule that it does not have.
///
/// # Errors
/// When one of the maps cannot place.
pub fn compare(map: &CrushMap, other: &CrushMap, settings: &Settings) -> Result<Vec<(u32, Option<Difference>)>, Error> {
    let (first, second) = (CompiledMap::new(map)?, CompiledMap::new(other)?);
    let weights = device_weights(map, settings);
    let (lowest, highest) = settings.inputs.unwrap_or(DEFAULT_INPUTS);
    let mut workspace = Workspace::new();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let mut differences = Vec::new();
    for (id, rule) in chosen_rules(map, settings) {
        let Some(rule) = rule else {
            differences.push((id, None));
            continue;
        };
        let replicas = replicas_of(rule, settings);
        let mut difference = Difference { rule: id, differing: 0, total: 0 };
        for wanted in replicas.0..=replicas.1 {
            let result_max = usize::try_from(wanted).unwrap_or(0);
            for x in lowest..=highest {
                let seed = x.cast_unsigned();
                first.map_rule(id, seed, result_max, &weights, Some(CHOOSE_ARGS), &mut workspace, &mut one);
                second.map_rule(id, seed, result_max, &weights, Some(CHOOSE_ARGS), &mut workspace, &mut two);
                difference.total += 1;
                difference.differing += u64::from(one != two);
            }
        }
        differences.push((id, Some(difference)));
    }
    Ok(differences)
}

//! Placement by chance, as the yardstick for placement by rule.
//!
//! Unlike Ceph, the chance is a hash of the input, so that a simulation can be repeated.

use std::collections::BTreeMap;

use crate::hash::hash32_3;
use crate::map::{CrushMap, Rule, Step};

/// How often a whole placement is drawn anew when it puts two copies into one failure domain.
const ATTEMPTS_MAX: u32 = 100;

pub(super) struct Simulation<'a> {
    map: &'a CrushMap,
    parents: BTreeMap<i32, i32>,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(map: &'a CrushMap) -> Self {
        let parents = map
            .buckets()
            .filter(|bucket| !map.is_shadow(bucket.id()))
            .flat_map(|bucket| bucket.items().iter().map(|item| (*item, bucket.id())))
            .collect();
        Self { map, parents }
    }

    /// Draws devices that are in and lie in different buckets of every type that the rule chooses. Empty if that fails too
    /// often.
    pub(super) fn place(&self, rule: &Rule, x: u32, wanted: usize, weights: &[u32], result: &mut Vec<i32>) {
        result.clear();
        let usable: Vec<i32> =
            (0i32..).zip(weights).filter(|(_, weight)| **weight > 0).map(|(device, _)| device).collect();
        let Ok(count) = u32::try_from(usable.len()) else { return };
        if count == 0 {
            return;
        }
        let wanted = wanted.min(usable.len());
        for attempt in 0..ATTEMPTS_MAX {
            result.clear();
            let mut draw = 0u32;
            while result.len() < wanted && draw < 1_000 {
                let at = usize::try_from(hash32_3(x, attempt, draw) % count).expect("below the number of devices");
                if !result.contains(&usable[at]) {
                    result.push(usable[at]);
                }
                draw += 1;
            }
            if self.is_valid(rule, result) {
                return;
            }
        }
        result.clear();
    }

    fn is_valid(&self, rule: &Rule, devices: &[i32]) -> bool {
        let types = rule.steps.iter().filter_map(|step| match step {
            Step::ChooseFirstN { type_id, .. }
            | Step::ChooseIndep { type_id, .. }
            | Step::ChooseLeafFirstN { type_id, .. }
            | Step::ChooseLeafIndep { type_id, .. } => Some(*type_id),
            _ => None,
        });
        types.into_iter().all(|type_id| {
            let mut domains: Vec<i32> = devices.iter().filter_map(|device| self.above(*device, type_id)).collect();
            let count = domains.len();
            domains.sort_unstable();
            domains.dedup();
            domains.len() == count
        })
    }

    /// The bucket of this type that the item is in.
    fn above(&self, item: i32, type_id: i32) -> Option<i32> {
        let mut at = item;
        for _ in 0..crate::compiled::DEPTH_MAX {
            if self.map.item_type(at) == Some(type_id) {
                return Some(at);
            }
            at = *self.parents.get(&at)?;
        }
        None
    }
}

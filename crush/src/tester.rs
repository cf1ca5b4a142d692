//! Tries a map: runs rules over a range of inputs and counts what they do, as `crushtool --test` does.
//!
//! Owns: what is to be tried ([`Settings`]) and the counters of one run. What is seen is told to an observer as it happens, so
//! that millions of mappings need no memory.
//! Does not know: how observations are printed.

mod compare;
mod simulation;

use std::collections::{BTreeMap, BTreeSet};

use crate::compiled::CompiledMap;
use crate::error::Error;
use crate::hash::hash32_2;
use crate::map::{CrushMap, ITEM_NONE, Rule, WEIGHT_ONE};
use crate::rule::Workspace;

pub use compare::{Difference, compare};
use simulation::Simulation;

/// The set of choose arguments that is in force in tests.
const CHOOSE_ARGS: i64 = 0;

/// The inputs that are tried when none are given.
pub const DEFAULT_INPUTS: (i32, i32) = (0, 1023);

/// What to try.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The first and the last rule; all if not given.
    pub rules: Option<(u32, u32)>,
    /// Only rules of this ruleset.
    pub ruleset: Option<u8>,
    /// The first and the last input; [`DEFAULT_INPUTS`] if not given.
    pub inputs: Option<(i32, i32)>,
    /// The smallest and largest size of result; each rule's own if not given.
    pub replicas: Option<(i32, i32)>,
    /// The pool whose seeds are tried instead of the inputs themselves.
    pub pool: Option<u32>,
    /// Weights (16.16) of devices that are not entirely in.
    pub device_weights: BTreeMap<i32, u32>,
    /// Place by chance instead of by the rule, for comparison.
    pub simulate: bool,
    /// Count how many retries were needed.
    pub count_tries: bool,
}

/// Something that happened during a test.
#[derive(Clone, Debug)]
pub enum Observation<'a> {
    /// There is no rule of this id.
    NoRule(u32),
    /// A rule is about to be tried.
    Rule {
        /// Its id.
        id: u32,
        /// The first and the last input.
        inputs: (i32, i32),
        /// The smallest and largest size of result.
        replicas: (i32, i32),
    },
    /// One input was mapped.
    Mapping {
        /// The rule's id.
        rule: u32,
        /// The input.
        x: i32,
        /// How many devices were wanted.
        replicas: i32,
        /// What was chosen.
        result: &'a [i32],
    },
    /// All inputs were mapped with one size of result.
    Finished(&'a Outcome),
}

impl Observation<'_> {
    /// Whether this is a mapping with fewer devices than wanted.
    #[must_use]
    pub fn is_bad_mapping(&self) -> bool {
        match self {
            Self::Mapping { replicas, result, .. } => {
                usize::try_from(*replicas) != Ok(result.len()) || result.contains(&ITEM_NONE)
            }
            _ => false,
        }
    }
}

/// The counts of one rule with one size of result.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The rule's id.
    pub rule: u32,
    /// How many devices were wanted.
    pub replicas: i32,
    /// How many inputs were mapped.
    pub inputs: i64,
    /// How often a result had this many places.
    pub sizes: BTreeMap<usize, u64>,
    /// How often each device was chosen.
    pub stored: Vec<u64>,
    /// How often each device would be chosen if only the weights of the test counted.
    pub expected: Vec<f32>,
    /// The weights of the test.
    pub weights: Vec<u32>,
    /// The share that each device has of the sum of the weights.
    pub proportions: Vec<f32>,
}

/// The rules that a test tries, with their ids; `None` for ids without a rule.
fn chosen_rules<'a>(map: &'a CrushMap, settings: &Settings) -> impl Iterator<Item = (u32, Option<&'a Rule>)> {
    let (first, last) = settings.rules.unwrap_or((0, u32::MAX));
    let ruleset = settings.ruleset;
    (0u32..)
        .zip(&map.rules)
        .filter(move |(id, _)| (first..=last).contains(id))
        .map(|(id, rule)| (id, rule.as_ref()))
        .filter(move |(_, rule)| ruleset.is_none_or(|ruleset| rule.is_none_or(|rule| rule.ruleset == ruleset)))
}

fn replicas_of(rule: &Rule, settings: &Settings) -> (i32, i32) {
    settings.replicas.unwrap_or((i32::from(rule.min_size), i32::from(rule.max_size)))
}

/// How many devices a rule can reach, by Ceph's estimate: the fewest of what a step asks for and of the buckets (shadows
/// included) of the type that it chooses. The expectations that the tester prints are based on it.
fn most_reachable(map: &CrushMap, rule: &Rule) -> i64 {
    let steps = rule.steps.iter().map(|step| step.to_stored());
    // The last step that chooses a type decides how many are wanted, and buckets count once for each step that chooses
    // them. Steps that set something count as choosing devices.
    let mut counts: BTreeMap<i32, (i32, usize)> = BTreeMap::new();
    for (_, count, type_id) in steps.filter(|(operation, ..)| *operation >= 2 && *operation != 4) {
        let (wanted, times) = counts.entry(type_id).or_default();
        *wanted = count;
        *times += 1;
    }
    let slots = i64::try_from(map.bucket_slots()).unwrap_or(i64::MAX);
    let mut most = slots.max(i64::from(map.max_devices()));
    for (type_id, (wanted, times)) in counts {
        let named = map.names().keys().filter(|item| **item < 0 && map.item_type(**item) == Some(type_id)).count();
        let mut reachable = i64::try_from(named * times).unwrap_or(i64::MAX);
        if wanted > 0 {
            reachable = reachable.min(i64::from(wanted));
        }
        if reachable > 0 {
            most = most.min(reachable);
        }
    }
    most
}

/// How much of each device is in during the test: what the settings say, all of it if it is in the map, else nothing.
#[must_use]
pub fn device_weights(map: &CrushMap, settings: &Settings) -> Vec<u32> {
    let present: BTreeSet<i32> = map.buckets().flat_map(|bucket| bucket.items().iter().copied()).collect();
    (0..map.max_devices())
        .map(|device| match settings.device_weights.get(&device) {
            Some(weight) => *weight,
            None if present.contains(&device) => WEIGHT_ONE,
            None => 0,
        })
        .collect()
}

/// Tries the map and tells the observer. Returns how many choices needed how many retries, if that was to be counted.
///
/// # Errors
/// When the map cannot place ([`CompiledMap::new`]).
pub fn run(map: &CrushMap, settings: &Settings, observer: &mut dyn FnMut(&Observation<'_>)) -> Result<Vec<u32>, Error> {
    let compiled = CompiledMap::new(map)?;
    let weights = device_weights(map, settings);
    let inputs = settings.inputs.unwrap_or(DEFAULT_INPUTS);
    let mut workspace = Workspace::new();
    if settings.count_tries {
        workspace.count_tries(usize::try_from(map.tunables().choose_total_tries).unwrap_or(usize::MAX));
    }
    let simulation = Simulation::new(map);
    let mut result = Vec::new();
    for (id, rule) in chosen_rules(map, settings) {
        let Some(rule) = rule else {
            observer(&Observation::NoRule(id));
            continue;
        };
        let replicas = replicas_of(rule, settings);
        observer(&Observation::Rule { id, inputs, replicas });
        let reachable = most_reachable(map, rule);
        for wanted in replicas.0..=replicas.1 {
            let Some(mut outcome) = Outcome::new(id, wanted, reachable, inputs, &weights) else { continue };
            let result_max = usize::try_from(wanted).unwrap_or(0);
            for x in inputs.0..=inputs.1 {
                let seed = x.cast_unsigned();
                let seed = settings.pool.map_or(seed, |pool| hash32_2(seed, pool));
                if settings.simulate {
                    simulation.place(rule, seed, result_max, &weights, &mut result);
                } else {
                    let arguments = Some(CHOOSE_ARGS);
                    compiled.map_rule(id, seed, result_max, &weights, arguments, &mut workspace, &mut result);
                }
                outcome.count(&result);
                observer(&Observation::Mapping { rule: id, x, replicas: wanted, result: &result });
            }
            observer(&Observation::Finished(&outcome));
        }
    }
    Ok(workspace.take_tries())
}

impl Outcome {
    /// Empty counters; `None` when no device is in.
    fn new(rule: u32, replicas: i32, reachable: i64, inputs: (i32, i32), weights: &[u32]) -> Option<Self> {
        let count = i64::from(inputs.1) - i64::from(inputs.0) + 1;
        // The arithmetic is that of 32-bit numbers and floats, so that the printed figures are Ceph's.
        let total = weights.iter().fold(0u32, |sum, weight| sum.wrapping_add(*weight)).cast_signed();
        if total == 0 {
            return None;
        }
        let objects = single(i64::from(replicas).min(reachable) * count);
        let proportions: Vec<f32> =
            weights.iter().map(|weight| single(i64::from(*weight)) / single(i64::from(total))).collect();
        Some(Self {
            rule,
            replicas,
            inputs: count,
            sizes: BTreeMap::new(),
            stored: vec![0; weights.len()],
            expected: proportions.iter().map(|share| share * objects).collect(),
            weights: weights.to_vec(),
            proportions,
        })
    }

    fn count(&mut self, result: &[i32]) {
        *self.sizes.entry(result.len()).or_default() += 1;
        for device in result {
            if let Some(count) = usize::try_from(*device).ok().and_then(|device| self.stored.get_mut(device)) {
                *count += 1;
            }
        }
    }
}

fn single(number: i64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "figures for humans; Ceph computes them in this precision")]
    let single = number as f32;
    single
}

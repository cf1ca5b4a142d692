//! The rule machine: runs a rule's steps for one input.
//!
//! Owns nothing but the workspace during a mapping. The steps keep two lists: the items at hand, and what is being chosen
//! below them. `choose` replaces the former by the latter, `emit` hands it to the result.
//! Does not know: pools, who is up; the weights say who is in.
//!
//! Invariants
//! 1. A mapping depends on (map, rule, x, result_max, weights, choose arguments) only, never on what the workspace did before.
//! 2. After the first mappings with a workspace no memory is allocated.

mod choose_firstn;
mod choose_indep;
mod multi_step_retry;

use crate::compiled::{CompiledMap, Foresight, Permutations, Replacements};
use crate::hash::hash32_2;
use crate::map::{ITEM_NONE, Rule, Step, WEIGHT_ONE};

/// Marks a place that is still to be filled, while `indep` chooses. Never leaves this module.
const ITEM_UNDEFINED: i32 = 0x7fff_fffe;

/// The largest result that can be asked for. Pools have at most some tens of members; testers try more.
pub const RESULT_MAX: usize = 1 << 16;

/// The memory of mappings, to be used again and again by one thread.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    permutations: Permutations,
    foresight: Foresight,
    at_hand: Vec<i32>,
    chosen: Vec<i32>,
    leaves: Vec<i32>,
    /// For multi-step-retry rules: the items on the way to each place.
    ways: Vec<i32>,
    tries: Option<Vec<u32>>,
}

impl Workspace {
    /// An empty workspace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts from now on how many choices needed how many retries, below this many.
    pub fn count_tries(&mut self, below: usize) {
        self.tries = Some(vec![0; below]);
    }

    /// Ends counting: at index n the number of choices that needed n retries.
    pub fn take_tries(&mut self) -> Vec<u32> {
        self.tries.take().unwrap_or_default()
    }
}

/// How the current step chooses: tunables, as overridden by the rule so far.
#[derive(Clone, Copy, Debug)]
struct Settings {
    tries: u32,
    leaf_tries: u32,
    local_tries: u32,
    local_fallback_tries: u32,
    vary_r: u32,
    stable: bool,
}

/// Everything that stays the same during one mapping.
struct Mapping<'a> {
    map: &'a CompiledMap,
    replacements: Option<&'a Replacements>,
    weights: &'a [u32],
    x: u32,
}

/// The memory that choosing changes.
struct Scratch<'a> {
    permutations: &'a mut Permutations,
    foresight: &'a mut Foresight,
    tries: Option<&'a mut Vec<u32>>,
}

impl Scratch<'_> {
    fn count_tries(&mut self, retries: u32) {
        if let Some(tries) = &mut self.tries
            && let Some(count) = usize::try_from(retries).ok().and_then(|retries| tries.get_mut(retries))
        {
            *count = count.saturating_add(1);
        }
    }
}

impl Mapping<'_> {
    /// Whether the device is out, entirely or for this input: a weight between 0 and 1 keeps that share of the inputs.
    #[inline]
    fn is_out(&self, device: i32) -> bool {
        let weight = usize::try_from(device).ok().and_then(|device| self.weights.get(device)).copied().unwrap_or(0);
        weight < WEIGHT_ONE && (weight == 0 || hash32_2(self.x, device.cast_unsigned()) & 0xffff >= weight)
    }
}

impl CompiledMap {
    /// Maps `x` by the rule to at most `result_max` devices, into `result`, which is cleared first. An unknown rule maps to
    /// nothing.
    ///
    /// `weights` says per device how much of it is in (16.16, [`WEIGHT_ONE`] is all; devices beyond the end are out).
    /// `choose_args` names a set of choose arguments; one that the map does not have is the same as `None`.
    /// Rules with holes put [`ITEM_NONE`] where no device was found.
    #[expect(clippy::too_many_arguments, reason = "the seven things that a mapping is a function of")]
    pub fn map_rule(
        &self,
        rule_id: u32,
        x: u32,
        result_max: usize,
        weights: &[u32],
        choose_args: Option<i64>,
        workspace: &mut Workspace,
        result: &mut Vec<i32>,
    ) {
        result.clear();
        let rule = usize::try_from(rule_id).ok().and_then(|id| self.rules.get(id)?.as_ref());
        let Some(rule) = rule else { return };
        let result_max = result_max.min(RESULT_MAX);
        let mapping = Mapping { map: self, replacements: self.replacements(choose_args), weights, x };
        workspace.permutations.begin(self.node_count());
        workspace.foresight.forget();
        for list in [&mut workspace.at_hand, &mut workspace.chosen, &mut workspace.leaves] {
            list.clear();
            list.resize(result_max, ITEM_NONE);
        }
        if rule.rule_type.is_msr() {
            mapping.run_multi_step(rule, result_max, workspace, result);
        } else {
            mapping.run(rule, result_max, workspace, result);
        }
    }

    fn settings(&self) -> Settings {
        let tunables = &self.tunables;
        Settings {
            // The tunable counts retries, the machine attempts.
            tries: tunables.choose_total_tries.saturating_add(1),
            leaf_tries: 0,
            local_tries: tunables.choose_local_tries,
            local_fallback_tries: tunables.choose_local_fallback_tries,
            vary_r: u32::from(tunables.chooseleaf_vary_r),
            stable: tunables.chooseleaf_stable != 0,
        }
    }
}

impl Mapping<'_> {
    fn run(&self, rule: &Rule, result_max: usize, workspace: &mut Workspace, result: &mut Vec<i32>) {
        let mut settings = self.map.settings();
        let mut count_at_hand = 0;
        for step in &rule.steps {
            match *step {
                Step::Take { item } => {
                    let exists = if item >= 0 { item < self.map.max_devices } else { self.map.node(item).is_some() };
                    if exists && let Some(first) = workspace.at_hand.first_mut() {
                        *first = item;
                        count_at_hand = 1;
                    }
                }
                Step::SetChooseTries(value) => override_above_zero(&mut settings.tries, value),
                Step::SetChooseLeafTries(value) => override_above_zero(&mut settings.leaf_tries, value),
                Step::SetChooseLocalTries(value) => override_from_zero(&mut settings.local_tries, value),
                Step::SetChooseLocalFallbackTries(value) => {
                    override_from_zero(&mut settings.local_fallback_tries, value);
                }
                Step::SetChooseLeafVaryR(value) => override_from_zero(&mut settings.vary_r, value),
                Step::SetChooseLeafStable(value) => {
                    if value >= 0 {
                        settings.stable = value != 0;
                    }
                }
                Step::ChooseFirstN { count, type_id }
                | Step::ChooseLeafFirstN { count, type_id }
                | Step::ChooseIndep { count, type_id }
                | Step::ChooseLeafIndep { count, type_id } => {
                    if count_at_hand == 0 {
                        continue;
                    }
                    let shape = Shape {
                        count,
                        type_id,
                        is_firstn: matches!(step, Step::ChooseFirstN { .. } | Step::ChooseLeafFirstN { .. }),
                        to_leaf: matches!(step, Step::ChooseLeafFirstN { .. } | Step::ChooseLeafIndep { .. }),
                    };
                    count_at_hand = self.choose(&settings, shape, count_at_hand, result_max, workspace);
                }
                Step::Emit => {
                    let room = result_max - result.len();
                    result.extend(&workspace.at_hand[..count_at_hand.min(room)]);
                    count_at_hand = 0;
                }
                Step::Noop
                | Step::SetMsrDescents(_)
                | Step::SetMsrCollisionTries(_)
                | Step::ChooseMsr { .. }
                | Step::Unknown { .. } => {}
            }
        }
    }

    /// Replaces the items at hand by what is chosen below each of them; returns how many there are then.
    fn choose(
        &self,
        settings: &Settings,
        shape: Shape,
        count_at_hand: usize,
        result_max: usize,
        workspace: &mut Workspace,
    ) -> usize {
        let Workspace { permutations, foresight, at_hand, chosen, leaves, tries, ways: _ } = workspace;
        let mut scratch = Scratch { permutations, foresight, tries: tries.as_mut() };
        let mut filled = 0;
        for item in &at_hand[..count_at_hand] {
            let Some(wanted) = wanted_count(shape.count, result_max) else { continue };
            // Holes and devices have nothing below them.
            let Some(node) = self.map.node(*item) else { continue };
            let room = result_max - filled;
            let out = &mut chosen[filled..];
            let leaves = &mut leaves[filled..];
            if shape.is_firstn {
                let mut settings = *settings;
                if settings.leaf_tries == 0 {
                    settings.leaf_tries =
                        if self.map.tunables.chooseleaf_descend_once != 0 { 1 } else { settings.tries };
                }
                let request = choose_firstn::Request {
                    node,
                    type_id: shape.type_id,
                    wanted,
                    room,
                    tries: settings.tries,
                    parent_r: 0,
                };
                let leaves = shape.to_leaf.then_some(leaves);
                if self.replacements.is_none() && wanted > 1 {
                    self.map.foresee(scratch.foresight, node, self.x);
                }
                filled += self.choose_firstn(&settings, &request, &mut scratch, out, 0, leaves);
            } else {
                let places = usize::try_from(wanted).unwrap_or(usize::MAX).min(room);
                let request = choose_indep::Request {
                    node,
                    type_id: shape.type_id,
                    wanted,
                    tries: settings.tries,
                    leaf_tries: settings.leaf_tries.max(1),
                    parent_r: 0,
                };
                let leaves = shape.to_leaf.then_some(leaves);
                self.choose_indep(&request, &mut scratch, out, 0..places, leaves);
                filled += places;
            }
        }
        if shape.to_leaf {
            chosen[..filled].copy_from_slice(&leaves[..filled]);
        }
        std::mem::swap(at_hand, chosen);
        filled
    }
}

/// What a choose step says.
#[derive(Clone, Copy, Debug)]
struct Shape {
    count: i32,
    type_id: i32,
    is_firstn: bool,
    to_leaf: bool,
}

/// How many to choose: a count of 0 or below is relative to the size of the result.
fn wanted_count(count: i32, result_max: usize) -> Option<u32> {
    let result_max = i64::try_from(result_max).ok()?;
    let wanted = if count > 0 { i64::from(count) } else { i64::from(count) + result_max };
    u32::try_from(wanted).ok().filter(|wanted| *wanted > 0)
}

pub(crate) fn override_above_zero(setting: &mut u32, value: i32) {
    if value > 0 {
        *setting = value.cast_unsigned();
    }
}

fn override_from_zero(setting: &mut u32, value: i32) {
    if value >= 0 {
        *setting = value.cast_unsigned();
    }
}

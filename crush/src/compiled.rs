//! The form of a map that places: flat arrays, checked once, read only.
//!
//! Owns: a copy of everything that placement reads. Built once per epoch from a [`CrushMap`]; shared freely between threads.
//! Does not know: names, classes (their shadow trees are ordinary buckets by now), who is in or out (the caller's weights).
//!
//! Invariants, all established by [`CompiledMap::new`]
//! 1. Every bucket item is a device below `max_devices` or an existing bucket, and no bucket is below itself.
//! 2. Every list of numbers has the length that its bucket's algorithm reads.
//! 3. The number of attempts of any rule is bounded, so every mapping ends; and so is the number of items that a mapping draws
//!    among, so it ends in seconds.

mod foresight;

use std::collections::BTreeMap;

pub(crate) use foresight::Foresight;

use crate::bucket::{
    LANES_MAX, Permutation, Registers, Straws, list_pick, permutation_pick, reciprocal, straw_pick, straw2_pick,
    tree_pick,
};
use crate::error::Error;
use crate::map::{Bucket, BucketContents, ChooseArgs, CrushMap, HASH_RJENKINS1, Rule, Step, Tunables, slot_of};
use crate::rule::override_above_zero;

/// How deep a tree may be. Ceph's own types make 11 levels; its tools give up at no fixed depth. 64 leaves any real tree room.
pub const DEPTH_MAX: usize = 64;

/// How many retries a tunable or rule may ask for. Ceph's default is 50; a hundred times of that has been seen in erasure
/// rules over tiny clusters; with this bound the worst rule over the worst map still ends.
pub const TRIES_MAX: u32 = 1 << 16;

/// How many times a rule may ask for a device below an item, times how often for an item: 2^24. With Ceph's defaults it is 51, and
/// 2,601 with those of before 2012; a thousand times of that is nothing but a wait.
pub const ATTEMPTS_MAX: u32 = 1 << 24;

/// How many items one mapping may draw among, all its attempts together. Ordinary mappings need some hundreds. Ceph's own tool takes
/// some ten seconds for so many, and this one two or three; what has found no device by then has none.
const ITEMS_PER_MAPPING_MAX: u64 = 1 << 28;

/// Places in the tables of all sets of choose arguments together: one per set and bucket slot. Ceph has one set per pool at
/// most, and hundreds of pools; the bound keeps sets of a few bytes each from becoming tables of gigabytes.
const CHOOSE_PLACES_MAX: usize = 1 << 22;

/// What a bucket draws that has nothing to draw: above any device, so that the search for a place ends there.
const NO_ITEM: i32 = i32::MAX;

/// A range of one of the flat arrays.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    length: usize,
}

impl Span {
    fn of<T>(self, array: &[T]) -> &[T] {
        &array[self.start..self.start + self.length]
    }
}

/// Weights to draw with, and the greatest of them.
#[derive(Clone, Copy, Debug)]
struct Draws {
    weights: Span,
    /// Where the reciprocals of the weights begin.
    reciprocals: usize,
    heaviest: u32,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Uniform,
    List { weights: Span, sums: Span },
    Tree { nodes: Span },
    Straw { straws: Span },
    Straw2 { weights: Draws },
}

/// One bucket, as placement sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) type_id: i32,
    items: Span,
    kind: Kind,
}

impl Node {
    pub(crate) fn size(&self) -> usize {
        self.items.length
    }

    pub(crate) fn is_uniform(&self) -> bool {
        matches!(self.kind, Kind::Uniform)
    }
}

/// What choose arguments replace in one bucket.
#[derive(Clone, Debug)]
struct Replacement {
    ids: Option<Span>,
    weights: Vec<Draws>,
}

/// One set of choose arguments, by slot.
#[derive(Clone, Debug)]
pub(crate) struct Replacements {
    by_slot: Vec<Option<Replacement>>,
}

/// A map that is ready to place.
#[derive(Clone, Debug)]
pub struct CompiledMap {
    nodes: Vec<Option<Node>>,
    /// Items of buckets, and ids of choose arguments; behind the last as many zeros as are read at once.
    ids: Vec<i32>,
    /// Weights, sums, tree nodes and straws.
    numbers: Vec<u32>,
    /// Of the weights that straw2 draws with; behind the last as many zeros as behind the ids.
    reciprocals: Vec<f32>,
    replacements: BTreeMap<i64, Replacements>,
    pub(crate) rules: Vec<Option<Rule>>,
    pub(crate) max_devices: i32,
    pub(crate) tunables: Tunables,
    /// Never wider than the processor's.
    registers: Registers,
}

impl CompiledMap {
    /// Checks a map and brings it into the form that places.
    ///
    /// # Errors
    /// `Invalid`, with the reason, for a map on which placement could loop, run too deep, or read what is not there.
    pub fn new(map: &CrushMap) -> Result<Self, Error> {
        map.check_tree()?;
        check_tries(map)?;
        let mut compiled = Self {
            nodes: Vec::with_capacity(map.buckets.len()),
            ids: Vec::new(),
            numbers: Vec::new(),
            reciprocals: Vec::new(),
            replacements: BTreeMap::new(),
            rules: map.rules.clone(),
            max_devices: map.max_devices,
            tunables: map.tunables.clone(),
            registers: Registers::widest(),
        };
        for bucket in &map.buckets {
            let node = bucket.as_ref().map(|bucket| compiled.add_bucket(bucket)).transpose()?;
            compiled.nodes.push(node);
        }
        let sets = map.choose_args.len();
        if sets.saturating_mul(map.buckets.len()) > CHOOSE_PLACES_MAX {
            return Err(Error::invalid(format!(
                "{sets} sets of choose arguments for {} buckets are more than {CHOOSE_PLACES_MAX} places",
                map.buckets.len()
            )));
        }
        for (id, set) in &map.choose_args {
            let replacements = compiled.add_choose_args(*id, set)?;
            compiled.replacements.insert(*id, replacements);
        }
        compiled.ids.extend([0; LANES_MAX]);
        compiled.reciprocals.extend([0.0; LANES_MAX]);
        Ok(compiled)
    }

    /// The largest device id that can be mapped to, plus one.
    #[must_use]
    pub fn max_devices(&self) -> i32 {
        self.max_devices
    }

    /// Whether there is a rule of this id.
    #[must_use]
    pub fn has_rule(&self, rule_id: u32) -> bool {
        usize::try_from(rule_id).is_ok_and(|id| self.rules.get(id).is_some_and(Option::is_some))
    }

    /// Whether there is a set of choose arguments of this id.
    #[must_use]
    pub fn has_choose_args(&self, id: i64) -> bool {
        self.replacements.contains_key(&id)
    }

    /// Draws with registers that are at most so wide, to measure or to compare; the draws stay the same.
    pub fn limit_registers(&mut self, at_most: Registers) {
        self.registers = Registers::widest().min(at_most);
    }

    fn add_ids(&mut self, ids: &[i32]) -> Span {
        let span = Span { start: self.ids.len(), length: ids.len() };
        self.ids.extend(ids);
        span
    }

    fn add_numbers(&mut self, numbers: &[u32]) -> Span {
        let span = Span { start: self.numbers.len(), length: numbers.len() };
        self.numbers.extend(numbers);
        span
    }

    fn add_draws(&mut self, weights: &[u32]) -> Draws {
        let reciprocals = self.reciprocals.len();
        self.reciprocals.extend(weights.iter().map(|weight| reciprocal(*weight)));
        let heaviest = weights.iter().copied().max().unwrap_or(0);
        Draws { weights: self.add_numbers(weights), reciprocals, heaviest }
    }

    fn add_bucket(&mut self, bucket: &Bucket) -> Result<Node, Error> {
        if bucket.hash != HASH_RJENKINS1 {
            return Err(Error::invalid(format!("bucket {} has the unknown item hash {}", bucket.id, bucket.hash)));
        }
        let size = bucket.items.len();
        let fits = match &bucket.contents {
            BucketContents::Uniform { .. } => true,
            BucketContents::List { weights, sums: second } | BucketContents::Straw { weights, straws: second } => {
                weights.len() == size && second.len() == size
            }
            BucketContents::Tree { nodes } => {
                if size == 0 {
                    nodes.is_empty()
                } else {
                    nodes.len() == 2 * size.next_power_of_two()
                }
            }
            BucketContents::Straw2 { weights } => weights.len() == size,
        };
        if !fits {
            return Err(Error::invalid(format!("bucket {} has not one weight per item", bucket.id)));
        }
        let kind = match &bucket.contents {
            BucketContents::Uniform { .. } => Kind::Uniform,
            BucketContents::List { weights, sums } => {
                Kind::List { weights: self.add_numbers(weights), sums: self.add_numbers(sums) }
            }
            BucketContents::Tree { nodes } => Kind::Tree { nodes: self.add_numbers(nodes) },
            BucketContents::Straw { straws, .. } => Kind::Straw { straws: self.add_numbers(straws) },
            BucketContents::Straw2 { weights } => Kind::Straw2 { weights: self.add_draws(weights) },
        };
        Ok(Node { id: bucket.id, type_id: i32::from(bucket.type_id), items: self.add_ids(&bucket.items), kind })
    }

    fn add_choose_args(&mut self, id: i64, set: &ChooseArgs) -> Result<Replacements, Error> {
        let mut by_slot = vec![None; self.nodes.len()];
        for (bucket_id, argument) in set.iter() {
            let slot = slot_of(bucket_id).filter(|slot| *slot < by_slot.len());
            let node = slot.and_then(|slot| self.nodes[slot]);
            let (Some(slot), Some(node)) = (slot, node) else {
                return Err(Error::invalid(format!(
                    "choose arguments {id} name bucket {bucket_id}, which does not exist"
                )));
            };
            let lists_fit = argument.weight_sets.iter().all(|weights| weights.len() == node.size());
            let ids_fit = argument.ids.is_empty() || argument.ids.len() == node.size();
            if !lists_fit || !ids_fit {
                return Err(Error::invalid(format!(
                    "choose arguments {id} have not one weight per item of bucket {bucket_id}"
                )));
            }
            by_slot[slot] = Some(Replacement {
                ids: (!argument.ids.is_empty()).then(|| self.add_ids(&argument.ids)),
                weights: argument.weight_sets.iter().map(|weights| self.add_draws(weights)).collect(),
            });
        }
        Ok(Replacements { by_slot })
    }

    pub(crate) fn replacements(&self, choose_args: Option<i64>) -> Option<&Replacements> {
        self.replacements.get(&choose_args?)
    }

    /// The node of a bucket id.
    pub(crate) fn node(&self, bucket_id: i32) -> Option<&Node> {
        self.nodes.get(slot_of(bucket_id)?)?.as_ref()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The type of an item; 0 for devices.
    pub(crate) fn item_type(&self, item: i32) -> i32 {
        self.node(item).map_or(0, |node| node.type_id)
    }

    /// The item that a bucket, which must not be empty, draws by its own kind.
    #[inline]
    pub(crate) fn pick(
        &self,
        node: &Node,
        replacements: Option<&Replacements>,
        permutations: &mut Permutations,
        x: u32,
        r: u32,
        position: usize,
    ) -> i32 {
        if !permutations.spend(node.size()) {
            return NO_ITEM;
        }
        let items = node.items.of(&self.ids);
        let bucket_id = node.id.cast_unsigned();
        let index = match node.kind {
            Kind::Straw2 { weights } => {
                let replacement =
                    replacements.and_then(|set| set.by_slot[slot_of(node.id).expect("nodes are buckets")].as_ref());
                let (ids, weights) = match replacement {
                    None => (node.items, weights),
                    Some(replacement) => (
                        replacement.ids.unwrap_or(node.items),
                        *replacement.weights.get(position).or(replacement.weights.last()).unwrap_or(&weights),
                    ),
                };
                straw2_pick(self.registers, self.straws(ids, weights), x, r)
            }
            Kind::Uniform => return self.pick_by_permutation(node, permutations, x, r),
            Kind::List { weights, sums } => {
                list_pick(bucket_id, items, weights.of(&self.numbers), sums.of(&self.numbers), x, r)
            }
            Kind::Tree { nodes } => tree_pick(bucket_id, nodes.of(&self.numbers), x, r),
            Kind::Straw { straws } => straw_pick(items, straws.of(&self.numbers), x, r),
        };
        // A tree whose weights do not add up can be led to a leaf without item.
        items.get(index).copied().unwrap_or(NO_ITEM)
    }

    fn straws(&self, ids: Span, draws: Draws) -> Straws<'_> {
        Straws {
            ids: &self.ids[ids.start..],
            weights: draws.weights.of(&self.numbers),
            reciprocals: &self.reciprocals[draws.reciprocals..],
            heaviest: draws.heaviest,
        }
    }

    /// The item that a bucket, which must not be empty, draws by permutation, whatever its kind.
    pub(crate) fn pick_by_permutation(&self, node: &Node, permutations: &mut Permutations, x: u32, r: u32) -> i32 {
        if !permutations.spend(1) {
            return NO_ITEM;
        }
        let items = node.items.of(&self.ids);
        let slot = slot_of(node.id).expect("nodes are buckets");
        let permutation = &mut permutations.by_slot[slot];
        items[permutation_pick(permutation, permutations.mapping, node.id.cast_unsigned(), items.len(), x, r)]
    }
}

/// The permutations of all buckets within one mapping.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permutations {
    by_slot: Vec<Permutation>,
    mapping: u64,
    /// Among how many items the mapping may still draw.
    items_left: u64,
}

impl Permutations {
    /// Begins a mapping: all permutations are void.
    pub(crate) fn begin(&mut self, slots: usize) {
        self.mapping += 1;
        self.items_left = ITEMS_PER_MAPPING_MAX;
        if self.by_slot.len() < slots {
            self.by_slot.resize_with(slots, Permutation::default);
        }
    }

    /// Takes note that so many items are looked at; whether the mapping may still do so.
    #[inline]
    pub(crate) fn spend(&mut self, items: usize) -> bool {
        match self.items_left.checked_sub(items as u64) {
            Some(left) => {
                self.items_left = left;
                true
            }
            None => {
                self.items_left = 0;
                false
            }
        }
    }
}

fn check_tries(map: &CrushMap) -> Result<(), Error> {
    let tunables = &map.tunables;
    let from_tunables = [
        ("choose_total_tries", tunables.choose_total_tries),
        ("choose_local_tries", tunables.choose_local_tries),
        ("choose_local_fallback_tries", tunables.choose_local_fallback_tries),
        ("msr_descents", tunables.msr_descents),
        ("msr_collision_tries", tunables.msr_collision_tries),
    ];
    for (name, value) in from_tunables {
        if value > TRIES_MAX {
            return Err(Error::invalid(format!("{name} is {value}; at most {TRIES_MAX} attempts are allowed")));
        }
    }
    for (id, rule) in map.rules() {
        for step in &rule.steps {
            if let Step::SetChooseTries(tries)
            | Step::SetChooseLeafTries(tries)
            | Step::SetChooseLocalTries(tries)
            | Step::SetChooseLocalFallbackTries(tries)
            | Step::SetMsrDescents(tries)
            | Step::SetMsrCollisionTries(tries) = *step
                && i64::from(tries) > i64::from(TRIES_MAX)
            {
                return Err(Error::invalid(format!(
                    "rule {id} asks for {tries} attempts; at most {TRIES_MAX} are allowed"
                )));
            }
        }
        check_attempts(id, rule, tunables)?;
    }
    Ok(())
}

/// That the rule's attempts, those below an item times those for an item, are not too many at any of its steps.
fn check_attempts(id: u32, rule: &Rule, tunables: &Tunables) -> Result<(), Error> {
    let (mut tries, mut leaf_tries) = (tunables.choose_total_tries.saturating_add(1), 0);
    let (mut descents, mut collision_tries) = (tunables.msr_descents, tunables.msr_collision_tries);
    for step in &rule.steps {
        let attempts = match *step {
            Step::SetChooseTries(value) => {
                override_above_zero(&mut tries, value);
                continue;
            }
            Step::SetChooseLeafTries(value) => {
                override_above_zero(&mut leaf_tries, value);
                continue;
            }
            Step::SetMsrDescents(value) => {
                override_above_zero(&mut descents, value);
                continue;
            }
            Step::SetMsrCollisionTries(value) => {
                override_above_zero(&mut collision_tries, value);
                continue;
            }
            Step::ChooseLeafFirstN { .. } => tries.saturating_mul(match leaf_tries {
                0 if tunables.chooseleaf_descend_once != 0 => 1,
                0 => tries,
                leaf_tries => leaf_tries,
            }),
            Step::ChooseLeafIndep { .. } => tries.saturating_mul(leaf_tries.max(1)),
            Step::ChooseMsr { .. } => descents.saturating_mul(collision_tries.max(1)),
            _ => continue,
        };
        if attempts > ATTEMPTS_MAX {
            return Err(Error::invalid(format!(
                "rule {id} asks for {attempts} attempts at one place; at most {ATTEMPTS_MAX} are allowed"
            )));
        }
    }
    Ok(())
}

impl CrushMap {
    /// Checks that the buckets form trees: no cycle, no missing bucket, no absurd depth.
    pub(crate) fn check_tree_of_buckets(&self) -> Result<(), Error> {
        // The height of each bucket, 0 while unknown. An explicit stack, because the depth is what is being checked.
        let mut heights = vec![0usize; self.buckets.len()];
        for root in self.buckets() {
            let mut path: Vec<(&Bucket, usize, usize)> = vec![(root, 0, 1)];
            while let Some((bucket, next, height)) = path.pop() {
                let slot = slot_of(bucket.id).expect("buckets have negative ids");
                if heights[slot] != 0 {
                    continue;
                }
                let Some(item) = bucket.items.get(next).copied() else {
                    heights[slot] = height;
                    if let Some((_, _, parent_height)) = path.last_mut() {
                        *parent_height = (*parent_height).max(height + 1);
                    }
                    continue;
                };
                if item >= 0 {
                    path.push((bucket, next + 1, height));
                    continue;
                }
                let child = self.bucket(item).ok_or_else(|| {
                    Error::invalid(format!("bucket {} holds bucket {item}, which does not exist", bucket.id))
                })?;
                let known = heights[slot_of(item).expect("buckets have negative ids")];
                path.push((bucket, next + 1, height.max(known + 1)));
                if known == 0 {
                    if path.iter().any(|(above, ..)| above.id == item) {
                        return Err(Error::invalid(format!("bucket {item} is below itself")));
                    }
                    path.push((child, 0, 1));
                }
                if path.len() > DEPTH_MAX || height.max(known + 1) > DEPTH_MAX {
                    return Err(Error::invalid(format!(
                        "the tree is deeper than {DEPTH_MAX} levels at bucket {}",
                        bucket.id
                    )));
                }
            }
        }
        Ok(())
    }

    /// Checks that the buckets form trees (no cycle, no missing bucket, no absurd depth) of devices below `max_devices`.
    ///
    /// # Errors
    /// `Invalid`, naming the bucket.
    pub fn check_tree(&self) -> Result<(), Error> {
        self.check_tree_of_buckets()?;
        for bucket in self.buckets() {
            if let Some(item) = bucket.items.iter().find(|item| **item >= self.max_devices) {
                return Err(Error::invalid(format!(
                    "bucket {} holds device {item}, but the map has devices below {} only",
                    bucket.id, self.max_devices
                )));
            }
        }
        Ok(())
    }
}

//! The editable model of a placement map.
//!
//! Owns: the tree of buckets, the rules, the tunables, all names, device classes and their shadow trees, and the sets of
//! choose arguments. It keeps derived numbers (bucket sums, straw lengths, tree nodes) exactly as Ceph's binary format
//! stores them, so that a decoded map is encoded again to the same bytes and places with the same numbers.
//! Does not know: how a mapping is computed (see [`crate::CompiledMap`]), text, files.
//!
//! Words: a *device* is an OSD, its id is 0 or more; a *bucket* is an inner node, its id is negative; the *slot* of a bucket
//! is `-1 - id`. An *item* is either. Weights are 16.16 fixed point.
//!
//! Invariants (held by the decoder, the text compiler and every edit)
//! 1. `buckets[slot]`, if present, has the id `-1 - slot`.
//! 2. No bucket contains itself, at any depth; every bucket named as an item exists.
//! 3. Every stored number fits the bucket's items: one weight (and straw) per item.

use std::collections::BTreeMap;

mod bucket;
mod rules;
mod tunables;

pub use bucket::{Algorithm, Bucket, BucketContents, HASH_RJENKINS1};
pub(crate) use bucket::{add_to_tree, tree_node_of};
pub use rules::{Rule, RuleType, Step};
pub use tunables::{Profile, Tunables};

/// The value that stands for "no device" in a mapping.
pub const ITEM_NONE: i32 = 0x7fff_ffff;

/// Weight 1.0 in 16.16 fixed point.
pub const WEIGHT_ONE: u32 = 0x1_0000;

/// The largest number of bucket slots that a map may have. Ceph has no such bound; a million buckets is a hundred times the
/// largest cluster that is known, and keeps a damaged count from taking all memory.
pub const BUCKET_SLOTS_MAX: usize = 1 << 20;

/// The largest device id plus one. As for buckets: ten times the largest known cluster, and then ten times that.
pub const DEVICES_MAX: i32 = 1 << 22;

/// How many rules a map may have: rule ids are one byte in Ceph's format.
pub const RULES_MAX: usize = 256;

/// The largest number of items in one bucket. Ceph stores 32 bits; its tools count in 16.
pub const BUCKET_ITEMS_MAX: usize = 1 << 20;

/// Replaced weights and ids of one bucket within a set of choose arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChooseArg {
    /// For each position in the result one list of weights; positions beyond the last list use the last.
    pub weight_sets: Vec<Vec<u32>>,
    /// Ids to hash instead of the items' own, if not empty.
    pub ids: Vec<i32>,
}

impl ChooseArg {
    /// Whether it replaces nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weight_sets.is_empty() && self.ids.is_empty()
    }
}

/// One set of choose arguments: per bucket id what is replaced there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChooseArgs {
    /// Ordered by slot, which is the reverse order of ids.
    pub(crate) by_slot: BTreeMap<u32, ChooseArg>,
}

impl ChooseArgs {
    /// The replacement for this bucket, if there is one.
    #[must_use]
    pub fn get(&self, bucket_id: i32) -> Option<&ChooseArg> {
        self.by_slot.get(&slot_number(bucket_id)?)
    }

    /// Sets the replacement for this bucket; an empty one removes it. Ids of devices are ignored.
    pub fn set(&mut self, bucket_id: i32, argument: ChooseArg) {
        let Some(slot) = slot_number(bucket_id) else { return };
        if argument.is_empty() {
            self.by_slot.remove(&slot);
        } else {
            self.by_slot.insert(slot, argument);
        }
    }

    /// All replacements with the id of their bucket, from -1 downwards.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &ChooseArg)> {
        self.by_slot.iter().map(|(slot, argument)| (bucket_id_of(*slot), argument))
    }

    /// How many positions the weight sets have; they are the same for all buckets of a set.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.by_slot.values().map(|argument| argument.weight_sets.len()).find(|count| *count > 0).unwrap_or(0)
    }
}

/// The placement map that one edits, stores and prints. For placing, make a [`crate::CompiledMap`] of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrushMap {
    /// Indexed by slot. Ceph's format has the length of this table, empty slots included.
    pub(crate) buckets: Vec<Option<Bucket>>,
    /// Indexed by rule id.
    pub(crate) rules: Vec<Option<Rule>>,
    /// The largest device id in use plus one.
    pub(crate) max_devices: i32,
    pub(crate) type_names: BTreeMap<i32, String>,
    pub(crate) item_names: BTreeMap<i32, String>,
    pub(crate) rule_names: BTreeMap<i32, String>,
    pub(crate) tunables: Tunables,
    /// Device (or shadow bucket) to class id.
    pub(crate) item_classes: BTreeMap<i32, i32>,
    pub(crate) class_names: BTreeMap<i32, String>,
    /// Bucket to class id to the bucket's shadow for that class.
    pub(crate) shadow_buckets: BTreeMap<i32, BTreeMap<i32, i32>>,
    pub(crate) choose_args: BTreeMap<i64, ChooseArgs>,
}

/// The slot of a bucket id; `None` for a device.
#[must_use]
pub(crate) fn slot_of(bucket_id: i32) -> Option<usize> {
    usize::try_from(-1 - i64::from(bucket_id)).ok()
}

fn slot_number(bucket_id: i32) -> Option<u32> {
    u32::try_from(-1 - i64::from(bucket_id)).ok()
}

/// The bucket id of a slot.
#[must_use]
pub(crate) fn bucket_id_of(slot: u32) -> i32 {
    i32::try_from(-1 - i64::from(slot)).unwrap_or(i32::MIN)
}

impl CrushMap {
    /// A map with nothing in it, not even types, and Ceph's oldest tunables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bucket of this id.
    #[must_use]
    pub fn bucket(&self, id: i32) -> Option<&Bucket> {
        self.buckets.get(slot_of(id)?)?.as_ref()
    }

    pub(crate) fn bucket_mut(&mut self, id: i32) -> Option<&mut Bucket> {
        self.buckets.get_mut(slot_of(id)?)?.as_mut()
    }

    /// All buckets, shadows included, from id -1 downwards.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = &Bucket> {
        self.buckets.iter().flatten()
    }

    /// How many slots for buckets the map has: every bucket id is `-slots` or more.
    #[must_use]
    pub fn bucket_slots(&self) -> usize {
        self.buckets.len()
    }

    /// The largest device id in use plus one.
    #[must_use]
    pub fn max_devices(&self) -> i32 {
        self.max_devices
    }

    /// The rule of this id.
    #[must_use]
    pub fn rule(&self, id: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(id).ok()?)?.as_ref()
    }

    /// All rules with their ids.
    pub fn rules(&self) -> impl Iterator<Item = (u32, &Rule)> {
        (0u32..).zip(&self.rules).filter_map(|(id, rule)| Some((id, rule.as_ref()?)))
    }

    /// The tunables.
    #[must_use]
    pub fn tunables(&self) -> &Tunables {
        &self.tunables
    }

    /// The tunables, to change them.
    pub fn tunables_mut(&mut self) -> &mut Tunables {
        &mut self.tunables
    }

    /// Bucket types by number. Type 0 is the device.
    #[must_use]
    pub fn types(&self) -> &BTreeMap<i32, String> {
        &self.type_names
    }

    /// Names of devices and buckets by id.
    #[must_use]
    pub fn names(&self) -> &BTreeMap<i32, String> {
        &self.item_names
    }

    /// Names of device classes by class id.
    #[must_use]
    pub fn classes(&self) -> &BTreeMap<i32, String> {
        &self.class_names
    }

    /// All sets of choose arguments.
    #[must_use]
    pub fn choose_args(&self) -> &BTreeMap<i64, ChooseArgs> {
        &self.choose_args
    }

    /// All sets of choose arguments, to change them. [`crate::CompiledMap::new`] checks that they fit their buckets.
    pub fn choose_args_mut(&mut self) -> &mut BTreeMap<i64, ChooseArgs> {
        &mut self.choose_args
    }

    /// The name of a device or bucket.
    #[must_use]
    pub fn name(&self, item: i32) -> Option<&str> {
        self.item_names.get(&item).map(String::as_str)
    }

    /// The id of a device or bucket by name.
    #[must_use]
    pub fn item_by_name(&self, name: &str) -> Option<i32> {
        self.item_names.iter().find(|(_, candidate)| *candidate == name).map(|(id, _)| *id)
    }

    /// The number of a type by name.
    #[must_use]
    pub fn type_by_name(&self, name: &str) -> Option<i32> {
        self.type_names.iter().find(|(_, candidate)| *candidate == name).map(|(id, _)| *id)
    }

    /// The name of a type.
    #[must_use]
    pub fn type_name(&self, type_id: i32) -> Option<&str> {
        self.type_names.get(&type_id).map(String::as_str)
    }

    /// The id of a rule by name.
    #[must_use]
    pub fn rule_by_name(&self, name: &str) -> Option<u32> {
        let (id, _) = self.rule_names.iter().find(|(_, candidate)| *candidate == name)?;
        u32::try_from(*id).ok()
    }

    /// The name of a rule.
    #[must_use]
    pub fn rule_name(&self, id: u32) -> Option<&str> {
        self.rule_names.get(&i32::try_from(id).ok()?).map(String::as_str)
    }

    /// The id of a device class by name.
    #[must_use]
    pub fn class_by_name(&self, name: &str) -> Option<i32> {
        self.class_names.iter().find(|(_, candidate)| *candidate == name).map(|(id, _)| *id)
    }

    /// The name of the class of a device or shadow bucket.
    #[must_use]
    pub fn class_of(&self, item: i32) -> Option<&str> {
        self.class_names.get(self.item_classes.get(&item)?).map(String::as_str)
    }

    /// The shadow of a bucket for a class.
    #[must_use]
    pub fn shadow_of(&self, bucket_id: i32, class: &str) -> Option<i32> {
        self.shadow_buckets.get(&bucket_id)?.get(&self.class_by_name(class)?).copied()
    }

    /// Whether the bucket is the shadow of another one for a device class.
    #[must_use]
    pub fn is_shadow(&self, bucket_id: i32) -> bool {
        bucket_id < 0 && self.item_names.get(&bucket_id).is_some_and(|name| name.contains('~'))
    }

    /// The type number of an item: 0 for a device, `None` for a bucket that does not exist.
    #[must_use]
    pub fn item_type(&self, item: i32) -> Option<i32> {
        if item >= 0 { Some(0) } else { self.bucket(item).map(|bucket| i32::from(bucket.type_id)) }
    }

    /// Sets `max_devices` to what the buckets hold and names are given to, as Ceph does when it closes a map.
    pub(crate) fn count_devices(&mut self) {
        let held = self.buckets().flat_map(|bucket| bucket.items.iter().copied());
        let named = self.item_names.last_key_value().map(|(item, _)| *item);
        self.max_devices = held.chain(named).max().unwrap_or(-1).max(-1).saturating_add(1);
    }
}

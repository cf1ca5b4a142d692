//! Reading the binary form. Nothing in the bytes is believed: every count is checked against what is left of them.

use std::collections::BTreeMap;

use super::MAGIC;
use crate::error::Error;
use crate::map::{
    Algorithm, BUCKET_ITEMS_MAX, BUCKET_SLOTS_MAX, Bucket, BucketContents, ChooseArg, ChooseArgs, CrushMap,
    DEVICES_MAX, RULES_MAX, Rule, RuleType, Step, Tunables, bucket_id_of,
};

/// How many weights all sets of choose arguments may have together. Lists that are shorter than their bucket are filled up,
/// so this bounds what few bytes can turn into: 64 MiB. The largest known clusters have some hundred thousand.
const CHOOSE_WEIGHTS_MAX: usize = 1 << 24;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self, what: &str) -> Error {
        Error::damaged(format!("{what} at byte {} of a binary map of {} bytes", self.at, self.bytes.len()))
    }

    fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let taken = self.bytes[self.at..].get(..length).ok_or_else(|| self.damaged("the map ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Error> {
        Ok(self.take(LENGTH)?.try_into().expect("take gives exactly what it was asked for"))
    }

    fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// A count of things, each of which takes at least `least_bytes` further bytes.
    fn count(&mut self, least_bytes: usize, at_most: usize, what: &str) -> Result<usize, Error> {
        let count = usize::try_from(self.u32()?).map_err(|_| self.damaged("a count is too large"))?;
        let left = self.bytes.len() - self.at;
        if count > at_most || count > left / least_bytes {
            return Err(self.damaged(&format!("there cannot be {count} {what}")));
        }
        Ok(count)
    }

    fn u32s(&mut self, count: usize) -> Result<Vec<u32>, Error> {
        (0..count).map(|_| self.u32()).collect()
    }

    fn i32s(&mut self, count: usize) -> Result<Vec<i32>, Error> {
        (0..count).map(|_| self.i32()).collect()
    }

    fn names(&mut self) -> Result<BTreeMap<i32, String>, Error> {
        let mut names = BTreeMap::new();
        for _ in 0..self.count(8, usize::MAX, "names")? {
            let id = self.i32()?;
            // Very old maps had 64-bit keys; the upper half then stands where the length should be.
            let mut length = self.u32()?;
            if length == 0 {
                length = self.u32()?;
            }
            // An empty name would be written so that nobody, Ceph included, reads it back: its length is taken for that half.
            if length == 0 {
                return Err(self.damaged("a name is empty"));
            }
            let length = usize::try_from(length).map_err(|_| self.damaged("a name is too long"))?;
            let name = std::str::from_utf8(self.take(length)?).map_err(|_| self.damaged("a name is not UTF-8"))?;
            names.insert(id, name.to_owned());
        }
        Ok(names)
    }

    fn pairs(&mut self) -> Result<BTreeMap<i32, i32>, Error> {
        (0..self.count(8, usize::MAX, "pairs")?).map(|_| Ok((self.i32()?, self.i32()?))).collect()
    }

    fn bucket(&mut self, slot: u32) -> Result<Option<Bucket>, Error> {
        let number = self.u32()?;
        if number == 0 {
            return Ok(None);
        }
        let algorithm = Algorithm::by_number(number)
            .ok_or_else(|| self.damaged(&format!("there is no bucket algorithm {number}")))?;
        let id = self.i32()?;
        if id != bucket_id_of(slot) {
            return Err(self.damaged(&format!("bucket {id} is in the place of bucket {}", bucket_id_of(slot))));
        }
        let type_id = self.u16()?;
        if u32::from(self.u8()?) != number {
            return Err(self.damaged("a bucket names two different algorithms"));
        }
        let hash = self.u8()?;
        let weight = self.u32()?;
        let size = self.count(4, BUCKET_ITEMS_MAX, "items")?;
        let items = self.i32s(size)?;
        let contents = match algorithm {
            Algorithm::Uniform => BucketContents::Uniform { item_weight: self.u32()? },
            Algorithm::List => {
                let (weights, sums) = self.two_lists(size)?;
                BucketContents::List { weights, sums }
            }
            Algorithm::Straw => {
                let (weights, straws) = self.two_lists(size)?;
                BucketContents::Straw { weights, straws }
            }
            Algorithm::Tree => {
                let count = usize::from(self.u8()?);
                let needed = if size == 0 { 0 } else { 2 * size.next_power_of_two() };
                if count != needed {
                    return Err(self.damaged(&format!("a tree of {size} items has {needed} nodes, not {count}")));
                }
                BucketContents::Tree { nodes: self.u32s(count)? }
            }
            Algorithm::Straw2 => BucketContents::Straw2 { weights: self.u32s(size)? },
        };
        Ok(Some(Bucket { id, type_id, hash, weight, items, contents }))
    }

    fn two_lists(&mut self, size: usize) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let (mut first, mut second) = (Vec::with_capacity(size), Vec::with_capacity(size));
        for _ in 0..size {
            first.push(self.u32()?);
            second.push(self.u32()?);
        }
        Ok((first, second))
    }

    fn rule(&mut self) -> Result<Option<Rule>, Error> {
        if self.u32()? == 0 {
            return Ok(None);
        }
        // Each step has 12 bytes, the mask before them four.
        let count = self.count(12, usize::MAX, "steps")?;
        let [ruleset, rule_type, min_size, max_size] = self.array()?;
        let steps = (0..count)
            .map(|_| Ok(Step::from_stored(self.u32()?, self.i32()?, self.i32()?)))
            .collect::<Result<_, Error>>()?;
        Ok(Some(Rule { steps, ruleset, rule_type: RuleType(rule_type), min_size, max_size }))
    }

    fn tunables(&mut self) -> Result<Tunables, Error> {
        let mut tunables = Tunables::default();
        if self.is_at_end() {
            return Ok(tunables);
        }
        tunables.choose_local_tries = self.u32()?;
        tunables.choose_local_fallback_tries = self.u32()?;
        tunables.choose_total_tries = self.u32()?;
        if !self.is_at_end() {
            tunables.chooseleaf_descend_once = self.u32()?;
        }
        if !self.is_at_end() {
            tunables.chooseleaf_vary_r = self.u8()?;
        }
        if !self.is_at_end() {
            tunables.straw_calc_version = self.u8()?;
        }
        if !self.is_at_end() {
            tunables.allowed_bucket_algorithms = self.u32()?;
        }
        if !self.is_at_end() {
            tunables.chooseleaf_stable = self.u8()?;
        }
        Ok(tunables)
    }

    fn choose_args(&mut self) -> Result<BTreeMap<i64, ChooseArgs>, Error> {
        let mut sets = BTreeMap::new();
        for _ in 0..self.count(12, usize::MAX, "sets of choose arguments")? {
            let id = i64::from_le_bytes(self.array()?);
            let mut set = ChooseArgs::default();
            for _ in 0..self.count(12, BUCKET_SLOTS_MAX, "choose arguments")? {
                let slot = self.u32()?;
                let positions = self.count(4, usize::MAX, "positions")?;
                let weight_sets = (0..positions)
                    .map(|_| {
                        let count = self.count(4, BUCKET_ITEMS_MAX, "weights")?;
                        self.u32s(count)
                    })
                    .collect::<Result<_, Error>>()?;
                let ids = self.count(4, BUCKET_ITEMS_MAX, "ids")?;
                set.by_slot.insert(slot, ChooseArg { weight_sets, ids: self.i32s(ids)? });
            }
            sets.insert(id, set);
        }
        Ok(sets)
    }
}

impl CrushMap {
    /// The map of these bytes, which are Ceph's binary form.
    ///
    /// # Errors
    /// `Damaged`, with the offset, when the bytes are not a map.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.u32()? != MAGIC {
            return Err(Error::damaged("these bytes are not a binary map: its magic does not stand at byte 0"));
        }
        let slots = reader.u32()?;
        let rules = reader.u32()?;
        let max_devices = reader.i32()?;
        // Each slot, even an empty one, takes four bytes.
        let left = u64::try_from(bytes.len()).unwrap_or(u64::MAX) / 4;
        let slots_max = u32::try_from(BUCKET_SLOTS_MAX).unwrap_or(u32::MAX);
        let rules_max = u32::try_from(RULES_MAX).unwrap_or(u32::MAX);
        if slots > slots_max || rules > rules_max || u64::from(slots) + u64::from(rules) > left {
            return Err(reader.damaged(&format!("there cannot be {slots} buckets and {rules} rules")));
        }
        if !(0..=DEVICES_MAX).contains(&max_devices) {
            return Err(reader.damaged(&format!("there cannot be {max_devices} devices")));
        }
        let mut map = Self { max_devices, ..Self::default() };
        map.buckets = (0..slots).map(|slot| reader.bucket(slot)).collect::<Result<_, Error>>()?;
        map.rules = (0..rules).map(|_| reader.rule()).collect::<Result<_, Error>>()?;
        map.type_names = reader.names()?;
        map.item_names = reader.names()?;
        map.rule_names = reader.names()?;
        map.tunables = reader.tunables()?;
        if !reader.is_at_end() {
            map.item_classes = reader.pairs()?;
            map.class_names = reader.names()?;
            for _ in 0..reader.count(8, BUCKET_SLOTS_MAX, "buckets with shadows")? {
                let bucket = reader.i32()?;
                map.shadow_buckets.insert(bucket, reader.pairs()?);
            }
        }
        if !reader.is_at_end() {
            map.choose_args = reader.choose_args()?;
        }
        if !reader.is_at_end() {
            map.tunables.has_msr = true;
            map.tunables.msr_descents = reader.u32()?;
            map.tunables.msr_collision_tries = reader.u32()?;
        }
        map.count_devices();
        if map.max_devices > DEVICES_MAX {
            return Err(reader.damaged(&format!("there cannot be {} devices", map.max_devices)));
        }
        map.check_tree().map_err(|error| reader.damaged(error.message()))?;
        if map.choose_weights() > CHOOSE_WEIGHTS_MAX {
            return Err(reader.damaged("there are too many choose arguments"));
        }
        map.repair_choose_args();
        Ok(map)
    }

    /// How many weights there are in sets of choose arguments when each list is as long as its bucket.
    fn choose_weights(&self) -> usize {
        let lists = self.choose_args.values().flat_map(|set| set.iter());
        lists
            .map(|(bucket, argument)| {
                let size = self.bucket(bucket).map_or(0, |bucket| bucket.items.len());
                size.saturating_mul(argument.weight_sets.len())
            })
            .fold(0, usize::saturating_add)
    }

    /// Makes choose arguments fit their buckets, as Ceph does for maps of old versions: those of buckets that are gone or do
    /// not draw by straw2 are dropped, and lists of another length than the bucket's are cut or filled with zeros.
    pub(crate) fn repair_choose_args(&mut self) {
        let buckets = &self.buckets;
        for set in self.choose_args.values_mut() {
            let positions = set.positions();
            set.by_slot.retain(|slot, argument| {
                let bucket = usize::try_from(*slot).ok().and_then(|slot| buckets.get(slot)?.as_ref());
                let Some(bucket) = bucket.filter(|bucket| bucket.algorithm() == Algorithm::Straw2) else {
                    return false;
                };
                if argument.weight_sets.len() == positions {
                    for weights in &mut argument.weight_sets {
                        weights.resize(bucket.items.len(), 0);
                    }
                }
                !argument.is_empty()
            });
        }
    }
}

//! Writing the binary form.

use std::collections::BTreeMap;

use super::MAGIC;
use crate::map::{Bucket, BucketContents, ChooseArgs, CrushMap, Rule};

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("tables are bounded far below 2^32 entries"));
    }

    fn names(&mut self, names: &BTreeMap<i32, String>) {
        self.count(names.len());
        for (id, name) in names {
            self.i32(*id);
            self.count(name.len());
            self.bytes.extend(name.as_bytes());
        }
    }

    fn pairs(&mut self, pairs: &BTreeMap<i32, i32>) {
        self.count(pairs.len());
        for (key, value) in pairs {
            self.i32(*key);
            self.i32(*value);
        }
    }

    fn bucket(&mut self, bucket: Option<&Bucket>) {
        let Some(bucket) = bucket else { return self.u32(0) };
        let algorithm = bucket.algorithm().number();
        self.u32(u32::from(algorithm));
        self.i32(bucket.id);
        self.u16(bucket.type_id);
        self.u8(algorithm);
        self.u8(bucket.hash);
        self.u32(bucket.weight);
        self.count(bucket.items.len());
        for item in &bucket.items {
            self.i32(*item);
        }
        match &bucket.contents {
            BucketContents::Uniform { item_weight } => self.u32(*item_weight),
            BucketContents::List { weights, sums: second } | BucketContents::Straw { weights, straws: second } => {
                for (first, second) in weights.iter().zip(second) {
                    self.u32(*first);
                    self.u32(*second);
                }
            }
            BucketContents::Tree { nodes } => {
                self.u8(u8::try_from(nodes.len()).expect("a tree has at most 128 nodes"));
                nodes.iter().for_each(|node| self.u32(*node));
            }
            BucketContents::Straw2 { weights } => weights.iter().for_each(|weight| self.u32(*weight)),
        }
    }

    fn rule(&mut self, rule: Option<&Rule>) {
        let Some(rule) = rule else { return self.u32(0) };
        self.u32(1);
        self.count(rule.steps.len());
        for byte in [rule.ruleset, rule.rule_type.0, rule.min_size, rule.max_size] {
            self.u8(byte);
        }
        for step in &rule.steps {
            let (operation, first, second) = step.to_stored();
            self.u32(operation);
            self.i32(first);
            self.i32(second);
        }
    }

    fn choose_args(&mut self, sets: &BTreeMap<i64, ChooseArgs>) {
        self.count(sets.len());
        for (id, set) in sets {
            self.bytes.extend(id.to_le_bytes());
            self.count(set.by_slot.len());
            for (slot, argument) in &set.by_slot {
                self.u32(*slot);
                self.count(argument.weight_sets.len());
                for weights in &argument.weight_sets {
                    self.count(weights.len());
                    weights.iter().for_each(|weight| self.u32(*weight));
                }
                self.count(argument.ids.len());
                argument.ids.iter().for_each(|id| self.i32(*id));
            }
        }
    }
}

impl CrushMap {
    /// The map in Ceph's binary form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer { bytes: Vec::new() };
        writer.u32(MAGIC);
        writer.count(self.buckets.len());
        writer.count(self.rules.len());
        writer.i32(self.max_devices);
        self.buckets.iter().for_each(|bucket| writer.bucket(bucket.as_ref()));
        self.rules.iter().for_each(|rule| writer.rule(rule.as_ref()));
        writer.names(&self.type_names);
        writer.names(&self.item_names);
        writer.names(&self.rule_names);
        writer.u32(self.tunables.choose_local_tries);
        writer.u32(self.tunables.choose_local_fallback_tries);
        writer.u32(self.tunables.choose_total_tries);
        writer.u32(self.tunables.chooseleaf_descend_once);
        writer.u8(self.tunables.chooseleaf_vary_r);
        writer.u8(self.tunables.straw_calc_version);
        writer.u32(self.tunables.allowed_bucket_algorithms);
        writer.u8(self.tunables.chooseleaf_stable);
        writer.pairs(&self.item_classes);
        writer.names(&self.class_names);
        writer.count(self.shadow_buckets.len());
        for (bucket, shadows) in &self.shadow_buckets {
            writer.i32(*bucket);
            writer.pairs(shadows);
        }
        writer.choose_args(&self.choose_args);
        if self.tunables.has_msr {
            writer.u32(self.tunables.msr_descents);
            writer.u32(self.tunables.msr_collision_tries);
        }
        writer.bytes
    }
}

//! `--set-subtree-class` and `--reclassify`: bringing maps that kept device classes apart by separate trees (from the time
//! before device classes existed) to one tree with classes, without moving data.
//!
//! It works by turning the old trees into the shadow trees of a new one: their buckets keep ids, items and weights, so
//! placement stays, and only the names say what they are now.

use std::collections::BTreeMap;

use super::Stop;
use super::arguments::Arguments;
use super::run::Run;
use crate::map::{Bucket, CrushMap, Step};

/// What reclassifying buckets has decided so far.
#[derive(Default)]
struct Plan {
    /// From the old bucket to the one that takes its place in the tree.
    send_to: BTreeMap<i32, i32>,
    /// New bucket to class to the old bucket, which becomes its shadow.
    shadows: BTreeMap<i32, BTreeMap<i32, i32>>,
    shadow_names: BTreeMap<i32, String>,
    /// New buckets: where to put them if nothing holds them in the end.
    parents: BTreeMap<i32, (String, String)>,
    new_by_name: BTreeMap<String, i32>,
}

impl Run<'_> {
    /// Gives all devices below a bucket a class. The shadow trees stay as they are until something else rebuilds them.
    /// A bucket that does not exist has none.
    pub(super) fn set_subtree_class(map: &mut CrushMap, bucket: &str, class: &str) {
        let Some(root) = map.item_by_name(bucket) else { return };
        let class = map.class_id_or_new(class);
        let mut pending = vec![root];
        while let Some(item) = pending.pop() {
            if item >= 0 {
                map.item_classes.insert(item, class);
            } else {
                pending.extend(map.bucket(item).map(|bucket| bucket.items.clone()).unwrap_or_default());
            }
        }
    }

    pub(super) fn reclassify(&mut self, map: &mut CrushMap, arguments: &Arguments) -> Result<(), Stop> {
        for (root, class) in &arguments.reclassify_root {
            self.reclassify_root(map, root, class)?;
        }
        let mut plan = Plan::default();
        for (pattern, (class, parent)) in &arguments.reclassify_bucket {
            self.match_buckets(map, &mut plan, pattern, class, parent)?;
        }
        self.move_items(map, &plan)?;
        for (bucket, (type_name, parent)) in &plan.parents {
            if map.parent_of(*bucket).is_none() {
                self.say(&format!("new bucket {bucket} missing parent, adding at {{{type_name}={parent}}}"));
                let linked = map.link_bucket(*bucket, &[(type_name, parent)]);
                self.check_reclassified(linked)?;
            }
        }
        for (bucket, shadows) in plan.shadows {
            map.shadow_buckets.entry(bucket).or_default().extend(shadows);
        }
        map.item_names.extend(plan.shadow_names);
        self.rebuild(map)
    }

    fn rebuild(&mut self, map: &mut CrushMap) -> Result<(), Stop> {
        let Err(error) = map.rebuild_shadows() else { return Ok(()) };
        let (number, words) = super::run::system_error(error.kind());
        self.say(&format!("failed to rebuild_roots_with_classes: ({number}) {words}"));
        self.fail("failed to reclassify map", 1)
    }

    fn check_reclassified<T>(&mut self, result: Result<T, crate::Error>) -> Result<T, Stop> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                let (number, words) = super::run::system_error(error.kind());
                self.say(&format!("reclassify err from insert_item: ({number}) {words}"));
                self.complain(error.message());
                self.fail("failed to reclassify map", 1)
            }
        }
    }

    /// Renumbers the tree below a root, so that its old buckets become the shadows of the new ones for this class.
    fn reclassify_root(&mut self, map: &mut CrushMap, root: &str, class: &str) -> Result<(), Stop> {
        let Some(root_id) = map.item_by_name(root) else {
            self.say(&format!("root {root} does not exist"));
            return self.fail("failed to reclassify map", 1);
        };
        let class_id = map.class_id_or_new(class);
        self.say(&format!("classify_root {root} ({root_id}) as {class}"));
        for (id, rule) in map.rules() {
            for step in &rule.steps {
                let Step::Take { item } = step else { continue };
                let taken = map.shadow_buckets.get(&root_id).into_iter().flatten().find(|(_, shadow)| *shadow == item);
                if let Some((taken_class, _)) = taken {
                    self.say(&format!("  rule {id} includes take on root {root} class {taken_class}"));
                    return self.fail("failed to reclassify map", 1);
                }
            }
        }
        let mut renumbered = BTreeMap::new();
        let mut pending = vec![root_id];
        while let Some(id) = pending.pop() {
            let Some(old) = map.bucket(id).cloned() else {
                self.say(&format!("cannot find bucket {id}"));
                return self.fail("failed to reclassify map", 1);
            };
            let new_id = first_free_id(map);
            self.say(&format!("  renumbering bucket {id} -> {new_id}"));
            let empty = Bucket::new(id, old.type_id, old.algorithm(), &[], 0).expect("an empty bucket is always valid");
            put_bucket(map, Bucket { id: new_id, ..old.clone() });
            put_bucket(map, empty);
            for set in map.choose_args.values_mut() {
                let argument = set.get(id).cloned().unwrap_or_default();
                set.set(new_id, argument);
                set.set(id, crate::map::ChooseArg::default());
            }
            renumbered.insert(id, new_id);
            map.shadow_buckets.remove(&id);
            map.shadow_buckets.entry(new_id).or_default().insert(class_id, id);
            let name = map.name(id).unwrap_or_default().to_owned();
            map.item_names.insert(id, format!("{name}~{class}"));
            map.item_names.insert(new_id, name);
            pending.extend(old.items.iter().filter(|item| **item < 0));
        }
        for bucket in map.buckets.iter_mut().flatten() {
            for item in &mut bucket.items {
                if let Some(new_id) = renumbered.get(item) {
                    *item = *new_id;
                }
            }
        }
        self.rebuild(map)
    }

    /// Finds the buckets of a pattern (`prefix%`, `%suffix` or a name), and the new bucket that each belongs to.
    fn match_buckets(
        &mut self,
        map: &mut CrushMap,
        plan: &mut Plan,
        pattern: &str,
        class: &str,
        parent: &str,
    ) -> Result<(), Stop> {
        let Some(parent_bucket) = map.item_by_name(parent).and_then(|id| map.bucket(id)) else {
            self.say(&format!("default parent {parent} does not exist"));
            return self.fail("failed to reclassify map", 1);
        };
        let parent_type = map.type_name(i32::from(parent_bucket.type_id)).unwrap_or_default().to_owned();
        self.say(&format!("classify_bucket {pattern} as {class} default bucket {parent} ({parent_type})"));
        let class_id = map.class_id_or_new(class);
        let mut slot = 0;
        while slot < map.buckets.len() {
            let bucket = map.buckets[slot].clone();
            slot += 1;
            let Some(bucket) = bucket.filter(|bucket| !map.is_shadow(bucket.id)) else { continue };
            let name = map.name(bucket.id).unwrap_or_default().to_owned();
            let Some(base) = base_name(&name, pattern, parent) else { continue };
            self.say(&format!("match {pattern} to {name} basename {base}"));
            let base_id = if let Some(id) = map.item_by_name(&base).filter(|_| !plan.new_by_name.contains_key(&base)) {
                self.say(&format!("  have base {id}"));
                id
            } else if let Some(id) = plan.new_by_name.get(&base) {
                self.say(&format!("  already creating base {id}"));
                *id
            } else {
                let id = first_free_id(map);
                let made = Bucket::new(id, bucket.type_id, bucket.algorithm(), &[], 0);
                put_bucket(map, made.expect("an empty bucket is always valid"));
                map.item_names.insert(id, base.clone());
                plan.new_by_name.insert(base.clone(), id);
                self.say(&format!("  created base {id}"));
                plan.parents.insert(id, (parent_type.clone(), parent.to_owned()));
                id
            };
            plan.send_to.insert(bucket.id, base_id);
            plan.shadows.entry(base_id).or_default().insert(class_id, bucket.id);
            plan.shadow_names.insert(bucket.id, format!("{base}~{class}"));
            for device in bucket.items.iter().filter(|item| **item >= 0) {
                map.item_classes.insert(*device, class_id);
            }
        }
        Ok(())
    }

    /// Puts the items of old buckets into the new ones as well.
    fn move_items(&mut self, map: &mut CrushMap, plan: &Plan) -> Result<(), Stop> {
        for (from, to) in &plan.send_to {
            let name = |map: &CrushMap, id: i32| map.name(id).unwrap_or_default().to_owned();
            let (from_name, to_name) = (name(map, *from), name(map, *to));
            self.say(&format!("moving items from {from} ({from_name}) to {to} ({to_name})"));
            let (Some(source), Some(target)) = (map.bucket(*from).cloned(), map.bucket(*to)) else { continue };
            let to_type = map.type_name(i32::from(target.type_id)).unwrap_or_default().to_owned();
            let location = [(to_type.as_str(), to_name.as_str())];
            for (item, weight) in source.weighted_items() {
                let moved = if item >= 0 {
                    if map.subtree_contains(*to, item) {
                        continue;
                    }
                    map.insert_item(item, weight, &name(map, item), &location, true)
                } else {
                    let Some(new_item) = plan.send_to.get(&item) else {
                        self.complain(&format!("item {item} in bucket {from} is not also a reclassified bucket"));
                        return self.fail("failed to reclassify map", 1);
                    };
                    if map.subtree_contains(*to, *new_item) {
                        continue;
                    }
                    map.link_bucket(*new_item, &location)
                };
                self.check_reclassified(moved)?;
            }
        }
        Ok(())
    }
}

/// The name that is left of a bucket's name without the pattern; `None` if it does not match.
fn base_name(name: &str, pattern: &str, parent: &str) -> Option<String> {
    if name.len() < pattern.len() {
        return None;
    }
    if let Some(suffix) = pattern.strip_prefix('%') {
        name.strip_suffix(suffix).map(str::to_owned)
    } else if let Some(prefix) = pattern.strip_suffix('%') {
        name.strip_prefix(prefix).map(str::to_owned)
    } else {
        (name == pattern).then(|| parent.to_owned())
    }
}

/// The first id without a bucket. The table grows by one for it, not to twice its size.
fn first_free_id(map: &mut CrushMap) -> i32 {
    let slot = map.buckets.iter().position(Option::is_none).unwrap_or(map.buckets.len());
    if slot == map.buckets.len() {
        map.buckets.push(None);
    }
    -1 - i32::try_from(slot).expect("a map has at most a million buckets")
}

fn put_bucket(map: &mut CrushMap, bucket: Bucket) {
    let slot = crate::map::slot_of(bucket.id).expect("buckets have negative ids");
    map.buckets[slot] = Some(bucket);
}

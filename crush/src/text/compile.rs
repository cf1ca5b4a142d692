//! From text to map: looks up the names of what the grammar found, and builds.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::grammar::{BucketText, ChooseArgText, RuleText, Statement, StepText, parse};
use super::tokens::Token;
use crate::map::{
    Algorithm, BUCKET_ITEMS_MAX, ChooseArg, ChooseArgs, CrushMap, DEVICES_MAX, Rule, RuleType, Step, WEIGHT_ONE,
    slot_of,
};

/// The largest weight of a device in a text map, as in Ceph: 10,000.
const DEVICE_WEIGHT_MAX: u32 = 10_000 * WEIGHT_ONE;

/// The largest weight of a bucket in a text map: 65,535.
const BUCKET_WEIGHT_MAX: u32 = 65_535 * WEIGHT_ONE;

/// The pool sizes that a rule without them is for. Later versions of Ceph do not write them any more.
const DEFAULT_SIZES: (u8, u8) = (1, 100);

/// Makes a map of a text.
///
/// # Errors
/// The first thing that is wrong, with line and column.
pub fn compile(text: &str) -> Result<CrushMap, Error> {
    let statements = parse(text)?;
    let mut compiler = Compiler { used_ids: explicit_ids(&statements)?, ..Compiler::default() };
    for statement in &statements {
        compiler.statement(statement)?;
    }
    compiler.map.count_devices();
    if let Err(error) = compiler.map.check_tree() {
        return Err(Error { line: 1, column: 1, message: error.message().to_owned() });
    }
    Ok(compiler.map)
}

/// The ids that buckets have by the text; buckets without get others.
fn explicit_ids(statements: &[Statement<'_>]) -> Result<BTreeSet<i32>, Error> {
    let mut ids = BTreeSet::new();
    for statement in statements {
        let Statement::Bucket(bucket) = statement else { continue };
        for line in &bucket.ids {
            if line.id >= 0 {
                return Err(line.token.error(format!("{} cannot be a bucket id: those are negative", line.id)));
            }
            ids.insert(line.id);
        }
    }
    Ok(ids)
}

#[derive(Default)]
struct Compiler {
    map: CrushMap,
    /// Name to id, of devices and buckets. The map has only the other way.
    items: BTreeMap<String, i32>,
    types: BTreeMap<String, i32>,
    used_ids: BTreeSet<i32>,
    /// Ids that the text gives to shadows.
    shadow_ids: BTreeMap<i32, BTreeMap<i32, i32>>,
    has_shadows: bool,
}

impl Compiler {
    fn statement(&mut self, statement: &Statement<'_>) -> Result<(), Error> {
        match statement {
            Statement::Tunable { name, value } => self.tunable(name, *value),
            Statement::Device { id, name, class } => self.device(*id, name, class.as_ref()),
            Statement::Type { id: (id, _), name } => {
                if self.types.insert(name.word.to_owned(), i32::from(*id)).is_some() {
                    return Err(name.error(format!("type '{}' is defined twice", name.word)));
                }
                self.map.type_names.insert(i32::from(*id), name.word.to_owned());
                Ok(())
            }
            Statement::Bucket(bucket) => self.bucket(bucket),
            Statement::Rule(rule) => self.rule(rule),
            Statement::ChooseArgs { id, arguments } => self.choose_args(*id, arguments),
        }
    }

    fn tunable(&mut self, name: &Token<'_>, (value, token): (u32, Token<'_>)) -> Result<(), Error> {
        let byte = || u8::try_from(value).map_err(|_| token.error(format!("{value} is too large for {}", name.word)));
        let tunables = &mut self.map.tunables;
        match name.word {
            "choose_local_tries" => tunables.choose_local_tries = value,
            "choose_local_fallback_tries" => tunables.choose_local_fallback_tries = value,
            "choose_total_tries" => tunables.choose_total_tries = value,
            "chooseleaf_descend_once" => tunables.chooseleaf_descend_once = value,
            "chooseleaf_vary_r" => tunables.chooseleaf_vary_r = byte()?,
            "chooseleaf_stable" => tunables.chooseleaf_stable = byte()?,
            "straw_calc_version" => tunables.straw_calc_version = byte()?,
            "allowed_bucket_algs" => tunables.allowed_bucket_algorithms = value,
            "msr_descents" => (tunables.msr_descents, tunables.has_msr) = (value, true),
            "msr_collision_tries" => (tunables.msr_collision_tries, tunables.has_msr) = (value, true),
            unknown => return Err(name.error(format!("there is no tunable '{unknown}'"))),
        }
        Ok(())
    }

    fn device(
        &mut self,
        (id, token): (i32, Token<'_>),
        name: &Token<'_>,
        class: Option<&Token<'_>>,
    ) -> Result<(), Error> {
        if !(0..DEVICES_MAX).contains(&id) {
            return Err(token.error(format!("{id} cannot be a device id: those are from 0 to {}", DEVICES_MAX - 1)));
        }
        if self.items.insert(name.word.to_owned(), id).is_some() {
            return Err(name.error(format!("item '{}' is defined twice", name.word)));
        }
        if self.map.item_names.insert(id, name.word.to_owned()).is_some() {
            return Err(token.error(format!("device {id} is defined twice")));
        }
        if let Some(class) = class {
            let class = self.map.class_id_or_new(class.word);
            self.map.item_classes.insert(id, class);
        }
        Ok(())
    }

    fn bucket(&mut self, text: &BucketText<'_>) -> Result<(), Error> {
        let type_id = *self
            .types
            .get(text.type_name.word)
            .ok_or_else(|| text.type_name.error(format!("bucket type '{}' is not defined", text.type_name.word)))?;
        let type_id = u16::try_from(type_id).expect("the grammar takes types of 16 bits only");
        if type_id == 0 {
            return Err(text.type_name.error("a bucket cannot have the type of devices"));
        }
        let name = text.name.word;
        if self.items.contains_key(name) {
            return Err(text.name.error(format!("bucket or device '{name}' is already defined")));
        }
        let algorithm = Algorithm::by_name(text.algorithm.word)
            .ok_or_else(|| text.algorithm.error(format!("unknown bucket alg '{}'", text.algorithm.word)))?;
        let (id, shadows) = self.bucket_ids(text)?;
        let items = self.bucket_items(text, algorithm)?;
        let made = self.map.add_bucket(Some(id), algorithm, type_id, &items);
        made.map_err(|error| text.name.error(error.message()))?;
        if let Some(bucket) = self.map.bucket_mut(id) {
            bucket.hash = text.hash;
        }
        if !shadows.is_empty() {
            self.shadow_ids.insert(id, shadows);
        }
        self.used_ids.insert(id);
        self.items.insert(name.to_owned(), id);
        self.map.item_names.insert(id, name.to_owned());
        Ok(())
    }

    fn bucket_ids(&self, text: &BucketText<'_>) -> Result<(i32, BTreeMap<i32, i32>), Error> {
        let mut id = None;
        let mut shadows = BTreeMap::new();
        for line in &text.ids {
            let Some(class) = &line.class else {
                id = Some(line.id);
                continue;
            };
            let class_id = self
                .map
                .class_by_name(class.word)
                .ok_or_else(|| class.error(format!("unknown device class '{}'", class.word)))?;
            if shadows.insert(class_id, line.id).is_some() {
                return Err(class.error(format!("duplicate device class {} for bucket {}", class.word, text.name.word)));
            }
        }
        let first_free = || {
            (1..).map(|number: i32| -number).find(|id| !self.used_ids.contains(id)).expect("fewer than 2^31 buckets")
        };
        Ok((id.unwrap_or_else(first_free), shadows))
    }

    /// The items in their places: those with `pos` there, the others in the gaps, in order.
    fn bucket_items(&self, text: &BucketText<'_>, algorithm: Algorithm) -> Result<Vec<(i32, u32)>, Error> {
        let bucket_name = text.name.word;
        let mut taken = BTreeSet::new();
        for line in &text.items {
            if let Some((place, token)) = &line.place {
                if !taken.insert(*place) {
                    return Err(token.error(format!(
                        "item '{}' in bucket '{bucket_name}' has explicit pos {place}, which is occupied",
                        line.name.word
                    )));
                }
                if *place >= BUCKET_ITEMS_MAX {
                    return Err(token.error(format!("a bucket has at most {BUCKET_ITEMS_MAX} items")));
                }
            }
        }
        // As Ceph computes it: the item with a place beyond the end makes the bucket longer than its items, and is refused
        // below, so no memory is taken for such a length.
        let size = text.items.len().max(taken.last().map_or(0, |last| *last));
        let mut items = vec![(0, 0); text.items.len()];
        let mut uniform_weight = None;
        let mut next = 0;
        for line in &text.items {
            let item = *self.items.get(line.name.word).ok_or_else(|| {
                line.name.error(format!("item '{}' in bucket '{bucket_name}' is not defined", line.name.word))
            })?;
            let weight = self.item_weight(item, line.weight)?;
            if algorithm == Algorithm::Uniform && *uniform_weight.get_or_insert(weight) != weight {
                return Err(line.name.error(format!(
                    "item '{}' in uniform bucket '{bucket_name}' weighs {}; all its items must weigh the same",
                    line.name.word,
                    crate::weight::to_float(weight)
                )));
            }
            let place = match &line.place {
                Some((place, token)) if *place >= size => {
                    return Err(token.error(format!(
                        "item '{}' in bucket '{bucket_name}' has pos {place} >= size {size}",
                        line.name.word
                    )));
                }
                Some((place, _)) => *place,
                None => {
                    while taken.contains(&next) {
                        next += 1;
                    }
                    next += 1;
                    next - 1
                }
            };
            if let Some(slot) = items.get_mut(place) {
                *slot = (item, weight);
            }
        }
        Ok(items)
    }

    fn item_weight(&self, item: i32, given: Option<(u32, Token<'_>)>) -> Result<u32, Error> {
        let Some((weight, token)) = given else {
            return Ok(self.map.bucket(item).map_or(WEIGHT_ONE, |bucket| bucket.weight));
        };
        if item >= 0 && weight > DEVICE_WEIGHT_MAX {
            return Err(token.error(format!("device weight limited to {}", DEVICE_WEIGHT_MAX / WEIGHT_ONE)));
        }
        if weight > BUCKET_WEIGHT_MAX {
            return Err(
                token.error(format!("bucket weight limited to {} to prevent overflow", BUCKET_WEIGHT_MAX / WEIGHT_ONE))
            );
        }
        Ok(weight)
    }

    /// Shadow trees are made once all buckets before the first rule are known, because rules refer to them.
    fn make_shadows(&mut self, at: &Token<'_>) -> Result<(), Error> {
        if self.has_shadows {
            return Ok(());
        }
        self.has_shadows = true;
        let ids = std::mem::take(&mut self.shadow_ids);
        self.map.check_tree_of_buckets().map_err(|error| at.error(error.message()))?;
        self.map.populate_shadows(ids).map_err(|error| at.error(error.message()))
    }

    fn rule(&mut self, text: &RuleText<'_>) -> Result<(), Error> {
        self.make_shadows(&text.keyword)?;
        let (id, id_token) = text.id;
        let rule_type = match text.rule_type.word {
            "replicated" => RuleType::REPLICATED,
            "erasure" => RuleType::ERASURE,
            "msr_firstn" => RuleType::MSR_FIRSTN,
            "msr_indep" => RuleType::MSR_INDEP,
            unknown => return Err(text.rule_type.error(format!("unknown rule type '{unknown}'"))),
        };
        let (min_size, max_size) = text.sizes.unwrap_or(DEFAULT_SIZES);
        let steps = text.steps.iter().map(|step| self.step(step)).collect::<Result<_, Error>>()?;
        let rule = Rule { steps, ruleset: id, rule_type, min_size, max_size };
        // A rule without name is added under one that no name can be, which is taken away again.
        let name = text.name.as_ref().map_or(" ", |name| name.word);
        self.map.add_rule(name, rule, Some(u32::from(id))).map_err(|error| id_token.error(error.message()))?;
        if text.name.is_none() {
            self.map.rule_names.remove(&i32::from(id));
        }
        Ok(())
    }

    fn type_id(&self, name: &Token<'_>) -> Result<i32, Error> {
        self.types.get(name.word).copied().ok_or_else(|| name.error(format!("type '{}' is not defined", name.word)))
    }

    fn step(&self, text: &StepText<'_>) -> Result<Step, Error> {
        Ok(match text {
            StepText::Noop => Step::Noop,
            StepText::Emit => Step::Emit,
            StepText::Take { item, class } => Step::Take { item: self.taken(item, class.as_ref())? },
            StepText::ChooseMsr { count, type_name } => {
                Step::ChooseMsr { count: *count, type_id: self.type_id(type_name)? }
            }
            StepText::Choose { how, is_leaf, count, type_name } => {
                let (count, type_id) = (*count, self.type_id(type_name)?);
                match (how.word, is_leaf) {
                    ("firstn", false) => Step::ChooseFirstN { count, type_id },
                    ("firstn", true) => Step::ChooseLeafFirstN { count, type_id },
                    ("indep", false) => Step::ChooseIndep { count, type_id },
                    ("indep", true) => Step::ChooseLeafIndep { count, type_id },
                    (other, _) => {
                        return Err(how.error(format!("found '{other}' where 'firstn' or 'indep' should be")));
                    }
                }
            }
            StepText::Set { what, value } => match what.word {
                "set_choose_tries" => Step::SetChooseTries(*value),
                "set_chooseleaf_tries" => Step::SetChooseLeafTries(*value),
                "set_choose_local_tries" => Step::SetChooseLocalTries(*value),
                "set_choose_local_fallback_tries" => Step::SetChooseLocalFallbackTries(*value),
                "set_chooseleaf_vary_r" => Step::SetChooseLeafVaryR(*value),
                "set_chooseleaf_stable" => Step::SetChooseLeafStable(*value),
                "set_msr_descents" => Step::SetMsrDescents(*value),
                "set_msr_collision_tries" => Step::SetMsrCollisionTries(*value),
                unknown => return Err(what.error(format!("there is no step '{unknown}'"))),
            },
        })
    }

    fn taken(&self, item: &Token<'_>, class: Option<&Token<'_>>) -> Result<i32, Error> {
        let id =
            *self.items.get(item.word).ok_or_else(|| item.error(format!("item '{}' is not defined", item.word)))?;
        let Some(class) = class else { return Ok(id) };
        if self.map.class_by_name(class.word).is_none() {
            return Err(class.error(format!("class '{}' is not defined", class.word)));
        }
        self.map
            .shadow_of(id, class.word)
            .ok_or_else(|| class.error(format!("bucket '{}' has nothing of class '{}'", item.word, class.word)))
    }

    fn choose_args(&mut self, (id, token): (i64, Token<'_>), arguments: &[ChooseArgText<'_>]) -> Result<(), Error> {
        let mut set = ChooseArgs::default();
        let mut positions = None;
        for argument in arguments {
            let (bucket_id, bucket_token) = argument.bucket;
            let size = slot_of(bucket_id)
                .and_then(|_| self.map.bucket(bucket_id))
                .map(|bucket| bucket.items.len())
                .ok_or_else(|| bucket_token.error(format!("there is no bucket {bucket_id}")))?;
            let lists = argument.weight_sets.iter().map(Vec::len);
            let ids = (!argument.ids.is_empty()).then_some(argument.ids.len());
            if let Some(length) = lists.chain(ids).find(|length| *length != size) {
                return Err(bucket_token.error(format!("bucket {bucket_id} has {size} items, but {length} are given")));
            }
            let count = argument.weight_sets.len();
            if count > 0 && *positions.get_or_insert(count) != count {
                return Err(bucket_token.error("all buckets of a set must have as many lists of weights"));
            }
            set.set(bucket_id, ChooseArg { weight_sets: argument.weight_sets.clone(), ids: argument.ids.clone() });
        }
        if self.map.choose_args.insert(id, set).is_some() {
            return Err(token.error(format!("choose_args {id} is defined twice")));
        }
        Ok(())
    }
}

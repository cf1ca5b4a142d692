//! From map to text, line for line as `crushtool -d` prints it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::map::{Algorithm, Bucket, CrushMap, HASH_RJENKINS1, Rule, RuleType, Step, Tunables};
use crate::weight::to_float;

/// The text of a map.
#[must_use]
pub fn decompile(map: &CrushMap) -> String {
    let mut printer = Printer { map, text: String::new(), printed: BTreeSet::new() };
    printer.map();
    printer.text
}

struct Printer<'a> {
    map: &'a CrushMap,
    text: String,
    printed: BTreeSet<i32>,
}

/// Appends a formatted line. Writing to a string cannot fail.
macro_rules! line {
    ($printer:expr, $($argument:tt)*) => {
        writeln!($printer.text, $($argument)*).expect("a string takes everything")
    };
}

impl Printer<'_> {
    fn map(&mut self) {
        let map = self.map;
        line!(self, "# begin crush map");
        self.tunables();
        line!(self, "\n# devices");
        for (id, name) in map.item_names.range(0..map.max_devices.max(0)) {
            match map.class_of(*id) {
                None => line!(self, "device {id} {name}"),
                Some(class) => line!(self, "device {id} {name} class {class}"),
            }
        }
        line!(self, "\n# types");
        if !map.type_names.is_empty() && !map.type_names.contains_key(&0) {
            line!(self, "type 0 osd");
        }
        for (id, name) in map.type_names.range(0..) {
            line!(self, "type {id} {name}");
        }
        line!(self, "\n# buckets");
        for bucket in map.buckets() {
            self.bucket_after_those_in_it(bucket);
        }
        line!(self, "\n# rules");
        for (id, rule) in map.rules() {
            self.rule(id, rule);
        }
        self.choose_args();
        line!(self, "\n# end crush map");
    }

    /// Only those that differ from the oldest behaviour.
    fn tunables(&mut self) {
        let (have, oldest) = (&self.map.tunables, Tunables::default());
        let values = [
            ("choose_local_tries", have.choose_local_tries, oldest.choose_local_tries),
            ("choose_local_fallback_tries", have.choose_local_fallback_tries, oldest.choose_local_fallback_tries),
            ("choose_total_tries", have.choose_total_tries, oldest.choose_total_tries),
            ("chooseleaf_descend_once", have.chooseleaf_descend_once, oldest.chooseleaf_descend_once),
            ("chooseleaf_vary_r", u32::from(have.chooseleaf_vary_r), u32::from(oldest.chooseleaf_vary_r)),
            ("chooseleaf_stable", u32::from(have.chooseleaf_stable), u32::from(oldest.chooseleaf_stable)),
            ("msr_descents", have.msr_descents, oldest.msr_descents),
            ("msr_collision_tries", have.msr_collision_tries, oldest.msr_collision_tries),
            ("straw_calc_version", u32::from(have.straw_calc_version), u32::from(oldest.straw_calc_version)),
            ("allowed_bucket_algs", have.allowed_bucket_algorithms, oldest.allowed_bucket_algorithms),
        ];
        for (name, value, oldest) in values {
            if value != oldest {
                line!(self, "tunable {name} {value}");
            }
        }
    }

    fn item_name(&self, item: i32) -> String {
        match self.map.name(item) {
            Some(name) => name.to_owned(),
            None if item >= 0 => format!("device{item}"),
            None => format!("bucket{}", -1 - i64::from(item)),
        }
    }

    fn type_name(&self, type_id: i32) -> String {
        match self.map.type_name(type_id) {
            Some(name) => name.to_owned(),
            None if type_id == 0 => "device".to_owned(),
            None => format!("type{type_id}"),
        }
    }

    /// Buckets stand after those that they hold, because the compiler wants names before their use.
    fn bucket_after_those_in_it(&mut self, bucket: &Bucket) {
        let mut path = vec![(bucket, 0)];
        while let Some((bucket, next)) = path.pop() {
            if next == 0 && (self.map.is_shadow(bucket.id) || !self.printed.insert(bucket.id)) {
                continue;
            }
            match bucket.items.get(next) {
                None => self.bucket(bucket),
                Some(item) => {
                    path.push((bucket, next + 1));
                    path.extend(self.map.bucket(*item).map(|child| (child, 0)));
                }
            }
        }
    }

    fn bucket(&mut self, bucket: &Bucket) {
        line!(self, "{} {} {{", self.type_name(i32::from(bucket.type_id)), self.item_name(bucket.id));
        line!(self, "\tid {}\t\t# do not change unnecessarily", bucket.id);
        for (class, shadow) in self.map.shadow_buckets.get(&bucket.id).into_iter().flatten() {
            let class = self.map.class_names.get(class).map_or("", String::as_str);
            line!(self, "\tid {shadow} class {class}\t\t# do not change unnecessarily");
        }
        line!(self, "\t# weight {:.3}", to_float(bucket.weight));
        let algorithm = bucket.algorithm();
        let warning = match algorithm {
            Algorithm::Uniform => {
                format!("\t# do not change bucket size ({}) unnecessarily", bucket.items.len())
            }
            Algorithm::List => "\t# add new items at the end; do not change order unnecessarily".to_owned(),
            Algorithm::Tree => "\t# do not change pos for existing items unnecessarily".to_owned(),
            Algorithm::Straw | Algorithm::Straw2 => String::new(),
        };
        line!(self, "\talg {}{warning}", algorithm.name());
        let hash_name = if bucket.hash == HASH_RJENKINS1 { "rjenkins1" } else { "unknown" };
        line!(self, "\thash {}\t# {hash_name}", bucket.hash);
        let with_places = matches!(algorithm, Algorithm::Uniform | Algorithm::Tree);
        for (place, (item, weight)) in bucket.weighted_items().into_iter().enumerate() {
            let place = if with_places { format!(" pos {place}") } else { String::new() };
            line!(self, "\titem {} weight {:.3}{place}", self.item_name(item), to_float(weight));
        }
        line!(self, "}}");
    }

    fn rule(&mut self, id: u32, rule: &Rule) {
        match self.map.rule_name(id) {
            Some(name) => line!(self, "rule {name} {{"),
            None => line!(self, "rule {{"),
        }
        line!(self, "\tid {id}");
        match rule.rule_type {
            RuleType::REPLICATED => line!(self, "\ttype replicated"),
            RuleType::ERASURE => line!(self, "\ttype erasure"),
            RuleType::MSR_FIRSTN => line!(self, "\ttype msr_firstn"),
            RuleType::MSR_INDEP => line!(self, "\ttype msr_indep"),
            RuleType(other) => line!(self, "\ttype {other}"),
        }
        line!(self, "\tmin_size {}", rule.min_size);
        line!(self, "\tmax_size {}", rule.max_size);
        for step in &rule.steps {
            let text = self.step(*step);
            line!(self, "\tstep {text}");
        }
        line!(self, "}}");
    }

    fn step(&self, step: Step) -> String {
        let choose = |how: &str, count: i32, type_id: i32| format!("{how} {count} type {}", self.type_name(type_id));
        match step {
            Step::Noop => "noop".to_owned(),
            Step::Emit => "emit".to_owned(),
            Step::Take { item } => match self.map.name(item).and_then(|name| name.split_once('~')) {
                Some((original, class)) => format!("take {original} class {class}"),
                None => format!("take {}", self.item_name(item)),
            },
            Step::ChooseFirstN { count, type_id } => choose("choose firstn", count, type_id),
            Step::ChooseIndep { count, type_id } => choose("choose indep", count, type_id),
            Step::ChooseLeafFirstN { count, type_id } => choose("chooseleaf firstn", count, type_id),
            Step::ChooseLeafIndep { count, type_id } => choose("chooseleaf indep", count, type_id),
            Step::ChooseMsr { count, type_id } => choose("choosemsr", count, type_id),
            Step::SetChooseTries(value) => format!("set_choose_tries {value}"),
            Step::SetChooseLeafTries(value) => format!("set_chooseleaf_tries {value}"),
            Step::SetChooseLocalTries(value) => format!("set_choose_local_tries {value}"),
            Step::SetChooseLocalFallbackTries(value) => format!("set_choose_local_fallback_tries {value}"),
            Step::SetChooseLeafVaryR(value) => format!("set_chooseleaf_vary_r {value}"),
            Step::SetChooseLeafStable(value) => format!("set_chooseleaf_stable {value}"),
            Step::SetMsrDescents(value) => format!("set_msr_descents {value}"),
            Step::SetMsrCollisionTries(value) => format!("set_msr_collision_tries {value}"),
            Step::Unknown { operation, first, second } => format!("unknown_{operation} {first} {second}"),
        }
    }

    fn choose_args(&mut self) {
        if self.map.choose_args.is_empty() {
            return;
        }
        line!(self, "\n# choose_args");
        for (id, set) in &self.map.choose_args {
            line!(self, "choose_args {id} {{");
            for (bucket, argument) in set.iter() {
                line!(self, "  {{\n    bucket_id {bucket}");
                if !argument.weight_sets.is_empty() {
                    line!(self, "    weight_set [");
                    for weights in &argument.weight_sets {
                        let weights: String =
                            weights.iter().map(|weight| format!("{:.3} ", to_float(*weight))).collect();
                        line!(self, "      [ {weights}]");
                    }
                    line!(self, "    ]");
                }
                if !argument.ids.is_empty() {
                    let ids: String = argument.ids.iter().map(|id| format!("{id} ")).collect();
                    line!(self, "    ids [ {ids}]");
                }
                line!(self, "  }}");
            }
            line!(self, "}}");
        }
    }
}

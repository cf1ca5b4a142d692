//! `--dump`: the whole map as structured text.

use super::formatter::{Value, html, json, json_pretty, xml};
use super::table::{keys_and_values, table};
use crate::map::{Algorithm, CrushMap, Profile, Rule, Step, Tunables};
use crate::weight::to_float;

/// The map in this format; `json-pretty` for one that is not known.
pub(super) fn dump(map: &CrushMap, format: &str) -> String {
    let value = map_value(map);
    match format {
        "json" => json(&value),
        "xml" => xml("crush_map", &value, false),
        "xml-pretty" => format!("{}\n", xml("crush_map", &value, true)),
        "html" => html("crush_map", &value, false),
        "html-pretty" => format!("{}\n", html("crush_map", &value, true)),
        "table" => table("crush_map", &value),
        "table-kv" => keys_and_values("crush_map", &value),
        _ => json_pretty(&value),
    }
}

fn object(fields: Vec<(&str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn map_value(map: &CrushMap) -> Value {
    object(vec![
        ("devices", devices(map)),
        ("types", types(map)),
        ("buckets", buckets(map)),
        ("rules", Value::List(map.rules().map(|(id, entry)| ("rule", rule(map, id, entry))).collect())),
        ("tunables", tunables(map)),
        ("choose_args", choose_args(map)),
    ])
}

fn devices(map: &CrushMap) -> Value {
    let entries = (0..map.max_devices()).map(|id| {
        let name = map.name(id).map_or_else(|| format!("device{id}"), str::to_owned);
        let mut fields = vec![("id", Value::number(id)), ("name", Value::Text(name))];
        fields.extend(map.class_of(id).map(|class| ("class", Value::text(class))));
        ("device", object(fields))
    });
    Value::List(entries.collect())
}

fn types(map: &CrushMap) -> Value {
    let mut entries = Vec::new();
    if !map.types().is_empty() && !map.types().contains_key(&0) {
        entries.push(("type", object(vec![("type_id", Value::number(0)), ("name", Value::text("device"))])));
    }
    entries.extend(
        map.types()
            .range(0..)
            .map(|(id, name)| ("type", object(vec![("type_id", Value::number(id)), ("name", Value::text(name))]))),
    );
    Value::List(entries)
}

fn buckets(map: &CrushMap) -> Value {
    let entries = map.buckets().map(|bucket| {
        let mut fields = vec![("id", Value::number(bucket.id()))];
        fields.extend(map.name(bucket.id()).map(|name| ("name", Value::text(name))));
        fields.push(("type_id", Value::number(bucket.type_id())));
        fields.extend(map.type_name(i32::from(bucket.type_id())).map(|name| ("type_name", Value::text(name))));
        fields.push(("weight", Value::number(bucket.weight())));
        fields.push(("alg", Value::text(bucket.algorithm().name())));
        fields.push(("hash", Value::text(if bucket.hash() == 0 { "rjenkins1" } else { "unknown" })));
        let items = bucket.weighted_items().into_iter().enumerate().map(|(place, (item, weight))| {
            let fields =
                vec![("id", Value::number(item)), ("weight", Value::number(weight)), ("pos", Value::number(place))];
            ("item", object(fields))
        });
        fields.push(("items", Value::List(items.collect())));
        ("bucket", object(fields))
    });
    Value::List(entries.collect())
}

fn rule(map: &CrushMap, id: u32, rule: &Rule) -> Value {
    let mut fields = vec![("rule_id", Value::number(id))];
    fields.extend(map.rule_name(id).map(|name| ("rule_name", Value::text(name))));
    fields.extend([
        ("ruleset", Value::number(rule.ruleset)),
        ("type", Value::number(rule.rule_type.0)),
        ("min_size", Value::number(rule.min_size)),
        ("max_size", Value::number(rule.max_size)),
        ("steps", Value::List(rule.steps.iter().map(|entry| ("step", step(map, *entry))).collect())),
    ]);
    object(fields)
}

fn step(map: &CrushMap, step: Step) -> Value {
    let choose = |operation: &str, count: i32, type_id: i32| {
        let type_name = map.type_name(type_id).unwrap_or_default();
        vec![("op", Value::text(operation)), ("num", Value::number(count)), ("type", Value::text(type_name))]
    };
    let set = |operation: &str, value: i32| vec![("op", Value::text(operation)), ("num", Value::number(value))];
    object(match step {
        Step::Noop => vec![("op", Value::text("noop"))],
        Step::Take { item } => vec![
            ("op", Value::text("take")),
            ("item", Value::number(item)),
            ("item_name", Value::text(map.name(item).unwrap_or_default())),
        ],
        Step::Emit => vec![("op", Value::text("emit"))],
        Step::ChooseFirstN { count, type_id } => choose("choose_firstn", count, type_id),
        Step::ChooseIndep { count, type_id } => choose("choose_indep", count, type_id),
        Step::ChooseLeafFirstN { count, type_id } => choose("chooseleaf_firstn", count, type_id),
        Step::ChooseLeafIndep { count, type_id } => choose("chooseleaf_indep", count, type_id),
        Step::ChooseMsr { count, type_id } => choose("choosemsr", count, type_id),
        Step::SetChooseTries(value) => set("set_choose_tries", value),
        Step::SetChooseLeafTries(value) => set("set_chooseleaf_tries", value),
        Step::SetMsrDescents(value) => set("set_msr_descents", value),
        Step::SetMsrCollisionTries(value) => set("set_msr_collision_tries", value),
        Step::SetChooseLocalTries(_)
        | Step::SetChooseLocalFallbackTries(_)
        | Step::SetChooseLeafVaryR(_)
        | Step::SetChooseLeafStable(_)
        | Step::Unknown { .. } => {
            let (operation, first, second) = step.to_stored();
            vec![("opcode", Value::number(operation)), ("arg1", Value::number(first)), ("arg2", Value::number(second))]
        }
    })
}

fn tunables(map: &CrushMap) -> Value {
    let tunables = map.tunables();
    let oldest = Tunables::default();
    let steps: Vec<Step> = map.rules().flat_map(|(_, rule)| rule.steps.iter().copied()).collect();
    let has_step = |test: fn(&Step) -> bool| steps.iter().any(test);
    let version2 = has_step(|step| {
        matches!(
            step,
            Step::ChooseIndep { .. }
                | Step::ChooseLeafIndep { .. }
                | Step::SetChooseTries(_)
                | Step::SetChooseLeafTries(_)
        )
    });
    let version3 = has_step(|step| matches!(step, Step::SetChooseLeafVaryR(_)));
    let version4 = map.buckets().any(|bucket| bucket.algorithm() == Algorithm::Straw2);
    let version5 = has_step(|step| matches!(step, Step::SetChooseLeafStable(_)));
    let needs1 = (tunables.choose_local_tries, tunables.choose_local_fallback_tries, tunables.choose_total_tries)
        != (oldest.choose_local_tries, oldest.choose_local_fallback_tries, oldest.choose_total_tries);
    let needs2 = tunables.chooseleaf_descend_once != 0;
    let needs3 = tunables.chooseleaf_vary_r != 0;
    let needs5 = tunables.chooseleaf_stable != 0;
    let least_version = if version5 || needs5 {
        "jewel"
    } else if version4 {
        "hammer"
    } else if needs3 {
        "firefly"
    } else if needs2 || needs1 {
        "bobtail"
    } else {
        "argonaut"
    };
    let profile = tunables.profile();
    let flag = |is_set: bool| Value::number(u8::from(is_set));
    object(vec![
        ("choose_local_tries", Value::number(tunables.choose_local_tries)),
        ("choose_local_fallback_tries", Value::number(tunables.choose_local_fallback_tries)),
        ("choose_total_tries", Value::number(tunables.choose_total_tries)),
        ("chooseleaf_descend_once", Value::number(tunables.chooseleaf_descend_once)),
        ("chooseleaf_vary_r", Value::number(tunables.chooseleaf_vary_r)),
        ("chooseleaf_stable", Value::number(tunables.chooseleaf_stable)),
        ("straw_calc_version", Value::number(tunables.straw_calc_version)),
        ("allowed_bucket_algs", Value::number(tunables.allowed_bucket_algorithms)),
        ("profile", Value::text(profile.map_or("unknown", Profile::name))),
        ("optimal_tunables", flag(profile == Some(Profile::Jewel))),
        ("legacy_tunables", flag(profile == Some(Profile::Argonaut))),
        ("minimum_required_version", Value::text(least_version)),
        ("require_feature_tunables", flag(needs1)),
        ("require_feature_tunables2", flag(needs2)),
        ("has_v2_rules", flag(version2)),
        ("require_feature_tunables3", flag(needs3)),
        ("has_v3_rules", flag(version3)),
        ("has_v4_buckets", flag(version4)),
        ("require_feature_tunables5", flag(needs5)),
        ("has_v5_rules", flag(version5)),
    ])
}

fn choose_args(map: &CrushMap) -> Value {
    let weight = |weight: &u32| Value::Float(f64::from(to_float(*weight)));
    let sets = map.choose_args().iter().map(|(id, set)| {
        let arguments = set.iter().map(|(bucket, argument)| {
            let mut fields = vec![("bucket_id", Value::number(bucket))];
            if !argument.weight_sets.is_empty() {
                let lists = argument.weight_sets.iter().map(|weights| {
                    ("weights", Value::List(weights.iter().map(|entry| ("weight", weight(entry))).collect()))
                });
                fields.push(("weight_set", Value::List(lists.collect())));
            }
            if !argument.ids.is_empty() {
                let ids = argument.ids.iter().map(|id| ("id", Value::number(id)));
                fields.push(("ids", Value::List(ids.collect())));
            }
            ("choose_args", object(fields))
        });
        (id.to_string(), Value::List(arguments.collect()))
    });
    Value::Object(sets.collect())
}

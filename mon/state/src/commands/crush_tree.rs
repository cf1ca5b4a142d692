//! The placement hierarchy: shown, and changed by the operations of the crush crate.

use std::sync::Arc;

use bytes::Bytes;
use crush::{CrushMap, Mode, Rule, Step};
use map::Change;
use serde_json::{Value, json};
use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    suggest::nearest,
    view::{View, answer_json, answer_status, decimal},
};
use crate::{
    draft::Draft,
    hierarchy::{self, from_crush},
};

/// Changes a copy of the hierarchy and adds it to the draft.
pub(super) fn edit(draft: &mut Draft, edit: impl FnOnce(&mut CrushMap) -> Result<()>) -> Result<()> {
    let mut crush = CrushMap::clone(&draft.map().crush);
    edit(&mut crush)?;
    if crush == *draft.map().crush { Ok(()) } else { draft.change(Change::Crush(Arc::new(crush))) }
}

/// The device or bucket of this name.
pub(super) fn item_by_name(crush: &CrushMap, name: &str) -> Result<i32> {
    crush.item_by_name(name).ok_or_else(|| match nearest(name, crush.names().values().map(String::as_str)) {
        Some(other) => Error::not_found(format!("there is no `{name}` in the placement tree; did you mean `{other}`?")),
        None => Error::not_found(format!("there is no `{name}` in the placement tree; `osd crush tree` shows it")),
    })
}

/// `rack=r1 root=default` as pairs.
pub(super) fn location(words: &[String]) -> Result<Vec<(&str, &str)>> {
    words
        .iter()
        .map(|word| {
            word.split_once('=')
                .filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
                .ok_or_else(|| Error::invalid(format!("`{word}` is no place; it would be like host=a or root=default")))
        })
        .collect()
}

/// One line of the tree, as Ceph's `osd crush tree` and `osd tree` show it.
pub(super) fn item_json(crush: &CrushMap, row: &crush::TreeRow) -> Value {
    let kind = crush.item_type(row.item).unwrap_or_default();
    let mut node = json!({
        "id": row.item,
        "name": crush.name(row.item),
        "type": crush.type_name(kind),
        "type_id": kind,
    });
    if let Some(bucket) = crush.bucket(row.item) {
        // Ceph lists the last child first.
        node["children"] = bucket.items().iter().rev().map(|item| json!(item)).collect();
    } else {
        node["crush_weight"] = decimal(row.weight);
        node["depth"] = json!(row.depth);
        node["pool_weights"] = json!({});
        if let Some(class) = crush.class_of(row.item) {
            node["device_class"] = json!(class);
        }
    }
    node
}

pub(super) fn tree(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let crush = &view.map.map().crush;
    let rows = crush.tree(arguments.is_confirmed("show_shadow"));
    let nodes: Vec<Value> = rows.iter().map(|row| item_json(crush, row)).collect();
    Ok(answer_json(&json!({ "nodes": nodes, "stray": [] })))
}

fn step_json(crush: &CrushMap, step: Step) -> Value {
    let choose =
        |op: &str, count: i32, type_id: i32| json!({ "op": op, "num": count, "type": crush.type_name(type_id) });
    let set = |op: &str, value: i32| json!({ "op": op, "num": value });
    match step {
        Step::Noop => json!({ "op": "noop" }),
        Step::Take { item } => json!({ "op": "take", "item": item, "item_name": crush.name(item) }),
        Step::ChooseFirstN { count, type_id } => choose("choose_firstn", count, type_id),
        Step::ChooseIndep { count, type_id } => choose("choose_indep", count, type_id),
        Step::ChooseLeafFirstN { count, type_id } => choose("chooseleaf_firstn", count, type_id),
        Step::ChooseLeafIndep { count, type_id } => choose("chooseleaf_indep", count, type_id),
        Step::ChooseMsr { count, type_id } => choose("choosemsr", count, type_id),
        Step::Emit => json!({ "op": "emit" }),
        Step::SetChooseTries(value) => set("set_choose_tries", value),
        Step::SetChooseLeafTries(value) => set("set_chooseleaf_tries", value),
        Step::SetChooseLocalTries(value) => set("set_choose_local_tries", value),
        Step::SetChooseLocalFallbackTries(value) => set("set_choose_local_fallback_tries", value),
        Step::SetChooseLeafVaryR(value) => set("set_chooseleaf_vary_r", value),
        Step::SetChooseLeafStable(value) => set("set_chooseleaf_stable", value),
        Step::SetMsrDescents(value) => set("set_msr_descents", value),
        Step::SetMsrCollisionTries(value) => set("set_msr_collision_tries", value),
        Step::Unknown { operation, first, second } => json!({ "op": operation, "arg1": first, "arg2": second }),
    }
}

fn rule_json(crush: &CrushMap, id: u32, rule: &Rule) -> Value {
    json!({
        "rule_id": id,
        "rule_name": crush.rule_name(id),
        "type": rule.rule_type.0,
        "steps": rule.steps.iter().map(|step| step_json(crush, *step)).collect::<Vec<_>>(),
    })
}

pub(super) fn dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let crush = &view.map.map().crush;
    let devices: Vec<Value> = crush
        .names()
        .iter()
        .filter(|(id, _)| **id >= 0)
        .map(|(id, name)| json!({ "id": id, "name": name, "class": crush.class_of(*id) }))
        .collect();
    let types: Vec<Value> = crush.types().iter().map(|(id, name)| json!({ "type_id": id, "name": name })).collect();
    let buckets: Vec<Value> = crush
        .buckets()
        .map(|bucket| {
            let items: Vec<Value> = bucket
                .weighted_items()
                .iter()
                .enumerate()
                .map(|(position, (id, weight))| json!({ "id": id, "weight": weight, "pos": position }))
                .collect();
            json!({
                "id": bucket.id(),
                "name": crush.name(bucket.id()),
                "type_id": bucket.type_id(),
                "type_name": crush.type_name(i32::from(bucket.type_id())),
                "weight": bucket.weight(),
                "alg": bucket.algorithm().name(),
                "hash": "rjenkins1",
                "items": items,
            })
        })
        .collect();
    let rules: Vec<Value> = crush.rules().map(|(id, rule)| rule_json(crush, id, rule)).collect();
    Ok(answer_json(&json!({
        "devices": devices,
        "types": types,
        "buckets": buckets,
        "rules": rules,
        "tunables": { "profile": crush.tunables().profile().map(crush::Profile::name) },
    })))
}

pub(super) fn rule_ls(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let crush = &view.map.map().crush;
    let names: Vec<Value> = crush.rules().map(|(id, _)| json!(crush.rule_name(id))).collect();
    Ok(answer_json(&Value::Array(names)))
}

pub(super) fn rule_dump(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let crush = &view.map.map().crush;
    let Some(name) = arguments.text_if("name") else {
        let rules: Vec<Value> = crush.rules().map(|(id, rule)| rule_json(crush, id, rule)).collect();
        return Ok(answer_json(&Value::Array(rules)));
    };
    let rule = crush.rule_by_name(name).and_then(|id| Some((id, crush.rule(id)?)));
    let (id, rule) = rule.ok_or_else(|| Error::not_found(format!("there is no placement rule `{name}`")))?;
    Ok(answer_json(&rule_json(crush, id, rule)))
}

pub(super) fn rule_create_replicated(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("name");
    if draft.map().crush.rule_by_name(name).is_some() {
        return Ok(answer_status(format!("rule {name} already exists")));
    }
    let (root, kind, class) = (arguments.text("root"), arguments.text("type"), arguments.text_if("class"));
    edit(draft, |crush| crush.create_simple_rule(name, root, kind, Mode::FirstN, class).map(drop).map_err(from_crush))?;
    Ok(answer_status(format!("created rule {name}")))
}

/// Ceph: create crush rule <name> for an erasure coded pool; its two settings let a choice among few hosts succeed.
pub(super) fn rule_create_erasure(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("name");
    if draft.map().crush.rule_by_name(name).is_some() {
        return Ok(answer_status(format!("rule {name} already exists")));
    }
    if let Some(profile) = arguments.text_if("profile").filter(|profile| *profile != "default") {
        return Err(Error::not_found(format!("there is no erasure code profile `{profile}`; there is `default`")));
    }
    let root = hierarchy::ROOT;
    edit(draft, |crush| crush.create_simple_rule(name, root, "host", Mode::Indep, None).map(drop).map_err(from_crush))?;
    Ok(answer_status(format!("created rule {name}")))
}

/// Ceph: create crush rule <name> to start from <root>, replicate across buckets of type <type>, using a choose mode of
/// <firstn|indep> (default firstn).
pub(super) fn rule_create_simple(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("name");
    if draft.map().crush.rule_by_name(name).is_some() {
        return Ok(answer_status(format!("rule {name} already exists")));
    }
    let (root, kind) = (arguments.text("root"), arguments.text("type"));
    let mode = if arguments.text_if("mode") == Some("indep") { Mode::Indep } else { Mode::FirstN };
    edit(draft, |crush| crush.create_simple_rule(name, root, kind, mode, None).map(drop).map_err(from_crush))?;
    Ok(answer_status(format!("created rule {name}")))
}

pub(super) fn rule_rm(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("name");
    let Some(id) = draft.map().crush.rule_by_name(name) else {
        return Ok(answer_status(format!("rule {name} does not exist")));
    };
    if let Some(pool) = draft.map().pools.values().find(|pool| pool.crush_rule == id) {
        return Err(Error::invalid(format!("rule {name} is in use by pool '{}'", pool.name)));
    }
    edit(draft, |crush| crush.remove_rule(id).map_err(from_crush))?;
    Ok(answer_status(format!("removed rule {name}")))
}

pub(super) fn rule_rename(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (from, to) = (arguments.text("srcname"), arguments.text("dstname"));
    edit(draft, |crush| crush.rename_rule(from, to).map_err(from_crush))?;
    Ok(answer_status(format!("rule {from} renamed to {to}")))
}

pub(super) fn add_bucket(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (name, kind) = (arguments.text("name"), arguments.text("type"));
    if draft.map().crush.item_by_name(name).is_some() {
        return Ok(answer_status(format!("bucket '{name}' already exists")));
    }
    let place = location(arguments.words("args"))?;
    edit(draft, |crush| {
        let id = crush.create_bucket(name, kind).map_err(from_crush)?;
        if place.is_empty() { Ok(()) } else { crush.move_bucket(id, &place).map_err(from_crush) }
    })?;
    Ok(answer_status(format!("added bucket {name} type {kind} to crush map")))
}

pub(super) fn move_item(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("name");
    let place = location(arguments.words("args"))?;
    edit(draft, |crush| {
        let item = item_by_name(crush, name)?;
        if item >= 0 {
            let weight = crush.tree(false).iter().find(|row| row.item == item).map_or(0, |row| row.weight);
            crush.create_or_move(item, weight, &place).map(drop).map_err(from_crush)
        } else {
            crush.move_bucket(item, &place).map_err(from_crush)
        }
    })?;
    Ok(answer_status(format!("moved item {name} to location {}", arguments.words("args").join(" "))))
}

pub(super) fn set_item(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let osd = arguments.osd("id");
    let place = location(arguments.words("args"))?;
    if !draft.map().osds.contains_key(&osd) {
        return Err(Error::not_found(format!("osd.{osd} does not exist")));
    }
    let weight = arguments.decimal("weight");
    edit(draft, |crush| {
        crush
            .update_item(hierarchy::device_of(osd), weight, &format!("osd.{osd}"), &place)
            .map(drop)
            .map_err(from_crush)
    })?;
    Ok(answer_status(format!("set item osd.{osd} at {}", arguments.words("args").join(" "))))
}

pub(super) fn reweight(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (name, weight) = (arguments.text("name"), arguments.decimal("weight"));
    edit(draft, |crush| {
        let item = item_by_name(crush, name)?;
        if item < 0 {
            return Err(Error::invalid(format!(
                "`{name}` is a bucket; `osd crush reweight-subtree` sets the weight of every OSD below it"
            )));
        }
        crush.reweight(item, weight).map_err(from_crush)
    })?;
    Ok(answer_status(format!("reweighted item {name} to {} in crush map", decimal(weight))))
}

pub(super) fn reweight_subtree(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (name, weight) = (arguments.text("name"), arguments.decimal("weight"));
    edit(draft, |crush| {
        let item = item_by_name(crush, name)?;
        crush.reweight_subtree(item, weight).map(drop).map_err(from_crush)
    })?;
    Ok(answer_status(format!("reweighted subtree {name} to {} in crush map", decimal(weight))))
}

pub(super) fn rm(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("name");
    if draft.map().crush.item_by_name(name).is_none() {
        return Ok(answer_status(format!("item {name} does not appear in the crush map")));
    }
    edit(draft, |crush| {
        let item = item_by_name(crush, name)?;
        crush.remove(item).map_err(from_crush)
    })?;
    Ok(answer_status(format!("removed item {name} from crush map")))
}

pub(super) fn rename_bucket(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (from, to) = (arguments.text("srcname"), arguments.text("dstname"));
    edit(draft, |crush| crush.rename_bucket(from, to).map_err(from_crush))?;
    Ok(answer_status(format!("renamed bucket {from} to {to}")))
}

pub(super) fn set_device_class(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (class, osds) = (arguments.text("class"), arguments.osds("ids"));
    edit(draft, |crush| {
        osds.iter()
            .try_for_each(|osd| crush.set_device_class(hierarchy::device_of(*osd), Some(class)).map_err(from_crush))
    })?;
    Ok(answer_status(format!("set {} osds to class '{class}'", osds.len())))
}

pub(super) fn rm_device_class(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let osds = arguments.osds("ids");
    edit(draft, |crush| {
        osds.iter().try_for_each(|osd| crush.set_device_class(hierarchy::device_of(*osd), None).map_err(from_crush))
    })?;
    Ok(answer_status(format!("removed the class of {} osds", osds.len())))
}

pub(super) fn class_ls(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let names: Vec<Value> = view.map.map().crush.classes().values().map(|name| json!(name)).collect();
    Ok(answer_json(&Value::Array(names)))
}

pub(super) fn getcrushmap(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    Ok(CommandAnswer {
        status: format!("crush map of epoch {}", view.map.epoch()),
        output: Bytes::from(view.map.map().crush.encode()),
    })
}

/// Ceph's binary form, or its text: what is text from its first byte on is no binary map, whose fourth byte is zero.
fn read_hierarchy(input: &[u8]) -> Result<CrushMap> {
    match std::str::from_utf8(input) {
        Ok(text) if !input.contains(&0) => {
            crush::text::compile(text).map_err(|error| Error::invalid(error.to_string()))
        }
        _ => CrushMap::decode(input).map_err(from_crush),
    }
}

pub(super) fn setcrushmap(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    if arguments.input.is_empty() {
        return Err(Error::invalid(
            "no input was given; it would be a placement hierarchy in Ceph's binary or text form (-i)",
        ));
    }
    let crush = read_hierarchy(&arguments.input)?;
    for pool in draft.map().pools.values() {
        if crush.rule(pool.crush_rule).is_none() {
            return Err(Error::invalid(format!(
                "this hierarchy lacks rule {}, which pool '{}' uses",
                pool.crush_rule, pool.name
            )));
        }
    }
    draft.change(Change::Crush(Arc::new(crush)))?;
    Ok(answer_status(format!("set crush map in epoch {}", draft.map().epoch)))
}

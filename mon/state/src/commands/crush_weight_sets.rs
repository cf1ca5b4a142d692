//! Weight sets: one for all pools (`compat`), and one per pool.

use crush::CrushMap;
use serde_json::{Value, json};
use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    crush_tree::{edit, item_by_name},
    view::{View, answer_json, answer_status, decimal, pool_by_name, pool_name},
};
use crate::{draft::Draft, hierarchy::from_crush};

/// Ceph's id of the set that holds for all pools without one of their own.
const COMPAT: i64 = -1;

fn set_of(draft: &Draft, pool: &str) -> Result<i64> {
    let pool = pool_by_name(draft.map(), pool)?;
    i64::try_from(pool.id.0)
        .map_err(|_| Error::internal(format!("pool {} has no weight set: its id is too large", pool.id)))
}

fn name_of(view: &View<'_>, set: i64) -> String {
    match u64::try_from(set) {
        Ok(pool) => pool_name(view.map.map(), types::PoolId(pool)),
        Err(_) => "(compat)".to_owned(),
    }
}

pub(super) fn ls(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let sets = view.map.map().crush.choose_args().keys().map(|set| json!(name_of(view, *set)));
    Ok(answer_json(&Value::Array(sets.collect())))
}

fn set_json(crush: &CrushMap, set: i64) -> Value {
    let arguments = crush.choose_args().get(&set).into_iter().flat_map(crush::ChooseArgs::iter);
    let rows = arguments.map(|(bucket, argument)| {
        let weights: Vec<Vec<Value>> =
            argument.weight_sets.iter().map(|list| list.iter().map(|weight| decimal(*weight)).collect()).collect();
        json!({ "bucket_id": bucket, "weight_set": weights, "ids": argument.ids })
    });
    Value::Array(rows.collect())
}

pub(super) fn dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let crush = &view.map.map().crush;
    let sets = crush.choose_args().keys().map(|set| (set.to_string(), set_json(crush, *set)));
    Ok(answer_json(&super::view::object(sets)))
}

pub(super) fn create_compat(_: &View<'_>, draft: &mut Draft, _: &Arguments) -> Result<CommandAnswer> {
    if draft.map().crush.choose_args().contains_key(&COMPAT) {
        return Ok(answer_status("compat weight-set already created"));
    }
    edit(draft, |crush| crush.create_weight_set(COMPAT, 1).map_err(from_crush))?;
    Ok(answer_status("created the compat weight-set"))
}

/// Ceph: a flat set has one weight per item, a positional one has one for each position of the pool.
pub(super) fn create(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("pool");
    let set = set_of(draft, name)?;
    let size = usize::try_from(pool_by_name(draft.map(), name)?.size).unwrap_or(usize::MAX);
    let positions = if arguments.text("mode") == "flat" { 1 } else { size };
    if draft.map().crush.choose_args().contains_key(&set) {
        return Ok(answer_status(format!("weight-set for pool '{name}' already created")));
    }
    edit(draft, |crush| crush.create_weight_set(set, positions).map_err(from_crush))?;
    Ok(answer_status(format!("created a weight-set for pool '{name}'")))
}

fn remove(draft: &mut Draft, set: i64, what: &str) -> Result<CommandAnswer> {
    if !draft.map().crush.choose_args().contains_key(&set) {
        return Ok(answer_status(format!("{what} does not exist")));
    }
    edit(draft, |crush| crush.remove_weight_set(set).map_err(from_crush))?;
    Ok(answer_status(format!("removed {what}")))
}

pub(super) fn rm(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("pool");
    let set = set_of(draft, name)?;
    remove(draft, set, &format!("weight-set for pool '{name}'"))
}

pub(super) fn rm_compat(_: &View<'_>, draft: &mut Draft, _: &Arguments) -> Result<CommandAnswer> {
    remove(draft, COMPAT, "compat weight-set")
}

fn reweight_in(draft: &mut Draft, set: i64, item: &str, weights: &[u32]) -> Result<()> {
    edit(draft, |crush| {
        let item = item_by_name(crush, item)?;
        crush.reweight_in_set(set, item, weights).map_err(from_crush)
    })
}

pub(super) fn reweight_compat(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (item, weight) = (arguments.text("item"), arguments.decimal("weight"));
    reweight_in(draft, COMPAT, item, &[weight])?;
    Ok(answer_status(format!("set weight of {item} to {} in the compat weight-set", decimal(weight))))
}

pub(super) fn reweight(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (name, item) = (arguments.text("pool"), arguments.text("item"));
    let set = set_of(draft, name)?;
    let weights = arguments.words("weight").iter().map(|word| {
        crush::weight::parse(word)
            .ok_or_else(|| Error::invalid(format!("`{word}` is no weight; it would be a decimal number such as 1.5")))
    });
    reweight_in(draft, set, item, &weights.collect::<Result<Vec<u32>>>()?)?;
    Ok(answer_status(format!("set weight of {item} in the weight-set of pool '{name}'")))
}

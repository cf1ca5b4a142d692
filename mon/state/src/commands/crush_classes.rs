//! Device classes: made, renamed, removed, listed.

use serde_json::{Value, json};
use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    crush_tree::edit,
    view::{View, answer_json, answer_status},
};
use crate::{
    draft::Draft,
    hierarchy::{self, from_crush, osd_of},
};

pub(super) fn create(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let class = arguments.text("class");
    if draft.map().crush.class_by_name(class).is_some() {
        return Ok(answer_status(format!("class '{class}' already exists")));
    }
    edit(draft, |crush| crush.create_class(class).map_err(from_crush))?;
    Ok(answer_status(format!("created class {class} in crush map")))
}

pub(super) fn rm(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let class = arguments.text("class");
    if draft.map().crush.class_by_name(class).is_none() {
        return Ok(answer_status(format!("class '{class}' does not exist")));
    }
    edit(draft, |crush| crush.remove_class(class).map_err(from_crush))?;
    Ok(answer_status(format!("removed class {class} from crush map")))
}

pub(super) fn rename(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (from, to) = (arguments.text("srcname"), arguments.text("dstname"));
    edit(draft, |crush| crush.rename_class(from, to).map_err(from_crush))?;
    Ok(answer_status(format!("rename class '{from}' to '{to}'")))
}

/// The OSDs of a class.
pub(super) fn ls_osd(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let (crush, class) = (&view.map.map().crush, arguments.text("class"));
    if crush.class_by_name(class).is_none() {
        return Err(Error::not_found(format!("there is no device class '{class}'; `osd crush class ls` lists them")));
    }
    let devices = crush.names().keys().filter(|item| crush.class_of(**item) == Some(class));
    let osds: Vec<Value> = devices.filter_map(|item| osd_of(*item)).map(|osd| json!(osd)).collect();
    Ok(answer_json(&Value::Array(osds)))
}

/// The classes of OSDs.
pub(super) fn get_device_class(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let crush = &view.map.map().crush;
    let rows = arguments.osds("ids").iter().map(|osd| {
        let class = crush.class_of(hierarchy::device_of(*osd)).unwrap_or_default();
        json!({ "osd": osd, "device_class": class })
    });
    Ok(answer_json(&Value::Array(rows.collect())))
}

//! The key/value store of small settings: Ceph's `config-key`.

use bytes::Bytes;
use serde_json::{Value, json};
use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    view::{View, answer_json, answer_status},
};
use crate::{
    draft::Draft,
    state::{KEY_VALUE_BYTES_MAX, KEYS_MAX, KEYS_SUM_BYTES_MAX, reserved},
};

pub(super) fn set(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let key = arguments.text("key");
    check_writable(key)?;
    let value = match arguments.text_if("val") {
        Some(text) => Bytes::copy_from_slice(text.as_bytes()),
        None => arguments.input.clone(),
    };
    if value.len() > KEY_VALUE_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the value has {} bytes; at most {KEY_VALUE_BYTES_MAX} are kept",
            value.len()
        )));
    }
    let is_new = draft.key(view.state, key).is_none();
    let planned = draft.planned_keys();
    let new_planned =
        planned.iter().filter(|(key, value)| value.is_some() && !view.state.keys().contains_key(*key)).count();
    if is_new && view.state.keys().len() + new_planned >= KEYS_MAX {
        return Err(Error::full(format!("{KEYS_MAX} keys are stored; remove some first")));
    }
    let planned_bytes: usize =
        planned.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum();
    // What planned values replace is counted as if it stayed: the bound is kept, a little early at worst.
    let bytes = view.state.keys_bytes() + planned_bytes + key.len() + value.len();
    if bytes > KEYS_SUM_BYTES_MAX {
        return Err(Error::full(format!("all values would have {bytes} bytes; at most {KEYS_SUM_BYTES_MAX} are kept")));
    }
    draft.set_key(key.to_owned(), Some(value));
    Ok(answer_status(format!("set {key}")))
}

pub(super) fn get(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let key = arguments.text("key");
    let value =
        view.state.keys().get(key).ok_or_else(|| Error::not_found(format!("no value is stored under `{key}`")))?;
    Ok(CommandAnswer { status: String::new(), output: value.clone() })
}

pub(super) fn exists(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let key = arguments.text("key");
    if view.state.keys().contains_key(key) {
        Ok(answer_status(format!("a value is stored under `{key}`")))
    } else {
        Err(Error::not_found(format!("no value is stored under `{key}`")))
    }
}

pub(super) fn ls(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let keys: Vec<Value> = view.state.keys().keys().map(|key| json!(key)).collect();
    Ok(answer_json(&Value::Array(keys)))
}

pub(super) fn rm(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let key = arguments.text("key");
    check_writable(key)?;
    if draft.key(view.state, key).is_none() {
        return Ok(answer_status(format!("no value is stored under `{key}`")));
    }
    draft.set_key(key.to_owned(), None);
    Ok(answer_status(format!("removed {key}")))
}

/// The monitors keep values of their own here, and nobody rewrites history.
fn check_writable(key: &str) -> Result<()> {
    match reserved::owner(key) {
        Some(command) => Err(Error::denied(format!("`{key}` is the monitors' own; `{command}` shows it"))),
        None => Ok(()),
    }
}

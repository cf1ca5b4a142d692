//! Fences: clients that every OSD refuses although they hold a key.

use map::{BlocklistEntry, Change};
use serde_json::{Value, json};
use types::Result;
use wire::CommandAnswer;

use super::{
    Arguments,
    view::{View, answer_json, answer_status},
};
use crate::draft::Draft;

/// Seconds for which a client is fenced unless said otherwise. Ceph's default.
const EXPIRE_DEFAULT_SECONDS: u64 = 3600;

pub(super) fn add(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let client = arguments.client("client");
    let seconds = arguments.integer_if("expire").unwrap_or(EXPIRE_DEFAULT_SECONDS);
    let until_ms = draft.time_ms.saturating_add(seconds.saturating_mul(1000));
    draft.change(Change::Blocklist(BlocklistEntry::Client(client), Some(until_ms)))?;
    Ok(answer_status(format!("blocklisting client.{client} for {seconds} s")))
}

pub(super) fn rm(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let client = arguments.client("client");
    let entry = BlocklistEntry::Client(client);
    if !draft.map().blocklist.contains_key(&entry) {
        return Ok(answer_status(format!("client.{client} isn't blocklisted")));
    }
    draft.change(Change::Blocklist(entry, None))?;
    Ok(answer_status(format!("un-blocklisting client.{client}")))
}

pub(super) fn ls(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let entries: Vec<Value> = view
        .map
        .map()
        .blocklist
        .iter()
        .map(|(entry, until_ms)| {
            let BlocklistEntry::Client(client) = entry;
            json!({ "addr": format!("client.{client}"), "until_ms": until_ms })
        })
        .collect();
    let mut answer = answer_json(&Value::Array(entries));
    answer.status = format!("listed {} entries", view.map.map().blocklist.len());
    Ok(answer)
}

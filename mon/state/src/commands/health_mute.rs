//! Mutes: checks that are known and shall not colour the cluster's health for a while.
//!
//! Ceph: a mute ends with its time, when an operator lifts it, when the check holds again (unless it is sticky), and when
//! things get worse than they were when it was muted. Mutes stand in the key/value store, so that every leader knows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    health::{self, CODES},
    suggest::nearest,
    view::{View, answer_status},
};
use crate::{
    draft::Draft,
    entry::encode_json,
    state::{State, reserved},
};

/// One mute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mute {
    /// Wall time in milliseconds at which it ends.
    pub until_ms: Option<u64>,
    /// Whether it outlives the check.
    pub sticky: bool,
    /// How much was wrong when it was muted; more ends the mute.
    pub count: u64,
    /// What was wrong then, for whoever looks.
    pub summary: String,
}

pub(super) fn mute(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let code = code(arguments.text("code"))?;
    let sticky = arguments.is_confirmed("sticky");
    let check = health::checks(view).into_iter().find(|check| check.code == code);
    if check.is_none() && !sticky {
        return Err(Error::not_found(format!("{code} is not wrong at present; --sticky mutes it for when it is")));
    }
    let until_ms = arguments.text_if("ttl").map(|text| end(draft.time_ms, text)).transpose()?;
    let (count, summary) = check.map_or((0, String::new()), |check| (check.count, check.summary));
    let mute = Mute { until_ms, sticky, count, summary };
    draft.set_key(key(code), Some(encode_json(&mute)));
    Ok(answer_status(match arguments.text_if("ttl") {
        Some(time) => format!("{code} is muted for {time}"),
        None => format!("{code} is muted"),
    }))
}

pub(super) fn unmute(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let muted = mutes(view.state)?;
    let ended: Vec<String> = match arguments.text_if("code") {
        Some(text) => vec![code(text)?.to_owned()],
        None => muted.keys().cloned().collect(),
    };
    let ended: Vec<String> = ended.into_iter().filter(|code| muted.contains_key(code)).collect();
    for code in &ended {
        draft.set_key(key(code), None);
    }
    Ok(answer_status(if ended.is_empty() {
        "nothing was muted".to_owned()
    } else {
        format!("{} {} not muted any more", ended.join(", "), if ended.len() == 1 { "is" } else { "are" })
    }))
}

/// All mutes by code, as they are stored.
pub(crate) fn mutes(state: &State) -> Result<BTreeMap<String, Mute>> {
    let stored = state.keys().range(reserved::MUTE_PREFIX.to_owned()..);
    stored
        .map_while(|(key, value)| Some((key.strip_prefix(reserved::MUTE_PREFIX)?, value)))
        .map(|(code, value)| {
            let mute = serde_json::from_slice(value)
                .map_err(|error| Error::damaged(format!("read the mute of {code}: {error}")))?;
            Ok((code.to_owned(), mute))
        })
        .collect()
}

/// The mutes as `health` shows them, with Ceph's field names.
pub(super) fn mutes_json(mutes: &BTreeMap<String, Mute>) -> Value {
    let rows = mutes.iter().map(|(code, mute)| {
        json!({ "code": code, "sticky": mute.sticky, "summary": mute.summary, "count": mute.count, "until_ms": mute.until_ms })
    });
    rows.collect()
}

/// Where a mute stands among stored keys.
pub(crate) fn key(code: &str) -> String {
    format!("{}{code}", reserved::MUTE_PREFIX)
}

fn code(text: &str) -> Result<&'static str> {
    let wanted = text.to_uppercase();
    CODES.iter().find(|code| **code == wanted).copied().ok_or_else(|| match nearest(&wanted, CODES.iter().copied()) {
        Some(other) => Error::invalid(format!("there is no check `{text}`; did you mean `{other}`?")),
        None => Error::invalid(format!("there is no check `{text}`; there is {}", CODES.join(", "))),
    })
}

/// The end of a mute that begins now. Ceph's `5m` for minutes is understood, too.
fn end(now_ms: u64, text: &str) -> Result<u64> {
    const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
    let unit = map::Unit::Duration { min: 1000, max: YEAR_MS };
    let minutes = text.strip_suffix('m').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let spelled = minutes.map_or_else(|| text.to_owned(), |digits| format!("{digits}min"));
    Ok(now_ms.saturating_add(unit.parse(&spelled)?))
}

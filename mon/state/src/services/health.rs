//! What becomes of health over time: what is wrong anew or no longer is written to the cluster log, and mutes end.
//!
//! What was wrong last is part of the replicated state, so that a new leader neither repeats nor misses a line.

use std::{collections::BTreeMap, time::Duration};

use types::{Error, Result};

use crate::{
    commands::{
        health::{self, Severity},
        health_mute::{self, Mute},
        view::View,
    },
    draft::Draft,
    entry::{LogLevel, encode_json},
    state::reserved,
};

/// How often the leader looks. Each look goes through all OSDs.
const INTERVAL: Duration = Duration::from_secs(1);
/// A new leader's memory is empty: for so long it calls wrong what it only has not heard of yet.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// Looks, when it is time to.
pub(crate) fn plan_health(view: &View<'_>, draft: &mut Draft) -> Result<()> {
    let begun = view.memory.begun.unwrap_or(view.now);
    if view.now < begun + SETTLED_AFTER {
        return Ok(());
    }
    let checks = health::checks(view);
    if let Some(unlisted) = checks.iter().find(|check| !health::CODES.contains(&check.code)) {
        return Err(Error::internal(format!("the check {} is missing in the list of codes", unlisted.code)));
    }
    let now: BTreeMap<&str, Severity> = checks.iter().map(|check| (check.code, check.severity)).collect();
    let before = known(view)?;
    for check in &checks {
        if before.get(check.code) != Some(&check.severity) {
            let level = match check.severity {
                Severity::Warning => LogLevel::Warning,
                Severity::Error => LogLevel::Error,
            };
            draft.log(level, format!("Health check failed: {} ({})", check.summary, check.code));
        }
    }
    for gone in before.keys().filter(|code| !now.contains_key(code.as_str())) {
        draft.log(LogLevel::Info, format!("Health check cleared: {gone}"));
    }
    if now.is_empty() && !before.is_empty() {
        draft.log(LogLevel::Info, "Cluster is now healthy");
    }
    let unchanged = now.len() == before.len() && now.iter().all(|(code, severity)| before.get(*code) == Some(severity));
    if !unchanged {
        draft.set_key(reserved::HEALTH_KEY.to_owned(), Some(encode_json(&now)));
    }
    for (code, mute) in health_mute::mutes(view.state)? {
        let count = checks.iter().find(|check| check.code == code).map(|check| check.count);
        if let Some(why) = why_over(&mute, count, draft.time_ms) {
            draft.set_key(health_mute::key(&code), None);
            draft.log(LogLevel::Info, format!("{code} is not muted any more: {why}"));
        }
    }
    Ok(())
}

/// When the next look is due after one at `now`.
pub(crate) fn next_look(now: types::Time) -> types::Time {
    now + INTERVAL
}

fn known(view: &View<'_>) -> Result<BTreeMap<String, Severity>> {
    let Some(stored) = view.state.keys().get(reserved::HEALTH_KEY) else { return Ok(BTreeMap::new()) };
    serde_json::from_slice(stored).map_err(|error| Error::damaged(format!("read what was wrong last: {error}")))
}

fn why_over(mute: &Mute, count: Option<u64>, now_ms: u64) -> Option<&'static str> {
    match count {
        _ if mute.until_ms.is_some_and(|until| until <= now_ms) => Some("its time is over"),
        None if !mute.sticky => Some("the check holds again"),
        Some(count) if count > mute.count && !mute.sticky => Some("it got worse"),
        _ => None,
    }
}

//! Settings of the cluster: Ceph's `config`.
//!
//! Values are part of the map (`map::Configuration`); every daemon follows them at the epoch that brings them. What was
//! changed, when and by whom is kept beside the map, in the key/value store.

use map::{Change, ConfigOption, ConfigSubject, ConfigTarget, Configuration, Takes, Who};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::{EntityName, Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    suggest::nearest,
    view::{View, answer_json, answer_status},
};
use crate::{draft::Draft, entry::encode_json, state::reserved::HISTORY_PREFIX};

/// Changes remembered. At some changes a day this is years; the bound keeps the store small.
const HISTORY_MAX: usize = 1000;
/// Changes shown unless another number is asked for. Ceph's default.
const LOG_DEFAULT: u64 = 10;

/// One change of settings, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    version: u64,
    time_ms: u64,
    by: String,
    /// What was given back, when this was `config reset`.
    reset_to: Option<u64>,
    changes: Vec<RememberedChange>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RememberedChange {
    option: String,
    target: ConfigTarget,
    previous: Option<String>,
    new: Option<String>,
}

pub(super) fn set(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let target: ConfigTarget = arguments.text("who").parse()?;
    check_target(view, &target)?;
    let option = option_by_name(arguments.text("name"))?;
    let spec = option.spec();
    let value = spec.unit.parse(arguments.text("value")).map_err(|error| error.context(spec.name))?;
    let text = spec.unit.text(value);
    let status = match spec.takes {
        Takes::AtOnce => format!("{} of {target} is {text}", spec.name),
        Takes::AfterRestart => format!("{} of {target} is {text} from the next start of the daemon on", spec.name),
    };
    change(view, draft, None, vec![(spec.name.to_owned(), target, Some(text))])?;
    Ok(answer_status(status))
}

pub(super) fn rm(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let target: ConfigTarget = arguments.text("who").parse()?;
    let name = &arguments.text("name").replace('-', "_");
    if draft.map().configuration.get(name, &target).is_none() {
        return Ok(answer_status(format!("{name} was not set for {target}")));
    }
    change(view, draft, None, vec![(name.to_owned(), target.clone(), None)])?;
    Ok(answer_status(format!("{name} is not set for {target} any more")))
}

pub(super) fn reset(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let wanted = arguments.integer("num");
    let newest = newest_version(view, draft);
    if wanted > newest {
        return Err(Error::invalid(format!("there is no version {wanted}; the newest is {newest}")));
    }
    let history = history(view, Some(draft))?;
    let later: Vec<&Remembered> = history.iter().filter(|entry| entry.version > wanted).collect();
    if usize::try_from(newest - wanted) != Ok(later.len()) {
        return Err(Error::not_found(format!(
            "what was changed since version {wanted} is not remembered any more; `config log` shows what is"
        )));
    }
    let mut working = draft.map().configuration.clone();
    let before = working.clone();
    for undone in later.iter().rev().flat_map(|entry| entry.changes.iter().rev()) {
        working.set(&undone.option, &undone.target, undone.previous.clone());
    }
    let changes = differences(&before, &working);
    if changes.is_empty() {
        return Ok(answer_status(format!("all settings are as they were at version {wanted}")));
    }
    let count = changes.len();
    change(view, draft, Some(wanted), changes)?;
    Ok(answer_status(format!("{count} settings are as they were at version {wanted}")))
}

pub(super) fn get(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let configuration = &view.map.map().configuration;
    let target: ConfigTarget = arguments.text("who").parse()?;
    let subject = subject_of(view, &target)?;
    if let Some(name) = arguments.text_if("key") {
        let option = option_by_name(name)?;
        let spec = option.spec();
        let value = match &subject {
            Some(subject) => spec.unit.text(configuration.effective(subject).value(option)),
            None => configuration.get(name, &target).map_or_else(|| spec.unit.text(spec.default), str::to_owned),
        };
        return Ok(CommandAnswer { status: value.clone(), output: encode_json(&json!(value)) });
    }
    let rows: Vec<Value> = match &subject {
        Some(subject) => {
            let effective = configuration.effective(subject);
            let chosen = ConfigOption::ALL.iter().filter_map(|option| Some((option, effective.set_by(*option)?)));
            chosen
                .map(|(option, by)| row(option.spec().name, by, &option.spec().unit.text(effective.value(*option))))
                .collect()
        }
        None => {
            let exact = configuration.iter().filter(|(_, by, _)| **by == target);
            exact.map(|(name, by, value)| row(name, by, value)).collect()
        }
    };
    Ok(answer_json(&Value::Array(rows)))
}

pub(super) fn dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let rows = view.map.map().configuration.iter().map(|(name, target, value)| row(name, target, value));
    Ok(answer_json(&rows.collect()))
}

pub(super) fn show(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let target: ConfigTarget = arguments.text("who").parse()?;
    let Some(subject) = subject_of(view, &target)?.filter(|_| matches!(target.who, Who::Entity(_))) else {
        return Err(Error::invalid(format!("{target} is no daemon; it would be one such as osd.3 or mon.a")));
    };
    let effective = view.map.map().configuration.effective(&subject);
    let rows = ConfigOption::ALL.iter().map(|option| {
        let spec = option.spec();
        let source = effective.set_by(*option).map_or_else(|| "default".to_owned(), ToString::to_string);
        json!({ "name": spec.name, "value": spec.unit.text(effective.value(*option)), "source": source })
    });
    Ok(answer_json(&rows.collect()))
}

pub(super) fn ls(_: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    Ok(answer_json(&ConfigOption::ALL.iter().map(|option| json!(option.spec().name)).collect()))
}

pub(super) fn help(_: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let spec = option_by_name(arguments.text("key"))?.spec();
    Ok(answer_json(&json!({
        "name": spec.name,
        "type": spec.unit.name(),
        "accepts": spec.unit.expectation(),
        "default": spec.unit.text(spec.default),
        "desc": spec.effect,
        "can_update_at_runtime": spec.takes == Takes::AtOnce,
        "since": spec.since,
    })))
}

pub(super) fn log(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let wanted = usize::try_from(arguments.integer_if("num").unwrap_or(LOG_DEFAULT)).unwrap_or(usize::MAX);
    let history = history(view, None)?;
    let shown = history.iter().rev().take(wanted).map(|entry| {
        let changes = entry.changes.iter().map(|change| {
            json!({
                "name": format!("{}/{}", change.target, change.option),
                "previous_value": change.previous,
                "new_value": change.new,
            })
        });
        json!({
            "version": entry.version,
            "stamp_ms": entry.time_ms,
            "by": entry.by,
            "name": entry.reset_to.map_or_else(String::new, |version| format!("reset to {version}")),
            "changes": changes.collect::<Vec<_>>(),
        })
    });
    Ok(answer_json(&shown.collect()))
}

/// A value as `config dump` shows it, with Ceph's field names.
fn row(name: &str, target: &ConfigTarget, value: &str) -> Value {
    let text = target.to_string();
    let (section, mask) = text.split_once('/').unwrap_or((&text, ""));
    let live = ConfigOption::by_name(name).is_some_and(|option| option.spec().takes == Takes::AtOnce);
    json!({ "section": section, "mask": mask, "name": name, "value": value, "can_update_at_runtime": live })
}

fn option_by_name(name: &str) -> Result<ConfigOption> {
    // Ceph's tools take dashes for underscores.
    let name = name.replace('-', "_");
    ConfigOption::by_name(&name).ok_or_else(|| {
        match nearest(&name, ConfigOption::ALL.iter().map(|option| option.spec().name)) {
            Some(other) => Error::invalid(format!("there is no option `{name}`; did you mean `{other}`?")),
            None => Error::invalid(format!("there is no option `{name}`; `config ls` lists those that exist")),
        }
    })
}

/// A typing mistake in a name must not become a setting that nobody ever follows.
fn check_target(view: &View<'_>, target: &ConfigTarget) -> Result<()> {
    let map = view.map.map();
    if let Who::Entity(entity) = &target.who {
        check_entity(map, entity)?;
    }
    match &target.mask {
        Some(map::Mask::Place { bucket_type, name: _ }) if map.crush.type_by_name(bucket_type).is_none() => {
            let types = map.crush.types().values().map(String::as_str).filter(|name| *name != "osd");
            let types: Vec<&str> = types.collect();
            Err(Error::invalid(format!("there is no bucket type `{bucket_type}`; there is {}", types.join(", "))))
        }
        _ => Ok(()),
    }
}

fn check_entity(map: &map::ClusterMap, entity: &EntityName) -> Result<()> {
    let exists = match entity.kind {
        types::EntityKind::Osd => entity.osd_id().is_some_and(|osd| map.osds.contains_key(&osd)),
        types::EntityKind::Mon => map.monitors.values().any(|monitor| monitor.name == entity.id),
        // Managers and clients come and go.
        types::EntityKind::Mgr | types::EntityKind::Client => true,
    };
    if exists { Ok(()) } else { Err(Error::not_found(format!("there is no {entity}"))) }
}

/// The daemon that a target names, or any of its kind; nothing for `global` and for masks, which name nobody in particular.
fn subject_of(view: &View<'_>, target: &ConfigTarget) -> Result<Option<ConfigSubject>> {
    let map = view.map.map();
    Ok(match (&target.who, &target.mask) {
        (Who::Entity(entity), None) => {
            check_entity(map, entity)?;
            Some(entity.osd_id().map_or_else(|| ConfigSubject::new(entity.clone()), |osd| map.config_subject(osd)))
        }
        (Who::Kind(kind), None) => Some(ConfigSubject::new(EntityName::new(*kind, ""))),
        _ => None,
    })
}

/// Makes the changes and remembers them.
fn change(
    view: &View<'_>,
    draft: &mut Draft,
    reset_to: Option<u64>,
    changes: Vec<(String, ConfigTarget, Option<String>)>,
) -> Result<()> {
    let mut remembered = Vec::new();
    for (option, target, value) in changes {
        let previous = draft.map().configuration.get(&option, &target).map(str::to_owned);
        if previous == value {
            continue;
        }
        draft.change(Change::Configuration { option: option.clone(), target: target.clone(), value: value.clone() })?;
        remembered.push(RememberedChange { option, target, previous, new: value });
    }
    if remembered.is_empty() {
        return Ok(());
    }
    let version = newest_version(view, draft) + 1;
    let entry =
        Remembered { version, time_ms: draft.time_ms, by: view.asker.to_string(), reset_to, changes: remembered };
    draft.set_key(history_key(version), Some(encode_json(&entry)));
    // Several commands may share this entry; each forgets one, so the bound holds.
    if let Some(oldest) = version.checked_sub(HISTORY_MAX as u64).filter(|oldest| *oldest > 0) {
        draft.set_key(history_key(oldest), None);
    }
    Ok(())
}

fn history_key(version: u64) -> String {
    format!("{HISTORY_PREFIX}{version:010}")
}

/// The version of the newest change, planned ones included; zero before the first.
fn newest_version(view: &View<'_>, draft: &Draft) -> u64 {
    let stored = view.state.keys().range(HISTORY_PREFIX.to_owned()..).map(|(key, _)| key);
    let planned = draft.planned_keys().range(HISTORY_PREFIX.to_owned()..).map(|(key, _)| key);
    let versions = stored.chain(planned).filter_map(|key| key.strip_prefix(HISTORY_PREFIX)?.parse().ok());
    versions.max().unwrap_or(0)
}

/// The changes that are remembered, those of a draft included, oldest first.
fn history(view: &View<'_>, draft: Option<&Draft>) -> Result<Vec<Remembered>> {
    let mut kept = view.state.keys().clone();
    for (key, value) in draft.into_iter().flat_map(Draft::planned_keys) {
        match value {
            Some(value) => kept.insert(key.clone(), value.clone()),
            None => kept.remove(key),
        };
    }
    kept.range(HISTORY_PREFIX.to_owned()..)
        .take_while(|(key, _)| key.starts_with(HISTORY_PREFIX))
        .map(|(key, value)| {
            serde_json::from_slice(value).map_err(|error| Error::damaged(format!("read stored key {key}: {error}")))
        })
        .collect()
}

/// What makes the second of the first.
fn differences(from: &Configuration, to: &Configuration) -> Vec<(String, ConfigTarget, Option<String>)> {
    let gone = from.iter().filter(|(option, target, _)| to.get(option, target).is_none());
    let gone = gone.map(|(option, target, _)| (option.to_owned(), target.clone(), None));
    let new = to.iter().filter(|(option, target, value)| from.get(option, target) != Some(*value));
    let new = new.map(|(option, target, value)| (option.to_owned(), target.clone(), Some(value.to_owned())));
    gone.chain(new).collect()
}

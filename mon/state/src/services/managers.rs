//! Which manager works and which stand by.
//!
//! Owns: the succession. The first to send a beacon works; a silent one is replaced by the first standby in order of
//! names that is alive.

use std::{net::SocketAddr, sync::Arc};

use map::{Change, ManagerEntry};
use types::{BootNonce, Error, Result, Time};
use wire::ClusterDigest;

use crate::{
    draft::Draft,
    entry::LogLevel,
    memory::{MANAGERS_MAX, ManagerHeard, Memory},
    settings::Settings,
};

/// Bytes of a manager's name.
const NAME_BYTES_MAX: usize = 64;

/// Notes a beacon; keeps its digest when it comes from the manager that works.
pub(crate) fn note_beacon(
    now: Time,
    memory: &mut Memory,
    active: Option<&ManagerEntry>,
    sender: (String, SocketAddr, BootNonce),
    digest: Option<Box<ClusterDigest>>,
) -> Result<()> {
    let (name, address, nonce) = sender;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!("a manager's name has 1 to {NAME_BYTES_MAX} bytes")));
    }
    if memory.managers.len() >= MANAGERS_MAX && !memory.managers.contains_key(&name) {
        return Err(Error::full(format!("{MANAGERS_MAX} managers are known already")));
    }
    let works = active.is_some_and(|active| active.name == name && active.nonce == nonce);
    if let (true, Some(digest)) = (works, digest) {
        memory.digest = Some((now, Arc::from(digest)));
    }
    let entry = ManagerEntry { name: name.clone(), address, nonce };
    memory.managers.insert(name, ManagerHeard { at: now, entry });
    Ok(())
}

pub(crate) fn plan_managers(now: Time, settings: &Settings, memory: &mut Memory, draft: &mut Draft) -> Result<()> {
    let grace = settings.manager_beacon_grace();
    // Whoever the map names but nobody heard since this leader began gets a full grace.
    let named = draft.map().managers.active.iter().chain(draft.map().managers.standbys.values());
    for entry in named {
        let heard = ManagerHeard { at: now, entry: entry.clone() };
        memory.managers.entry(entry.name.clone()).or_insert(heard);
    }
    memory.managers.retain(|_, heard| now.since(heard.at) < grace);
    let mut managers = draft.map().managers.clone();
    managers.active = match managers.active.take() {
        Some(active) => memory.managers.get(&active.name).map(|heard| heard.entry.clone()),
        None => None,
    };
    if managers.active.is_none() {
        managers.active = memory.managers.values().next().map(|heard| heard.entry.clone());
    }
    let active_name = managers.active.as_ref().map(|active| active.name.clone());
    managers.standbys = memory
        .managers
        .iter()
        .filter(|(name, _)| Some(*name) != active_name.as_ref())
        .map(|(name, heard)| (name.clone(), heard.entry.clone()))
        .collect();
    if managers == draft.map().managers {
        return Ok(());
    }
    let before = draft.map().managers.active.as_ref().map(|active| (active.name.clone(), active.nonce));
    let after = managers.active.as_ref().map(|active| (active.name.clone(), active.nonce));
    if before != after {
        memory.digest = None;
        match &active_name {
            Some(name) => draft.log(LogLevel::Info, format!("mgr.{name} is active")),
            None => draft.log(LogLevel::Warning, "no manager is active"),
        }
    }
    draft.change(Change::Managers(managers))
}

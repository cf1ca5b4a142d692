//! An OSD introduces itself (FOUNDATIONS 23).
//!
//! Owns: who may come up under which number. What a reboot looks like and what a cloned device looks like is the
//! same at first: another process under a number that is up. The new one wins and the old one is marked down; when
//! the *replaced* process introduces itself again, both run, and it is refused.

use std::sync::Arc;

use map::{Change, ClusterFlags, Death, Weight};
use types::{Error, Result, Time, limits};
use wire::OsdBoot;

use crate::{
    draft::Draft,
    entry::LogLevel,
    hierarchy,
    memory::{Heard, Memory},
};

/// What became of an introduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BootOutcome {
    /// It is up, or will be with this entry.
    Up,
    /// Its predecessor goes down first; plan it again on the next map.
    Again,
}

pub(crate) fn plan_boot(now: Time, memory: &mut Memory, draft: &mut Draft, boot: &OsdBoot) -> Result<BootOutcome> {
    check_boot(memory, draft, boot)?;
    let known = draft.map().osds.get(&boot.osd).cloned();
    if let Some(osd) = &known
        && osd.up
    {
        if osd.nonce == boot.nonce && osd.uuid == boot.uuid && osd.address == Some(boot.address) {
            memory.osds.insert(boot.osd, Heard { at: now, nonce: boot.nonce, said: None });
            return Ok(BootOutcome::Up);
        }
        // Its address is in other hands on the same host: the old process cannot hold it any more.
        let gone = osd.host == boot.host && osd.address == Some(boot.address) && osd.nonce != boot.nonce;
        let dead = if gone { Death::Proven } else { Death::Possible };
        memory.remember_replaced(boot.osd, osd.nonce);
        draft.change(Change::OsdDown { osd: boot.osd, dead })?;
        draft.log(LogLevel::Info, format!("osd.{} was restarted: its previous process counts as down", boot.osd));
        return Ok(BootOutcome::Again);
    }
    if draft.map().flags.contains(ClusterFlags::NOUP)
        || known.as_ref().is_some_and(|osd| osd.flags.contains(ClusterFlags::NOUP))
    {
        return Err(Error::retry(format!("osd.{} stays down while the flag noup is set", boot.osd)));
    }
    plan_address_takeover(memory, draft, boot)?;
    if known.is_none() {
        draft.change(Change::OsdCreate { osd: boot.osd, uuid: boot.uuid })?;
    }
    draft.change(Change::OsdUp {
        osd: boot.osd,
        uuid: boot.uuid,
        address: boot.address,
        nonce: boot.nonce,
        host: boot.host.clone(),
    })?;
    plan_weight(draft, boot, known.as_ref())?;
    plan_location(draft, boot)?;
    draft.log(LogLevel::Info, format!("osd.{} [{}] on {} boot", boot.osd, boot.address, boot.host));
    memory.osds.insert(boot.osd, Heard { at: now, nonce: boot.nonce, said: None });
    memory.down_since.remove(&boot.osd);
    Ok(BootOutcome::Up)
}

fn check_boot(memory: &Memory, draft: &Draft, boot: &OsdBoot) -> Result<()> {
    if boot.osd.0 >= limits::OSD_COUNT_MAX {
        return Err(Error::invalid(format!(
            "osd.{} is out of range; numbers are below {}",
            boot.osd,
            limits::OSD_COUNT_MAX
        )));
    }
    hierarchy::check_bucket_name(&boot.host)?;
    let base = draft.base().epoch();
    if boot.newest_map > base {
        return Err(Error::internal(format!(
            "osd.{} holds map {}, the monitors only {base}: they lost history or belong to another cluster",
            boot.osd, boot.newest_map
        )));
    }
    if let Some((other, _)) = draft.map().osds.iter().find(|(id, osd)| **id != boot.osd && osd.uuid == boot.uuid) {
        return Err(Error::denied(format!(
            "uuid {} belongs to osd.{other}; this device is a copy of that one or was relabelled",
            boot.uuid
        )));
    }
    let Some(osd) = draft.map().osds.get(&boot.osd) else { return Ok(()) };
    if osd.up && osd.uuid != boot.uuid {
        return Err(Error::denied(format!(
            "osd.{} is up with uuid {}; a device with another uuid may take its number only when it is down",
            boot.osd, osd.uuid
        )));
    }
    if osd.up && osd.nonce != boot.nonce && memory.is_replaced(boot.osd, boot.nonce) {
        return Err(Error::denied(format!(
            "osd.{} is up as another process, which replaced this one; the device was cloned or is in use twice",
            boot.osd
        )));
    }
    Ok(())
}

/// Whoever was up at this address on this host is gone: the address has a new owner.
fn plan_address_takeover(memory: &mut Memory, draft: &mut Draft, boot: &OsdBoot) -> Result<()> {
    let previous: Vec<_> = draft
        .map()
        .osds
        .iter()
        .filter(|(id, osd)| **id != boot.osd && osd.up && osd.address == Some(boot.address) && osd.host == boot.host)
        .map(|(id, osd)| (*id, osd.nonce))
        .collect();
    for (osd, nonce) in previous {
        memory.remember_replaced(osd, nonce);
        draft.change(Change::OsdDown { osd, dead: Death::Proven })?;
        draft.log(LogLevel::Warning, format!("osd.{osd} is down: osd.{} listens at its address", boot.osd));
    }
    Ok(())
}

/// In at the first boot, and in again after an automatic out; what an operator took out stays out.
fn plan_weight(draft: &mut Draft, boot: &OsdBoot, known: Option<&map::OsdState>) -> Result<()> {
    let own_flags = known.map_or(ClusterFlags::default(), |osd| osd.flags);
    if draft.map().flags.contains(ClusterFlags::NOIN) || own_flags.contains(ClusterFlags::NOIN) {
        return Ok(());
    }
    let weight = match known {
        None => Weight::ONE,
        Some(osd) => match osd.weight_before_out {
            Some(before) if !osd.is_in() => before,
            // Made by hand (`osd new`) and never up so far.
            _ if !osd.is_in() && osd.up_from == types::Epoch::ZERO => Weight::ONE,
            _ => return Ok(()),
        },
    };
    draft.change(Change::OsdWeight { osd: boot.osd, weight, weight_before_out: None })
}

/// A place in the tree under its host, for an OSD that has none.
fn plan_location(draft: &mut Draft, boot: &OsdBoot) -> Result<()> {
    if hierarchy::contains_osd(&draft.map().crush, boot.osd) {
        return Ok(());
    }
    let weight = hierarchy::weight_of_bytes(boot.total_bytes);
    let crush = hierarchy::with_osd(&draft.map().crush, boot.osd, weight, &boot.host)?;
    draft.change(Change::Crush(Arc::new(crush)))
}

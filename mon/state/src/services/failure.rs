//! Who is down: by reports of others, by proof from its own host, by its own farewell, by silence.
//!
//! Owns: the rules for how many reporters from where suffice. Ceph: an OSD is marked down when
//! `mon_osd_min_down_reporters` OSDs from different subtrees report it.

use std::collections::BTreeSet;

use map::{Change, ClusterFlags, ClusterMap, Death, OsdState};
use types::{
    BootNonce, Epoch, OsdId, Result, Time,
    simulation::{Bug, planted},
};
use wire::{FailureEvidence, OsdFailure};

use crate::{
    draft::Draft,
    entry::LogLevel,
    memory::{Heard, Memory, Report},
    settings::Settings,
};

/// Notes a report, when it is about the target's present life and from an OSD that is up.
pub(crate) fn note_report(now: Time, memory: &mut Memory, map: &ClusterMap, failure: &OsdFailure) {
    let refused = failure.evidence == FailureEvidence::Refused;
    let target_lives = map.osds.get(&failure.target).is_some_and(|osd| {
        // Proof of death helps even after the target was marked down: nobody then waits for its leases.
        osd.nonce == failure.nonce && (osd.up || refused && osd.dead_epoch == Epoch::ZERO)
    });
    let reporter_lives = map.osds.get(&failure.reporter).is_some_and(|osd| osd.up);
    if !target_lives || !reporter_lives || failure.reporter == failure.target {
        return;
    }
    let reports = memory.failures.entry(failure.target).or_default();
    match failure.evidence {
        FailureEvidence::Recovered => {
            reports.remove(&failure.reporter);
        }
        evidence @ (FailureEvidence::Silent(_) | FailureEvidence::Refused | FailureEvidence::Closed) => {
            reports.insert(failure.reporter, Report { at: now, evidence });
        }
    }
}

/// Marks down whom the reports suffice for, and whom nobody heard for too long.
pub(crate) fn plan_failures(now: Time, settings: &Settings, memory: &mut Memory, draft: &mut Draft) -> Result<()> {
    forget_stale_reports(now, settings, memory, draft.map());
    if draft.map().flags.contains(ClusterFlags::NODOWN) {
        return Ok(());
    }
    let targets: Vec<OsdId> = memory.failures.keys().copied().collect();
    for target in targets {
        let Some((dead, why)) = judge(settings, memory, draft.map(), target) else { continue };
        plan_down(memory, draft, target, dead, &why)?;
    }
    plan_silent(now, settings, memory, draft)
}

/// An OSD stops on purpose.
pub(crate) fn plan_farewell(memory: &mut Memory, draft: &mut Draft, osd: OsdId, nonce: BootNonce) -> Result<()> {
    let leaves = draft.map().osds.get(&osd).is_some_and(|state| state.up && state.nonce == nonce);
    if leaves { plan_down(memory, draft, osd, Death::Proven, "it said farewell") } else { Ok(()) }
}

pub(crate) fn plan_down(memory: &mut Memory, draft: &mut Draft, osd: OsdId, dead: Death, why: &str) -> Result<()> {
    let dead = if planted(Bug::DeathAssumed) { Death::Proven } else { dead };
    draft.change(Change::OsdDown { osd, dead })?;
    draft.log(LogLevel::Warning, format!("osd.{osd} is down: {why}"));
    memory.failures.remove(&osd);
    for reports in memory.failures.values_mut() {
        reports.remove(&osd);
    }
    memory.osds.remove(&osd);
    Ok(())
}

fn forget_stale_reports(now: Time, settings: &Settings, memory: &mut Memory, map: &ClusterMap) {
    let up = |osd: &OsdId| map.osds.get(osd).is_some_and(|state| state.up);
    memory.failures.retain(|target, reports| {
        reports
            .retain(|reporter, report| up(reporter) && now.since(report.at) < settings.osd_failure_report_lifetime());
        let unproven = map.osds.get(target).is_some_and(|state| state.up || state.dead_epoch == Epoch::ZERO);
        unproven && !reports.is_empty()
    });
}

/// Whether the reports on an OSD suffice, and with what certainty.
fn judge(settings: &Settings, memory: &Memory, map: &ClusterMap, target: OsdId) -> Option<(Death, String)> {
    let state = map.osds.get(&target)?;
    if state.flags.contains(ClusterFlags::NODOWN) {
        return None;
    }
    let reports = memory.failures.get(&target)?;
    let host_of = |osd: &OsdId| map.osds.get(osd).map(|state| state.host.as_str());
    // A refusal seen from the target's own network stack cannot be a broken network (FOUNDATIONS 11). The reporter knows
    // that it lives there, from the target itself: hosts of the map are names for failure domains, and several of them
    // may be one machine.
    let witness = reports.iter().find(|(_, report)| report.evidence == FailureEvidence::Refused);
    if let Some((witness, _)) = witness {
        return Some((Death::Proven, format!("osd.{witness} on the same machine finds its address closed")));
    }
    if !state.up {
        return None;
    }
    let others = || map.osds.iter().filter(|(id, state)| **id != target && state.up);
    let hosts_there: BTreeSet<&str> = others().map(|(_, state): (_, &OsdState)| state.host.as_str()).collect();
    let hosts_reporting: BTreeSet<&str> = reports.keys().filter_map(host_of).collect();
    let wanted = usize::try_from(settings.osd_failure_reporters_min()).unwrap_or(usize::MAX);
    let reporters_enough = reports.len() >= wanted.min(others().count());
    let hosts_enough = hosts_reporting.len() >= wanted.min(hosts_there.len());
    (reporters_enough && hosts_enough).then(|| {
        let names: Vec<String> = reports.keys().map(|reporter| format!("osd.{reporter}")).collect();
        (Death::Possible, format!("reported by {}", names.join(", ")))
    })
}

/// Marks down OSDs whose beacons stopped.
fn plan_silent(now: Time, settings: &Settings, memory: &mut Memory, draft: &mut Draft) -> Result<()> {
    let mut silent = Vec::new();
    for (id, state) in draft.map().osds.iter().filter(|(_, state)| state.up) {
        // A leader that just began, or an OSD that another leader let in, has a full grace from now.
        let heard = memory.osds.entry(*id).or_insert(Heard { at: now, nonce: state.nonce, said: None });
        if heard.nonce != state.nonce {
            *heard = Heard { at: now, nonce: state.nonce, said: None };
        }
        let overdue = now.since(heard.at) >= settings.osd_beacon_grace();
        if overdue && !state.flags.contains(ClusterFlags::NODOWN) {
            silent.push(*id);
        }
    }
    let map = draft.map();
    memory.osds.retain(|id, _| map.osds.get(id).is_some_and(|state| state.up));
    for osd in silent {
        let seconds = settings.osd_beacon_grace().as_secs();
        plan_down(memory, draft, osd, Death::Possible, &format!("no beacon for {seconds} s"))?;
    }
    Ok(())
}

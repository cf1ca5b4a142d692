//! Commands that change what OSDs are: in, out, down, lost, gone; and the cluster's flags and fill levels.

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use map::{Change, ClusterFlags, Death, FullRatios, OsdState, Weight};
use types::{Error, OsdId, Result};
use wire::CommandAnswer;

use super::{
    Arguments, osd_look,
    view::{View, answer_status},
};
use crate::{draft::Draft, hierarchy};

fn osd_state(draft: &Draft, osd: OsdId) -> Result<&OsdState> {
    draft
        .map()
        .osds
        .get(&osd)
        .ok_or_else(|| Error::not_found(format!("osd.{osd} does not exist; `osd ls` lists those that do")))
}

/// Joins what happened to each of several OSDs into one sentence.
fn join(sentences: &[String]) -> CommandAnswer {
    answer_status(sentences.join(". "))
}

pub(super) fn out(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut done = Vec::new();
    for osd in arguments.osds("ids") {
        let state = osd_state(draft, *osd)?;
        if !state.is_in() && state.weight_before_out.is_none() {
            done.push(format!("osd.{osd} is already out"));
            continue;
        }
        // Taken out by hand: it stays out when it boots.
        draft.change(Change::OsdWeight { osd: *osd, weight: Weight::ZERO, weight_before_out: None })?;
        done.push(format!("marked out osd.{osd}"));
    }
    Ok(join(&done))
}

pub(super) fn mark_in(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut done = Vec::new();
    for osd in arguments.osds("ids") {
        let state = osd_state(draft, *osd)?;
        if state.is_in() {
            done.push(format!("osd.{osd} is already in"));
            continue;
        }
        let weight = state.weight_before_out.unwrap_or(Weight::ONE);
        draft.change(Change::OsdWeight { osd: *osd, weight, weight_before_out: None })?;
        done.push(format!("marked in osd.{osd}"));
    }
    Ok(join(&done))
}

pub(super) fn down(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut done = Vec::new();
    for osd in arguments.osds("ids") {
        if !osd_state(draft, *osd)?.up {
            done.push(format!("osd.{osd} is already down"));
            continue;
        }
        draft.change(Change::OsdDown { osd: *osd, dead: Death::Possible })?;
        done.push(format!("marked down osd.{osd}"));
    }
    Ok(join(&done))
}

/// Refuses to forget an OSD that may still serve.
fn check_is_down(draft: &Draft, osd: OsdId) -> Result<()> {
    if osd_state(draft, osd)?.up {
        return Err(Error::invalid(format!("osd.{osd} is up; stop it, or mark it down first")));
    }
    Ok(())
}

fn check_confirmed(arguments: &Arguments, osd: OsdId, what: &str) -> Result<()> {
    if arguments.is_confirmed("yes_i_really_mean_it") {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} osd.{osd} cannot be undone; add --yes-i-really-mean-it")))
}

/// Ceph: `osd destroy` and `osd purge` refuse when data still needs the OSD, unless forced.
fn check_safe_to_destroy(view: &View<'_>, arguments: &Arguments, osd: OsdId) -> Result<()> {
    if arguments.is_confirmed("force") || osd_look::destroy_report(view, &BTreeSet::from([osd])).is_safe {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "osd.{osd} is not safe to destroy: placement groups are on it, or nothing is known of that; add --force to go on"
    )))
}

pub(super) fn rm(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut done = Vec::new();
    for osd in arguments.osds("ids") {
        check_is_down(draft, *osd)?;
        if hierarchy::contains_osd(&draft.map().crush, *osd) {
            return Err(Error::invalid(format!(
                "osd.{osd} is in the placement tree; `osd purge {osd}` removes it from there too"
            )));
        }
        draft.change(Change::OsdRemove { osd: *osd })?;
        done.push(format!("removed osd.{osd}"));
    }
    Ok(join(&done))
}

pub(super) fn destroy(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let osd = arguments.osd("id");
    check_is_down(draft, osd)?;
    check_confirmed(arguments, osd, "destroying")?;
    check_safe_to_destroy(view, arguments, osd)?;
    draft.change(Change::OsdLost { osd })?;
    Ok(answer_status(format!("destroyed osd.{osd}")))
}

pub(super) fn lost(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let osd = arguments.osd("id");
    check_is_down(draft, osd)?;
    check_confirmed(arguments, osd, "declaring lost")?;
    draft.change(Change::OsdLost { osd })?;
    Ok(answer_status(format!("marked osd lost in epoch {}", draft.map().epoch)))
}

pub(super) fn purge(view: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let osd = arguments.osd("id");
    check_confirmed(arguments, osd, "purging")?;
    if !draft.map().osds.contains_key(&osd) && !hierarchy::contains_osd(&draft.map().crush, osd) {
        return Ok(answer_status(format!("osd.{osd} does not exist")));
    }
    if draft.map().osds.contains_key(&osd) {
        check_is_down(draft, osd)?;
        check_safe_to_destroy(view, arguments, osd)?;
        draft.change(Change::OsdRemove { osd })?;
    }
    if hierarchy::contains_osd(&draft.map().crush, osd) {
        let mut crush = crush::CrushMap::clone(&draft.map().crush);
        crush.remove(hierarchy::device_of(osd)).map_err(hierarchy::from_crush)?;
        draft.change(Change::Crush(Arc::new(crush)))?;
    }
    Ok(answer_status(format!("purged osd.{osd}")))
}

pub(super) fn reweight(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (osd, weight) = (arguments.osd("id"), Weight(arguments.decimal("weight")));
    osd_state(draft, osd)?;
    draft.change(Change::OsdWeight { osd, weight, weight_before_out: None })?;
    Ok(answer_status(format!("reweighted osd.{osd} to {} ({:x})", share(weight), weight.0)))
}

pub(super) fn primary_affinity(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (osd, affinity) = (arguments.osd("id"), Weight(arguments.decimal("weight")));
    osd_state(draft, osd)?;
    draft.change(Change::OsdPrimaryAffinity { osd, affinity })?;
    Ok(answer_status(format!("set osd.{osd} primary-affinity to {} ({:x})", share(affinity), affinity.0)))
}

/// A share with as many digits as matter.
fn share(weight: Weight) -> String {
    let scaled = (u64::from(weight.0) * 10_000 + (1 << 15)) >> 16;
    let mut text = format!("{}.{:04}", scaled / 10_000, scaled % 10_000);
    while text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    text
}

fn change_flag(draft: &mut Draft, flag: ClusterFlags, on: bool) -> Result<()> {
    let present = draft.map().flags;
    let flags = if on { ClusterFlags(present.0 | flag.0) } else { ClusterFlags(present.0 & !flag.0) };
    if flags == present { Ok(()) } else { draft.change(Change::Flags(flags)) }
}

/// The flags' names, separated by commas.
pub(super) fn flag_names(flags: ClusterFlags) -> String {
    let mut names = String::new();
    for (name, _) in ClusterFlags::NAMES.iter().filter(|(_, flag)| flags.contains(*flag)) {
        let comma = if names.is_empty() { "" } else { "," };
        write!(names, "{comma}{name}").expect("a string takes every text");
    }
    names
}

pub(super) fn set_flag(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let flag = arguments.flag("key");
    change_flag(draft, flag, true)?;
    Ok(answer_status(format!("{} is set", flag_names(flag))))
}

pub(super) fn unset_flag(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let flag = arguments.flag("key");
    change_flag(draft, flag, false)?;
    Ok(answer_status(format!("{} is unset", flag_names(flag))))
}

pub(super) fn pause(_: &View<'_>, draft: &mut Draft, _: &Arguments) -> Result<CommandAnswer> {
    change_flag(draft, ClusterFlags::PAUSE, true)?;
    Ok(answer_status("pause is set: client reads and writes wait"))
}

pub(super) fn unpause(_: &View<'_>, draft: &mut Draft, _: &Arguments) -> Result<CommandAnswer> {
    change_flag(draft, ClusterFlags::PAUSE, false)?;
    Ok(answer_status("pause is unset: client reads and writes go on"))
}

fn set_ratio(
    draft: &mut Draft,
    arguments: &Arguments,
    name: &str,
    set: impl FnOnce(&mut FullRatios, u32),
) -> Result<CommandAnswer> {
    let permille = (u64::from(arguments.decimal("ratio")) * 1000 + (1 << 15)) >> 16;
    let permille = u32::try_from(permille).expect("a share of at most one is at most 1000 thousandths");
    let mut ratios = draft.map().full_ratios;
    set(&mut ratios, permille);
    if !(ratios.nearfull_permille <= ratios.backfillfull_permille
        && ratios.backfillfull_permille <= ratios.full_permille)
    {
        return Err(Error::invalid(format!(
            "the ratios must ascend: nearfull {} <= backfillfull {} <= full {} (thousandths)",
            ratios.nearfull_permille, ratios.backfillfull_permille, ratios.full_permille
        )));
    }
    draft.change(Change::FullRatios(ratios))?;
    Ok(answer_status(format!("set {name} to {}.{:03}", permille / 1000, permille % 1000)))
}

pub(super) fn set_nearfull(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    set_ratio(draft, arguments, "nearfull_ratio", |ratios, permille| ratios.nearfull_permille = permille)
}

pub(super) fn set_backfillfull(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    set_ratio(draft, arguments, "backfillfull_ratio", |ratios, permille| ratios.backfillfull_permille = permille)
}

pub(super) fn set_full(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    set_ratio(draft, arguments, "full_ratio", |ratios, permille| ratios.full_permille = permille)
}

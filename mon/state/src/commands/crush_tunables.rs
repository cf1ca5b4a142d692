//! Tunables: profiles, and the one value that operators set alone.

use crush::Profile;
use serde_json::json;
use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    crush_tree::edit,
    view::{View, answer_json, answer_status},
};
use crate::draft::Draft;

pub(super) fn show(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let tunables = view.map.map().crush.tunables();
    let profile = tunables.profile();
    Ok(answer_json(&json!({
        "choose_local_tries": tunables.choose_local_tries,
        "choose_local_fallback_tries": tunables.choose_local_fallback_tries,
        "choose_total_tries": tunables.choose_total_tries,
        "chooseleaf_descend_once": tunables.chooseleaf_descend_once,
        "chooseleaf_vary_r": tunables.chooseleaf_vary_r,
        "chooseleaf_stable": tunables.chooseleaf_stable,
        "straw_calc_version": tunables.straw_calc_version,
        "allowed_bucket_algs": tunables.allowed_bucket_algorithms,
        "profile": profile.map_or("unknown", Profile::name),
        "optimal_tunables": u8::from(profile == Some(Profile::Jewel)),
        "legacy_tunables": u8::from(profile == Some(Profile::Argonaut)),
    })))
}

/// Ceph: set crush tunables values to <profile>.
pub(super) fn set_profile(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("profile");
    let profile =
        Profile::by_name(name).ok_or_else(|| Error::internal(format!("`{name}` is in the table and unknown")))?;
    edit(draft, |crush| {
        crush.tunables_mut().set_profile(profile);
        Ok(())
    })?;
    Ok(answer_status(format!("adjusted tunables profile to {name}")))
}

pub(super) fn set_one(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let value = u8::try_from(arguments.integer("value")).map_err(|_| Error::internal("the table bounds the value"))?;
    edit(draft, |crush| {
        crush.tunables_mut().straw_calc_version = value;
        Ok(())
    })?;
    Ok(answer_status(format!("adjusted tunable straw_calc_version to {value}")))
}

/// The value by name.
pub(super) fn get_one(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("tunable");
    Ok(answer_json(&json!({ name: view.map.map().crush.tunables().straw_calc_version })))
}

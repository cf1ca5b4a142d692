//! Where items of the placement tree are: linked, unlinked, put, swapped.

use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    crush_tree::{edit, item_by_name, location},
    view::{View, answer_status},
};
use crate::{
    draft::Draft,
    hierarchy::{self, from_crush},
};

/// Ceph: create entry or move existing entry for <name> <weight> at/to location <args>.
pub(super) fn create_or_move(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (osd, weight) = (arguments.osd("id"), arguments.decimal("weight"));
    let place = location(arguments.words("args"))?;
    if !draft.map().osds.contains_key(&osd) {
        return Err(Error::not_found(format!("osd.{osd} does not exist")));
    }
    edit(draft, |crush| crush.create_or_move(hierarchy::device_of(osd), weight, &place).map(drop).map_err(from_crush))?;
    Ok(answer_status(format!("create-or-move osd.{osd} to {}", arguments.words("args").join(" "))))
}

/// Puts a bucket at one more place.
pub(super) fn link(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let name = arguments.text("name");
    let place = location(arguments.words("args"))?;
    edit(draft, |crush| {
        let item = item_by_name(crush, name)?;
        if item >= 0 {
            return Err(Error::invalid(format!("`{name}` is an OSD; only buckets can be at several places")));
        }
        crush.link_bucket(item, &place).map_err(from_crush)
    })?;
    Ok(answer_status(format!("linked item {name} to location {}", arguments.words("args").join(" "))))
}

/// Takes an item out of one bucket, or out of all.
pub(super) fn unlink(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (name, ancestor) = (arguments.text("name"), arguments.text_if("ancestor"));
    edit(draft, |crush| {
        let item = item_by_name(crush, name)?;
        let from = ancestor.map(|ancestor| item_by_name(crush, ancestor)).transpose()?;
        crush.unlink(item, from).map_err(from_crush)
    })?;
    Ok(answer_status(match ancestor {
        Some(ancestor) => format!("unlinked item {name} from {ancestor}"),
        None => format!("unlinked item {name} from everywhere"),
    }))
}

/// Exchanges what is in two buckets.
pub(super) fn swap_bucket(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (source, dest) = (arguments.text("source"), arguments.text("dest"));
    if !arguments.is_confirmed("yes_i_really_mean_it") {
        return Err(Error::invalid(format!(
            "swapping {source} and {dest} moves the data of all OSDs below them; `--dry-run` says how much; \
             say --yes-i-really-mean-it"
        )));
    }
    edit(draft, |crush| {
        let (source, dest) = (item_by_name(crush, source)?, item_by_name(crush, dest)?);
        crush.swap_buckets(source, dest).map_err(from_crush)
    })?;
    Ok(answer_status(format!("swapped bucket {source} and {dest}")))
}

//! What primaries ask for: a raised `up_thru`, temporary acting sets, and that a new placement group is made.
//!
//! Owns: which of these still make sense on the map as it is. A request that came too late changes nothing; the
//! asker has the newer map soon and asks anew.

use std::{collections::BTreeSet, sync::Arc};

use map::{Change, ClusterMap, HOLE};
use types::{
    BootNonce, Epoch, Error, OsdId, PgId, Result,
    simulation::{Bug, planted},
};

use crate::{draft::Draft, memory::Memory};

/// Placement groups in one request; an OSD that leads more sends several.
const SETS_MAX: usize = 10_000;

pub(crate) fn plan_up_thru(draft: &mut Draft, osd: OsdId, nonce: BootNonce, epoch: Epoch) -> Result<()> {
    let state = draft.map().osds.get(&osd).filter(|state| state.up && state.nonce == nonce);
    let Some(state) = state else {
        return Err(Error::refresh_map(format!("osd.{osd} is not up as this process")));
    };
    let epoch = epoch.min(draft.base().epoch());
    if state.up_thru >= epoch || planted(Bug::UpThruNotRecorded) {
        Ok(())
    } else {
        draft.change(Change::OsdUpThru { osd, epoch })
    }
}

pub(crate) fn plan_pg_temp(draft: &mut Draft, osd: OsdId, sets: &[(PgId, Vec<OsdId>)]) -> Result<()> {
    if sets.len() > SETS_MAX {
        return Err(Error::invalid(format!("{} temporary sets in one request; at most {SETS_MAX}", sets.len())));
    }
    if !draft.map().osds.get(&osd).is_some_and(|state| state.up) {
        return Err(Error::refresh_map(format!("osd.{osd} is not up")));
    }
    let base = draft.base().clone();
    for (pg, set) in sets {
        let exists = draft.map().pools.get(&pg.pool).is_some_and(|pool| pg.seed < pool.pg_num);
        if !exists {
            continue;
        }
        let place = base.place(*pg);
        if place.acting_primary != Some(osd) && place.up_primary != Some(osd) {
            continue;
        }
        let up: Vec<OsdId> = place.up.iter().flatten().copied().collect();
        if !is_usable(draft.map(), *pg, set) || set.is_empty() && planted(Bug::TemporarySetsStay) {
            continue;
        }
        let wanted = if set.is_empty() || *set == up { None } else { Some(set.clone()) };
        if draft.map().pg_temp.get(pg) != wanted.as_ref() {
            draft.change(Change::PgTemp(*pg, wanted))?;
        }
    }
    Ok(())
}

/// Whether a temporary set may be published: not more OSDs than the pool has copies, none twice, all of them up.
fn is_usable(map: &ClusterMap, pg: PgId, set: &[OsdId]) -> bool {
    let Some(pool) = map.pools.get(&pg.pool) else { return false };
    let holes_allowed = !pool.kind.shifts();
    let members: BTreeSet<&OsdId> = set.iter().filter(|osd| **osd != HOLE).collect();
    let holes = set.iter().filter(|osd| **osd == HOLE).count();
    let alive = members.iter().all(|member| map.osds.get(member).is_some_and(|state| state.up));
    set.len() <= pool.size as usize
        && members.len() + holes == set.len()
        && (holes == 0 || holes_allowed)
        && (set.is_empty() || !members.is_empty())
        && alive
}

pub(crate) fn plan_pgs_created(draft: &mut Draft, pgs: &[PgId]) -> Result<()> {
    for pg in pgs {
        if draft.map().creating_pgs.contains(pg) {
            draft.change(Change::PgCreated(*pg))?;
        }
    }
    Ok(())
}

/// Removes exceptions that outlived their reason. Looked for once in each epoch, before anything else is planned.
pub(crate) fn plan_stale_exceptions(memory: &mut Memory, draft: &mut Draft) -> Result<()> {
    let base = Arc::clone(draft.base());
    if memory.exceptions_seen_in == Some(base.epoch()) {
        return Ok(());
    }
    memory.exceptions_seen_in = Some(base.epoch());
    map::stale_exceptions(&base).into_iter().try_for_each(|change| draft.change(change))
}

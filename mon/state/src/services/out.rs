//! Who is out: OSDs that stay down, so that their data is copied elsewhere.
//!
//! Ceph: `mon_osd_down_out_interval`, `mon_osd_down_out_subtree_limit`, `mon_osd_min_in_ratio`, flag `noout`.

use map::{Change, ClusterFlags, ClusterMap, Weight};
use types::{OsdId, Result, Time};

use crate::{draft::Draft, entry::LogLevel, hierarchy, memory::Memory, settings::Settings};

/// The smallest kind of bucket that is not marked out as a whole. Ceph's default.
const DOWN_OUT_SUBTREE_LIMIT: &str = "rack";

pub(crate) fn plan_out(now: Time, settings: &Settings, memory: &mut Memory, draft: &mut Draft) -> Result<()> {
    note_down(now, memory, draft.map());
    if settings.osd_down_out_interval().is_zero() || draft.map().flags.contains(ClusterFlags::NOOUT) {
        return Ok(());
    }
    let due: Vec<OsdId> = memory
        .down_since
        .iter()
        .filter(|(_, since)| now.since(**since) >= settings.osd_down_out_interval())
        .map(|(osd, _)| *osd)
        .collect();
    for osd in due {
        let map = draft.map();
        let Some(state) = map.osds.get(&osd) else { continue };
        if state.flags.contains(ClusterFlags::NOOUT) || is_large_subtree_down(map, osd) {
            continue;
        }
        let total = map.osds.len();
        let stay_in = map.osds.values().filter(|state| state.is_in()).count().saturating_sub(1);
        let permille_min = usize::try_from(settings.osd_in_permille_min()).unwrap_or(usize::MAX);
        if stay_in.saturating_mul(1000) < total.saturating_mul(permille_min) {
            continue;
        }
        let weight_before_out = Some(state.weight);
        draft.change(Change::OsdWeight { osd, weight: Weight::ZERO, weight_before_out })?;
        let seconds = settings.osd_down_out_interval().as_secs();
        draft.log(LogLevel::Warning, format!("osd.{osd} is out: it was down for {seconds} s"));
        memory.down_since.remove(&osd);
    }
    Ok(())
}

fn note_down(now: Time, memory: &mut Memory, map: &ClusterMap) {
    for (id, state) in &map.osds {
        if !state.up && state.is_in() {
            memory.down_since.entry(*id).or_insert(now);
        }
    }
    memory.down_since.retain(|id, _| map.osds.get(id).is_some_and(|state| !state.up && state.is_in()));
}

/// Whether a whole rack, or something larger than a rack, lies down around this OSD: then a power feed or a switch is at
/// fault, and copying everything elsewhere would be the wrong answer. The root itself does not count.
fn is_large_subtree_down(map: &ClusterMap, osd: OsdId) -> bool {
    let Some(rack) = map.crush.type_by_name(DOWN_OUT_SUBTREE_LIMIT) else { return false };
    hierarchy::ancestors(&map.crush, osd)
        .into_iter()
        .filter(|bucket| map.crush.item_type(*bucket).is_some_and(|kind| kind >= rack))
        .filter(|bucket| map.crush.parent_of(*bucket).is_some())
        .any(|bucket| {
            let members = hierarchy::osds_below(&map.crush, bucket);
            !members.iter().any(|member| map.osds.get(member).is_some_and(|state| state.up))
        })
}

//! What each change does to a map.
//!
//! Owns: the meaning of every [`Change`], and the rule that a map changes only here. Does not know: why somebody wants a
//! change (the monitors' machine), or whether the result makes sense as a whole (`check`).
//!
//! Invariants
//! 1. An increment applies wholly or not at all, and to the epoch before its own only.
//! 2. Changes apply in order; later ones see what earlier ones did.
//! 3. No entry of an exception table outlives the pool, the placement group or the OSD that it names.

use std::{collections::btree_map::Entry, sync::Arc};

use crush::CrushMap;
use types::{Epoch, Error, OsdId, PgId, PoolId, Result, stable_modulo};

use crate::{
    CHANGES_MAX, Change, ClusterFlags, ClusterMap, Death, HOLE, Increment, OsdState, Pool, Weight,
    conversion::from_crush,
};

impl Increment {
    /// The step from `base` that makes these changes, with the checksum of what comes out.
    ///
    /// Time never goes back: `modified_ms` is raised to the base's if it lies before.
    ///
    /// # Errors
    /// What [`ClusterMap::apply`] would say of the changes.
    pub fn new(base: &ClusterMap, modified_ms: u64, mut changes: Vec<Change>) -> Result<Self> {
        if changes.len() > CHANGES_MAX {
            return Err(Error::invalid(format!(
                "{} changes are more than {CHANGES_MAX} in one increment",
                changes.len()
            )));
        }
        for change in &mut changes {
            change.normalize()?;
        }
        let modified_ms = modified_ms.max(base.modified_ms);
        let mut increment = Self { epoch: base.epoch.next(), modified_ms, result_checksum: 0, changes };
        increment.result_checksum = base.changed_by(&increment)?.checksum();
        Ok(increment)
    }
}

impl Change {
    /// Brings the change into the form that its bytes decode to, so that its maker and everybody else apply the same.
    fn normalize(&mut self) -> Result<()> {
        match self {
            Self::Crush(hierarchy) => {
                // Editing may leave behind what decoding drops, such as choose arguments of a bucket that is gone.
                let decoded = CrushMap::decode(&hierarchy.encode()).map_err(from_crush)?;
                *hierarchy = Arc::new(decoded);
            }
            Self::PgUpmap(_, osds) | Self::PgTemp(_, osds) => *osds = non_empty(osds),
            Self::PgUpmapItems(_, pairs) => *pairs = non_empty(pairs),
            _ => {}
        }
        Ok(())
    }
}

impl ClusterMap {
    /// The map of the next epoch.
    ///
    /// # Errors
    /// `Invalid` for an increment of another epoch than the next, or one whose changes do not fit this map; `Damaged` when the
    /// result has another checksum than the increment says: then this copy, or the increment, has gone wrong.
    pub fn apply(&self, increment: &Increment) -> Result<Self> {
        let next = self.changed_by(increment)?;
        let checksum = next.checksum();
        compare_checksums(increment, checksum)?;
        Ok(next)
    }

    /// The map after the changes, without looking at its checksum.
    pub(crate) fn changed_by(&self, increment: &Increment) -> Result<Self> {
        let doing = || format!("apply map increment {}", increment.epoch);
        if increment.epoch.0 == 0 || increment.epoch.previous() != self.epoch {
            return Err(Error::invalid(format!("{}: the map has epoch {}", doing(), self.epoch)));
        }
        if increment.modified_ms < self.modified_ms {
            return Err(Error::invalid(format!("{}: its time lies before the map's", doing())));
        }
        let mut next = self.clone();
        next.epoch = increment.epoch;
        next.modified_ms = increment.modified_ms;
        for change in &increment.changes {
            next.apply_change(change).map_err(|error| error.context(doing()))?;
        }
        Ok(next)
    }

    /// Makes one change, as of this map's own epoch. For the working copy of whoever plans the next epoch: what is published
    /// comes from [`ClusterMap::apply`] alone.
    ///
    /// # Errors
    /// When the change does not fit the map; the map may then have changed in part.
    pub fn apply_change(&mut self, change: &Change) -> Result<()> {
        let epoch = self.epoch;
        match change {
            Change::Flags(flags) => self.flags = *flags,
            Change::OsdWeight { osd, weight, weight_before_out } => {
                let state = self.osd_mut(*osd)?;
                state.weight = *weight;
                state.weight_before_out = *weight_before_out;
            }
            Change::OsdPrimaryAffinity { osd, affinity } => self.osd_mut(*osd)?.primary_affinity = *affinity,
            // Never lowered: what was proven once stays proven.
            Change::OsdUpThru { osd, epoch } => {
                let state = self.osd_mut(*osd)?;
                state.up_thru = state.up_thru.max(*epoch);
            }
            Change::OsdLastClean { osd, begin, end } => {
                let state = self.osd_mut(*osd)?;
                (state.last_clean_begin, state.last_clean_end) = (*begin, *end);
            }
            Change::OsdFlags { osd, flags } => self.osd_mut(*osd)?.flags = *flags,
            Change::OsdLost { osd } => self.down_osd_mut(*osd, "declared lost")?.lost_at = epoch,
            Change::OsdCreate { .. } | Change::OsdUp { .. } | Change::OsdDown { .. } | Change::OsdRemove { .. } => {
                self.apply_osd_life(change)?;
            }
            Change::PoolSet(pool) => self.set_pool(pool)?,
            Change::PoolRemove(pool) => self.remove_pool(*pool)?,
            Change::Crush(crush) => self.crush = Arc::clone(crush),
            Change::PgUpmap(pg, osds) => set(&mut self.pg_upmap, *pg, non_empty(osds)),
            Change::PgUpmapItems(pg, pairs) => set(&mut self.pg_upmap_items, *pg, non_empty(pairs)),
            Change::PgUpmapPrimary(pg, osd) => set(&mut self.pg_upmap_primary, *pg, *osd),
            Change::PgTemp(pg, osds) => set(&mut self.pg_temp, *pg, non_empty(osds)),
            Change::PrimaryTemp(pg, osd) => set(&mut self.primary_temp, *pg, *osd),
            Change::PgCreated(pg) => {
                self.creating_pgs.remove(pg);
            }
            Change::Monitor(id, entry) => set(&mut self.monitors, *id, entry.clone()),
            Change::Managers(managers) => self.managers = managers.clone(),
            Change::Blocklist(entry, until_ms) => set(&mut self.blocklist, *entry, *until_ms),
            Change::FullRatios(ratios) => self.full_ratios = *ratios,
            Change::Configuration { option, target, value } => {
                self.configuration.set(option, target, value.clone());
            }
            Change::ClientNext(client) => {
                if *client < self.client_next {
                    return Err(Error::invalid(format!(
                        "the next client id would go back from {} to {client}",
                        self.client_next
                    )));
                }
                self.client_next = *client;
            }
            Change::Gates { protocol_min, require_osd_release } => {
                if *protocol_min < self.protocol_min || *require_osd_release < self.require_osd_release {
                    return Err(Error::invalid("what every daemon must know is never taken back"));
                }
                self.protocol_min = *protocol_min;
                self.require_osd_release = *require_osd_release;
            }
        }
        Ok(())
    }

    /// Changes of whether an OSD exists and serves.
    fn apply_osd_life(&mut self, change: &Change) -> Result<()> {
        let epoch = self.epoch;
        match change {
            Change::OsdCreate { osd, uuid } => match self.osds.entry(*osd) {
                Entry::Occupied(_) => return Err(Error::exists(format!("osd.{osd} exists already"))),
                Entry::Vacant(place) => {
                    place.insert(OsdState::new(*uuid));
                }
            },
            Change::OsdUp { osd, uuid, address, nonce, host } => {
                let state = self.osd_mut(*osd)?;
                if state.uuid != *uuid {
                    // A new life on an empty device: nothing that the old one had proven holds for it.
                    state.uuid = *uuid;
                    state.up_thru = Epoch::ZERO;
                    state.last_clean_begin = Epoch::ZERO;
                    state.last_clean_end = Epoch::ZERO;
                }
                state.up = true;
                state.up_from = epoch;
                state.dead_epoch = Epoch::ZERO;
                state.address = Some(*address);
                state.nonce = *nonce;
                state.host.clone_from(host);
            }
            Change::OsdDown { osd, dead } => {
                let state = self.osd_mut(*osd)?;
                if state.up {
                    state.up = false;
                    state.down_at = epoch;
                    state.address = None;
                }
                if *dead == Death::Proven && state.dead_epoch == Epoch::ZERO {
                    state.dead_epoch = epoch;
                }
            }
            Change::OsdRemove { osd } => {
                self.down_osd_mut(*osd, "removed")?;
                self.osds.remove(osd);
                self.forget_osd(*osd);
            }
            _ => {}
        }
        Ok(())
    }

    fn osd_mut(&mut self, osd: OsdId) -> Result<&mut OsdState> {
        self.osds.get_mut(&osd).ok_or_else(|| Error::not_found(format!("osd.{osd} does not exist")))
    }

    fn down_osd_mut(&mut self, osd: OsdId, done: &str) -> Result<&mut OsdState> {
        let state = self.osd_mut(osd)?;
        if state.up {
            return Err(Error::invalid(format!("osd.{osd} is up; only an OSD that is down can be {done}")));
        }
        Ok(state)
    }

    fn set_pool(&mut self, pool: &Arc<Pool>) -> Result<()> {
        let id = pool.id;
        let mut next = Pool::clone(pool);
        next.changed = self.epoch;
        if let Some(present) = self.pools.get(&id) {
            next.created = present.created;
            let (old_pg_num, new_pg_num) = (present.pg_num, next.pg_num);
            // A group that splits off a parent nobody has made yet has nobody to get its objects from either.
            for seed in old_pg_num..new_pg_num {
                let parent = PgId { pool: id, seed: stable_modulo(seed, old_pg_num) };
                if self.creating_pgs.contains(&parent) {
                    self.creating_pgs.insert(PgId { pool: id, seed });
                }
            }
            self.forget_pgs(|pg| pg.pool == id && pg.seed >= new_pg_num);
        } else {
            if id < self.pool_next {
                return Err(Error::exists(format!("pool number {id} was used before and is never used again")));
            }
            next.created = self.epoch;
            let after = id.0.checked_add(1).ok_or_else(|| Error::invalid("there is no pool number after this one"))?;
            self.pool_next = PoolId(after);
            // The table is bounded before it is filled; `check` names the same limit.
            if next.pg_num > types::limits::POOL_PG_NUM_MAX {
                return Err(Error::invalid(format!("a pool of {} placement groups is beyond the limit", next.pg_num)));
            }
            self.creating_pgs.extend(next.pgs());
        }
        self.pools.insert(id, Arc::new(next));
        Ok(())
    }

    fn remove_pool(&mut self, pool: PoolId) -> Result<()> {
        if self.pools.remove(&pool).is_none() {
            return Err(Error::not_found(format!("pool {pool} does not exist")));
        }
        self.forget_pgs(|pg| pg.pool == pool);
        Ok(())
    }

    /// Drops every exception for the placement groups that are gone.
    fn forget_pgs(&mut self, gone: impl Fn(&PgId) -> bool) {
        self.pg_upmap.retain(|pg, _| !gone(pg));
        self.pg_upmap_items.retain(|pg, _| !gone(pg));
        self.pg_upmap_primary.retain(|pg, _| !gone(pg));
        self.pg_temp.retain(|pg, _| !gone(pg));
        self.primary_temp.retain(|pg, _| !gone(pg));
        self.creating_pgs.retain(|pg| !gone(pg));
    }

    /// Drops every exception for placement groups that do not exist.
    pub(crate) fn forget_pgs_beyond(&mut self) {
        let pools = self.pools.clone();
        self.forget_pgs(|pg| pools.get(&pg.pool).is_none_or(|pool| pg.seed >= pool.pg_num));
    }

    /// Drops every exception that names an OSD that is gone. In temporary sets of erasure-coded pools it becomes a hole.
    fn forget_osd(&mut self, gone: OsdId) {
        self.pg_upmap.retain(|_, osds| !osds.contains(&gone));
        self.pg_upmap_items.retain(|_, pairs| {
            pairs.retain(|(from, to)| *from != gone && *to != gone);
            !pairs.is_empty()
        });
        self.pg_upmap_primary.retain(|_, osd| *osd != gone);
        self.primary_temp.retain(|_, osd| *osd != gone);
        let pools = &self.pools;
        self.pg_temp.retain(|pg, osds| {
            if pools.get(&pg.pool).is_none_or(|pool| pool.kind.shifts()) {
                osds.retain(|osd| *osd != gone);
            } else {
                osds.iter_mut().filter(|osd| **osd == gone).for_each(|osd| *osd = HOLE);
            }
            osds.iter().any(|osd| *osd != HOLE)
        });
    }
}

impl OsdState {
    /// An OSD that exists since now: down, out, with full affinity.
    pub(crate) fn new(uuid: types::OsdUuid) -> Self {
        Self {
            uuid,
            up: false,
            weight: Weight::ZERO,
            weight_before_out: None,
            primary_affinity: Weight::ONE,
            address: None,
            nonce: types::BootNonce(0),
            host: String::new(),
            up_from: Epoch::ZERO,
            up_thru: Epoch::ZERO,
            down_at: Epoch::ZERO,
            dead_epoch: Epoch::ZERO,
            last_clean_begin: Epoch::ZERO,
            last_clean_end: Epoch::ZERO,
            flags: ClusterFlags::default(),
            lost_at: Epoch::ZERO,
        }
    }
}

/// Whether the result is what the increment's maker had.
pub(crate) fn compare_checksums(increment: &Increment, found: u32) -> Result<()> {
    if found == increment.result_checksum {
        return Ok(());
    }
    Err(Error::damaged(format!(
        "apply map increment {}: the result has checksum {found:08x}, but should have {:08x}; this copy of the map has diverged",
        increment.epoch, increment.result_checksum
    )))
}

fn set<K: Ord, V>(table: &mut std::collections::BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}

/// The list, unless it is empty: an empty one means removal.
fn non_empty<T: Clone>(list: &Option<Vec<T>>) -> Option<Vec<T>> {
    list.as_ref().filter(|list| !list.is_empty()).cloned()
}

#[cfg(test)]
mod tests;

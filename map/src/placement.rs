//! Where a placement group lives by one map: the steps from its number to the OSDs that serve it.
//!
//! number -> placement seed -> CRUSH = *raw* -> upmap exceptions -> drop OSDs that are down -> primary affinity = *up*
//! -> temporary sets = *acting*. Every step follows Ceph bit for bit; the golden vectors compare raw, up and acting.
//!
//! Owns: the order of the steps and their rules. Does not know: who asks, what happened in earlier epochs.
//!
//! Invariants
//! 1. In replicated pools a set has no holes: what is missing shifts the rest forward. In erasure-coded pools positions
//!    are shards: what is missing leaves a hole.
//! 2. Each OSD of `up` exists and is up. So does each of `acting`; only `acting_primary` may name an OSD that is down, when a
//!    `primary_temp` exception outlived it.

use crush::hash::{hash32_2, string_hash_linux, string_hash_rjenkins};
use types::{ObjectName, OsdId, PgId, stable_modulo};

use crate::{ClusterMap, HOLE, Pool, PoolFlags, PoolKind, Weight};

/// Where a placement group lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// What CRUSH says, before any exception and whether or not the OSDs are up.
    pub raw: Vec<Option<OsdId>>,
    /// Who should hold it, of those that are up, with upmap exceptions.
    pub up: Vec<Option<OsdId>>,
    /// Who should lead.
    pub up_primary: Option<OsdId>,
    /// Who serves now: the up set, unless a temporary set is in force.
    pub acting: Vec<Option<OsdId>>,
    /// Who leads now.
    pub acting_primary: Option<OsdId>,
}

impl Placement {
    /// The OSDs of the acting set, without holes.
    pub fn acting_osds(&self) -> impl Iterator<Item = OsdId> {
        self.acting.iter().flatten().copied()
    }

    /// The OSDs of the up set, without holes.
    pub fn up_osds(&self) -> impl Iterator<Item = OsdId> {
        self.up.iter().flatten().copied()
    }
}

/// Byte between namespace and name in the hash. Ceph writes it as octal 037: the ASCII unit separator.
const NAMESPACE_SEPARATOR: u8 = 0x1f;

/// Number of the linux string hash in a pool.
pub(crate) const OBJECT_HASH_LINUX: u32 = 1;
/// Number of the rjenkins string hash in a pool.
pub(crate) const OBJECT_HASH_RJENKINS: u32 = 2;

impl PoolKind {
    /// Whether a missing member's place is taken by the next one; otherwise it stays a hole.
    pub fn shifts(&self) -> bool {
        match self {
            Self::Replicated => true,
            Self::Erasure { .. } => false,
        }
    }
}

impl Pool {
    /// The full 32-bit hash that places an object: of the namespace, if any, and the locator key or else the name.
    pub fn object_hash_of(&self, name: &ObjectName) -> u32 {
        let hash = |bytes: &[u8]| match self.object_hash {
            OBJECT_HASH_LINUX => string_hash_linux(bytes),
            _ => string_hash_rjenkins(bytes),
        };
        if name.namespace.is_empty() {
            return hash(name.placement_bytes());
        }
        let mut bytes = Vec::with_capacity(name.namespace.len() + 1 + name.placement_bytes().len());
        bytes.extend_from_slice(&name.namespace);
        bytes.push(NAMESPACE_SEPARATOR);
        bytes.extend_from_slice(name.placement_bytes());
        hash(&bytes)
    }

    /// The placement group of this pool that an object hash falls into.
    pub fn pg_of_hash(&self, hash: u32) -> PgId {
        PgId { pool: self.id, seed: stable_modulo(hash, self.pg_num) }
    }

    /// The number that CRUSH places a placement group by; groups that agree modulo `pgp_num` share it.
    pub fn placement_seed(&self, pg: PgId) -> u32 {
        // Ceph's pool numbers take part with their lowest 32 bits.
        #[expect(clippy::cast_possible_truncation, reason = "Ceph mixes the low 32 bits of the pool id")]
        let pool = self.id.0 as u32;
        let folded = stable_modulo(pg.seed, self.pgp_num);
        if self.flags.contains(PoolFlags::HASHPSPOOL) { hash32_2(folded, pool) } else { folded.wrapping_add(pool) }
    }

    /// Every placement group of the pool.
    pub fn pgs(&self) -> impl Iterator<Item = PgId> + use<> {
        let pool = self.id;
        (0..self.pg_num).map(move |seed| PgId { pool, seed })
    }
}

impl ClusterMap {
    /// The in/out weight of an OSD; one that does not exist is out.
    fn weight_of(&self, osd: OsdId) -> Weight {
        self.osds.get(&osd).map_or(Weight::ZERO, |state| state.weight)
    }

    /// Whether the OSD exists and is up.
    pub fn is_up(&self, osd: OsdId) -> bool {
        self.osds.get(&osd).is_some_and(|state| state.up)
    }

    /// From the raw set to who serves.
    pub(crate) fn finish_placement(&self, pool: &Pool, pg: PgId, raw: Vec<Option<OsdId>>) -> Placement {
        let mut mapped = raw.clone();
        self.apply_upmap(pg, &mut mapped);
        let mut up = self.drop_down(pool, mapped);
        let mut up_primary = first_osd(&up);
        self.apply_primary_affinity(pool, pg, &mut up, &mut up_primary);
        let mut acting = self.temporary_set(pool, pg);
        let mut acting_primary = self.primary_temp.get(&pg).copied().or_else(|| first_osd(&acting));
        if acting.is_empty() {
            acting.clone_from(&up);
            acting_primary = acting_primary.or(up_primary);
        }
        Placement { raw, up, up_primary, acting, acting_primary }
    }

    /// Replaces what operators or the balancer asked to be replaced.
    ///
    /// Ceph: an exception whose target is out is ignored, and a whole-set exception that is ignored also switches off the
    /// group's single replacements.
    fn apply_upmap(&self, pg: PgId, mapped: &mut Vec<Option<OsdId>>) {
        let is_out = |osd: OsdId| self.weight_of(osd) == Weight::ZERO;
        if let Some(targets) = self.pg_upmap.get(&pg) {
            if targets.iter().any(|target| *target != HOLE && is_out(*target)) {
                return;
            }
            *mapped = targets.iter().map(|target| present(*target)).collect();
        }
        for (from, to) in self.pg_upmap_items.get(&pg).into_iter().flatten().copied() {
            // Replacements come one after the other; one whose target is there already (perhaps by the one before) is ignored.
            if mapped.contains(&Some(to)) || is_out(to) {
                continue;
            }
            if let Some(place) = mapped.iter_mut().find(|place| **place == Some(from)) {
                *place = Some(to);
            }
        }
        if let Some(primary) = self.pg_upmap_primary.get(&pg).copied()
            && !is_out(primary)
            && let Some(position) = mapped.iter().position(|place| *place == Some(primary))
        {
            mapped.swap(0, position);
        }
    }

    fn drop_down(&self, pool: &Pool, mut mapped: Vec<Option<OsdId>>) -> Vec<Option<OsdId>> {
        let serves = |place: &Option<OsdId>| place.is_some_and(|osd| self.is_up(osd));
        if pool.kind.shifts() {
            mapped.retain(serves);
        } else {
            mapped.iter_mut().filter(|place| !serves(place)).for_each(|place| *place = None);
        }
        mapped
    }

    /// Passes over members in proportion to what their affinity lacks to one, and lets the first that remains lead. When all
    /// are passed over, the first of them leads.
    fn apply_primary_affinity(
        &self,
        pool: &Pool,
        pg: PgId,
        members: &mut [Option<OsdId>],
        primary: &mut Option<OsdId>,
    ) {
        let affinity_of = |osd: OsdId| self.osds.get(&osd).map_or(Weight::ONE, |state| state.primary_affinity);
        if members.iter().flatten().all(|osd| affinity_of(*osd) == Weight::ONE) {
            return;
        }
        let seed = pool.placement_seed(pg);
        let accepts = |osd: OsdId| {
            let affinity = affinity_of(osd);
            affinity >= Weight::ONE || hash32_2(seed, osd.0) >> 16 < affinity.0
        };
        let present = || members.iter().enumerate().filter_map(|(position, member)| Some((position, (*member)?)));
        let Some((position, chosen)) = present().find(|(_, osd)| accepts(*osd)).or_else(|| present().next()) else {
            return;
        };
        *primary = Some(chosen);
        if pool.kind.shifts() {
            members[..=position].rotate_right(1);
        }
    }

    /// Who serves while the up set fills; empty when nothing was asked for or nobody of it is up.
    fn temporary_set(&self, pool: &Pool, pg: PgId) -> Vec<Option<OsdId>> {
        let Some(members) = self.pg_temp.get(&pg) else { return Vec::new() };
        self.drop_down(pool, members.iter().map(|member| present(*member)).collect())
    }
}

/// The OSD, unless it stands for a hole.
fn present(osd: OsdId) -> Option<OsdId> {
    (osd != HOLE).then_some(osd)
}

/// Who leads when nothing else decides: the first that is there.
pub(crate) fn first_osd(members: &[Option<OsdId>]) -> Option<OsdId> {
    members.iter().flatten().next().copied()
}

//! The one who changes maps: grants wishes after a while, marks OSDs down and up.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use map::{Change, ClusterMap, Death, Increment, MonitorEntry, Pool, PoolFlags, PoolKind, PublishedMap, Weight};
use types::{BootNonce, ClusterId, Epoch, MonId, OsdId, OsdUuid, PgId, PoolId, Uuid};

pub const PG: PgId = PgId { pool: PoolId(1), seed: 0 };

fn uuid_of(osd: OsdId, life: u8) -> OsdUuid {
    let mut bytes = [life; 16];
    bytes[..4].copy_from_slice(&osd.0.to_le_bytes());
    OsdUuid(Uuid(bytes))
}

pub struct Monitor {
    pub maps: Vec<Arc<PublishedMap>>,
    pub up_thru: BTreeMap<OsdId, Epoch>,
    pub pg_temp: Option<(OsdId, Vec<OsdId>)>,
    pub created: bool,
    lives: BTreeMap<OsdId, u8>,
}

impl Monitor {
    pub fn new(osds: u32, size: u32, min_size: u32) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 3300));
        let monitors = BTreeMap::from([(MonId(0), MonitorEntry { name: "a".to_owned(), address })]);
        let mut map = ClusterMap::first(ClusterId(Uuid([7; 16])), monitors, 0).expect("first map");
        let mut crush = crush::CrushMap::clone(&map.crush);
        let mut changes = Vec::new();
        for osd in (0..osds).map(OsdId) {
            let host = format!("host{osd}");
            let number = i32::try_from(osd.0).expect("small");
            crush.add_osd(number, 0x10000, &[("host", &host), ("root", "default")]).expect("place an OSD");
            changes.push(Change::OsdCreate { osd, uuid: uuid_of(osd, 1) });
            changes.push(boot(osd, 1, BootNonce(1)));
            changes.push(Change::OsdWeight { osd, weight: Weight::ONE, weight_before_out: None });
        }
        changes.push(Change::Crush(Arc::new(crush)));
        let increment = Increment::new(&map, 1, changes).expect("second map");
        map = map.apply(&increment).expect("second map");
        let pool = Pool {
            id: PG.pool,
            name: "pool".to_owned(),
            kind: PoolKind::Replicated,
            size,
            min_size,
            crush_rule: 0,
            object_hash: 2,
            pg_num: 1,
            pgp_num: 1,
            flags: PoolFlags::HASHPSPOOL.with(PoolFlags::SELF_MANAGED_SNAPSHOTS),
            quota_bytes: 0,
            quota_objects: 0,
            applications: BTreeMap::new(),
            // Clients of these tests number their snapshots themselves.
            snapshot_sequence: 1_000_000,
            snapshots: BTreeMap::new(),
            removed_snapshots: types::SnapshotRanges::default(),
            options: BTreeMap::new(),
            created: Epoch::ZERO,
            changed: Epoch::ZERO,
        };
        let first = PublishedMap::new(map).expect("publish");
        let mut this = Self {
            maps: vec![first],
            up_thru: BTreeMap::new(),
            pg_temp: None,
            created: false,
            lives: (0..osds).map(|osd| (OsdId(osd), 1)).collect(),
        };
        this.publish(vec![Change::PoolSet(Arc::new(pool))]);
        this
    }

    pub fn newest(&self) -> &Arc<PublishedMap> {
        self.maps.last().expect("there is a first map")
    }

    pub fn map_of(&self, epoch: Epoch) -> Arc<PublishedMap> {
        let first = self.maps[0].epoch().0;
        self.maps[usize::try_from(epoch.0 - first).expect("small")].clone()
    }

    pub fn publish(&mut self, changes: Vec<Change>) {
        let newest = self.newest().clone();
        let increment = Increment::new(&newest, u64::from(newest.epoch().0), changes).expect("a change of the map");
        self.maps.push(newest.apply(&increment).expect("the next map"));
    }

    /// The pool as it is, changed.
    pub fn change_pool(&mut self, change: impl FnOnce(&mut Pool)) {
        let mut pool = Pool::clone(&self.newest().pools[&PG.pool]);
        change(&mut pool);
        self.publish(vec![Change::PoolSet(Arc::new(pool))]);
    }

    /// A snapshot is removed from the pool.
    pub fn remove_snapshot(&mut self, snapshot: types::SnapshotId) {
        self.change_pool(|pool| {
            pool.snapshots.remove(&snapshot.0);
            pool.removed_snapshots.insert(snapshot);
        });
    }

    /// Publishes what is wished for. Says whether there was anything.
    pub fn grant_wishes(&mut self) -> bool {
        let newest = self.newest().clone();
        let mut changes = Vec::new();
        for (osd, epoch) in std::mem::take(&mut self.up_thru) {
            if newest.is_up(osd) && newest.osds[&osd].up_thru < epoch {
                changes.push(Change::OsdUpThru { osd, epoch: newest.epoch() });
            }
        }
        if let Some((from, wanted)) = self.pg_temp.take() {
            let leads = newest.place(PG).acting_primary == Some(from);
            let now = newest.pg_temp.get(&PG).cloned().unwrap_or_default();
            if leads && now != wanted && wanted.iter().all(|osd| newest.is_up(*osd)) {
                changes.push(Change::PgTemp(PG, (!wanted.is_empty()).then_some(wanted)));
            }
        }
        if std::mem::take(&mut self.created) && newest.creating_pgs.contains(&PG) {
            changes.push(Change::PgCreated(PG));
        }
        let any = !changes.is_empty();
        if any {
            self.publish(changes);
        }
        any
    }

    pub fn mark_down(&mut self, osd: OsdId, dead: Death) {
        if self.newest().is_up(osd) {
            self.publish(vec![Change::OsdDown { osd, dead }]);
        }
    }

    pub fn mark_up(&mut self, osd: OsdId, nonce: BootNonce) {
        self.publish(vec![boot(osd, self.lives[&osd], nonce)]);
    }

    pub fn wipe(&mut self, osd: OsdId) {
        if let Some(life) = self.lives.get_mut(&osd) {
            *life += 1;
        }
    }

    pub fn weigh(&mut self, osd: OsdId, weight: Weight) {
        if self.newest().osds[&osd].weight != weight {
            self.publish(vec![Change::OsdWeight { osd, weight, weight_before_out: None }]);
        }
    }

    pub fn all_up(&self, osds: &BTreeSet<OsdId>) -> bool {
        osds.iter().all(|osd| self.newest().is_up(*osd))
    }
}

fn boot(osd: OsdId, life: u8, nonce: BootNonce) -> Change {
    let port = 6800 + u16::try_from(osd.0).expect("small");
    Change::OsdUp {
        osd,
        uuid: uuid_of(osd, life),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        nonce,
        host: format!("host{osd}"),
    }
}

//! How evenly placement spreads, and how much more than the least it moves, as a table in Markdown.
//!
//! `cargo run -p ika-map --example placement_quality`. Everything is computed from the map; two runs print the same.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use crush::CrushMap;
use map::{
    Change, ClusterMap, Increment, Mapping, Movement, Pool, PoolFlags, PoolKind, PublishedMap, Weight, copies_by_osd,
    movement,
};
use types::{BootNonce, ClusterId, Epoch, OsdId, OsdUuid, PoolId, Result, Uuid};

/// Copies of placement groups that an OSD has on average: what operators are advised to aim at.
const COPIES_PER_OSD: u32 = 100;
const SIZE: u32 = 3;
const POOL: PoolId = PoolId(1);

fn main() -> Result<()> {
    println!("| OSDs | hosts | groups | fewest | mean | most | standard deviation | by chance |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let sizes = [(10, 10), (100, 25), (1000, 50)];
    let clusters = sizes.map(|(osds, hosts)| (osds, hosts, cluster(osds, hosts)));
    for (osds, hosts, cluster) in &clusters {
        print_spread(*osds, *hosts, &Mapping::of(cluster.as_ref().map_err(Clone::clone)?));
    }
    println!("\n| OSDs | change | groups changed | copies moved | least possible | ratio |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: |");
    for (osds, hosts, cluster) in clusters {
        let before = cluster?;
        let mapping = Mapping::of(&before);
        for (name, changes) in steps(&before, osds, hosts)? {
            let after = before.apply(&Increment::new(&before, 0, changes)?)?;
            let mut followed = mapping.clone();
            followed.follow(&after);
            print_movement(osds, name, &movement(&mapping, &followed, |_| 1));
        }
    }
    Ok(())
}

fn host_of(osd: u32, hosts: u32) -> String {
    format!("host{}", osd % hosts)
}

fn invalid(error: crush::Error) -> types::Error {
    types::Error::invalid(error.to_string())
}

fn place_osd(hierarchy: &mut CrushMap, osd: u32, hosts: u32) -> Result<()> {
    let device = i32::try_from(osd).map_err(|error| types::Error::invalid(error.to_string()))?;
    let host = host_of(osd, hosts);
    hierarchy.add_osd(device, crush::WEIGHT_ONE, &[("host", &host), ("root", "default")]).map_err(invalid)
}

/// An OSD that is there, up and in.
fn arrival(osd: u32, hosts: u32) -> [Change; 3] {
    let mut uuid = [0; 16];
    uuid[..4].copy_from_slice(&osd.to_le_bytes());
    let uuid = OsdUuid(Uuid(uuid));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 6800));
    let (osd, host) = (OsdId(osd), host_of(osd, hosts));
    [
        Change::OsdCreate { osd, uuid },
        Change::OsdUp { osd, uuid, address, nonce: BootNonce(1), host },
        Change::OsdWeight { osd, weight: Weight::ONE, weight_before_out: None },
    ]
}

fn cluster(osds: u32, hosts: u32) -> Result<Arc<PublishedMap>> {
    let first = ClusterMap::first(ClusterId(Uuid([1; 16])), BTreeMap::new(), 0)?;
    let mut hierarchy = CrushMap::clone(&first.crush);
    let mut changes = Vec::new();
    for osd in 0..osds {
        place_osd(&mut hierarchy, osd, hosts)?;
        changes.extend(arrival(osd, hosts));
    }
    let pg_num = (osds * COPIES_PER_OSD / SIZE).next_power_of_two();
    changes.push(Change::Crush(Arc::new(hierarchy)));
    changes.push(Change::PoolSet(Arc::new(pool(pg_num))));
    PublishedMap::new(first.apply(&Increment::new(&first, 0, changes)?)?)
}

fn pool(pg_num: u32) -> Pool {
    Pool {
        id: POOL,
        name: "data".to_owned(),
        kind: PoolKind::Replicated,
        size: SIZE,
        min_size: 2,
        crush_rule: 0,
        object_hash: 2,
        pg_num,
        pgp_num: pg_num,
        flags: PoolFlags::HASHPSPOOL,
        quota_bytes: 0,
        quota_objects: 0,
        applications: BTreeMap::new(),
        snapshot_sequence: 0,
        snapshots: BTreeMap::new(),
        removed_snapshots: Vec::new(),
        options: BTreeMap::new(),
        created: Epoch::ZERO,
        changed: Epoch::ZERO,
    }
}

/// One OSD more, one out, and one gone.
fn steps(map: &ClusterMap, osds: u32, hosts: u32) -> Result<[(&'static str, Vec<Change>); 3]> {
    let mut larger = CrushMap::clone(&map.crush);
    place_osd(&mut larger, osds, hosts)?;
    let added = arrival(osds, hosts).into_iter().chain([Change::Crush(Arc::new(larger))]).collect();
    let out = vec![Change::OsdWeight { osd: OsdId(0), weight: Weight::ZERO, weight_before_out: None }];
    let mut smaller = CrushMap::clone(&map.crush);
    smaller.remove(0).map_err(invalid)?;
    Ok([("one added", added), ("one out", out), ("one removed", vec![Change::Crush(Arc::new(smaller))])])
}

#[expect(clippy::cast_precision_loss, reason = "counts of copies are far below 2^53")]
fn print_spread(osds: u32, hosts: u32, mapping: &Mapping) {
    let counts = copies_by_osd(mapping);
    let counts: Vec<u64> = counts.get(&POOL).map(|counts| counts.values().copied().collect()).unwrap_or_default();
    let groups = mapping.map().pgs().count();
    let mean = counts.iter().sum::<u64>() as f64 / f64::from(osds);
    let variance = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / f64::from(osds);
    // Each group chooses an OSD or does not: a binomial distribution.
    let chance = (mean * (1.0 - mean / groups as f64)).sqrt();
    let (fewest, most) = (counts.iter().min().unwrap_or(&0), counts.iter().max().unwrap_or(&0));
    println!("| {osds} | {hosts} | {groups} | {fewest} | {mean:.1} | {most} | {:.1} | {chance:.1} |", variance.sqrt());
}

#[expect(clippy::cast_precision_loss, reason = "counts of copies are far below 2^53")]
fn print_movement(osds: u32, name: &str, found: &Movement) {
    let (moved, least) = (found.moved.copies, found.lower_bound.copies);
    println!("| {osds} | {name} | {} | {moved} | {least} | {:.2} |", found.pgs_moved, moved as f64 / least as f64);
}

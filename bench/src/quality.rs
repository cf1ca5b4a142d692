//! How evenly placement spreads, and how much more than the least it moves: a table in Markdown, and a plot.
//!
//! Everything is computed from the map; two runs print the same.

use std::{fs, sync::Arc};

use anyhow::{Context, Result};
use crush::CrushMap;
use map::{Change, ClusterMap, Increment, Mapping, Movement, PublishedMap, Weight, copies_by_osd, movement};
use types::OsdId;

use crate::{
    plot::{Bars, Curve, draw},
    sample_cluster::{COPIES_PER_OSD, POOL, SIZE, arrival, cluster, place_osd, remove_osd},
};

/// OSDs and hosts.
const CLUSTERS: [(u32, u32); 3] = [(10, 10), (100, 25), (1000, 50)];

pub(crate) fn run(plot: Option<&str>) -> Result<()> {
    println!("| OSDs | hosts | groups | fewest | mean | most | standard deviation | by chance |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut curves = Vec::new();
    let mut clusters = Vec::new();
    for (osds, hosts) in CLUSTERS {
        let pg_num = (osds * COPIES_PER_OSD / SIZE).next_power_of_two();
        let map = cluster(osds, hosts, &[pg_num])?;
        curves.push(Curve { name: format!("{osds} OSDs"), values: print_spread(osds, hosts, &Mapping::of(&map)) });
        clusters.push((osds, hosts, map));
    }
    println!("\n| OSDs | change | groups changed | copies moved | least possible | ratio |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: |");
    let mut bars = Vec::new();
    for (osds, hosts, before) in clusters {
        let mapping = Mapping::of(&before);
        let mut ratios = Vec::new();
        for (name, changes) in steps(&before, osds, hosts)? {
            let after = before.apply(&Increment::new(&before, 0, changes)?)?;
            ratios.push((name, print_movement(osds, name, &compare(&mapping, &after))));
        }
        bars.push(Bars { name: format!("{osds} OSDs"), values: ratios });
    }
    if let Some(path) = plot {
        fs::write(path, draw(&curves, &bars)).with_context(|| format!("write {path}"))?;
    }
    Ok(())
}

fn compare(before: &Mapping, after: &Arc<PublishedMap>) -> Movement {
    let mut followed = before.clone();
    followed.follow(after);
    movement(before, &followed, |_| 1)
}

/// One OSD more, one out, and one gone.
fn steps(map: &ClusterMap, osds: u32, hosts: u32) -> Result<[(&'static str, Vec<Change>); 3]> {
    let mut larger = CrushMap::clone(&map.crush);
    place_osd(&mut larger, osds, hosts)?;
    let added = arrival(osds, hosts).into_iter().chain([Change::Crush(Arc::new(larger))]).collect();
    let out = vec![Change::OsdWeight { osd: OsdId(0), weight: Weight::ZERO, weight_before_out: None }];
    let mut smaller = CrushMap::clone(&map.crush);
    remove_osd(&mut smaller, 0)?;
    Ok([("one added", added), ("one out", out), ("one removed", vec![Change::Crush(Arc::new(smaller))])])
}

/// Prints a row, and returns the copies on each OSD as shares of the mean, the fewest first.
#[expect(clippy::cast_precision_loss, reason = "counts of copies are far below 2^53")]
fn print_spread(osds: u32, hosts: u32, mapping: &Mapping) -> Vec<f64> {
    let counts = copies_by_osd(mapping);
    let mut counts: Vec<u64> = counts.get(&POOL).map(|counts| counts.values().copied().collect()).unwrap_or_default();
    counts.sort_unstable();
    let groups = mapping.map().pgs().count();
    let mean = counts.iter().sum::<u64>() as f64 / f64::from(osds);
    let variance = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / f64::from(osds);
    // Each group chooses an OSD or does not: a binomial distribution.
    let chance = (mean * (1.0 - mean / groups as f64)).sqrt();
    let (fewest, most) = (counts.first().unwrap_or(&0), counts.last().unwrap_or(&0));
    println!("| {osds} | {hosts} | {groups} | {fewest} | {mean:.1} | {most} | {:.1} | {chance:.1} |", variance.sqrt());
    counts.iter().map(|count| *count as f64 / mean).collect()
}

/// Prints a row, and returns how many times the least possible was moved.
#[expect(clippy::cast_precision_loss, reason = "counts of copies are far below 2^53")]
fn print_movement(osds: u32, name: &str, found: &Movement) -> f64 {
    let (moved, least) = (found.moved.copies, found.lower_bound.copies);
    let ratio = moved as f64 / least as f64;
    println!("| {osds} | {name} | {} | {moved} | {least} | {ratio:.2} |", found.pgs_moved);
    ratio
}

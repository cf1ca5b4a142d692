//! What it costs to know where everything is after one OSD went out, beside a full computation.

use std::time::Duration;

use anyhow::Result;
use map::{Change, Increment, Mapping, Weight};
use types::{OsdId, limits::POOL_PG_NUM_MAX};

use crate::{
    processor_time,
    sample_cluster::{COPIES_PER_OSD, SIZE, cluster},
};

const OSDS: u32 = 10_000;
const HOSTS: u32 = 500;

/// Pools: the largest number of groups that a pool may have is 65,536, and one pool has too few for so many OSDs.
const POOLS: u32 = 5;

/// Measurements, each with another OSD.
const ROUNDS: u32 = 5;

fn milliseconds(spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e3
}

pub(crate) fn run() -> Result<()> {
    let groups = (OSDS * COPIES_PER_OSD / SIZE / POOLS).next_power_of_two().min(POOL_PG_NUM_MAX);
    let before = cluster(OSDS, HOSTS, &[groups; POOLS as usize])?;
    println!(
        "| all {} groups of {OSDS} OSDs | computed anew | ms on one core | of a full computation |",
        groups * POOLS
    );
    println!("| --- | ---: | ---: | ---: |");
    for round in 0..ROUNDS {
        let (full, mapping) = processor_time::of(|| Mapping::of(&before))?;
        let osd = OsdId(round * OSDS / ROUNDS);
        let out = vec![Change::OsdWeight { osd, weight: Weight::ZERO, weight_before_out: None }];
        let after = before.apply(&Increment::new(&before, 0, out)?)?;
        let mut followed = mapping;
        let (spent, work) = processor_time::of(|| followed.follow(&after))?;
        let share = milliseconds(full) / milliseconds(spent);
        println!("| everything | {} | {:.0} | 1 |", groups * POOLS, milliseconds(full));
        println!("| {osd} out | {} | {:.1} | 1/{share:.0} |", work.computed, milliseconds(spent));
    }
    Ok(())
}

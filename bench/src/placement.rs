//! Mappings per second, beside `crushtool --test` on the same map, rule and inputs, in the same run.

use std::fs;

use anyhow::{Context, Result, anyhow, ensure};
use crush::{Algorithm, Bucket, CompiledMap, CrushMap, Mode, Registers, WEIGHT_ONE, Workspace};

use crate::{crushtool, processor_time, spread::Spread};

/// Copies of an object.
const REPLICAS: usize = 3;

/// Measurements of each kind, in turn.
const ROUNDS: usize = 5;

/// Inputs that are mapped per measurement.
const INPUTS: u32 = 100_000;

/// Inputs whose mappings are compared before anything is measured.
const INPUTS_COMPARED: u32 = 5_000;

/// Racks, hosts per rack, OSDs per host.
const CLUSTERS: [(i32, i32, i32); 3] = [(10, 10, 10), (10, 5, 20), (25, 20, 20)];

/// The types of buckets, as Ceph numbers them.
const HOST: u16 = 1;
const RACK: u16 = 3;
const ROOT: u16 = 11;

pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let path = folder.path().join("map");
    let has_yardstick = crushtool::is_installed();
    if !has_yardstick {
        eprintln!("ika-bench: crushtool is not installed (Debian: ceph-base); there is nothing to compare with");
    }
    let kinds: Vec<Registers> = Registers::available().collect();
    print!("| OSDs (racks × hosts × OSDs) | rule | crushtool µs |");
    kinds.iter().for_each(|registers| print!(" ika, {registers} µs | × |"));
    println!("\n| --- | --- | ---: |{}", " ---: | ---: |".repeat(kinds.len()));
    for (racks, hosts, osds) in CLUSTERS {
        let map = cluster(racks, hosts, osds)?;
        fs::write(&path, map.encode()).context("write the map")?;
        for rule in 0..2 {
            let name = map.rule_name(rule).context("the rule was made with a name")?;
            if has_yardstick {
                compare(&map, rule, &crushtool::mappings(&path, rule, REPLICAS, INPUTS_COMPARED)?)?;
            }
            let mut theirs = Spread::default();
            let mut ours: Vec<Spread> = kinds.iter().map(|_| Spread::default()).collect();
            for _ in 0..ROUNDS {
                if has_yardstick {
                    theirs.add(crushtool::nanoseconds_per_mapping(&path, rule, REPLICAS, INPUTS)?);
                }
                for (registers, spread) in kinds.iter().zip(&mut ours) {
                    spread.add(nanoseconds_per_mapping(&map, rule, *registers)?);
                }
            }
            print!("| {} ({racks} × {hosts} × {osds}) | {name} | {theirs} |", racks * hosts * osds);
            ours.iter().for_each(|spread| print!(" {spread} | {:.1} |", theirs.median() / spread.median()));
            println!();
        }
    }
    Ok(())
}

fn refused(error: crush::Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// A root of racks of hosts of devices, with a rule for each of both failure domains.
fn cluster(racks: i32, hosts: i32, osds: i32) -> Result<CrushMap> {
    let mut map = CrushMap::new_default();
    for rack in 0..racks {
        for host in 0..hosts {
            for osd in 0..osds {
                let number = (rack * hosts + host) * osds + osd;
                let (host, rack) = (format!("host{rack}-{host}"), format!("rack{rack}"));
                let location = [("host", host.as_str()), ("rack", rack.as_str()), ("root", "default")];
                map.add_osd(number, WEIGHT_ONE, &location).map_err(refused)?;
            }
        }
    }
    let expected = [(HOST, racks * hosts), (RACK, racks), (ROOT, 1)];
    for (type_id, count) in expected {
        let is_such = |bucket: &&Bucket| bucket.type_id() == type_id && bucket.algorithm() == Algorithm::Straw2;
        let found = map.buckets().filter(is_such).count();
        ensure!(
            found == usize::try_from(count)?,
            "the cluster has {found} straw2 buckets of type {type_id}, not {count}"
        );
    }
    for domain in ["host", "rack"] {
        let name = format!("chooseleaf {domain}");
        map.create_simple_rule(&name.replace(' ', "-"), "default", domain, Mode::FirstN, None).map_err(refused)?;
    }
    Ok(map)
}

fn map_all(compiled: &CompiledMap, rule: u32, inputs: u32, weights: &[u32], mut see: impl FnMut(&[i32])) {
    let (mut workspace, mut result) = (Workspace::new(), Vec::new());
    for x in 0..inputs {
        compiled.map_rule(rule, x, REPLICAS, weights, None, &mut workspace, &mut result);
        see(&result);
    }
}

fn all_in(map: &CrushMap) -> Result<Vec<u32>> {
    Ok(vec![WEIGHT_ONE; usize::try_from(map.max_devices())?])
}

/// Refuses to measure what gives other results.
fn compare(map: &CrushMap, rule: u32, theirs: &[Vec<i32>]) -> Result<()> {
    let compiled = CompiledMap::new(map).map_err(refused)?;
    let mut ours = Vec::new();
    map_all(&compiled, rule, INPUTS_COMPARED, &all_in(map)?, |result| ours.push(result.to_vec()));
    ensure!(ours == theirs, "rule {rule} maps to other devices than crushtool's");
    Ok(())
}

fn nanoseconds_per_mapping(map: &CrushMap, rule: u32, registers: Registers) -> Result<f64> {
    let mut compiled = CompiledMap::new(map).map_err(refused)?;
    compiled.limit_registers(registers);
    let weights = all_in(map)?;
    // Tables that are made once per process are not part of a mapping.
    map_all(&compiled, rule, 1, &weights, |_| {});
    let mut devices = 0;
    let (spent, ()) =
        processor_time::of(|| map_all(&compiled, rule, INPUTS, &weights, |result| devices += result.len()))?;
    ensure!(devices == REPLICAS * usize::try_from(INPUTS)?, "{devices} devices were chosen");
    Ok(spent.as_secs_f64() * 1e9 / f64::from(INPUTS))
}

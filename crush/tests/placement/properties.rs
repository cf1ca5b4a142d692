//! What holds for every mapping and every map, whatever Ceph does.

use std::collections::BTreeSet;

use crush::{CompiledMap, CrushMap, ITEM_NONE, Mode, RuleType, Step, WEIGHT_ONE, Workspace};
use tests_kit::for_each_seed_in_parallel;
use types::{Seed, SeededRandom};

use crate::random_map::RandomMap;

/// A map of racks, hosts and devices with random weights.
fn grown_map(random: &mut SeededRandom) -> CrushMap {
    let mut map = CrushMap::new_default();
    let hosts = 4 + random.below(8);
    for device in 0..10 + random.below(40) {
        let host = random.below(hosts);
        let (host_name, rack_name) = (format!("host{host}"), format!("rack{}", host % 3));
        let weight = u32::try_from(1 + random.below(8 * u64::from(WEIGHT_ONE))).unwrap();
        let location = [("host", host_name.as_str()), ("rack", rack_name.as_str()), ("root", "default")];
        map.add_osd(i32::try_from(device).unwrap(), weight, &location).expect("a new device at a good place");
    }
    map.create_simple_rule("replicated", "default", "host", Mode::FirstN, None).expect("a new rule");
    map.create_simple_rule("erasure", "default", "host", Mode::Indep, None).expect("a new rule");
    map
}

fn host_of(map: &CrushMap, device: i32) -> i32 {
    map.parent_of(device).expect("every device is in a host")
}

fn random_weights(map: &CrushMap, random: &mut SeededRandom) -> Vec<u32> {
    let mut weight = |_| match random.below(4) {
        0 => 0,
        1 => u32::try_from(random.below(u64::from(WEIGHT_ONE))).unwrap(),
        _ => WEIGHT_ONE,
    };
    (0..map.max_devices()).map(&mut weight).collect()
}

#[test]
fn no_device_and_no_failure_domain_is_chosen_twice_and_nothing_that_is_out() {
    for_each_seed_in_parallel(0..60, |seed| {
        let mut random = SeededRandom::new(seed);
        let map = grown_map(&mut random);
        let compiled = CompiledMap::new(&map).expect("a good map");
        let weights = random_weights(&map, &mut random);
        let (mut workspace, mut result) = (Workspace::new(), Vec::new());
        for rule in 0..2 {
            for x in 0..300 {
                compiled.map_rule(rule, x, 5, &weights, None, &mut workspace, &mut result);
                let devices: Vec<i32> = result.iter().copied().filter(|device| *device != ITEM_NONE).collect();
                let hosts: BTreeSet<i32> = devices.iter().map(|device| host_of(&map, *device)).collect();
                assert_eq!(hosts.len(), devices.len(), "seed {seed}, rule {rule}, input {x}: {result:?}");
                for device in devices {
                    assert_ne!(weights[usize::try_from(device).unwrap()], 0, "seed {seed}, input {x}: {device} is out");
                }
                let holes_may_be = rule == 1;
                assert!(holes_may_be || !result.contains(&ITEM_NONE), "seed {seed}: {result:?}");
                assert!(!holes_may_be || result.len() == 5, "seed {seed}: {result:?}");
            }
        }
    });
}

#[test]
fn a_changed_weight_moves_only_to_or_from_that_device() {
    for_each_seed_in_parallel(0..60, |seed| {
        let mut random = SeededRandom::new(seed);
        let mut map = CrushMap::new_default();
        let count = 2 + i32::try_from(random.below(40)).unwrap();
        for device in 0..count {
            let weight = u32::try_from(1 + random.below(8 * u64::from(WEIGHT_ONE))).unwrap();
            map.add_osd(device, weight, &[("root", "default")]).expect("a new device");
        }
        map.create_simple_rule("flat", "default", "osd", Mode::FirstN, None).expect("a new rule");
        let before = CompiledMap::new(&map).expect("a good map");
        let changed = i32::try_from(random.below(u64::try_from(count).unwrap())).unwrap();
        let old = map.bucket(-1).expect("the root").item_weight(usize::try_from(changed).unwrap());
        let new = u32::try_from(random.below(8 * u64::from(WEIGHT_ONE))).unwrap();
        map.reweight(changed, new).expect("a good weight");
        let after = CompiledMap::new(&map).expect("a good map");
        let weights = vec![WEIGHT_ONE; usize::try_from(count).unwrap()];
        let (mut workspace, mut one, mut two) = (Workspace::new(), Vec::new(), Vec::new());
        for x in 0..2_000 {
            before.map_rule(0, x, 1, &weights, None, &mut workspace, &mut one);
            after.map_rule(0, x, 1, &weights, None, &mut workspace, &mut two);
            if one != two {
                let gained = two.first() == Some(&changed);
                let lost = one.first() == Some(&changed);
                assert!(if new > old { gained } else { lost }, "seed {seed}, input {x}: {one:?} became {two:?}");
            }
        }
    });
}

#[test]
fn a_mapping_does_not_depend_on_what_the_workspace_did_before() {
    for_each_seed_in_parallel(0..40, |seed| {
        let mut random = SeededRandom::new(seed);
        let texts = [RandomMap::new(&mut random).text, RandomMap::new(&mut random).text];
        let maps = texts.map(|text| crush::text::compile(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}")));
        let compiled = maps.each_ref().map(|map| CompiledMap::new(map).expect("compiled text makes good maps"));
        let mut shared = Workspace::new();
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for x in 0..200 {
            let which = usize::try_from(random.below(2)).unwrap();
            let wanted = usize::try_from(random.below(8)).unwrap();
            let weights = vec![WEIGHT_ONE; usize::try_from(maps[which].max_devices()).unwrap()];
            compiled[which].map_rule(0, x, wanted, &weights, Some(0), &mut shared, &mut one);
            compiled[which].map_rule(0, x, wanted, &weights, Some(0), &mut Workspace::new(), &mut two);
            assert_eq!(one, two, "seed {seed}, input {x}");
        }
    });
}

#[test]
fn binary_and_text_keep_the_map() {
    for_each_seed_in_parallel(0..100, |seed| {
        let mut random = SeededRandom::new(seed);
        let map = crush::text::compile(&RandomMap::new(&mut random).text).expect("random maps are good text");
        assert_eq!(CrushMap::decode(&map.encode()).as_ref(), Ok(&map), "seed {seed}");
        let text = crush::text::decompile(&map);
        let again = crush::text::compile(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        assert_eq!(again.names(), map.names(), "seed {seed}");
        assert_eq!(crush::text::decompile(&again).lines().count(), text.lines().count(), "seed {seed}");
    });
}

#[test]
fn edits_keep_every_map_good() {
    for_each_seed_in_parallel(0..60, edit_for_a_while);
}

fn edit_for_a_while(seed: Seed) {
    let mut random = SeededRandom::new(seed);
    let mut map = grown_map(&mut random);
    for _ in 0..40 {
        let device = i32::try_from(random.below(60)).unwrap();
        let (host, rack) = (format!("host{}", random.below(12)), format!("rack{}", random.below(4)));
        let location = [("host", host.as_str()), ("rack", rack.as_str()), ("root", "default")];
        let before = map.clone();
        let weight = u32::try_from(random.below(u64::from(u32::MAX))).unwrap();
        let outcome = match random.below(10) {
            0 => map.add_osd(device, weight, &location),
            1 => map.create_or_move(device, weight, &location).map(drop),
            2 => map.remove(device),
            3 => map.reweight(device, weight),
            4 => map
                .set_device_class(device, [None, Some("ssd"), Some("hdd")][usize::try_from(random.below(3)).unwrap()]),
            5 => map.move_bucket(map.item_by_name(&host).unwrap_or(-999), &location[1..]),
            6 => map.rename_bucket(&host, &format!("host{}", random.below(12))),
            7 => map.swap_buckets(map.item_by_name(&host).unwrap_or(-999), map.item_by_name(&rack).unwrap_or(-999)),
            8 => map.create_simple_rule("more", "default", "rack", Mode::FirstN, Some("ssd")).map(drop),
            _ => map.link_bucket(map.item_by_name(&host).unwrap_or(-999), &[("root", "default")]),
        };
        if outcome.is_err() {
            assert_eq!(map, before, "seed {seed}: what fails changes nothing ({outcome:?})");
        }
        map.check_tree().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        CompiledMap::new(&map).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let decoded = CrushMap::decode(&map.encode()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(decoded.names(), map.names(), "seed {seed}");
        for bucket in map.buckets() {
            let sum: u64 = bucket.weighted_items().iter().map(|(_, weight)| u64::from(*weight)).sum();
            assert_eq!(u64::from(bucket.weight()), sum, "seed {seed}: bucket {} does not add up", bucket.id());
        }
    }
}

#[test]
fn edits_say_what_is_wrong() {
    let mut map = grown_map(&mut SeededRandom::new(Seed(1)));
    let kind = |outcome: Result<(), crush::Error>| outcome.expect_err("this must fail").kind();
    use crush::ErrorKind;
    assert_eq!(
        kind(map.add_osd(0, WEIGHT_ONE, &[("host", map.name(host_of(&map, 0)).unwrap().to_owned().as_str())])),
        ErrorKind::Invalid
    );
    assert_eq!(kind(map.add_osd(-1, WEIGHT_ONE, &[("root", "default")])), ErrorKind::Invalid);
    assert_eq!(kind(map.add_osd(99, WEIGHT_ONE, &[("house", "default")])), ErrorKind::Invalid);
    assert_eq!(kind(map.add_osd(99, WEIGHT_ONE, &[("host", "default")])), ErrorKind::Invalid);
    assert_eq!(kind(map.add_osd(99, u32::MAX, &[("root", "default")])), ErrorKind::Range);
    assert_eq!(kind(map.remove(500)), ErrorKind::NotFound);
    let root = map.item_by_name("default").unwrap();
    assert_eq!(kind(map.remove(root)), ErrorKind::NotEmpty);
    let rack = map.item_by_name("rack0").unwrap();
    assert_eq!(kind(map.move_bucket(root, &[("rack", "rack0")])), ErrorKind::Cycle);
    assert_eq!(kind(map.rename_bucket("rack0", "rack1")), ErrorKind::Exists);
    assert_eq!(kind(map.rename_bucket("rack0", "a~b")), ErrorKind::Invalid);
    assert_eq!(
        kind(map.create_simple_rule("replicated", "default", "host", Mode::FirstN, None).map(drop)),
        ErrorKind::Exists
    );
    assert_eq!(
        kind(map.create_simple_rule("new", "nowhere", "host", Mode::FirstN, None).map(drop)),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(map.create_simple_rule("new", "default", "house", Mode::FirstN, None).map(drop)),
        ErrorKind::Invalid
    );
    assert_eq!(kind(map.create_bucket("x", "osd").map(drop)), ErrorKind::Invalid);
    assert_eq!(kind(map.swap_buckets(rack, root)), ErrorKind::Cycle);
}

#[test]
fn a_class_has_the_devices_that_it_was_given_and_a_rule_takes_only_those() {
    let mut random = SeededRandom::new(Seed(7));
    let mut map = grown_map(&mut random);
    let fast: BTreeSet<i32> = (0..map.max_devices()).filter(|device| device % 2 == 0).collect();
    for device in &fast {
        map.set_device_class(*device, Some("ssd")).expect("the device has no class yet");
    }
    let rule = map.create_simple_rule("fast", "default", "host", Mode::FirstN, Some("ssd")).expect("the class exists");
    let compiled = CompiledMap::new(&map).expect("a good map");
    let weights = vec![WEIGHT_ONE; usize::try_from(map.max_devices()).unwrap()];
    let (mut workspace, mut result) = (Workspace::new(), Vec::new());
    for x in 0..500 {
        compiled.map_rule(rule, x, 3, &weights, None, &mut workspace, &mut result);
        assert!(!result.is_empty() && result.iter().all(|device| fast.contains(device)), "input {x}: {result:?}");
    }
    assert_eq!(map.remove_class("ssd").expect_err("a rule takes it").kind(), crush::ErrorKind::InUse);
    map.rename_class("ssd", "flash").expect("a free name");
    assert!(crush::text::decompile(&map).contains("step take default class flash"));
}

#[test]
fn multi_step_retry_rules_keep_groups_in_hosts_and_hosts_apart() {
    for_each_seed_in_parallel(0..40, |seed| {
        let mut random = SeededRandom::new(seed);
        let mut map = CrushMap::new_default();
        for device in 0..48 {
            let host = format!("host{}", device / 4);
            map.add_osd(device, WEIGHT_ONE, &[("host", &host), ("root", "default")]).expect("a new device");
        }
        let root = map.item_by_name("default").unwrap();
        let steps = vec![
            Step::Take { item: root },
            Step::ChooseMsr { count: 4, type_id: 1 },
            Step::ChooseMsr { count: 2, type_id: 0 },
            Step::Emit,
        ];
        let rule = crush::Rule { steps, ruleset: 0, rule_type: RuleType::MSR_INDEP, min_size: 1, max_size: 8 };
        let rule = map.add_rule("msr", rule, None).expect("a new rule");
        let compiled = CompiledMap::new(&map).expect("a good map");
        let all_in = vec![WEIGHT_ONE; 48];
        let mut some_out = all_in.clone();
        let out = usize::try_from(random.below(48)).unwrap();
        some_out[out] = 0;
        let (mut workspace, mut before, mut after) = (Workspace::new(), Vec::new(), Vec::new());
        for x in 0..300 {
            compiled.map_rule(rule, x, 8, &all_in, None, &mut workspace, &mut before);
            compiled.map_rule(rule, x, 8, &some_out, None, &mut workspace, &mut after);
            for result in [&before, &after] {
                assert!(result.len() == 8 && !result.contains(&ITEM_NONE), "seed {seed}, input {x}: {result:?}");
                assert_eq!(result.iter().collect::<BTreeSet<_>>().len(), 8, "seed {seed}, input {x}: {result:?}");
                let groups: Vec<BTreeSet<i32>> =
                    result.chunks(2).map(|group| group.iter().map(|device| device / 4).collect()).collect();
                let distinct: BTreeSet<i32> = groups.iter().flatten().copied().collect();
                assert_eq!(distinct.len(), groups.iter().map(BTreeSet::len).sum::<usize>(), "seed {seed}: {result:?}");
            }
            assert!(before.chunks(2).all(|group| group[0] / 4 == group[1] / 4), "all in: {before:?}");
            assert!(!after.contains(&i32::try_from(out).unwrap()), "seed {seed}: {after:?}");
        }
    });
}

//! The tool against Ceph's own, where that is installed, and against itself where formats differ.

use std::{collections::BTreeMap, fs, process::Command};

use crush::CrushMap;
use types::SeededRandom;

use super::*;
use crate::{decode_map, encode_map, sample};

#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "(2) No such file or directory".to_owned())
    }

    fn write(&mut self, path: &str, content: &[u8]) -> Result<(), String> {
        self.0.insert(path.to_owned(), content.to_vec());
        Ok(())
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn run(files: &mut Memory, line: &str) -> Output {
    osdmap_tool(&words(line), 1_700_000_000_000, files)
}

/// Runs Ceph's tool in a folder; `None` where it is not installed.
fn run_ceph(folder: &std::path::Path, line: &str) -> Option<Output> {
    let output = Command::new(NAME).args(words(line)).current_dir(folder).output().ok()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = u8::try_from(output.status.code()?).ok()?;
    Some(Output { code, stdout: text(output.stdout), stderr: text(output.stderr) })
}

/// Fails at the first line that differs.
fn assert_same(command: &str, found: &Output, expected: &Output) {
    assert_eq!((found.code, &found.stderr), (expected.code, &expected.stderr), "{command}");
    for (number, (found, expected)) in found.stdout.lines().zip(expected.stdout.lines()).enumerate() {
        assert_eq!(found, expected, "{command}: line {number}");
    }
    assert!(found.stdout == expected.stdout, "{command}: one has more lines");
}

/// A hierarchy of a few racks with hosts of unequal OSDs.
fn random_hierarchy(random: &mut SeededRandom) -> (u32, CrushMap) {
    let mut hierarchy = CrushMap::new_default();
    let mut device = 0;
    for host in 0..3 + random.below(8) {
        let (host, rack) = (format!("h{host}"), format!("r{}", host % 3));
        for _ in 0..=random.below(4) {
            let weight = u32::try_from(0x4000 + random.below(0x20000)).unwrap();
            let location = [("host", host.as_str()), ("rack", rack.as_str()), ("root", "default")];
            hierarchy.add_osd(device, weight, &location).unwrap();
            device += 1;
        }
    }
    hierarchy.create_simple_rule("replicated_rule", "default", "host", crush::Mode::FirstN, None).unwrap();
    (u32::try_from(device).unwrap(), hierarchy)
}

#[test]
fn it_answers_as_cephs_tool_does() {
    let folder = tempfile::tempdir().unwrap();
    if run_ceph(folder.path(), "--help").is_none() {
        println!("{NAME} is not installed; nothing was compared");
        return;
    }
    let mut compared = 0;
    tests_kit::for_each_seed(0..6, |seed| {
        let mut random = SeededRandom::new(seed);
        let (count, hierarchy) = random_hierarchy(&mut random);
        let mut files = Memory::default();
        files.write("crush", &hierarchy.encode()).unwrap();
        fs::write(folder.path().join("crush"), hierarchy.encode()).unwrap();
        let osd = random.below(u64::from(count));
        let bits = random.below(7);
        let lines = [
            format!("map --createsimple {count} --clobber --with-default-pool --pg-bits {bits} --export-crush simple"),
            "map --mark-up-in --test-map-pgs-dump".to_owned(),
            "map --tree".to_owned(),
            "map --import-crush crush".to_owned(),
            "map --test-map-pgs".to_owned(),
            "map --mark-up-in --test-map-pgs".to_owned(),
            "map --mark-up-in --test-map-pgs-dump-all --pool 1".to_owned(),
            format!("map --mark-up-in --mark-out {osd} --test-map-pgs-dump"),
            format!("map --mark-up-in --adjust-crush-weight {osd}:0.25,0:2 --test-map-pgs-dump"),
            format!("map --mark-up-in --test_map_pgs --pg_num={}", 1 + random.below(20)),
            "map --mark-up-in --test-map-object an-object".to_owned(),
            "map --mark-up-in --test-map-object=foo --pool 1".to_owned(),
            "map --mark-up-in --test-map-object foo --pool 9".to_owned(),
            "map --mark-up-in --test-map-pg 1.3".to_owned(),
            "map --mark-up-in --test-map-pg 5.3".to_owned(),
            "map --mark-up-in --test-map-pgs --pool 7".to_owned(),
            "map --mark-up-in --tree=plain".to_owned(),
            "map --mark-up-in --tree=json".to_owned(),
            "map --mark-up-in --tree=json-pretty".to_owned(),
            format!("map --mark-up-in --adjust-crush-weight {osd}:1.5 --save --export-crush adjusted"),
            format!("map --mark-up {osd} --mark-in {osd} --tree=plain"),
            "map --mark-up-in --upmap-cleanup -".to_owned(),
            "map --createsimple 3".to_owned(),
            "map --createsimple 0 --clobber".to_owned(),
            "map --createsimple x".to_owned(),
            "map --createsimple".to_owned(),
            "map --import-crush".to_owned(),
            "map --import-crush nothing".to_owned(),
            "nothing --print".to_owned(),
        ];
        for line in &lines {
            let expected = run_ceph(folder.path(), line).unwrap();
            let found = run(&mut files, line);
            assert_same(line, &found, &expected);
            compared += 1;
        }
        for file in ["simple", "adjusted"] {
            assert_eq!(files.0[file], fs::read(folder.path().join(file)).unwrap(), "{file}");
        }
    });
    println!("{compared} command lines compared");
}

/// Both tools on the same map of hosts with unequal OSDs.
struct Pair {
    folder: tempfile::TempDir,
    files: Memory,
}

impl Pair {
    /// `None` where Ceph's tool is not installed.
    fn new(seed: u64) -> Option<Self> {
        let (count, hierarchy) = random_hierarchy(&mut SeededRandom::new(types::Seed(seed)));
        let mut pair = Self { folder: tempfile::tempdir().unwrap(), files: Memory::default() };
        run_ceph(pair.folder.path(), "--help")?;
        pair.files.write("crush", &hierarchy.encode()).unwrap();
        fs::write(pair.folder.path().join("crush"), hierarchy.encode()).unwrap();
        for line in [
            format!("map --createsimple {count} --with-default-pool --pg-bits 3"),
            "map --import-crush crush --mark-up-in".to_owned(),
        ] {
            let (ours, theirs) = pair.run(&line);
            assert_same(&line, &ours, &theirs);
        }
        Some(pair)
    }

    fn run(&mut self, line: &str) -> (Output, Output) {
        (run(&mut self.files, line), run_ceph(self.folder.path(), line).expect("it was there a moment ago"))
    }
}

const NOT_INSTALLED: &str = "osdmaptool is not installed; nothing was compared";

#[test]
fn every_option_that_cephs_tool_names_is_known() {
    let Some(help) = run_ceph(std::path::Path::new("."), "--help") else { return println!("{NOT_INSTALLED}") };
    let is_known = |option: &str| {
        let output = run(&mut Memory::default(), &format!("map {option}"));
        !output.stderr.contains("too many arguments")
    };
    assert!(!is_known("--bogus"));
    let words = help.stdout.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
    let options: std::collections::BTreeSet<&str> =
        words.filter_map(|word| word.strip_prefix("--")).filter(|name| !name.is_empty()).collect();
    let unknown: Vec<&&str> = options.iter().filter(|option| !is_known(&format!("--{option}"))).collect();
    assert!(unknown.is_empty(), "{unknown:?} of {} are unknown", options.len());
    assert!(options.len() >= 35, "the help was not understood: {options:?}");
    println!("{} options are known", options.len());
    // The one that is known and refused.
    let refused = run(&mut Memory::default(), "map --create-from-conf");
    assert!(refused.code == 1 && refused.stderr.contains("--createsimple makes a map"), "{}", refused.stderr);
}

#[test]
fn health_is_what_cephs_tool_sees() {
    let Some(mut pair) = Pair::new(5) else { return println!("{NOT_INSTALLED}") };
    // What comes before the checks is compared elsewhere.
    let checks = |output: &Output| -> serde_json::Value {
        let at = output.stdout.find('{').expect("checks");
        serde_json::from_str(&output.stdout[at..]).expect("JSON")
    };
    pair.run("fresh --createsimple 5 --with-default-pool");
    for line in ["fresh --health", "map --mark-out 1 --health"] {
        let (ours, theirs) = pair.run(line);
        let (found, mut expected) = (checks(&ours), checks(&theirs));
        // A flag that maps of this system do not have, because it always holds.
        assert!(expected.as_object_mut().unwrap().remove("OSD_NO_SORTBITWISE").is_some(), "{line}");
        assert_eq!(found, expected, "{line}");
        assert_eq!(found.get("OSD_ORPHAN").is_some(), line == "fresh --health", "{found}");
        assert!(ours.stdout.ends_with("}\n") && theirs.stdout.ends_with("}\n"), "{line}");
        assert_eq!(ours.code, theirs.code);
    }
}

#[test]
fn health_names_what_is_down_and_which_flags_are_set() {
    let mut files = Memory::default();
    files.write("map", &encode_map(&sample::full())).unwrap();
    let found: serde_json::Value = serde_json::from_str(&run(&mut files, "map --health").stdout).unwrap();
    assert_eq!(found["OSDMAP_FLAGS"]["summary"]["message"], "noout,noscrub flag(s) set");
    assert_eq!(
        found["POOL_PG_NUM_NOT_POWER_OF_TWO"]["detail"][0]["message"],
        "pool 'pool1' pg_num 12 is not a power of two"
    );
}

#[test]
fn placing_again_and_again_moves_nothing_and_chance_places_everything_somewhere() {
    let mut files = Memory::default();
    run(&mut files, "map --createsimple 5 --with-default-pool --pg-bits 2 --mark-up-in");
    let output = run(&mut files, "map --test-crush");
    assert_eq!(output.code, 0, "{}", output.stderr);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[1], lines[2000]), (2001, "pass 1", "1.0 attempt 0", "1.13 attempt 99"));

    let dump =
        |files: &mut Memory, now| osdmap_tool(&words("map --test-random --test-map-pgs-dump"), now, files).stdout;
    let (first, again, later) = (dump(&mut files, 1), dump(&mut files, 1), dump(&mut files, 2));
    assert!(first == again && first != later, "{first}");
    for line in first.lines().filter(|line| line.starts_with("1.")) {
        let members = line.split('[').nth(1).unwrap().split(']').next().unwrap();
        let members: std::collections::BTreeSet<u32> = members.split(',').map(|osd| osd.parse().unwrap()).collect();
        assert!(members.len() == 3 && members.iter().all(|osd| *osd < 5), "{line}");
    }
    assert_eq!(run(&mut files, "map --test-random").stderr.lines().last(), Some("osdmaptool: no action specified?"));
}

#[test]
fn an_active_balancer_plans_until_nothing_is_left() {
    let Some(mut pair) = Pair::new(3) else { return println!("{NOT_INSTALLED}") };
    let (ours, theirs) = pair.run("map --upmap commands --upmap-active --upmap-max 2 --upmap-deviation 1");
    // The plans are each tool's own, and only one tells the time; the frame around them is the same.
    let frame = |output: &Output| -> Vec<String> {
        let lines = output.stdout.lines().filter(|line| !line.starts_with("Time elapsed") && !line.starts_with("osd."));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines
            .retain(|line| *line != "prepared 2/2 changes" && *line != "prepared 1/2 changes" && *line != "pools rbd ");
        if let Some(last) = lines.pop() {
            let rounds = last.rsplit_once("secs, ").map_or(last.as_str(), |(_, rounds)| rounds).to_owned();
            assert!(rounds.ends_with(" rounds") && !rounds.starts_with("0 "), "{}", output.stdout);
        }
        lines
    };
    assert_eq!(frame(&ours), frame(&theirs));
    let rounds = ours.stdout.matches("prepared 2/2 changes").count();
    assert!(rounds > 1, "{}", ours.stdout);
    let counts = |output: &Output| output.stdout.lines().filter(|line| line.starts_with("osd.")).count();
    assert_eq!(counts(&ours), counts(&theirs));
}

#[test]
fn words_that_are_wrong_are_answered_with_the_usage() {
    let mut files = Memory::default();
    assert_eq!(run(&mut files, "").stderr, "osdmaptool: -h or --help for usage\n");
    let wrong = [
        ("--print", "osdmaptool: must specify osdmap filename\n"),
        ("a b --print", "osdmaptool: too many arguments\n"),
        ("--bogus a --print", "osdmaptool: too many arguments\n"),
        ("-h", ""),
    ];
    for (line, stderr) in wrong {
        let output = run(&mut files, line);
        assert_eq!((output.code, output.stderr.as_str()), (1, stderr), "{line}");
        assert!(output.stdout.starts_with(" usage: [--print] <mapfilename>\n"), "{line}");
    }
    files.write("map", &encode_map(&sample::full())).unwrap();
    let output = run(&mut files, "map");
    assert_eq!(output.stderr, "osdmaptool: osdmap file 'map'\nosdmaptool: no action specified?\n");
    files.write("noise", b"no map").unwrap();
    let output = run(&mut files, "noise --print");
    assert_eq!(output.code, 255);
    assert!(output.stderr.contains("error decoding osdmap 'noise'"), "{}", output.stderr);
    assert_eq!(run(&mut files, "map --adjust-crush-weight 3 --print").code, 1);
    assert_eq!(run(&mut files, "map --test-map-pg x").code, 1);
}

#[test]
fn a_map_is_shown_in_lines_and_as_json() {
    let mut files = Memory::default();
    files.write("map", &encode_map(&sample::full())).unwrap();
    let plain = run(&mut files, "map --print").stdout;
    let expected = [
        "epoch 3\nfsid abababab-abab-abab-abab-abababababab\nmodified 2023-11-14T22:13:20.002000+0000\n",
        "flags noout,noscrub\nfull_ratio 0.96\nbackfillfull_ratio 0.88\nnearfull_ratio 0.8\n",
        "pool 1 'pool1' replicated size 3 min_size 2 crush_rule 0 object_hash rjenkins pg_num 12 pgp_num 12 \
         autoscale_mode on last_change 3 flags hashpspool max_bytes 1099511627776 max_objects 1000000 application rbd\n\
         \tsnap 5 'monday'\n",
        "pool 2 'pool2' erasure profile k=2 m=1 size 3",
        "\nmax_osd 10\n",
        "osd.1 down out weight 0 up_from 2 up_thru 0 down_at 3 last_clean_interval [0,0) exists ",
        "osd.2 up   in  weight 1 primary_affinity 0.5 up_from 2 up_thru 2 down_at 0 last_clean_interval [1,2) \
         10.0.0.1:6802/3 exists,up ",
        "pg_upmap 1.0 [0,2,4]\npg_upmap_items 1.1 [0,5,2,4]\npg_upmap_primary 1.2 5\npg_temp 1.3 [2,4]\n\
         pg_temp 2.1 [2,NONE,4]\nprimary_temp 1.4 6\nblocklist client.17 expires 2023-11-14T22:19:20.000000+0000\n",
    ];
    for part in expected {
        assert!(plain.contains(part), "{part}\nin\n{plain}");
    }
    assert_eq!(run(&mut files, "map --dump plain").stdout, plain);
    let json: serde_json::Value = serde_json::from_str(&run(&mut files, "map --dump json").stdout).unwrap();
    let pretty: serde_json::Value = serde_json::from_str(&run(&mut files, "map --dump=json-pretty").stdout).unwrap();
    assert_eq!((&json, &json["epoch"]), (&pretty, &serde_json::json!(3)));
}

#[test]
fn what_is_saved_can_be_opened_again() {
    let mut files = Memory::default();
    let made = run(&mut files, "map --createsimple 6 --with-default-pool --pg-bits 4 --mark-up-in");
    assert_eq!(made.stdout, "marking all OSDs up and in\nosdmaptool: writing epoch 1 to map\n");
    let map = decode_map(&files.0["map"]).unwrap();
    assert_eq!((map.epoch.0, map.osds.len(), map.pools.len()), (1, 6, 1));
    assert_eq!(run(&mut files, "map --clear-temp --clean-temps --print").code, 0);
    assert_eq!(decode_map(&files.0["map"]).unwrap(), map, "trying changes nothing");
    let output = run(&mut files, "maps --range-first 1 --range-last 2");
    assert_eq!(output.stderr, "unable to read maps/1: (2) No such file or directory\n");
}

#[test]
fn planned_replacements_are_printed_as_commands() {
    let (_, hierarchy) = random_hierarchy(&mut SeededRandom::new(types::Seed(3)));
    let mut files = Memory::default();
    files.write("crush", &hierarchy.encode()).unwrap();
    let count = hierarchy.max_devices();
    run(&mut files, &format!("map --createsimple {count} --with-default-pool"));
    run(&mut files, "map --import-crush crush --mark-up-in");
    let output = run(&mut files, "map --upmap - --upmap-max 4 --upmap-deviation 1 --upmap-pool rbd");
    assert_eq!(output.code, 0);
    let head = "checking for upmap cleanups\nupmap, max-count 4, max deviation 1\npools rbd \nprepared 4/4 changes\n";
    let commands = output.stdout.strip_prefix(head).unwrap_or_else(|| panic!("{}", output.stdout));
    assert_eq!(commands.lines().filter(|line| line.starts_with("ceph osd pg-upmap-items 1.")).count(), 4);

    let saved = run(&mut files, "map --upmap commands --upmap-max 4 --upmap-deviation 1 --save");
    assert!(saved.stdout.contains("writing epoch"), "{}", saved.stdout);
    assert_eq!(String::from_utf8(files.0["commands"].clone()).unwrap(), commands);
    assert_eq!(decode_map(&files.0["map"]).unwrap().pg_upmap_items.len(), 4);
    assert_eq!(run(&mut files, "map --upmap - --upmap-pool nothing").code, 1);
}

//! Differences from Ceph's `crushtool` that random maps once found, each made small, with what the tool (16.2.15) says. The
//! comparison itself needs the tool; these stay where it is not installed.

use crush::CrushMap;
use crush::tool::{Files as _, Output, crush_tool};

use crate::golden::MemoryFiles;

/// Compiles a text to the file `map`, and runs the tool with these words on it.
fn compile_and_run(text: &str, words: &str) -> (Output, MemoryFiles) {
    let mut files = MemoryFiles::default();
    files.write("text", text.as_bytes()).expect("memory takes everything");
    let mut run = |words: &str| {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        crush_tool(&words, &mut files)
    };
    let compiled = run("-c text -o map");
    assert_eq!(compiled.code, 0, "{}", compiled.stderr);
    let output = run(words);
    (output, files)
}

/// A weight-set that has some buckets only is filled up while a change is carried to the roots, bucket by bucket in the order of their
/// ids. Here the root takes the rack's half before the host below has made the rack a whole, and keeps it.
#[test]
fn partial_weight_sets_are_filled_in_the_order_of_ids() {
    let text = "device 0 osd.0\ndevice 1 osd.1\ndevice 2 osd.2\ntype 0 osd\ntype 1 host\ntype 3 rack\ntype 4 row\n\
        type 11 root\n\
        host h1 {\nid -3\nalg straw2\nitem osd.0 weight 1\nitem osd.1 weight 1\n}\n\
        host h2 {\nid -2\nalg straw2\nitem osd.2 weight 1\n}\n\
        rack k1 {\nid -1\nalg straw2\nitem h1 weight 2\n}\n\
        rack k2 {\nid -5\nalg straw2\nitem h2 weight 1\n}\n\
        root default {\nid -4\nalg straw2\nitem k1 weight 2\nitem k2 weight 1\n}\n\
        choose_args 0 {\n{\nbucket_id -5\nweight_set [\n[ 0.5 ]\n]\n}\n}\n";
    let (output, files) = compile_and_run(text, "-i map --add-bucket new row --loc root default -o changed");
    assert_eq!(output.code, 0, "{}", output.stderr);
    let map = CrushMap::decode(&files.0["changed"]).expect("the tool writes maps");
    let decompiled = crush::text::decompile(&map);
    let (_, sets) = decompiled.split_once("choose_args 0").expect("the set is still there");
    let weights: Vec<&str> = sets.lines().filter_map(|line| line.trim().strip_prefix("[ ")).collect();
    // Buckets -1 to -5.
    assert_eq!(weights, ["2.000 ]", "1.000 ]", "1.000 1.000 ]", "2.000 0.500 0.000 ]", "1.000 ]"]);
}

/// A new class has the number behind the greatest, not the first that is free: the numbers are in the binary map.
#[test]
fn a_new_class_is_numbered_behind_the_greatest() {
    let mut map = CrushMap::new_default();
    for (device, class) in [(0, "hdd"), (1, "ssd"), (2, "nvme")] {
        map.add_osd(device, crush::WEIGHT_ONE, &[("host", "h"), ("root", "default")]).expect("a new device");
        map.set_device_class(device, Some(class)).expect("a device without class");
    }
    // The class that nothing has any more goes.
    map.set_device_class(0, None).expect("a device with a class");
    map.set_device_class(0, Some("tape")).expect("a device without class");
    assert_eq!(map.class_by_name("tape"), Some(3), "{:?}", map.classes());
}

/// Of two buckets that a pattern matches, one may be what the other is to become. What fails then is that a name exists, and
/// the tool says so.
#[test]
fn reclassifying_onto_a_bucket_that_is_reclassified_says_that_it_exists() {
    let text = "device 0 osd.0\ndevice 1 osd.1\ntype 0 osd\ntype 1 host\ntype 11 root\n\
        host host11 {\nid -2\nalg straw2\nitem osd.0 weight 1\n}\n\
        host host1 {\nid -3\nalg straw2\nitem osd.1 weight 1\n}\n\
        root default {\nid -1\nalg straw2\nitem host11 weight 1\nitem host1 weight 1\n}\n\
        rule r {\nid 0\ntype replicated\nmin_size 1\nmax_size 10\nstep take default\nstep chooseleaf firstn 0 type host\n\
        step emit\n}\n";
    let (output, files) = compile_and_run(text, "-i map --reclassify --reclassify-bucket %1 nvme default -o changed");
    assert_eq!(output.code, 1);
    assert!(
        output.stdout.ends_with("failed to rebuild_roots_with_classes: (17) File exists\n"),
        "{}{}",
        output.stdout,
        output.stderr
    );
    assert!(!files.0.contains_key("changed"));
}

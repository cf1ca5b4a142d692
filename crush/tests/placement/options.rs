//! Whether the tool takes every option and writes every format that Ceph's own `crushtool` names in its help, where that is installed.

use std::collections::BTreeSet;
use std::process::Command;

use crush::tool::{Files as _, crush_tool};

use crate::golden::MemoryFiles;
use crate::random_map::FORMATS;

const MAP: &str = "device 0 osd.0\ndevice 1 osd.1 class ssd\ntype 0 osd\ntype 1 host\ntype 11 root\n\
    host h {\nalg straw2\nitem osd.0 weight 1\n}\nroot default {\nalg straw2\nitem h weight 1\nitem osd.1 weight 1.5\n}\n\
    rule r {\nid 0\ntype replicated\nmin_size 1\nmax_size 10\nstep take default\nstep chooseleaf firstn 0 type host\n\
    step emit\n}\n\
    choose_args 0 {\n{\nbucket_id -1\nweight_set [\n[ 1 ]\n[ 1.819 ]\n]\nids [ 7 ]\n}\n}\n";

/// What Ceph's tool says of itself; `None` where it is not installed.
fn help() -> Option<String> {
    let output = Command::new("crushtool").arg("--help").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(files: &mut MemoryFiles, words: &[&str]) -> crush::tool::Output {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    crush_tool(&words, files)
}

fn files() -> MemoryFiles {
    let mut files = MemoryFiles::default();
    files.write("text", MAP.as_bytes()).expect("memory takes everything");
    let compiled = run(&mut files, &["-c", "text", "-o", "map"]);
    assert_eq!(compiled.code, 0, "{}", compiled.stderr);
    files
}

/// Whether an option is one, whatever is wrong with the words behind it.
fn is_known(option: &str) -> bool {
    let output = run(&mut files(), &["-i", "map", "--tree", option, "1", "1", "1", "1"]);
    let (_, unknown) = output.stderr.split_once("unrecognized arguments: [").unwrap_or_default();
    !unknown.split([',', ']']).any(|word| word == option)
}

#[test]
fn every_option_that_crushtool_names_is_taken() {
    assert!(!is_known("--bogus"), "what is unknown is found out");
    let Some(help) = help() else {
        println!("crushtool is not installed: nothing to compare with");
        return;
    };
    let words = help.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
    let options: BTreeSet<&str> = words
        .filter(|word| {
            word.starts_with('-') && word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_lowercase())
        })
        .collect();
    let unknown: Vec<&&str> = options.iter().filter(|option| !is_known(option)).collect();
    assert!(unknown.is_empty(), "{unknown:?} of {} are unknown", options.len());
    println!("{} options are taken", options.len());
    assert!(options.len() >= 60, "the help was not understood: {options:?}");
}

#[test]
fn every_format_is_written_as_crushtool_writes_it() {
    let Some(help) = help() else {
        println!("crushtool is not installed: nothing to compare with");
        return;
    };
    let (_, formats) = help.split_once("can be one of ").expect("the help lists the formats");
    let named: BTreeSet<&str> = formats.split(&[',', ' ', '\n']).filter(|word| !word.is_empty()).take(8).collect();
    assert_eq!(named, BTreeSet::from(FORMATS));
    let folder = std::env::temp_dir().join(format!("ika-crush-formats-{}", std::process::id()));
    let mut files = files();
    std::fs::write(&folder, &files.0["map"]).expect("write the map");
    for format in FORMATS.into_iter().chain(["another"]) {
        let theirs = Command::new("crushtool").arg("-i").arg(&folder).args(["--dump", "-f", format]).output();
        let theirs = String::from_utf8_lossy(&theirs.expect("start crushtool").stdout).into_owned();
        let ours = run(&mut files, &["-i", "map", "--dump", "-f", format]);
        assert_eq!(ours.stdout, theirs, "{format}");
    }
    std::fs::remove_file(&folder).expect("remove the map");
}

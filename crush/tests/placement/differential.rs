//! The same random maps and commands through this crate and through Ceph's own `crushtool`, where that is installed (Debian:
//! `ceph-base`). 200 maps, in the long run 10,000.
//!
//! Ceph's tool crashes on some trees and choose arguments, and takes all memory on some `--reclassify`: each call is bounded in
//! memory and time, and the calls that ended so are counted and printed, because nothing was compared there.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crush::tool::{Files as _, crush_tool};
use tests_kit::{count, for_each_seed_in_parallel};
use types::{Seed, SeededRandom};

use crate::golden::MemoryFiles;
use crate::random_map::{self, RandomMap};

/// What one call of Ceph's tool may take: 2 GB of address space, in KiB, seconds of processor time, and seconds. Maps here have at
/// most some hundreds of buckets; what needs more would take 15 GB and minutes. A crash may also find its own
/// memory damaged, and wait for itself for ever.
const BOUNDED: &str = "ulimit -v 2000000; ulimit -t 60; exec timeout -s KILL 120 crushtool \"$@\"";

/// How `timeout` ends when it has killed.
const KILLED: i32 = 128 + 9;

/// Calls that were compared, and those in which Ceph's tool was ended by a signal.
static COMPARED: AtomicUsize = AtomicUsize::new(0);
static CRASHED: AtomicUsize = AtomicUsize::new(0);

/// A folder of its own for one seed, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(seed: Seed) -> Self {
        let path = std::env::temp_dir().join(format!("ika-crush-{}-{seed}", std::process::id()));
        std::fs::create_dir_all(&path).expect("make a folder for temporary files");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for temporary files; there is nothing to be done about it.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn is_installed() -> bool {
    Command::new("crushtool").arg("-h").output().is_ok()
}

/// Runs both tools with the same words; in the words `@NAME` stands for a file.
struct Pair {
    folder: Folder,
    memory: MemoryFiles,
}

struct Both {
    ours: crush::tool::Output,
    theirs_code: Option<i32>,
    theirs_said: String,
    theirs_complained: String,
}

impl Pair {
    fn run(&mut self, words: &[String]) -> Both {
        let ours: Vec<String> = words.iter().map(|word| word.trim_start_matches('@').to_owned()).collect();
        let theirs = words.iter().map(|word| match word.strip_prefix('@') {
            Some(file) => self.folder.file(file).into_os_string(),
            None => word.into(),
        });
        let output =
            Command::new("sh").args(["-c", BOUNDED, "crushtool"]).args(theirs).output().expect("start crushtool");
        let theirs_code = output.status.code().filter(|code| *code != KILLED);
        let counter = if theirs_code.is_some() { &COMPARED } else { &CRASHED };
        counter.fetch_add(1, Ordering::Relaxed);
        Both {
            ours: crush_tool(&ours, &mut self.memory),
            theirs_code,
            theirs_said: String::from_utf8_lossy(&output.stdout).into_owned(),
            theirs_complained: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Both tools' version of a file.
    fn contents(&self, name: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        (self.memory.0.get(name).cloned(), std::fs::read(self.folder.file(name)).ok())
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What differs between two texts, line by line.
fn difference(ours: &str, theirs: &str) -> String {
    let lines = ours
        .lines()
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(theirs.lines().map(Some).chain(std::iter::repeat(None)));
    for (number, (have, want)) in lines.enumerate().take(ours.lines().count().max(theirs.lines().count()) + 1) {
        if have != want {
            return format!("line {}: {have:?}, not {want:?}", number + 1);
        }
    }
    "only line ends".to_owned()
}

fn check_said(both: &Both, context: &str) {
    assert!(
        both.ours.stdout == both.theirs_said && Some(i32::from(both.ours.code)) == both.theirs_code,
        "{context}: code {} not {:?}; {}\n{}\n{}",
        both.ours.code,
        both.theirs_code,
        difference(&both.ours.stdout, &both.theirs_said),
        both.ours.stderr,
        both.theirs_complained,
    );
}

#[test]
fn random_maps_and_commands_give_what_crushtool_gives() {
    if !is_installed() {
        println!("crushtool is not installed: nothing to compare with");
        return;
    }
    for_each_seed_in_parallel(0..count(200, 10_000), run_seed);
    let (compared, crashed) = (COMPARED.load(Ordering::Relaxed), CRASHED.load(Ordering::Relaxed));
    println!("{compared} calls compared; in {crashed} Ceph's tool was ended by a signal");
    assert!(compared > 10 * crashed, "{crashed} of {compared} calls could not be compared");
}

fn run_seed(seed: Seed) {
    let mut random = SeededRandom::new(seed);
    let map = RandomMap::new(&mut random);
    let mut pair = Pair { folder: Folder::new(seed), memory: MemoryFiles::default() };
    let has_tree = map.text.contains("alg tree");
    std::fs::write(pair.folder.file("text"), &map.text).expect("write the text map");
    pair.memory.write("text", map.text.as_bytes()).expect("memory takes everything");

    let both = pair.run(&words(&["-c", "@text", "-o", "@map0"]));
    if both.theirs_code.is_none() {
        // Ceph's tool crashes on some trees and choose arguments; there is nothing to compare with then.
        return;
    }
    let context = format!("seed {seed}, compile\n{}", map.text);
    check_said(&both, &context);
    let (ours, theirs) = pair.contents("map0");
    assert!(
        has_tree || ours == theirs,
        "{context}\nother bytes: {}",
        byte_difference(ours.as_deref(), theirs.as_deref())
    );

    for command in [words(&["-d", "@map0"]), words(&["-i", "@map0", "--tree"])] {
        check_said(&pair.run(&command), &format!("seed {seed}, {command:?}\n{}", map.text));
    }
    let mut command = random_map::build(&mut random);
    command.extend(words(&["-o", "@built"]));
    let both = pair.run(&command);
    if both.theirs_code.is_some() {
        check_said(&both, &format!("seed {seed}, {command:?}"));
        let (ours, theirs) = pair.contents("built");
        let difference = || byte_difference(ours.as_deref(), theirs.as_deref());
        assert!(ours == theirs, "seed {seed}, {command:?}: other bytes: {}", difference());
    }
    let mut history: Vec<Vec<String>> = Vec::new();
    let mut current = "@map0".to_owned();
    // Ceph's tool leaves random memory in the unused nodes of trees that grow, so only maps without trees are changed.
    let changes = if has_tree { 0 } else { 4 };
    for number in 1..=changes {
        let next = format!("@map{number}");
        let change = map.change(&mut random);
        history.push(change.clone());
        let mut command = words(&["-i", &current]);
        command.extend(change.clone());
        command.extend(words(&["-o", &next]));
        let both = pair.run(&command);
        if both.theirs_code.is_none() {
            return;
        }
        let context = format!("seed {seed}, {history:?}\n{}", map.text);
        check_said(&both, &context);
        let (ours, theirs) = pair.contents(&next[1..]);
        if ours != theirs {
            panic!("{context}\nother bytes: {}", byte_difference(ours.as_deref(), theirs.as_deref()));
        }
        if change.contains(&"--reclassify-bucket".to_owned()) {
            // Most random patterns leave maps behind that Ceph's tool cannot use any more.
            return;
        }
        if ours.is_some() {
            current = next;
        }
        let mut command = words(&["-i", &current]);
        command.extend(map.show(&mut random, &current));
        check_said(&pair.run(&command), &format!("seed {seed}, {history:?}, {command:?}\n{}", map.text));
    }
}

/// A binary map in full detail.
fn shown(bytes: Option<&[u8]>) -> String {
    match bytes.map(crush::CrushMap::decode) {
        None => "no file".to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(map)) => format!("{map:#?}"),
    }
}

/// What differs between two binary maps, as well as it can be said.
fn byte_difference(ours: Option<&[u8]>, theirs: Option<&[u8]>) -> String {
    let (ours_shown, theirs_shown) = (shown(ours), shown(theirs));
    let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
    if ours_shown != theirs_shown {
        return difference(&ours_shown, &theirs_shown);
    }
    let at = ours.iter().zip(theirs).position(|(have, want)| have != want).unwrap_or(ours.len().min(theirs.len()));
    let window = |bytes: &[u8]| bytes[at.saturating_sub(24)..bytes.len().min(at + 24)].to_vec();
    format!("byte {at} of {} and {}: {:?}, not {:?}", ours.len(), theirs.len(), window(ours), window(theirs))
}

//! Instructions that one 4 KiB overwrite costs, from submit to write-back, on one thread. Unlike time they are nearly the
//! same on a busy machine, so a change that makes the path longer is seen.
//!
//! Needs valgrind (Debian's package of that name); without it the test says so and is skipped. A recorded figure is
//! changed only with a reason, in the commit that changes the path.

use std::{path::PathBuf, process::Command};

/// Transactions of one run: beyond the first checkpoint, so that write-back is in it.
const TRANSACTIONS: u64 = 8000;
/// By how much a figure may be exceeded.
const TOLERANCE_PERCENT: u64 = 3;

/// Mode of the example `steps`, and instructions per transaction as recorded on x86_64 with AVX2.
///
/// `memory`: the engine over maps in memory. `rocks`: over the real database, its own threads left out.
const RECORDED: [(&str, u64); 2] = [("memory", 40_473), ("rocks", 46_661)];

fn steps() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own file");
    let folder = own.parent().and_then(|deps| deps.parent()).expect("tests lie in deps of the target folder");
    folder.join("examples/steps")
}

fn instructions(mode: &str) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*bench::steps::overwrite*"])
        .arg(steps())
        .args([mode, &TRANSACTIONS.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = told.lines().find_map(|line| line.split_once("Collected :")).map(|(_, number)| number.trim());
    match collected.and_then(|number| number.parse::<u64>().ok()) {
        Some(count) if output.status.success() && count > 0 => Ok(count / TRANSACTIONS),
        _ => Err(told),
    }
}

#[test]
fn a_small_overwrite_costs_no_more_instructions_than_recorded() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: there is no valgrind here (Debian's package valgrind)");
        return;
    }
    for (mode, recorded) in RECORDED {
        let found = instructions(mode).unwrap_or_else(|told| panic!("{mode}: {told}"));
        println!("{mode}: {found} instructions per overwrite, {recorded} recorded");
        assert!(
            found * 100 <= recorded * (100 + TOLERANCE_PERCENT),
            "{mode}: {found} instructions per overwrite; {recorded} are recorded, and {TOLERANCE_PERCENT} % more allowed"
        );
    }
}

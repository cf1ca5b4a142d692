//! `ika store info|fsck|dump|export|import`: looking after the store of an OSD that does not run.
//!
//! Data goes to standard output, everything else to standard error; exit codes are those of the operators' commands.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Subcommand};
use cli::{Console, Format, Progress, Unit, exit_code};
use osd::{ImportRequest, PoolCheck, StoppedOsd, StorePaths};
use serde_json::{Value, json};
use store::{
    ArchiveSummary, DiskStore, FsckDepth, FsckProgress, FsckReport, FsckStage, ImportMode, ImportOutcome,
    ObjectDescription, RepairMode, StoreOptions,
};
use types::{ClusterId, Error, ErrorKind, GENERATION_NONE, PgId, Result, ShardId, SnapshotId, Uuid};

/// What can be done with the store of an OSD that does not run.
#[derive(Debug, Subcommand)]
pub enum StoppedStore {
    /// Whose store it is, how the device is divided, which placement groups it has
    Info(Place),
    /// Check the store against itself; exit code 8 when something is wrong
    Fsck(Fsck),
    /// Describe the objects of a placement group, or of all
    Dump(Dump),
    /// Write a placement group into a file
    Export(Export),
    /// Put a placement group from a file into the store
    Import(Import),
}

/// Which store.
#[derive(Debug, Args)]
pub struct Place {
    /// The OSD's folder, or its device
    #[arg(value_name = "DEVICE")]
    pub device: PathBuf,
    /// The folder of its database [default: `db` beside the device]
    #[arg(long, value_name = "DIR")]
    pub db: Option<PathBuf>,
    /// How data and errors are shown
    #[arg(long, short = 'f', value_enum, value_name = "FORMAT", default_value = "plain")]
    pub format: Format,
}

/// `ika store fsck`
#[derive(Debug, Args)]
pub struct Fsck {
    #[command(flatten)]
    pub place: Place,
    /// Read all data and compare its checksums
    #[arg(long)]
    pub deep: bool,
    /// Put right what can be put right without inventing anything
    #[arg(long)]
    pub repair: bool,
    /// Only say what a repair would do
    #[arg(long, requires = "repair")]
    pub dry_run: bool,
}

/// `ika store dump`
#[derive(Debug, Args)]
pub struct Dump {
    #[command(flatten)]
    pub place: Place,
    /// Only this placement group, like 3.1f
    #[arg(long, value_name = "PGID")]
    pub pgid: Option<PgId>,
}

/// `ika store export`
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub place: Place,
    /// The placement group, like 3.1f
    #[arg(long, value_name = "PGID")]
    pub pgid: PgId,
    /// The file, which must not be there; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

/// `ika store import`
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    pub place: Place,
    /// The file
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// Refuse the file unless it is of this placement group
    #[arg(long, value_name = "PGID")]
    pub pgid: Option<PgId>,
    /// Remove a copy that is there and not equal
    #[arg(long)]
    pub replace: bool,
    /// Take a file of this cluster, although the store belongs to another
    #[arg(long, value_name = "UUID", value_parser = parse_cluster)]
    pub cluster: Option<ClusterId>,
    /// Take a file whose pool has another name here
    #[arg(long)]
    pub any_pool_name: bool,
}

fn parse_cluster(text: &str) -> Result<ClusterId> {
    text.parse::<Uuid>().map(ClusterId)
}

/// Carries out a command.
pub fn run(command: &StoppedStore) -> ExitCode {
    let place = match command {
        StoppedStore::Info(place) => place,
        StoppedStore::Fsck(fsck) => &fsck.place,
        StoppedStore::Dump(dump) => &dump.place,
        StoppedStore::Export(export) => &export.place,
        StoppedStore::Import(import) => &import.place,
    };
    let console = Console { format: place.format };
    let paths = StorePaths::of(&place.device, place.db.as_deref());
    let outcome = match command {
        StoppedStore::Info(_) => info(&paths, console),
        StoppedStore::Fsck(fsck) => check(&paths, fsck, console),
        StoppedStore::Dump(dump) => describe(&paths, dump, console),
        StoppedStore::Export(export) => take_out(&paths, export, console),
        StoppedStore::Import(import) => put_in(&paths, import, console),
    };
    outcome.unwrap_or_else(|error| console.fail(&error))
}

/// Opens the store, works, and closes it whatever came of the work.
fn with_store(paths: &StorePaths, work: impl FnOnce(&StoppedOsd) -> Result<()>) -> Result<ExitCode> {
    let store = StoppedOsd::open(paths, &StoreOptions::default())?;
    let outcome = work(&store);
    let closed = store.close();
    outcome.and(closed).map(|()| ExitCode::SUCCESS)
}

fn info(paths: &StorePaths, console: Console) -> Result<ExitCode> {
    let found = DiskStore::info(&paths.device)?;
    with_store(paths, |store| {
        let (usage, pgs, epoch) = (store.usage()?, store.pgs()?, store.newest_epoch());
        let identity = found.identity;
        let plain = || {
            let mut text = format!(
                "osd.{} of cluster {}\nosd uuid    {}\nstore uuid  {}\nopened      {} times\ndevice      {} bytes\n\
                 journal     {} bytes\ndata area   {} bytes, {} used\nmetadata    {} bytes\nnewest map  {}\n",
                identity.osd,
                identity.cluster,
                identity.osd_uuid,
                identity.store_uuid,
                found.generation,
                found.device_bytes,
                found.journal_bytes,
                found.data_bytes,
                usage.used_bytes,
                usage.metadata_bytes,
                epoch.map_or("none".to_owned(), |epoch| format!("epoch {epoch}")),
            );
            for pg in &pgs {
                let state = pg.last_update.map_or("no whole copy".to_owned(), |version| format!("at {version}"));
                text += &format!("pg {:<8} {state}, {} objects, {} bytes\n", pg.pg, pg.objects, pg.bytes);
            }
            text
        };
        let value = || {
            let pgs: Vec<Value> = pgs
                .iter()
                .map(|pg| {
                    json!({
                        "pgid": pg.pg.to_string(),
                        "epoch": pg.epoch.map(|epoch| epoch.0),
                        "last_update": pg.last_update.map(|version| version.to_string()),
                        "num_objects": pg.objects,
                        "num_bytes": pg.bytes,
                    })
                })
                .collect();
            json!({
                "whoami": identity.osd.0,
                "ceph_fsid": identity.cluster.to_string(),
                "osd_uuid": identity.osd_uuid.to_string(),
                "store_uuid": identity.store_uuid.to_string(),
                "generation": found.generation,
                "size": found.device_bytes,
                "journal_bytes": found.journal_bytes,
                "data_bytes": found.data_bytes,
                "used_bytes": usage.used_bytes,
                "metadata_bytes": usage.metadata_bytes,
                "newest_map": epoch.map(|epoch| epoch.0),
                "pgs": pgs,
            })
        };
        console.show(plain, value)
    })
}

fn check(paths: &StorePaths, command: &Fsck, console: Console) -> Result<ExitCode> {
    let depth = if command.deep { FsckDepth::Data } else { FsckDepth::Metadata };
    let mode = match (command.repair, command.dry_run) {
        (true, false) => RepairMode::Apply,
        (true, true) => RepairMode::DryRun,
        (false, _) => RepairMode::Never,
    };
    let mut bars = Bars::default();
    let report =
        DiskStore::fsck_offline(&paths.device, &paths.db, &StoreOptions::default(), (depth, mode), &mut |progress| {
            bars.hear(progress)
        })?;
    drop(bars);
    console.show(|| fsck_text(&report, mode), || fsck_json(&report, mode))?;
    Ok(if report.problem_count == 0 { ExitCode::SUCCESS } else { exit_code(ErrorKind::Damaged) })
}

/// One bar for each stage of a check.
#[derive(Default)]
struct Bars {
    current: Option<(FsckStage, Progress)>,
}

impl Bars {
    fn hear(&mut self, progress: FsckProgress) {
        if self.current.as_ref().is_none_or(|(stage, _)| *stage != progress.stage) {
            let name = match progress.stage {
                FsckStage::Objects => "objects",
                FsckStage::Orphans => "keys",
                FsckStage::Data => "units",
            };
            self.current = Some((progress.stage, Progress::new(Unit::Things(name), progress.total)));
        }
        if let Some((_, bar)) = &mut self.current {
            bar.reach(progress.done);
        }
    }
}

fn repair_word(mode: RepairMode) -> &'static str {
    if mode == RepairMode::Apply { "repaired" } else { "a repair would have" }
}

fn fsck_text(report: &FsckReport, mode: RepairMode) -> String {
    let mut text = String::new();
    for deed in &report.repairs {
        text += &format!("{}: {deed}\n", repair_word(mode));
    }
    for problem in &report.problems {
        text += &format!("problem: {problem}\n");
    }
    text += &format!(
        "{} objects, {} omap entries, {} values of the OSD, {} units used by {} references, {} units read, {} journal \
         records to carry out\n",
        report.objects,
        report.omap_entries,
        report.config_entries,
        report.units_used,
        report.unit_references,
        report.units_read,
        report.journal_records
    );
    text + &match report.problem_count {
        0 => "no problems\n".to_owned(),
        count if count > report.problems.len() as u64 => {
            format!("{count} problems, of which {} are shown\n", report.problems.len())
        }
        count => format!("{count} problems\n"),
    }
}

fn fsck_json(report: &FsckReport, mode: RepairMode) -> Value {
    let problems: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| {
            json!({
                "kind": problem.name(),
                "object": problem.object().map(ToString::to_string),
                "message": problem.to_string(),
            })
        })
        .collect();
    json!({
        "objects": report.objects,
        "omap_entries": report.omap_entries,
        "config_entries": report.config_entries,
        "units_used": report.units_used,
        "unit_references": report.unit_references,
        "units_read": report.units_read,
        "journal_records": report.journal_records,
        "problem_count": report.problem_count,
        "problems": problems,
        "repair": match mode {
            RepairMode::Never => "none",
            RepairMode::DryRun => "dry_run",
            RepairMode::Apply => "applied",
        },
        "repairs": report.repairs,
    })
}

fn describe(paths: &StorePaths, command: &Dump, console: Console) -> Result<ExitCode> {
    with_store(paths, |store| {
        let pgs = match command.pgid {
            Some(pg) => vec![pg],
            None => store.pgs()?.into_iter().map(|pg| pg.pg).collect(),
        };
        // One line for each object, so that millions of them need no memory.
        pgs.into_iter().try_for_each(|pg| {
            store.describe(pg, &mut |object| {
                if console.format.is_json() {
                    console.json(&object_json(pg, &object))
                } else {
                    console.data(&object_text(pg, &object))
                }
            })
        })
    })
}

fn stored_bytes(object: &ObjectDescription) -> u64 {
    object.extents.iter().map(|extent| extent.length).sum()
}

fn object_text(pg: PgId, described: &ObjectDescription) -> String {
    format!(
        "{pg} {} size {} stored {} xattrs {} omap {}",
        described.object,
        described.meta.size,
        stored_bytes(described),
        described.meta.xattrs.len(),
        described.omap_entries
    )
}

fn object_json(pg: PgId, described: &ObjectDescription) -> Value {
    let object = &described.object;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let xattrs: serde_json::Map<String, Value> =
        described.meta.xattrs.iter().map(|(name, value)| (text(name), json!(value.len()))).collect();
    let extents: Vec<Value> =
        described.extents.iter().map(|extent| json!({ "offset": extent.offset, "length": extent.length })).collect();
    json!({
        "pgid": pg.to_string(),
        "pool": object.pool.0,
        "hash": object.hash,
        "namespace": text(&object.name.namespace),
        "key": text(&object.name.key),
        "oid": text(&object.name.name),
        "snapid": (object.snapshot != SnapshotId::HEAD).then_some(object.snapshot.0),
        "generation": (object.generation != GENERATION_NONE).then_some(object.generation),
        "shard_id": (object.shard != ShardId::WHOLE).then_some(object.shard.0),
        "is_pg_meta": object.is_pg_meta(),
        "size": described.meta.size,
        "stored_bytes": stored_bytes(described),
        "extents": extents,
        "xattr_bytes": xattrs,
        "omap_header_bytes": described.meta.omap_header.len(),
        "omap_entries": described.omap_entries,
    })
}

fn take_out(paths: &StorePaths, command: &Export, console: Console) -> Result<ExitCode> {
    with_store(paths, |store| {
        let mut bar = Progress::new(Unit::Bytes, None);
        let mut hear = |so_far: &ArchiveSummary| bar.reach(so_far.bytes);
        if command.file.as_os_str() == "-" {
            let mut out = BufWriter::new(std::io::stdout().lock());
            let summary = store.export(command.pgid, &mut out, &mut hear)?;
            console.remark(&summary_text("wrote", command.pgid, &summary));
            return Ok(());
        }
        let failed = |error: std::io::Error| Error::invalid(format!("write {}: {error}", command.file.display()));
        let file = File::create_new(&command.file).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 20, &file);
        let written = store.export(command.pgid, &mut out, &mut hear);
        let written = written.and_then(|summary| {
            out.flush().and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(summary)
        });
        drop(bar);
        match written {
            Ok(summary) => console.show(
                || summary_text("wrote", command.pgid, &summary),
                || summary_json("exported", command.pgid, &summary),
            ),
            Err(error) => {
                // A part of a placement group must not lie about as if it were one.
                if let Err(left) = std::fs::remove_file(&command.file) {
                    console
                        .remark(&format!("ika: {} is not whole and cannot be removed: {left}", command.file.display()));
                }
                Err(error)
            }
        }
    })
}

fn put_in(paths: &StorePaths, command: &Import, console: Console) -> Result<ExitCode> {
    let file = File::open(&command.file)
        .map_err(|error| Error::not_found(format!("open {}: {error}", command.file.display())))?;
    let mut input = BufReader::with_capacity(1 << 20, file);
    let request = ImportRequest {
        pg: command.pgid,
        cluster: command.cluster,
        mode: if command.replace { ImportMode::Replace } else { ImportMode::Keep },
        pool: if command.any_pool_name { PoolCheck::AnyName } else { PoolCheck::SameName },
    };
    with_store(paths, |store| {
        let mut bar = Progress::new(Unit::Bytes, None);
        let (subject, outcome) = store.import(&mut input, &request, &mut |so_far| bar.reach(so_far.bytes))?;
        drop(bar);
        let (word, name, summary) = match outcome {
            ImportOutcome::Imported(summary) => ("put in", "imported", summary),
            ImportOutcome::AlreadyThere(summary) => ("had already", "already_there", summary),
        };
        console.show(|| summary_text(word, subject.pgid, &summary), || summary_json(name, subject.pgid, &summary))
    })
}

fn summary_text(word: &str, pg: PgId, summary: &ArchiveSummary) -> String {
    format!("{word} placement group {pg}: {} objects, {} bytes of data", summary.objects, summary.bytes)
}

fn summary_json(outcome: &str, pg: PgId, summary: &ArchiveSummary) -> Value {
    let digest: String = summary.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "outcome": outcome,
        "pgid": pg.to_string(),
        "num_objects": summary.objects,
        "num_bytes": summary.bytes,
        "sha256": digest,
    })
}

#[cfg(test)]
mod tests {
    use store::Problem;

    use super::*;

    #[test]
    fn a_report_says_what_was_found_and_done() {
        let mut report = FsckReport { objects: 2, problem_count: 1, ..FsckReport::default() };
        report.problems.push(Problem::OmapStray { number: 7 });
        report.repairs.push("removed it".to_owned());
        let text = fsck_text(&report, RepairMode::DryRun);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a repair would have: removed it");
        assert_eq!(lines[1], "problem: omap entries hang on object number 7, which has none or does not exist");
        assert!(lines[2].starts_with("2 objects, ") && lines[3] == "1 problems");
        let value = fsck_json(&report, RepairMode::Apply);
        assert_eq!((&value["problems"][0]["kind"], &value["repair"]), (&json!("omap_stray"), &json!("applied")));
    }
}

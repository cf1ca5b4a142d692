//! Snapshots of a pool and of its objects, with the words of Ceph's `rados`.

use client::{CloneRecord, Error, ErrorKind, ObjectForm, Pool, Result, SnapshotId};
use serde_json::{Value, json};

use crate::{arguments::ObjectCommand, console::Console};

/// The pool as it was at a snapshot, for commands that only look.
pub(super) async fn at(pool: &Pool, snapshot: &str, command: &ObjectCommand) -> Result<Pool> {
    let looks = matches!(
        command,
        ObjectCommand::Get { .. }
            | ObjectCommand::Stat { .. }
            | ObjectCommand::Listxattr { .. }
            | ObjectCommand::Getxattr { .. }
            | ObjectCommand::Listomapkeys { .. }
            | ObjectCommand::Listomapvals { .. }
            | ObjectCommand::Getomapval { .. }
            | ObjectCommand::Getomapheader { .. }
            | ObjectCommand::Cp { .. }
    );
    if !looks {
        return Err(Error::invalid(
            "--snap goes with commands that read an object: get, stat, cp, and those that show attributes or omap",
        ));
    }
    Ok(pool.at(resolve(pool, snapshot).await?))
}

/// The snapshot of that name; or of that number, where no name is meant.
async fn resolve(pool: &Pool, snapshot: &str) -> Result<SnapshotId> {
    match pool.snapshots().find(snapshot).await {
        Ok(found) => Ok(found.id),
        Err(error) if error.kind == ErrorKind::NotFound => {
            let number = snapshot.parse().ok().map(SnapshotId);
            number.filter(|id| id.0 > 0 && *id < SnapshotId::HEAD).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn carry_out(pool: &Pool, command: ObjectCommand, console: Console) -> Result<()> {
    match command {
        ObjectCommand::Mksnap { snapshot } => {
            let made = pool.snapshots().create(&snapshot).await?;
            console.remark(&format!("created pool {} snap {snapshot} with number {}", pool.name(), made.id));
            Ok(())
        }
        ObjectCommand::Rmsnap { snapshot } => {
            pool.snapshots().remove(&snapshot).await?;
            console.remark(&format!("removed pool {} snap {snapshot}", pool.name()));
            Ok(())
        }
        ObjectCommand::Lssnap => {
            let snapshots = pool.snapshots().list().await?;
            console.show(
                || {
                    let lines = snapshots.iter().map(|snapshot| format!("{}\t{}\n", snapshot.id, snapshot.name));
                    lines.collect::<String>() + &format!("{} snaps\n", snapshots.len())
                },
                || snapshots.iter().map(|snapshot| json!({ "id": snapshot.id.0, "name": snapshot.name })).collect(),
            )
        }
        ObjectCommand::Rollback { name, snapshot } => rollback(pool, &name, &snapshot).await,
        ObjectCommand::Listsnaps { name } => {
            let clones = pool.object(&name).clones().await?;
            console.show(|| clones_text(&name, &clones), || clones_json(&name, &clones))
        }
        other => Err(Error::internal(format!("{other:?} is not about snapshots"))),
    }
}

async fn rollback(pool: &Pool, name: &str, snapshot: &str) -> Result<()> {
    let id = resolve(pool, snapshot).await?;
    // The head alone would promise pieces that were removed with what took their place.
    for then_and_now in [pool.at(id), pool.clone()] {
        match then_and_now.object(name).xattrs().await {
            Ok(xattrs) if ObjectForm::of(&xattrs) != ObjectForm::Plain => {
                return Err(Error::invalid(format!(
                    "`{name}` is striped, or was; get it with --snap {snapshot} and put it anew"
                )));
            }
            Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    pool.object(name).rollback(id).await
}

fn clones_text(name: &str, clones: &[CloneRecord]) -> String {
    let lines = clones.iter().map(|clone| {
        if clone.clone == SnapshotId::HEAD {
            return format!("head\t-\t{}\n", clone.size);
        }
        let snapshots: Vec<String> = clone.snapshots.iter().rev().map(SnapshotId::to_string).collect();
        let overlap = clone.overlap.iter().map(|extent| format!("{}~{}", extent.offset, extent.length));
        let overlap = overlap.collect::<Vec<_>>().join(",");
        format!("{}\t{}\t{}\t[{overlap}]\n", clone.clone, snapshots.join(","), clone.size)
    });
    format!("{name}:\ncloneid\tsnaps\tsize\toverlap\n{}", lines.collect::<String>())
}

fn clones_json(name: &str, clones: &[CloneRecord]) -> Value {
    let record = |clone: &CloneRecord| {
        if clone.clone == SnapshotId::HEAD {
            return json!({ "id": "head", "size": clone.size });
        }
        let overlap = clone.overlap.iter().map(|extent| json!({ "start": extent.offset, "length": extent.length }));
        json!({
            "id": clone.clone.0,
            "snapshots": clone.snapshots.iter().rev().map(|snapshot| snapshot.0).collect::<Vec<_>>(),
            "size": clone.size,
            "overlap": overlap.collect::<Vec<_>>(),
        })
    };
    json!({ "name": name, "clones": clones.iter().map(record).collect::<Vec<_>>() })
}

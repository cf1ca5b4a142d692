//! `ika object`: objects of one pool, with the words of Ceph's `rados`.

mod attributes;
pub(crate) mod bench;
mod folder;
mod operations;
mod snapshots;
mod source;
mod transfer;

use client::{Cluster, Error, ErrorKind, ObjectForm, OpBuilder, Pool, Result, StripeLayout, SubOpResult};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use crate::{
    arguments::{ObjectArguments, ObjectCommand},
    console::Console,
    figures,
    progress::{Progress, Unit},
};
use transfer::Form;

/// Small operations that are under way at once, where a command has many.
const OPERATIONS_AT_ONCE: usize = 16;

/// Carries out one command.
pub(crate) async fn carry_out(cluster: &Cluster, arguments: ObjectArguments, console: Console) -> Result<()> {
    let pool = arguments.pool.ok_or_else(|| Error::invalid("no pool is named: give --pool POOL"))?;
    let pool = cluster.pool(&pool).await?.namespace(&arguments.namespace);
    let pool = match &arguments.snap {
        Some(snapshot) => snapshots::at(&pool, snapshot, &arguments.command).await?,
        None => pool,
    };
    let form = if arguments.striper { Form::Striped } else { Form::BySize };
    match arguments.command {
        ObjectCommand::Put { name, file, recursive: false } => transfer::put(&pool, &name, &file, form).await,
        ObjectCommand::Get { name, file, recursive: false } => transfer::get(&pool, &name, &file).await,
        ObjectCommand::Put { name, file, recursive: true } => folder::put(&pool, &name, &file, form, console).await,
        ObjectCommand::Get { name, file, recursive: true } => folder::get(&pool, &name, &file, console).await,
        ObjectCommand::Ls { all } => list(&pool, all, console).await,
        ObjectCommand::Rm { names } => remove_all(&pool, names).await,
        ObjectCommand::Stat { name } => stat(&pool, &name, console).await,
        ObjectCommand::Append { name, file } => transfer::append(&pool, &name, &file).await,
        ObjectCommand::Truncate { name, size } => {
            let operation = ObjectForm::guard_plain(OpBuilder::new()).truncate(size);
            plain(&pool, &name, operation).await
        }
        ObjectCommand::Bench(bench) => bench::bench(&pool, &bench, console).await,
        ObjectCommand::Cleanup { run_name } => bench::cleanup(&pool, &run_name, console).await,
        other @ (ObjectCommand::Mksnap { .. }
        | ObjectCommand::Lssnap
        | ObjectCommand::Rmsnap { .. }
        | ObjectCommand::Rollback { .. }
        | ObjectCommand::Listsnaps { .. }) => snapshots::carry_out(&pool, other, console).await,
        other @ (ObjectCommand::Create { .. }
        | ObjectCommand::Exec { .. }
        | ObjectCommand::Getomapheader { .. }
        | ObjectCommand::Setomapheader { .. }
        | ObjectCommand::Cp { .. }
        | ObjectCommand::Listwatchers { .. }
        | ObjectCommand::Watch { .. }
        | ObjectCommand::Notify { .. }
        | ObjectCommand::Lock { .. }) => operations::carry_out(&pool, other, console).await,
        other => attributes::carry_out(&pool, other, console).await,
    }
}

/// Carries out an operation that is for plain objects only.
async fn plain(pool: &Pool, name: &str, operation: OpBuilder) -> Result<()> {
    match pool.object(name).operate(operation).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.error.kind == ErrorKind::Exists => {
            Err(Error::invalid(format!("`{name}` is striped; put it anew with --striper")))
        }
        Err(failure) => Err(failure.error.context(name)),
    }
}

/// What the name stands for.
async fn form_of(pool: &Pool, name: &str) -> Result<ObjectForm> {
    Ok(ObjectForm::of(&pool.object(name).xattrs().await?))
}

fn no_such_object(name: &str) -> Error {
    Error::not_found(format!("object `{name}` does not exist"))
}

async fn list(pool: &Pool, all: bool, console: Console) -> Result<()> {
    let mut names = pool.list();
    let mut shown = Vec::new();
    while let Some(name) = names.try_next().await? {
        if !all && is_piece(&name.name) {
            continue;
        }
        if console.format.is_json() {
            shown.push(json!({
                "namespace": String::from_utf8_lossy(&name.namespace),
                "name": String::from_utf8_lossy(&name.name),
                "key": String::from_utf8_lossy(&name.key),
            }));
        } else {
            console.raw(&[&name.name[..], b"\n"].concat())?;
        }
    }
    if console.format.is_json() { console.json(&json!(shown)) } else { Ok(()) }
}

/// Whether the name is one that the striper gives to pieces: `NAME.CLIENT-COUNT.INDEX`.
fn is_piece(name: &[u8]) -> bool {
    let is_hexadecimal = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit);
    let mut parts = name.rsplitn(3, |byte| *byte == b'.');
    let (Some(index), Some(generation), Some(_)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let mut halves = generation.splitn(2, |byte| *byte == b'-');
    index.len() == 16
        && is_hexadecimal(index)
        && halves.next().is_some_and(is_hexadecimal)
        && halves.next().is_some_and(is_hexadecimal)
}

async fn remove_all(pool: &Pool, names: Vec<String>) -> Result<()> {
    let mut progress = Progress::new(Unit::Things("objects"), Some(names.len() as u64));
    let mut removals = stream::iter(names).map(|name| remove(pool, name)).buffer_unordered(OPERATIONS_AT_ONCE);
    let mut failed = None;
    while let Some(outcome) = removals.next().await {
        progress.add(1);
        // All are tried; the first failure is told.
        if let Err(error) = outcome {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn remove(pool: &Pool, name: String) -> Result<()> {
    match form_of(pool, &name).await? {
        ObjectForm::Plain => pool.object(&name).remove().await,
        ObjectForm::Striped | ObjectForm::Unfinished => pool.striper(StripeLayout::default()).remove(&name).await,
    }
}

async fn stat(pool: &Pool, name: &str, console: Console) -> Result<()> {
    let success = pool.object(name).operate(OpBuilder::new().stat().get_xattrs()).await;
    let success = success.map_err(|failure| failure.error.context(name))?;
    let [SubOpResult::Stat { size, modified_ms }, SubOpResult::Xattrs(xattrs)] = &success.results[..] else {
        return Err(Error::internal("the OSD's answer does not fit the question"));
    };
    let (size, modified_ms, pieces) = match ObjectForm::of(xattrs) {
        ObjectForm::Plain => (*size, *modified_ms, None),
        ObjectForm::Unfinished => return Err(no_such_object(name)),
        ObjectForm::Striped => {
            let stat = pool.striper(StripeLayout::default()).stat(name).await?;
            (stat.size, stat.modified_ms, Some(stat.layout.pieces(stat.size)))
        }
    };
    console.show(
        || format!("{}/{name} mtime {}, size {size}", pool.name(), figures::time(modified_ms)),
        || {
            json!({
                "pool": pool.name(),
                "name": name,
                "size": size,
                "mtime": figures::time(modified_ms),
                "striped": pieces.is_some(),
                "pieces": pieces,
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::is_piece;

    #[test]
    fn pieces_of_striped_objects_are_known_by_their_names() {
        for piece in ["film.7-1.0000000000000000", "a.b.c.1f-2a.00000000000000ff"] {
            assert!(is_piece(piece.as_bytes()), "{piece}");
        }
        for other in [
            "film",
            "film.7-1",
            "film.7.0000000000000000",
            "x.7-1.000",
            "7-1.0000000000000000",
            "a.-1.0000000000000000",
        ] {
            assert!(!is_piece(other.as_bytes()), "{other}");
        }
    }
}

//! Classes, locks, watches and copies, with the words of Ceph's `rados`.

use std::time::Duration;

use bytes::Bytes;
use client::{
    Error, Object, ObjectForm, OpBuilder, Pool, Result, SnapshotId, WatchEvent,
    classes::lock::{BreakRequest, LockInfo, LockKind, LockRequest, Renewal},
};
use serde_json::json;

use crate::{
    arguments::{LockCommand, LockKindArgument, ObjectCommand},
    console::Console,
};

/// Keys that are copied with one operation.
const PAGE_KEYS: u32 = 1000;

pub(super) async fn carry_out(pool: &Pool, command: ObjectCommand, console: Console) -> Result<()> {
    match command {
        ObjectCommand::Create { name } => pool
            .object(&name)
            .operate(OpBuilder::new().create_exclusive())
            .await
            .map(drop)
            .map_err(|failure| failure.error),
        ObjectCommand::Exec { name, class, method, input } => {
            let output = pool.object(name).call(class, method, input.unwrap_or_default()).await?;
            console.raw(&output)
        }
        ObjectCommand::Getomapheader { name } => console.raw(&pool.object(name).omap_header().await?),
        ObjectCommand::Setomapheader { name, value } => pool.object(name).set_omap_header(value).await,
        // What is read may be of a snapshot; what is written is the live object.
        ObjectCommand::Cp { from, to } => copy(&pool.object(from), &pool.at(SnapshotId::HEAD).object(to)).await,
        ObjectCommand::Listwatchers { name } => {
            let watchers = pool.object(name).watchers().await?;
            let line = |watcher: &client::Watcher| {
                format!(
                    "watcher=client.{} cookie={} timeout={}ms\n",
                    watcher.client, watcher.cookie, watcher.timeout_ms
                )
            };
            console.show(
                || watchers.iter().map(line).collect(),
                || {
                    let entries = watchers.iter().map(|watcher| {
                        json!({
                            "client": watcher.client.0,
                            "cookie": watcher.cookie,
                            "timeout_ms": watcher.timeout_ms,
                        })
                    });
                    entries.collect()
                },
            )
        }
        ObjectCommand::Watch { name } => watch(&pool.object(name), console).await,
        ObjectCommand::Notify { name, message, timeout } => {
            notify(&pool.object(name), message, Duration::from_millis(timeout), console).await
        }
        ObjectCommand::Lock { command } => lock(pool, command, console).await,
        other => Err(Error::internal(format!("{other:?} is not about classes, locks, watches or copies"))),
    }
}

/// Tells what is heard, one line each, until the watch is lost or the command interrupted.
async fn watch(object: &Object, console: Console) -> Result<()> {
    let mut watch = object.watch().await?;
    while let Some(event) = watch.next().await {
        match event {
            WatchEvent::Lost(error) => return Err(error.context("the watch has ended")),
            WatchEvent::Notified(notified) => {
                let line = json!({
                    "notifier": notified.notifier().0,
                    "message": String::from_utf8_lossy(notified.payload()),
                });
                if console.format.is_json() {
                    console.raw(format!("{line}\n").as_bytes())?;
                } else {
                    let (notifier, message) = (notified.notifier(), notified.payload().escape_ascii());
                    console.raw(format!("NOTIFY from client.{notifier}: {message}\n").as_bytes())?;
                }
                notified.acknowledge(Bytes::new()).await?;
            }
        }
    }
    Ok(())
}

async fn notify(object: &Object, message: String, timeout: Duration, console: Console) -> Result<()> {
    let outcome = object.notify(message, timeout).await?;
    console.show(
        || {
            let heard = outcome.answers.iter().map(|answer| {
                format!("reply client.{} cookie {}: {}\n", answer.client, answer.cookie, answer.payload.escape_ascii())
            });
            let missed = outcome.missed.iter();
            let missed = missed.map(|(client, cookie)| format!("timeout client.{client} cookie {cookie}\n"));
            heard.chain(missed).collect()
        },
        || {
            let answers = outcome.answers.iter().map(|answer| {
                json!({
                    "client": answer.client.0,
                    "cookie": answer.cookie,
                    "payload": String::from_utf8_lossy(&answer.payload),
                })
            });
            let missed = outcome.missed.iter().map(|(client, cookie)| json!({"client": client.0, "cookie": cookie}));
            json!({"replies": answers.collect::<Vec<_>>(), "timeouts": missed.collect::<Vec<_>>()})
        },
    )
}

async fn lock(pool: &Pool, command: LockCommand, console: Console) -> Result<()> {
    match command {
        LockCommand::List { name } => {
            let locks = pool.object(&name).locks().await?;
            console.show(
                || locks.iter().map(|lock| format!("{lock}\n")).collect(),
                || json!({"objname": name, "locks": locks.iter().map(|lock| json!({"name": lock})).collect::<Vec<_>>()}),
            )
        }
        LockCommand::Info { name, lock } => {
            let info: LockInfo = pool.object(&name).lock_info(&lock).await?;
            console.show(
                || {
                    let holders = info.holders.iter();
                    holders
                        .map(|holder| {
                            let until = holder.expires_ms.map_or("never".to_owned(), |at| format!("{at} ms"));
                            format!(
                                "{lock} {} client.{} cookie `{}` tag `{}` expires {until} {}\n",
                                kind_word(info.kind),
                                holder.client,
                                holder.cookie,
                                info.tag,
                                holder.description
                            )
                        })
                        .collect()
                },
                || json!({"name": lock, "type": kind_word(info.kind), "tag": info.tag, "lockers": info.holders}),
            )
        }
        LockCommand::Get { name, lock, cookie, tag, description, duration, kind } => {
            let kind = match kind {
                LockKindArgument::Exclusive => LockKind::Exclusive,
                LockKindArgument::Shared => LockKind::Shared,
            };
            let duration_ms = duration.saturating_mul(1000);
            let request =
                LockRequest { name: lock, kind, cookie, tag, description, duration_ms, renewal: Renewal::Refused };
            pool.object(name).lock(&request).await
        }
        LockCommand::Break { name, lock, locker, cookie } => {
            let number = locker.strip_prefix("client.").unwrap_or(&locker);
            let client = number.parse().map_err(|_| Error::invalid(format!("`{locker}` is not like `client.17`")))?;
            pool.object(name).break_lock(&BreakRequest { name: lock, client, cookie }).await
        }
    }
}

fn kind_word(kind: LockKind) -> &'static str {
    match kind {
        LockKind::Exclusive => "exclusive",
        LockKind::Shared => "shared",
    }
}

/// Bytes, attributes and omap of an object become another's. What the other was is replaced. The copy is of one
/// moment: when the object changes meanwhile, the copying fails with `Exists` and the other is left unfinished.
async fn copy(from: &Object, to: &Object) -> Result<()> {
    if from.name() == to.name() {
        return Err(Error::invalid("an object cannot be copied onto itself"));
    }
    let version = from.stat().await?.user_version;
    let (xattrs, header) = (from.xattrs().await?, from.omap_header().await?);
    if !matches!(ObjectForm::of(&xattrs), ObjectForm::Plain) {
        return Err(Error::invalid(format!("`{}` is striped; get it and put it under the other name", from.name())));
    }
    let bytes = from.read_all().await?;
    let fail = |failure: client::OpFailure| failure.error;
    to.operate(OpBuilder::new().create().remove().create()).await.map_err(fail)?;
    let mut first = OpBuilder::new().set_omap_header(header);
    for (name, value) in xattrs {
        first = first.set_xattr(name, value);
    }
    to.operate(first).await.map_err(fail)?;
    for (index, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
        to.write(index as u64 * PIECE_BYTES as u64, bytes.slice_ref(piece)).await?;
    }
    let mut after = Vec::new();
    loop {
        let page = from.omap_page(&after, b"", PAGE_KEYS).await?;
        let Some((last, _)) = page.entries.last() else { break };
        after.clone_from(last);
        to.omap_set(page.entries.into_iter().collect()).await?;
        if !page.more {
            break;
        }
    }
    from.operate(OpBuilder::new().assert_version(version)).await.map(drop).map_err(fail)
}

/// Bytes of one write of a copy.
const PIECE_BYTES: usize = 8 << 20;

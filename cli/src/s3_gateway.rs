//! `ika s3 …`: users, keys, buckets and garbage of the S3 gateway.

use client::{Cluster, Error, Result};
use s3::{Administration, Collection, UserKey};
use serde_json::{Value, json};

use crate::{
    arguments::{S3Arguments, S3BucketCommand, S3Command, S3KeyCommand, S3UserCommand},
    console::Console,
};

/// Carries a command out.
pub(crate) async fn carry_out(cluster: Cluster, arguments: S3Arguments, console: Console) -> Result<()> {
    let s3 = Administration::open(cluster).await?;
    match arguments.command {
        S3Command::Env { user } => environment(&s3, &user, console).await,
        S3Command::User(command) => user(&s3, command, console).await,
        S3Command::Key(command) => key(&s3, command, console).await,
        S3Command::Bucket(S3BucketCommand::Ls) => buckets(&s3, console).await,
        S3Command::Gc { half_written } => {
            let what = if half_written { Collection::GarbageAndHalfWritten } else { Collection::Garbage };
            let (collected, swept) = s3.collect(what).await?;
            let plain = || {
                format!(
                    "removed {} replaced or deleted data of {} bytes; swept behind {} gateways: {} half written removed",
                    collected.removed, collected.bytes, swept.gateways, swept.removed
                )
            };
            let value = || {
                json!({
                    "garbage": { "removed": collected.removed, "bytes": collected.bytes },
                    "sweep": { "gateways": swept.gateways, "removed": swept.removed, "kept": swept.kept },
                })
            };
            console.show(plain, value)
        }
    }
}

/// Words for the shell: whoever may run this command may also read the key.
async fn environment(s3: &Administration, user: &str, console: Console) -> Result<()> {
    let endpoint = s3.endpoint().await?;
    let endpoint = endpoint
        .ok_or_else(|| Error::not_found("no S3 gateway has started; `ika up` starts one, `ika s3 run` another"))?;
    let (_, key) = s3.provide_user(user).await?;
    let exports = [
        ("AWS_ACCESS_KEY_ID", key.access),
        ("AWS_SECRET_ACCESS_KEY", key.secret),
        ("AWS_DEFAULT_REGION", s3::REGION_DEFAULT.to_owned()),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    let plain = || exports.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    console.show(plain, || exports.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect())
}

/// A key with its secret: only where it is asked for.
fn shown_key(key: &UserKey) -> Value {
    json!({ "user": key.user, "access_key": key.access, "secret_key": key.secret, "created_ms": key.created_ms })
}

fn show_key(key: &UserKey, console: Console) -> Result<()> {
    let plain = || format!("user        {}\naccess key  {}\nsecret key  {}\n", key.user, key.access, key.secret);
    console.show(plain, || shown_key(key))
}

async fn user(s3: &Administration, command: S3UserCommand, console: Console) -> Result<()> {
    match command {
        S3UserCommand::Create { name } => {
            s3.users().create(&name).await?;
            show_key(&s3.users().create_key(&name).await?, console)
        }
        S3UserCommand::Ls => {
            let users = s3.users().list().await?;
            let plain = || users.iter().map(|user| format!("{}\n", user.name)).collect();
            let value =
                || users.iter().map(|user| json!({ "name": user.name, "created_ms": user.created_ms })).collect();
            console.show(plain, value)
        }
        S3UserCommand::Rm { name } => {
            s3.remove_user(&name).await?;
            console.remark(&format!("removed user {name}"));
            Ok(())
        }
    }
}

async fn key(s3: &Administration, command: S3KeyCommand, console: Console) -> Result<()> {
    match command {
        S3KeyCommand::Create { user } => show_key(&s3.users().create_key(&user).await?, console),
        S3KeyCommand::Ls { user } => {
            s3.users().user(&user).await?;
            let keys = s3.users().keys(&user).await?;
            let plain = || keys.iter().map(|key| format!("{}\n", key.access)).collect();
            let value =
                || keys.iter().map(|key| json!({ "access_key": key.access, "created_ms": key.created_ms })).collect();
            console.show(plain, value)
        }
        S3KeyCommand::Rm { access_key } => {
            s3.users().remove_key(&access_key).await?;
            console.remark(&format!("removed key {access_key}"));
            Ok(())
        }
    }
}

async fn buckets(s3: &Administration, console: Console) -> Result<()> {
    let buckets = s3.buckets(usize::MAX).await?;
    let plain = || {
        let line = |usage: &s3::BucketUsage| {
            let (name, owner) = (&usage.bucket.name, &usage.bucket.owner);
            format!("{name}  owner {owner}  {} objects  {} bytes\n", usage.objects, usage.bytes)
        };
        buckets.iter().map(line).collect()
    };
    let value = || {
        let one = |usage: &s3::BucketUsage| {
            json!({
                "bucket": usage.bucket.name,
                "owner": usage.bucket.owner,
                "created_ms": usage.bucket.created_ms,
                "num_shards": usage.bucket.shards,
                "usage": { "num_objects": usage.objects, "size": usage.bytes },
            })
        };
        buckets.iter().map(one).collect()
    };
    console.show(plain, value)
}

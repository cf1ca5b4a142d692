//! Whole objects from and to files.
//!
//! What fits one object is one: written whole in a single step when it is small, else in parts. What is larger, or
//! grows beyond what is held in memory before its end is seen, is striped. Getting finds out by itself.

use std::path::Path;

use bytes::Bytes;
use client::{Error, ErrorKind, ObjectForm, OpBuilder, Pool, Result, StripeLayout, Striper, SubOpResult};
use futures::{StreamExt, TryStreamExt, stream};
use types::limits;

use super::{
    no_such_object,
    source::{CHUNK_BYTES, Sink, Source},
};
use crate::progress::{Progress, Unit};

/// Parts of an object that are under way at once.
const PARTS_AT_ONCE: usize = 8;
/// Bytes of a stream of unknown length that are held before it is striped: what one operation may carry.
const HELD_BYTES: usize = limits::OPERATION_PAYLOAD_BYTES_MAX;
/// Bytes in one step of the first write of an object.
const WHOLE_BYTES: usize = 2 * CHUNK_BYTES;

/// How an object is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Striped when it is larger than an object may be.
    BySize,
    /// Striped, however small.
    Striped,
}

/// Stores a file.
pub(super) async fn put(pool: &Pool, name: &str, path: &Path, form: Form) -> Result<()> {
    let mut source = Source::open(path).await?;
    let mut progress = Progress::new(Unit::Bytes, source.size);
    put_from(pool, name, &mut source, form, &mut |bytes| progress.add(bytes)).await
}

/// Stores what the source gives; `tell` hears how many bytes left.
pub(super) async fn put_from(
    pool: &Pool,
    name: &str,
    source: &mut Source,
    form: Form,
    tell: &mut impl FnMut(u64),
) -> Result<()> {
    let is_large = source.size.is_some_and(|size| size > limits::OBJECT_BYTES_MAX);
    if form == Form::Striped || is_large {
        return put_striped(pool, name, Vec::new(), source, tell).await;
    }
    let known = source.size.is_some();
    let mut held: Vec<Bytes> = Vec::new();
    let mut held_bytes = 0;
    let mut at_end = false;
    while held_bytes < WHOLE_BYTES.min(HELD_BYTES) || !known && held_bytes <= HELD_BYTES {
        let chunk = source.chunk().await?;
        at_end = chunk.len() < CHUNK_BYTES;
        held_bytes += chunk.len();
        held.push(chunk);
        if at_end {
            break;
        }
    }
    if !at_end && !known {
        return put_striped(pool, name, held, source, tell).await;
    }
    // The first write makes the object; later ones add to it.
    let first: Vec<Bytes> = held.drain(..held.len().min(WHOLE_BYTES / CHUNK_BYTES)).collect();
    let first = joined(first);
    let mut written = first.len() as u64;
    write_first(pool, name, first).await?;
    tell(written);
    let mut parts = stream::FuturesUnordered::new();
    let mut rest = held.into_iter();
    loop {
        let chunk = match rest.next() {
            Some(chunk) => chunk,
            None if at_end => break,
            None => source.chunk().await?,
        };
        at_end |= chunk.len() < CHUNK_BYTES && rest.len() == 0;
        if chunk.is_empty() {
            continue;
        }
        while parts.len() >= PARTS_AT_ONCE {
            if let Some(length) = parts.try_next().await? {
                tell(length);
            }
        }
        let (object, offset, length) = (pool.object(name), written, chunk.len() as u64);
        written += length;
        if written > limits::OBJECT_BYTES_MAX {
            return Err(Error::invalid(format!("the file grew beyond {} bytes while it was read", written - length)));
        }
        parts.push(async move { object.write(offset, chunk).await.map(|()| length) });
    }
    while let Some(length) = parts.try_next().await? {
        tell(length);
    }
    Ok(())
}

fn joined(chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        1 => chunks.into_iter().next().unwrap_or_default(),
        _ => Bytes::from(chunks.concat()),
    }
}

/// Makes the object, in place of whatever has its name.
async fn write_first(pool: &Pool, name: &str, data: Bytes) -> Result<()> {
    let object = pool.object(name);
    loop {
        let write = ObjectForm::guard_plain(OpBuilder::new()).write_full(data.clone());
        match object.operate(write).await {
            Ok(_) => return Ok(()),
            // A striped object of that name gives way.
            Err(failure) if failure.error.kind == ErrorKind::Exists => {
                match pool.striper(StripeLayout::default()).remove(name).await {
                    Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Err(failure) => return Err(failure.error.context(name)),
        }
    }
}

async fn put_striped(
    pool: &Pool,
    name: &str,
    held: Vec<Bytes>,
    source: &mut Source,
    tell: &mut impl FnMut(u64),
) -> Result<()> {
    let mut writer = pool.striper(StripeLayout::default()).writer(name)?;
    let mut held = held.into_iter();
    let copied: Result<()> = async {
        loop {
            let chunk = match held.next() {
                Some(chunk) => chunk,
                None => source.chunk().await?,
            };
            if chunk.is_empty() {
                return Ok(());
            }
            let length = chunk.len() as u64;
            writer.write(chunk).await?;
            tell(length);
        }
    }
    .await;
    match copied {
        Ok(()) => writer.finish().await.map(drop),
        Err(error) => {
            // The error that began it is the one to tell; what abort leaves, the next `rm` removes.
            if let Err(left) = writer.abort().await {
                tracing::warn!(error = %left, object = name, "remove what was stored in part");
            }
            Err(error)
        }
    }
}

/// Adds a file's bytes behind the end of a plain object.
pub(super) async fn append(pool: &Pool, name: &str, path: &Path) -> Result<()> {
    let mut source = Source::open(path).await?;
    let mut progress = Progress::new(Unit::Bytes, source.size);
    loop {
        let chunk = source.chunk().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        let length = chunk.len() as u64;
        super::plain(pool, name, ObjectForm::guard_plain(OpBuilder::new()).append(chunk)).await?;
        progress.add(length);
    }
}

/// Fetches an object into a file.
pub(super) async fn get(pool: &Pool, name: &str, path: &Path) -> Result<()> {
    let mut progress = None;
    get_to(pool, name, path, &mut |bytes, total| {
        progress.get_or_insert_with(|| Progress::new(Unit::Bytes, Some(total))).add(bytes);
    })
    .await
}

/// Fetches an object; `tell` hears how many bytes came, and of how many.
pub(super) async fn get_to(pool: &Pool, name: &str, path: &Path, tell: &mut impl FnMut(u64, u64)) -> Result<()> {
    let object = pool.object(name);
    let look = OpBuilder::new().stat().get_xattrs().read(0..CHUNK_BYTES as u64);
    let seen = object.operate(look).await.map_err(|failure| match failure.error.kind {
        ErrorKind::NotFound => no_such_object(name),
        _ => failure.error.context(name),
    })?;
    let [SubOpResult::Stat { size, .. }, SubOpResult::Xattrs(xattrs), SubOpResult::Data(first)] = &seen.results[..]
    else {
        return Err(Error::internal("the OSD's answer does not fit the question"));
    };
    match ObjectForm::of(xattrs) {
        ObjectForm::Unfinished => return Err(no_such_object(name)),
        ObjectForm::Striped => return get_striped(&pool.striper(StripeLayout::default()), name, path, tell).await,
        ObjectForm::Plain => {}
    }
    let mut sink = Sink::create(path).await?;
    sink.write(first).await?;
    tell(first.len() as u64, *size);
    let offsets = (first.len() as u64..*size).step_by(CHUNK_BYTES);
    let version = seen.user_version;
    let mut parts = stream::iter(offsets)
        .map(|offset| {
            let end = (offset + CHUNK_BYTES as u64).min(*size);
            let read = OpBuilder::new().assert_version(version).read(offset..end);
            let object = &object;
            async move {
                match object.operate(read).await {
                    Ok(success) => match success.results.into_iter().next_back() {
                        Some(SubOpResult::Data(data)) => Ok(data),
                        _ => Err(Error::internal("the OSD's answer does not fit the question")),
                    },
                    Err(failure) if matches!(failure.error.kind, ErrorKind::Exists | ErrorKind::NotFound) => {
                        Err(Error::retry(format!("`{name}` changed while it was read; get it again")))
                    }
                    Err(failure) => Err(failure.error.context(name)),
                }
            }
        })
        .buffered(PARTS_AT_ONCE);
    while let Some(data) = parts.try_next().await? {
        sink.write(&data).await?;
        tell(data.len() as u64, *size);
    }
    drop(parts);
    sink.finish().await
}

async fn get_striped(striper: &Striper, name: &str, path: &Path, tell: &mut impl FnMut(u64, u64)) -> Result<()> {
    let size = striper.stat(name).await?.size;
    let mut sink = Sink::create(path).await?;
    let mut parts = striper.stream(name, 0..u64::MAX).await?;
    while let Some(data) = parts.try_next().await? {
        sink.write(&data).await?;
        tell(data.len() as u64, size);
    }
    sink.finish().await
}

//! One object: the operations that need no builder.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use client_ops::Target;
use types::{Error, ErrorKind, ObjectName, OmapPage, Result, SnapshotId, XattrMap, limits};
use wire::{OpFailure, OpSuccess, SubOp, SubOpResult};

use crate::{
    OpBuilder, Pool,
    operation::extent,
    submit::{Snapshots, error_of},
};

/// Bytes in one of the reads that a long read is cut into: several are under way before the first is consumed,
/// and none holds an OSD for long.
const READ_BYTES: u64 = 8 << 20;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectStat {
    /// Bytes from zero to its end.
    pub size: u64,
    /// When it was last written, by the writer's clock, in milliseconds since 1970.
    pub modified_ms: u64,
    /// Counts its changes.
    pub user_version: u64,
}

/// A handle on one object of one pool; the object need not exist.
#[derive(Debug, Clone)]
pub struct Object {
    pool: Pool,
    name: ObjectName,
}

impl Object {
    pub(crate) fn new(pool: Pool, name: ObjectName) -> Self {
        Self { pool, name }
    }

    /// The pool that it is in.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Its name.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// Carries out an atomic vector of steps.
    pub async fn operate(&self, operation: OpBuilder) -> Result<OpSuccess, OpFailure> {
        let pool = &self.pool;
        let is_write = operation.ops.iter().any(SubOp::is_write);
        let read = pool.snapshot();
        // What only looks preserves nothing, and says nothing of contexts.
        let own = operation.snapshot_context.as_ref().unwrap_or(pool.snapshot_context());
        let preserved = if is_write { Arc::clone(own) } else { Arc::default() };
        let named = operation.ops.iter().find_map(|op| match op {
            SubOp::Rollback(snapshot) => Some(*snapshot),
            _ => None,
        });
        for snapshot in named.into_iter().chain([read]).filter(|snapshot| *snapshot != SnapshotId::HEAD) {
            pool.know_snapshot(snapshot).await.map_err(|error| OpFailure { error, step: None })?;
        }
        pool.know_context(&preserved).await.map_err(|error| OpFailure { error, step: None })?;
        let (target, snapshots) = (Target::Object(self.name.clone()), Snapshots { read, preserved });
        pool.submitter().submit_at(pool.id(), target, operation.ops, operation.flags, snapshots).await
    }

    async fn run(&self, operation: OpBuilder) -> Result<OpSuccess> {
        self.operate(operation).await.map_err(|failure| about(error_of(failure), &self.name))
    }

    pub(crate) async fn run_one(&self, op: SubOp) -> Result<SubOpResult> {
        let mut success = self.run(OpBuilder::new().step(op)).await?;
        success.results.pop().ok_or_else(|| unexpected(&self.name))
    }

    async fn data(&self, op: SubOp) -> Result<Bytes> {
        match self.run_one(op).await? {
            SubOpResult::Data(data) => Ok(data),
            _ => Err(unexpected(&self.name)),
        }
    }

    /// Reads a range; what lies past the end is left out. A range beyond the payload limit is read in parts, which
    /// need not be of one moment.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let whole = extent(&range);
        if whole.length <= limits::OPERATION_PAYLOAD_BYTES_MAX as u64 {
            return self.data(SubOp::Read(whole)).await;
        }
        let mut bytes = BytesMut::new();
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + READ_BYTES);
            let part = self.data(SubOp::Read(extent(&(at..end)))).await?;
            bytes.extend_from_slice(&part);
            if (part.len() as u64) < end - at {
                break;
            }
            at = end;
        }
        Ok(bytes.freeze())
    }

    /// Reads all bytes as they were at one moment.
    pub async fn read_all(&self) -> Result<Bytes> {
        'again: loop {
            let first = self.run(OpBuilder::new().stat().read(0..READ_BYTES)).await?;
            let [SubOpResult::Stat { size, .. }, SubOpResult::Data(data)] = &first.results[..] else {
                return Err(unexpected(&self.name));
            };
            if *size <= READ_BYTES {
                return Ok(data.clone());
            }
            let mut bytes = BytesMut::with_capacity(usize::try_from(*size).map_err(|_| unexpected(&self.name))?);
            bytes.extend_from_slice(data);
            let mut at = READ_BYTES;
            while at < *size {
                let same = OpBuilder::new().assert_version(first.user_version).read(at..(at + READ_BYTES));
                match self.operate(same).await {
                    Ok(success) => match success.results.last() {
                        Some(SubOpResult::Data(data)) => bytes.extend_from_slice(data),
                        _ => return Err(unexpected(&self.name)),
                    },
                    // Somebody wrote in between.
                    Err(failure) if failure.step == Some(0) || failure.error.kind == ErrorKind::Exists => {
                        continue 'again;
                    }
                    Err(failure) => return Err(about(error_of(failure), &self.name)),
                }
                at += READ_BYTES;
            }
            return Ok(bytes.freeze());
        }
    }

    /// Replaces bytes; a gap reads as zeroes. At most the payload limit at once.
    pub async fn write(&self, offset: u64, data: impl Into<Bytes>) -> Result<()> {
        self.run(OpBuilder::new().write_at(offset, data)).await.map(drop)
    }

    /// Replaces all bytes. At most the payload limit at once.
    pub async fn write_full(&self, data: impl Into<Bytes>) -> Result<()> {
        self.run(OpBuilder::new().write_full(data)).await.map(drop)
    }

    /// Adds bytes behind the end.
    pub async fn append(&self, data: impl Into<Bytes>) -> Result<()> {
        self.run(OpBuilder::new().append(data)).await.map(drop)
    }

    /// Size, time and version.
    pub async fn stat(&self) -> Result<ObjectStat> {
        let success = self.run(OpBuilder::new().stat()).await?;
        match success.results[..] {
            [SubOpResult::Stat { size, modified_ms }] => {
                Ok(ObjectStat { size, modified_ms, user_version: success.user_version })
            }
            _ => Err(unexpected(&self.name)),
        }
    }

    /// Removes it; `NotFound` when it does not exist.
    pub async fn remove(&self) -> Result<()> {
        self.run(OpBuilder::new().remove()).await.map(drop)
    }

    /// Cuts or grows it.
    pub async fn truncate(&self, size: u64) -> Result<()> {
        self.run(OpBuilder::new().truncate(size)).await.map(drop)
    }

    /// Makes a range read as zeroes.
    pub async fn zero(&self, range: Range<u64>) -> Result<()> {
        self.run(OpBuilder::new().zero(range)).await.map(drop)
    }

    /// One attribute; `NotFound` when it is not there.
    pub async fn xattr(&self, name: impl AsRef<[u8]>) -> Result<Bytes> {
        self.data(SubOp::GetXattr(name.as_ref().to_vec())).await
    }

    /// All attributes.
    pub async fn xattrs(&self) -> Result<XattrMap> {
        match self.run_one(SubOp::GetXattrs).await? {
            SubOpResult::Xattrs(xattrs) => Ok(xattrs),
            _ => Err(unexpected(&self.name)),
        }
    }

    /// Sets an attribute.
    pub async fn set_xattr(&self, name: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Result<()> {
        self.run(OpBuilder::new().set_xattr(name, value)).await.map(drop)
    }

    /// Removes an attribute.
    pub async fn remove_xattr(&self, name: impl AsRef<[u8]>) -> Result<()> {
        self.run(OpBuilder::new().remove_xattr(name)).await.map(drop)
    }

    /// A page of omap entries: keys greater than `after` that begin with `prefix`, at most `keys_max`.
    pub async fn omap_page(
        &self,
        after: impl AsRef<[u8]>,
        prefix: impl AsRef<[u8]>,
        keys_max: u32,
    ) -> Result<OmapPage> {
        let (after, prefix) = (after.as_ref().to_vec(), prefix.as_ref().to_vec());
        self.omap(SubOp::OmapGet { after, prefix, keys_max }).await
    }

    /// The omap values of these keys, those that exist.
    pub async fn omap_values(
        &self,
        keys: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    ) -> Result<BTreeMap<Vec<u8>, Bytes>> {
        let mut wanted: Vec<Vec<u8>> = keys.into_iter().map(Into::into).collect();
        let mut values = BTreeMap::new();
        // An answer holds so many bytes; the OSD says whether there are more, in key order.
        wanted.sort_unstable();
        loop {
            let page = self.omap(SubOp::OmapGetKeys(wanted.clone())).await?;
            let last = page.entries.last().map(|(key, _)| key.clone());
            values.extend(page.entries);
            match last {
                Some(last) if page.more => wanted.retain(|key| *key > last),
                _ => return Ok(values),
            }
        }
    }

    async fn omap(&self, op: SubOp) -> Result<OmapPage> {
        match self.run_one(op).await? {
            SubOpResult::Omap(page) => Ok(page),
            _ => Err(unexpected(&self.name)),
        }
    }

    /// Sets omap keys.
    pub async fn omap_set(&self, entries: BTreeMap<Vec<u8>, Bytes>) -> Result<()> {
        self.run(OpBuilder::new().omap_set(entries)).await.map(drop)
    }

    /// Removes omap keys.
    pub async fn omap_remove(&self, keys: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Result<()> {
        self.run(OpBuilder::new().omap_remove(keys)).await.map(drop)
    }

    /// Removes all omap keys and the header.
    pub async fn omap_clear(&self) -> Result<()> {
        self.run(OpBuilder::new().omap_clear()).await.map(drop)
    }

    /// The omap header.
    pub async fn omap_header(&self) -> Result<Bytes> {
        self.data(SubOp::OmapGetHeader).await
    }

    /// Sets the omap header.
    pub async fn set_omap_header(&self, header: impl Into<Bytes>) -> Result<()> {
        self.run(OpBuilder::new().set_omap_header(header)).await.map(drop)
    }

    /// Runs a method of an object class beside the object. A method that may write takes effect at most once, and a
    /// repeat after a broken session gets the first output.
    ///
    /// ```no_run
    /// # async fn tour(object: client::Object) -> client::Result<()> {
    /// let greeting = object.call("hello", "say_hello", "ika").await?;
    /// assert_eq!(greeting, "Hello, ika!");
    /// let count = object.call("numeric", "add", r#"{"key": "visits", "value": "1"}"#).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call(
        &self,
        class: impl Into<String>,
        method: impl Into<String>,
        input: impl Into<Bytes>,
    ) -> Result<Bytes> {
        let (class, method, input) = (class.into(), method.into(), input.into());
        self.data(SubOp::Call { class, method, input }).await
    }
}

/// Says which object the error is about, unless its sentence does already.
fn about(error: Error, name: &ObjectName) -> Error {
    if error.message.contains(&name.to_string()) { error } else { error.context(name) }
}

/// An OSD's answer that does not fit the question.
pub(crate) fn unexpected(about: impl std::fmt::Display) -> Error {
    Error::internal(format!("{about}: the OSD's answer does not fit the question"))
}

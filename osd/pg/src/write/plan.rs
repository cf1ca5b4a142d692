//! The meaning of operations: what a vector of steps answers, and what it changes. A pure function.
//!
//! Steps are carried out in order. Guards and reads of size, existence and attributes see what earlier steps of the same
//! operation did; reads of bytes and omap see the object as it was before the operation, and are refused behind a step
//! that changes what they read, so that nobody can mistake one for the other.
//!
//! Invariants
//! 1. A plan that fails changes nothing.
//! 2. The transaction makes of the loaded object exactly `next`, on every member that has the loaded object.

use bytes::Bytes;
use types::{Error, Extent, LogVersion, ObjectId, ObjectMeta, OmapPage, StoreOp, StoreReadResult, Transaction, limits};
use wire::{ClientOp, Comparison, ObjectInfo, OpFailure, SubOp, SubOpResult, encode_object_info};

use super::{Loaded, OBJECT_INFO_XATTR, ObjectState, object::Existing};

/// What a write leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The change for every whole copy.
    pub transaction: Transaction,
    /// The object afterwards.
    pub next: ObjectState,
    /// Which bytes changed, when only bytes did.
    pub changed: Option<Vec<Extent>>,
}

/// What an operation comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Per step.
    pub results: Vec<SubOpResult>,
    /// For a write.
    pub effect: Option<Effect>,
}

/// Version and user version that a write would get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The log entry.
    pub version: LogVersion,
    /// As users see it.
    pub user_version: u64,
}

/// Carries out the steps in mind.
pub fn plan(object: &ObjectId, op: &ClientOp, loaded: &Loaded, numbers: Numbers) -> Result<Plan, OpFailure> {
    let mut planner = Planner::new(object, op, loaded);
    let mut results = Vec::with_capacity(op.ops.len());
    for (index, step) in op.ops.iter().enumerate() {
        let blame = |error| OpFailure { error, step: u32::try_from(index).ok() };
        results.push(planner.step(index, step).map_err(blame)?);
    }
    let effect = op.is_write().then(|| planner.finish(op, numbers));
    Ok(Plan { results, effect })
}

struct Planner<'a> {
    object: &'a ObjectId,
    loaded: &'a Loaded,
    now: Option<ObjectMeta>,
    user_version: u64,
    modified_ms: u64,
    transaction: Transaction,
    /// Bytes that changed; `None` once more than bytes did.
    changed: Option<Vec<Extent>>,
    bytes_touched: bool,
    omap_touched: bool,
}

impl<'a> Planner<'a> {
    fn new(object: &'a ObjectId, op: &ClientOp, loaded: &'a Loaded) -> Self {
        let existing = loaded.state.existing.as_ref();
        Self {
            object,
            loaded,
            now: existing.map(|existing| existing.meta.clone()),
            user_version: existing.map_or(0, |existing| existing.info.user_version),
            modified_ms: existing.map_or(op.modified_ms, |existing| existing.info.modified_ms),
            transaction: Transaction::new(),
            changed: Some(Vec::new()),
            bytes_touched: false,
            omap_touched: false,
        }
    }

    fn existing(&self) -> Result<&ObjectMeta, Error> {
        self.now.as_ref().ok_or_else(|| Error::not_found(format!("object {} does not exist", self.object.name)))
    }

    /// The object, made when it does not exist.
    fn made(&mut self) -> &mut ObjectMeta {
        if self.now.is_none() {
            self.transaction.push(StoreOp::Touch { object: self.object.clone() });
            self.changed = None;
        }
        self.now.get_or_insert_default()
    }

    fn step(&mut self, index: usize, step: &SubOp) -> Result<SubOpResult, Error> {
        if step.is_write() { self.write(step).map(|()| SubOpResult::Done) } else { self.look(index, step) }
    }

    fn look(&self, index: usize, step: &SubOp) -> Result<SubOpResult, Error> {
        let existing = self.existing();
        match step {
            SubOp::Read(_) => {
                existing?;
                self.bytes_as_before()?;
                Ok(SubOpResult::Data(self.loaded_data(index)?))
            }
            SubOp::Stat => Ok(SubOpResult::Stat { size: existing?.size, modified_ms: self.modified_ms }),
            SubOp::GetXattr(name) => match existing?.xattrs.get(name) {
                Some(value) => Ok(SubOpResult::Data(value.clone())),
                None => Err(Error::not_found(format!("the object has no attribute `{}`", name.escape_ascii()))),
            },
            SubOp::GetXattrs => Ok(SubOpResult::Xattrs(existing?.xattrs.clone())),
            SubOp::OmapGet { .. } | SubOp::OmapGetKeys(_) => {
                existing?;
                self.omap_as_before()?;
                Ok(SubOpResult::Omap(self.loaded_omap(index)?))
            }
            SubOp::OmapGetHeader => Ok(SubOpResult::Data(existing?.omap_header.clone())),
            SubOp::AssertExists => existing.map(|_| SubOpResult::Done),
            SubOp::AssertVersion(version) => {
                let actual = if existing.is_ok() { self.user_version } else { 0 };
                held(actual == *version, || format!("the object has version {actual}, not {version}"))
            }
            SubOp::CompareExtent { offset, data } => {
                existing?;
                self.bytes_as_before()?;
                held(self.loaded_data(index)? == *data, || format!("the bytes at offset {offset} are others"))
            }
            SubOp::CompareXattr { name, comparison, value } => {
                let stored = existing?.xattrs.get(name).cloned().unwrap_or_default();
                held(compare(&stored, *comparison, value), || {
                    format!("attribute `{}` does not compare as asked", name.escape_ascii())
                })
            }
            SubOp::CompareOmap { key, comparison, value } => {
                existing?;
                self.omap_as_before()?;
                let page = self.loaded_omap(index)?;
                let stored = page.entries.into_iter().find(|(stored, _)| stored == key);
                let stored = stored.map(|(_, value)| value).unwrap_or_default();
                held(compare(&stored, *comparison, value), || {
                    format!("omap key `{}` does not compare as asked", key.escape_ascii())
                })
            }
            SubOp::ListObjects { .. } => {
                Err(Error::invalid("a listing is asked of a placement group, not of an object"))
            }
            _ => Err(Error::internal("a write was planned as a look")),
        }
    }

    fn bytes_as_before(&self) -> Result<(), Error> {
        if !self.bytes_touched {
            return Ok(());
        }
        Err(Error::invalid(
            "a step looks at bytes that an earlier step of the same operation changes; send two operations",
        ))
    }

    fn omap_as_before(&self) -> Result<(), Error> {
        if !self.omap_touched {
            return Ok(());
        }
        Err(Error::invalid(
            "a step looks at omap that an earlier step of the same operation changes; send two operations",
        ))
    }

    fn loaded_data(&self, index: usize) -> Result<Bytes, Error> {
        match self.loaded.steps.get(&index) {
            Some(StoreReadResult::Data(data)) => Ok(data.clone()),
            _ => Err(Error::internal("the store did not answer a question for bytes with bytes")),
        }
    }

    fn loaded_omap(&self, index: usize) -> Result<OmapPage, Error> {
        match self.loaded.steps.get(&index) {
            Some(StoreReadResult::Omap(page)) => Ok(page.clone()),
            _ => Err(Error::internal("the store did not answer a question for omap with omap")),
        }
    }

    fn write(&mut self, step: &SubOp) -> Result<(), Error> {
        let object = self.object.clone();
        match step {
            SubOp::Create { exclusive } => {
                if *exclusive && self.now.is_some() {
                    return Err(Error::exists(format!("object {} exists already", self.object.name)));
                }
                self.made();
            }
            SubOp::Write { offset, data } => self.write_bytes(*offset, data.clone())?,
            SubOp::Append(data) => {
                let offset = self.now.as_ref().map_or(0, |meta| meta.size);
                self.write_bytes(offset, data.clone())?;
            }
            SubOp::WriteFull(data) => {
                self.truncate(0);
                self.write_bytes(0, data.clone())?;
                self.changed = None;
            }
            SubOp::Zero(extent) => {
                // Ceph: zeroing does not grow an object.
                let size = self.made().size;
                let extent =
                    Extent { offset: extent.offset, length: extent.end().min(size).saturating_sub(extent.offset) };
                if extent.length > 0 {
                    self.bytes_touched = true;
                    self.note_changed(extent);
                    self.transaction.push(StoreOp::Zero { object, extent });
                }
            }
            SubOp::Truncate(size) => {
                check_end(*size)?;
                self.truncate(*size);
            }
            SubOp::Remove => {
                self.existing()?;
                self.now = None;
                self.changed = None;
                self.bytes_touched = true;
                self.omap_touched = true;
                self.transaction.push(StoreOp::Remove { object });
            }
            SubOp::SetXattr { name, value } => self.set_xattr(name, value)?,
            SubOp::RemoveXattr(name) => {
                check_attribute_name(name)?;
                self.existing()?;
                self.changed = None;
                self.made().xattrs.remove(name);
                self.transaction.push(StoreOp::RemoveXattr { object, name: name.clone() });
            }
            SubOp::OmapSet(entries) => {
                self.touch_omap();
                self.transaction.push(StoreOp::OmapSet { object, entries: entries.clone() });
            }
            SubOp::OmapRemoveKeys(keys) => {
                self.existing()?;
                self.touch_omap();
                self.transaction.push(StoreOp::OmapRemove { object, keys: keys.clone() });
            }
            SubOp::OmapRemoveRange(begin, end) => {
                self.existing()?;
                self.touch_omap();
                self.transaction.push(StoreOp::OmapRemoveRange { object, begin: begin.clone(), end: end.clone() });
            }
            SubOp::OmapClear => {
                self.existing()?;
                self.touch_omap();
                self.made().omap_header = Bytes::new();
                self.transaction.push(StoreOp::OmapClear { object });
            }
            SubOp::OmapSetHeader(header) => {
                self.touch_omap();
                self.made().omap_header = header.clone();
                self.transaction.push(StoreOp::OmapSetHeader { object, header: header.clone() });
            }
            _ => return Err(Error::internal("a look was planned as a write")),
        }
        Ok(())
    }

    fn write_bytes(&mut self, offset: u64, data: Bytes) -> Result<(), Error> {
        let end = offset.saturating_add(data.len() as u64);
        check_end(end)?;
        let meta = self.made();
        if !data.is_empty() {
            meta.size = meta.size.max(end);
        }
        self.bytes_touched = true;
        self.note_changed(Extent { offset, length: data.len() as u64 });
        self.transaction.push(StoreOp::Write { object: self.object.clone(), offset, data });
        Ok(())
    }

    fn truncate(&mut self, size: u64) {
        self.made().size = size;
        self.bytes_touched = true;
        self.changed = None;
        self.transaction.push(StoreOp::Truncate { object: self.object.clone(), size });
    }

    fn touch_omap(&mut self) {
        self.made();
        self.omap_touched = true;
        self.changed = None;
    }

    fn set_xattr(&mut self, name: &[u8], value: &Bytes) -> Result<(), Error> {
        check_attribute_name(name)?;
        self.changed = None;
        let xattrs = &mut self.made().xattrs;
        xattrs.insert(name.to_vec(), value.clone());
        let sum: usize = xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if sum > limits::XATTR_SUM_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the object's attributes would have {sum} bytes; the limit is {}",
                limits::XATTR_SUM_BYTES_MAX
            )));
        }
        let xattrs = [(name.to_vec(), value.clone())].into();
        self.transaction.push(StoreOp::SetXattrs { object: self.object.clone(), xattrs });
        Ok(())
    }

    fn note_changed(&mut self, extent: Extent) {
        if let Some(changed) = &mut self.changed {
            changed.push(extent);
        }
    }

    fn finish(mut self, op: &ClientOp, numbers: Numbers) -> Effect {
        let existing = self.now.take().map(|meta| {
            let info = ObjectInfo {
                version: numbers.version,
                user_version: numbers.user_version,
                modified_ms: op.modified_ms,
                size: meta.size,
                snapshot_context: op.snapshot_context.clone(),
            };
            Existing { meta, info }
        });
        if let Some(existing) = &existing {
            let xattrs = [(OBJECT_INFO_XATTR.to_vec(), encode_object_info(&existing.info))].into();
            self.transaction.push(StoreOp::SetXattrs { object: self.object.clone(), xattrs });
        }
        Effect { transaction: self.transaction, next: ObjectState { existing }, changed: self.changed }
    }
}

fn held(holds: bool, why: impl FnOnce() -> String) -> Result<SubOpResult, Error> {
    if holds { Ok(SubOpResult::Done) } else { Err(Error::exists(why())) }
}

/// `stored <comparison> given`, in byte order.
fn compare(stored: &[u8], comparison: Comparison, given: &[u8]) -> bool {
    match comparison {
        Comparison::Equal => stored == given,
        Comparison::NotEqual => stored != given,
        Comparison::Greater => stored > given,
        Comparison::GreaterOrEqual => stored >= given,
        Comparison::Less => stored < given,
        Comparison::LessOrEqual => stored <= given,
    }
}

fn check_end(end: u64) -> Result<(), Error> {
    if end <= limits::OBJECT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the object would have {end} bytes; the limit for one object is {}; larger things are striped over several",
        limits::OBJECT_BYTES_MAX
    )))
}

fn check_attribute_name(name: &[u8]) -> Result<(), Error> {
    if name.is_empty() || name.starts_with(b"\0") {
        return Err(Error::invalid("an attribute's name must not be empty or begin with a zero byte"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! One call of one method: what it sees, what it does, and the bounds of both.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{Error, Extent, OmapPage, RequestId, Result, XattrMap, limits};

use crate::{Access, Effect, ObjectView};

/// What a call brings besides its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// The primary's wall clock in milliseconds since 1970. Two hosts' clocks differ: durations that a class measures
    /// with it may be off by that much when the primary changes.
    pub now_ms: u64,
    /// Whose operation it is, and which.
    pub request: RequestId,
    /// The object's version as users see it; zero when it does not exist.
    pub user_version: u64,
}

/// What a method gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// For the caller.
    pub output: Bytes,
    /// For the operation's transaction, in order.
    pub effects: Vec<Effect>,
}

/// A call that runs: the method's hands.
pub struct Call<'v, 's> {
    view: &'v mut ObjectView<'s>,
    circumstances: Circumstances,
    access: Access,
    effects: Vec<Effect>,
    bytes_left: usize,
}

impl<'v, 's> Call<'v, 's> {
    pub(crate) fn new(
        view: &'v mut ObjectView<'s>,
        circumstances: Circumstances,
        access: Access,
        bytes_left: usize,
    ) -> Self {
        Self { view, circumstances, access, effects: Vec::new(), bytes_left }
    }

    pub(crate) fn into_effects(self) -> Vec<Effect> {
        self.effects
    }

    /// What the call brings besides its input.
    pub fn circumstances(&self) -> &Circumstances {
        &self.circumstances
    }

    /// Whether the object exists.
    pub fn exists(&self) -> bool {
        self.view.meta().is_some()
    }

    /// Refuses with `NotFound` when the object does not exist.
    pub fn require_existing(&self) -> Result<()> {
        if self.exists() { Ok(()) } else { Err(self.view.absent()) }
    }

    /// The object's size in bytes; zero when it does not exist.
    pub fn size(&self) -> u64 {
        self.view.meta().map_or(0, |meta| meta.size)
    }

    /// Bytes; what lies past the end is left out.
    pub fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        self.view.read(Extent { offset, length })
    }

    /// One attribute.
    pub fn xattr(&self, name: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.view.meta().and_then(|meta| meta.xattrs.get(name).cloned()))
    }

    /// All attributes.
    pub fn xattrs(&self) -> XattrMap {
        self.view.meta().map(|meta| meta.xattrs.clone()).unwrap_or_default()
    }

    /// The omap header; empty when none was set.
    pub fn omap_header(&self) -> Bytes {
        self.view.meta().map(|meta| meta.omap_header.clone()).unwrap_or_default()
    }

    /// One omap value.
    pub fn omap_value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.view.omap_value(key)
    }

    /// A page of omap entries: keys greater than `after` that begin with `prefix`, at most `keys_max` (and at most
    /// `PAGE_KEYS_MAX`).
    pub fn omap_page(&self, after: &[u8], prefix: &[u8], keys_max: usize) -> Result<OmapPage> {
        self.view.omap_page(after, prefix, keys_max)
    }

    /// Makes the object exist.
    pub fn create(&mut self) -> Result<()> {
        self.act(Effect::Create)
    }

    /// Replaces bytes; a gap reads as zeroes.
    pub fn write(&mut self, offset: u64, data: impl Into<Bytes>) -> Result<()> {
        let data = data.into();
        check_end(offset, data.len() as u64)?;
        self.act(Effect::Write { offset, data })
    }

    /// The object's bytes become these.
    pub fn write_full(&mut self, data: impl Into<Bytes>) -> Result<()> {
        self.truncate(0)?;
        self.write(0, data)
    }

    /// Makes a range read as zeroes; the size stays.
    pub fn zero(&mut self, offset: u64, length: u64) -> Result<()> {
        check_end(offset, length)?;
        self.act(Effect::Zero(Extent { offset, length }))
    }

    /// Cuts or grows the object.
    pub fn truncate(&mut self, size: u64) -> Result<()> {
        check_end(size, 0)?;
        self.act(Effect::Truncate(size))
    }

    /// Removes the object; `NotFound` when it does not exist.
    pub fn remove(&mut self) -> Result<()> {
        self.require_existing()?;
        self.act(Effect::Remove)
    }

    /// Sets an attribute.
    pub fn set_xattr(&mut self, name: &[u8], value: impl Into<Bytes>) -> Result<()> {
        let value = value.into();
        check_xattr_name(name)?;
        bound("attribute's value", value.len(), limits::XATTR_VALUE_BYTES_MAX)?;
        self.act(Effect::SetXattr { name: name.to_vec(), value })
    }

    /// Removes an attribute, if it is there; `NotFound` when the object does not exist.
    pub fn remove_xattr(&mut self, name: &[u8]) -> Result<()> {
        check_xattr_name(name)?;
        self.require_existing()?;
        self.act(Effect::RemoveXattr(name.to_vec()))
    }

    /// Sets omap keys.
    pub fn omap_set(&mut self, entries: BTreeMap<Vec<u8>, Bytes>) -> Result<()> {
        for (key, value) in &entries {
            check_omap_key(key)?;
            bound("omap value", value.len(), limits::OMAP_VALUE_BYTES_MAX)?;
        }
        self.act(Effect::OmapSet(entries))
    }

    /// Sets one omap key.
    pub fn omap_set_one(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Bytes>) -> Result<()> {
        self.omap_set([(key.into(), value.into())].into())
    }

    /// Removes omap keys, where they are; `NotFound` when the object does not exist.
    pub fn omap_remove(&mut self, keys: Vec<Vec<u8>>) -> Result<()> {
        keys.iter().try_for_each(|key| check_omap_key(key))?;
        self.require_existing()?;
        self.act(Effect::OmapRemove(keys))
    }

    /// Removes omap keys from `begin` (inclusive) to `end` (exclusive); `NotFound` when the object does not exist.
    pub fn omap_remove_range(&mut self, begin: &[u8], end: &[u8]) -> Result<()> {
        check_omap_key(begin)?;
        check_omap_key(end)?;
        self.require_existing()?;
        self.act(Effect::OmapRemoveRange(begin.to_vec(), end.to_vec()))
    }

    /// Removes all omap keys and the header; `NotFound` when the object does not exist.
    pub fn omap_clear(&mut self) -> Result<()> {
        self.require_existing()?;
        self.act(Effect::OmapClear)
    }

    /// Sets the omap header.
    pub fn set_omap_header(&mut self, header: impl Into<Bytes>) -> Result<()> {
        let header = header.into();
        bound("omap header", header.len(), limits::OMAP_VALUE_BYTES_MAX)?;
        self.act(Effect::OmapSetHeader(header))
    }

    fn act(&mut self, effect: Effect) -> Result<()> {
        if self.access == Access::Read {
            return Err(Error::internal("a method that only looks tried to change its object"));
        }
        if self.effects.len() >= limits::CALL_EFFECTS_MAX {
            let limit = limits::CALL_EFFECTS_MAX;
            return Err(Error::invalid(format!("a method makes more than {limit} changes in one call")));
        }
        self.bytes_left = self.bytes_left.checked_sub(effect.bytes()).ok_or_else(|| {
            let limit = limits::CALL_EFFECT_BYTES_MAX;
            Error::invalid(format!("the methods of one operation write more than {limit} bytes"))
        })?;
        self.view.apply(&effect);
        self.effects.push(effect);
        Ok(())
    }
}

fn bound(what: &str, length: usize, limit: usize) -> Result<()> {
    if length <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!("a method's {what} has {length} bytes; the limit is {limit}")))
}

fn check_end(offset: u64, length: u64) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= limits::OBJECT_BYTES_MAX => Ok(()),
        _ => Err(Error::invalid(format!(
            "a method writes {length} bytes at offset {offset}; the limit for one object is {}",
            limits::OBJECT_BYTES_MAX
        ))),
    }
}

fn check_xattr_name(name: &[u8]) -> Result<()> {
    if name.is_empty() || name.starts_with(b"\0") {
        return Err(Error::invalid("an attribute's name must not be empty or begin with a zero byte"));
    }
    bound("attribute's name", name.len(), limits::XATTR_NAME_BYTES_MAX)
}

fn check_omap_key(key: &[u8]) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid("an omap key must not be empty"));
    }
    bound("omap key", key.len(), limits::OMAP_KEY_BYTES_MAX)
}

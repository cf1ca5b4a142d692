//! An object as a plan sees it.

use types::{Error, ObjectMeta, Result};
use wire::{ObjectInfo, decode_object_info};

use super::OBJECT_INFO_XATTR;

/// Size, attributes and info; `None` when the object does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectState {
    /// What is there.
    pub existing: Option<Existing>,
}

/// An object that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Size, users' attributes, omap header.
    pub meta: ObjectMeta,
    /// Version and times.
    pub info: ObjectInfo,
}

impl ObjectState {
    /// From what the store says.
    pub fn new(meta: Option<ObjectMeta>) -> Result<Self> {
        let Some(mut meta) = meta else { return Ok(Self::default()) };
        let info =
            meta.xattrs.remove(OBJECT_INFO_XATTR).ok_or_else(|| Error::damaged("the object has no info attribute"))?;
        let info = decode_object_info(&info)?;
        // Names that begin with a zero byte are ours; users neither see nor name them.
        meta.xattrs.retain(|name, _| !name.starts_with(b"\0"));
        if info.size != meta.size {
            return Err(Error::damaged(format!("the object has {} bytes and its info says {}", meta.size, info.size)));
        }
        Ok(Self { existing: Some(Existing { meta, info }) })
    }
}

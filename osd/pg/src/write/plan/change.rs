//! Steps that change the object: what they leave of it, and the store's transaction for that.

use bytes::Bytes;
use types::{Error, Extent, StoreOp, limits};
use wire::SubOp;

use super::Planner;

impl Planner<'_> {
    pub(super) fn write(&mut self, step: &SubOp) -> Result<(), Error> {
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
            SubOp::WriteSame { extent, data } => {
                let repeated = repeated(*extent, data)?;
                self.write_bytes(extent.offset, repeated)?;
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
                    self.note_unshared(extent);
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
                self.allocation_hint = None;
                self.watchers.clear();
                self.note_all_unshared();
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
            SubOp::ClearXattrs => {
                self.existing()?;
                self.changed = None;
                for name in std::mem::take(&mut self.made().xattrs).into_keys() {
                    self.transaction.push(StoreOp::RemoveXattr { object: object.clone(), name });
                }
            }
            SubOp::SetAllocationHint(hint) => {
                self.made();
                self.changed = None;
                self.allocation_hint = Some(*hint);
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
        let extent = Extent { offset, length: data.len() as u64 };
        self.note_changed(extent);
        self.note_unshared(extent);
        self.transaction.push(StoreOp::Write { object: self.object.clone(), offset, data });
        Ok(())
    }

    fn truncate(&mut self, size: u64) {
        self.made().size = size;
        self.note_unshared(Extent { offset: size, length: limits::OBJECT_BYTES_MAX });
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
}

/// The data as often as the range has room for it.
fn repeated(extent: Extent, data: &Bytes) -> Result<Bytes, Error> {
    check_end(extent.end())?;
    let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
    if length > limits::OPERATION_PAYLOAD_BYTES_MAX {
        let limit = limits::OPERATION_PAYLOAD_BYTES_MAX;
        return Err(Error::invalid(format!("the repeats have {length} bytes; the limit is {limit}")));
    }
    if data.is_empty() || !length.is_multiple_of(data.len()) {
        return Err(Error::invalid(format!(
            "{length} bytes cannot be filled with whole repeats of {} bytes",
            data.len()
        )));
    }
    Ok(Bytes::from(data.repeat(length / data.len())))
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

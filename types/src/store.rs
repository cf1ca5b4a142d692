//! What a machine asks of the object store under it, as data: transactions, and reads with their results.
//!
//! A transaction is atomic and ordered: transactions take effect in the order submitted, and a crash leaves a
//! prefix of them that contains at least every committed one.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Cursor, ObjectId};

/// Extended attributes by name.
pub type XattrMap = BTreeMap<Vec<u8>, Bytes>;

/// A range of an object's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

impl Extent {
    /// One past the last byte.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// One change to one object. Every change but `Remove` creates an object that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// Makes the object exist.
    Touch {
        /// Which object.
        object: ObjectId,
    },
    /// Replaces bytes, growing the object as needed; a gap reads as zeroes.
    Write {
        /// Which object.
        object: ObjectId,
        /// Where the bytes go.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// Makes a range read as zeroes and frees what it held. Does not change the object's size.
    Zero {
        /// Which object.
        object: ObjectId,
        /// Which bytes.
        extent: Extent,
    },
    /// Cuts or grows (with zeroes) the object to this size.
    Truncate {
        /// Which object.
        object: ObjectId,
        /// The new size in bytes.
        size: u64,
    },
    /// Removes the object with its attributes and omap. Nothing happens when it does not exist.
    Remove {
        /// Which object.
        object: ObjectId,
    },
    /// Makes `target` an equal of `source` (bytes, attributes, omap), sharing space. Replaces what `target` was.
    Clone {
        /// What is copied. A source that does not exist makes the target not exist.
        source: ObjectId,
        /// What becomes its equal.
        target: ObjectId,
    },
    /// Sets attributes.
    SetXattrs {
        /// Which object.
        object: ObjectId,
        /// Names and values.
        xattrs: XattrMap,
    },
    /// Removes one attribute, if it is there.
    RemoveXattr {
        /// Which object.
        object: ObjectId,
        /// Its name.
        name: Vec<u8>,
    },
    /// Sets keys of the object's omap.
    OmapSet {
        /// Which object.
        object: ObjectId,
        /// Keys and values.
        entries: BTreeMap<Vec<u8>, Bytes>,
    },
    /// Removes keys of the object's omap, where they are.
    OmapRemove {
        /// Which object.
        object: ObjectId,
        /// The keys.
        keys: Vec<Vec<u8>>,
    },
    /// Removes the omap keys from `begin` (inclusive) to `end` (exclusive).
    OmapRemoveRange {
        /// Which object.
        object: ObjectId,
        /// First key removed.
        begin: Vec<u8>,
        /// First key kept.
        end: Vec<u8>,
    },
    /// Removes all omap keys and the header.
    OmapClear {
        /// Which object.
        object: ObjectId,
    },
    /// Sets the omap's header.
    OmapSetHeader {
        /// Which object.
        object: ObjectId,
        /// The header.
        header: Bytes,
    },
}

/// Changes that take effect together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// The changes, in order; later ones see what earlier ones did.
    pub ops: Vec<StoreOp>,
}

impl Transaction {
    /// A transaction that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a change behind the others.
    pub fn push(&mut self, op: StoreOp) {
        self.ops.push(op);
    }

    /// Adds another transaction's changes behind these.
    pub fn append(&mut self, mut other: Self) {
        self.ops.append(&mut other.ops);
    }

    /// Whether there is no change in it.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Bytes of object data it carries.
    pub fn data_bytes(&self) -> usize {
        self.ops.iter().map(|op| if let StoreOp::Write { data, .. } = op { data.len() } else { 0 }).sum()
    }
}

/// A question to the store. Answers reflect every transaction submitted before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRead {
    /// Size and attributes.
    Meta {
        /// Which object.
        object: ObjectId,
    },
    /// Bytes; what lies past the end is left out.
    Data {
        /// Which object.
        object: ObjectId,
        /// Which bytes.
        extent: Extent,
    },
    /// The parts of a range that hold data.
    Extents {
        /// Which object.
        object: ObjectId,
        /// Which range.
        extent: Extent,
    },
    /// A page of omap entries, in key order.
    Omap {
        /// Which object.
        object: ObjectId,
        /// Only keys greater than this; empty begins at the first.
        after: Vec<u8>,
        /// Only keys that begin with this.
        prefix: Vec<u8>,
        /// Most keys in the page.
        keys_max: usize,
    },
    /// The values of these keys, those that exist.
    OmapKeys {
        /// Which object.
        object: ObjectId,
        /// The keys.
        keys: Vec<Vec<u8>>,
    },
    /// Objects in object order.
    List {
        /// Where to begin.
        begin: Cursor,
        /// Where to end, exclusive.
        end: Cursor,
        /// Most objects in the page.
        objects_max: usize,
    },
}

/// What an object is, apart from its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectMeta {
    /// Bytes from zero to its end.
    pub size: u64,
    /// Its attributes.
    pub xattrs: XattrMap,
    /// The omap's header, empty when none was set.
    pub omap_header: Bytes,
}

/// A page of omap entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OmapPage {
    /// Keys and values in key order.
    pub entries: Vec<(Vec<u8>, Bytes)>,
    /// Whether keys follow the last one here.
    pub more: bool,
}

/// The answer to the [`StoreRead`] of the same name. An object that does not exist answers `None` or is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreReadResult {
    /// Size and attributes, or that it does not exist.
    Meta(Option<ObjectMeta>),
    /// The bytes.
    Data(Bytes),
    /// Ranges that hold data.
    Extents(Vec<Extent>),
    /// Omap entries.
    Omap(OmapPage),
    /// Objects, and where the next page begins ([`Cursor::End`] or the asked end when there is none).
    List {
        /// In object order.
        objects: Vec<ObjectId>,
        /// Where the next page begins.
        next: Cursor,
    },
}

/// How full a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreUsage {
    /// Bytes that could ever hold object data.
    pub total_bytes: u64,
    /// Bytes of them in use or reserved.
    pub used_bytes: u64,
    /// Bytes that metadata uses.
    pub metadata_bytes: u64,
}

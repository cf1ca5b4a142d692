//! What one copy of an object is, in a few numbers: read in bounded parts, digested part by part.
//!
//! The store holds every block it reads from the device against its checksum; what fails it ends the digest with the
//! store's sentence. So a digest without damage proves that the copy is what this member once was given.

use crc32fast::Hasher;
use types::{Error, Extent, LogVersion, ObjectId, ObjectMeta, Result, StoreRead, StoreReadResult, limits};
use wire::{ObjectDigest, ScrubDepth, decode_object_info};

use crate::write::OBJECT_INFO_XATTR;

/// Bytes of an object read at once: what a digest costs in memory.
const PART_BYTES: u64 = 4 << 20;

/// How far a digest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// [`Digesting::questions`] says what is read next.
    More,
    /// [`Digesting::finish`] gives the digest.
    Finished,
    /// The object was removed since it was listed.
    Gone,
}

/// A digest in the making.
#[derive(Debug, Clone)]
pub struct Digesting {
    digest: ObjectDigest,
    depth: ScrubDepth,
    has_meta: bool,
    data: Hasher,
    data_offset: u64,
    omap: Hasher,
    omap_after: Vec<u8>,
    omap_done: bool,
}

impl Digesting {
    /// Begins with nothing read.
    pub fn new(object: ObjectId, depth: ScrubDepth) -> Self {
        Self {
            digest: ObjectDigest {
                object,
                version: LogVersion::ZERO,
                size: 0,
                data_crc: 0,
                xattrs_crc: 0,
                omap_crc: 0,
                damage: None,
            },
            depth,
            has_meta: false,
            data: Hasher::new(),
            data_offset: 0,
            omap: Hasher::new(),
            omap_after: Vec::new(),
            omap_done: false,
        }
    }

    /// What is read next; asked while [`Digesting::take`] says that there is more.
    pub fn questions(&self) -> Vec<StoreRead> {
        let object = self.digest.object.clone();
        if !self.has_meta {
            return vec![StoreRead::Meta { object }];
        }
        if self.data_offset < self.digest.size {
            let length = PART_BYTES.min(self.digest.size - self.data_offset);
            return vec![StoreRead::Data { object, extent: Extent { offset: self.data_offset, length } }];
        }
        let (after, keys_max) = (self.omap_after.clone(), limits::PAGE_KEYS_MAX);
        vec![StoreRead::Omap { object, after, prefix: Vec::new(), keys_max }]
    }

    /// One answer; `bytes` counts what was read. What cannot be read is noted in the digest, which then is finished.
    pub fn take(&mut self, result: Result<StoreReadResult>, bytes: &mut u64) -> Progress {
        match result.and_then(|result| self.take_answer(result, bytes)) {
            Ok(progress) => progress,
            Err(error) => {
                self.digest.damage = Some(error.message);
                Progress::Finished
            }
        }
    }

    fn take_answer(&mut self, result: StoreReadResult, bytes: &mut u64) -> Result<Progress> {
        match result {
            StoreReadResult::Meta(None) => return Ok(Progress::Gone),
            StoreReadResult::Meta(Some(meta)) => {
                self.has_meta = true;
                self.take_meta(&meta)?;
                if self.depth == ScrubDepth::Metadata {
                    return Ok(Progress::Finished);
                }
            }
            StoreReadResult::Data(data) => {
                if data.is_empty() {
                    // The object was cut while it was read; the versions of the members' digests will tell.
                    self.data_offset = self.digest.size;
                }
                self.data.update(&data);
                let length = u64::try_from(data.len()).expect("a length fits 64 bits");
                self.data_offset += length;
                *bytes += length;
            }
            StoreReadResult::Omap(page) => {
                for (key, value) in &page.entries {
                    hash_entry(&mut self.omap, key, value);
                }
                self.omap_after = page.entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
                self.omap_done = !page.more;
            }
            StoreReadResult::Extents(_) | StoreReadResult::List { .. } => {
                return Err(Error::internal("the store answered another question than it was asked"));
            }
        }
        Ok(if self.omap_done { Progress::Finished } else { Progress::More })
    }

    fn take_meta(&mut self, meta: &ObjectMeta) -> Result<()> {
        self.digest.size = meta.size;
        let mut xattrs = Hasher::new();
        for (name, value) in &meta.xattrs {
            hash_entry(&mut xattrs, name, value);
        }
        self.digest.xattrs_crc = xattrs.finalize();
        hash_entry(&mut self.omap, b"", &meta.omap_header);
        let info = meta.xattrs.get(OBJECT_INFO_XATTR).ok_or_else(|| Error::damaged("the object has no info"))?;
        let info = decode_object_info(info)?;
        self.digest.version = info.version;
        if info.size != meta.size {
            return Err(Error::damaged(format!("the object has {} bytes and its info says {}", meta.size, info.size)));
        }
        Ok(())
    }

    /// The digest of what was read.
    pub fn finish(self) -> ObjectDigest {
        let Self { mut digest, data, omap, depth, .. } = self;
        if depth == ScrubDepth::Data {
            digest.data_crc = data.finalize();
            digest.omap_crc = omap.finalize();
        }
        digest
    }
}

fn hash_entry(hasher: &mut Hasher, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        hasher.update(&u64::try_from(part.len()).expect("a length fits 64 bits").to_le_bytes());
        hasher.update(part);
    }
}

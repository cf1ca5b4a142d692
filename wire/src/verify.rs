//! The question behind `ika osd verify`: digests of what one OSD stores of one placement group.

use types::{Cursor, Epoch, LogVersion, ObjectId, PgId};

/// Digests of a page of objects, please.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRequest {
    /// The asker's count, echoed.
    pub sequence: u64,
    /// The asker's map.
    pub epoch: Epoch,
    /// Which PG.
    pub pg: PgId,
    /// Where to begin.
    pub begin: Cursor,
    /// Most objects, at most `SCAN_PAGE_OBJECTS`.
    pub objects_max: u32,
}

/// What one copy of an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDigest {
    /// Which object.
    pub object: ObjectId,
    /// The version in its info.
    pub version: LogVersion,
    /// Its size in bytes.
    pub size: u64,
    /// CRC-32 of its bytes.
    pub data_crc: u32,
    /// CRC-32 over its attributes, names and values with their lengths, in name order.
    pub xattrs_crc: u32,
    /// CRC-32 over its omap header and entries with their lengths, in key order.
    pub omap_crc: u32,
    /// What could not be read, when something could not.
    pub damage: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyPage {
    /// The echo.
    pub sequence: u64,
    /// The member's newest log entry at that time.
    pub last_update: LogVersion,
    /// Whether the member has a copy of the PG at all.
    pub present: bool,
    /// Digests in object order.
    pub objects: Vec<ObjectDigest>,
    /// Where the next page begins; `None` when the PG is done.
    pub next: Option<Cursor>,
}

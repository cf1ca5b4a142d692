//! A range of objects in one file: taken out of a store, looked at, and put into another.
//!
//! Owns: the format, taking out and putting in, and the description of objects one by one. Does not know: what the
//! range is to its user (a placement group, to an OSD), nor what the caller's own words in the file mean.
//!
//! ```text
//! file     magic 8 "ikaarchv" | version 2 | oldest_reader 2 | header_bytes 4 | header | records… | end record
//! header   cluster 16 | osd 4 | osd_uuid 16 | store_uuid 16 | pool 8 | first 4 | last 4 (bit-reversed hashes, inclusive)
//!          | subject: counted | crc 4 of everything before
//! record   kind 1 | length 4 | crc 4 of kind, length and body | body
//!          1 object   id: counted | size v | omap_header: counted | xattr_count v | (name: counted value: counted)*
//!          2 data     offset v | bytes            of the object before; at most 1 MiB
//!          3 omap     (key: counted value: counted)*
//!          4 config   key: counted | value: counted
//!          5 end      objects 8 | bytes 8 | sha256 32 of all records before
//! ```
//! (`v` is a variable-length integer, other integers are little-endian; an object's id is its key in the database, see
//! `docs/internals/store-format.md`.) Objects come in object order, so two archives of equal content have equal records
//! and the same digest, whoever made them. Why the digest stands at the end: an archive is written in one go, also to a
//! pipe. Why a checksum for each record as well: so that damage is told where it is, before any of it is believed.
//!
//! Holes stay holes. Clones share no space in an archive nor after it.

mod export;
mod format;
mod import;
#[cfg(test)]
mod tests;

pub use export::{ArchiveContents, ArchiveSummary, describe, export};
pub use format::{ArchiveHeader, ObjectDescription};
pub use import::{ImportMode, ImportOutcome, ImportSettings, import, read_header};

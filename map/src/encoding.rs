//! The bytes of maps and increments, as monitors and OSDs persist them and as everybody sends them.
//!
//! ```text
//! offset  bytes
//!      0      4  magic: `ikaM` for a full map, `ikaI` for an increment
//!      4      2  version of the contents, little endian: the first one that knows every field in it
//!      6      2  oldest version of a reader that understands the contents, little endian
//!      8      4  CRC-32 of bytes 0..8 and 12.., little endian
//!     12      …  records: protobuf fields of wire type 2, in ascending order of number (an increment's
//!                changes: in the order in which they apply), each a small message
//! ```
//!
//! Why so: the magic and the two versions come first, so that any reader can tell what it has and refuse with the reason.
//! The CRC covers all the rest and *is* the map's checksum: a copy that was damaged on a disk and a copy that diverged are
//! found by the same number. Records stand alone, so that a reader takes them one by one and refuses at the first bad one,
//! with its offset, before it has allocated for the others.
//!
//! Owns: the layout, and the rule that equal values have equal bytes. Does not know: what the values mean; see `check`.
//!
//! Invariants
//! 1. Decoding accepts only canonical bytes: what it returns encodes to exactly what it was given. So nothing is dropped
//!    silently, and the checksum of a map is the checksum of its bytes.
//! 2. A new field that older readers may ignore becomes a new kind of record with a higher number, never a field inside a
//!    present message: unknown records of a map survive a rewrite by a reader that does not know them. A field that they
//!    must not ignore raises the oldest reader's version.
//! 3. Unknown changes in an increment refuse: whoever skips a change diverges.
//! 4. No bytes make decoding panic, or allocate more than the named bounds justify: on what arrives at once
//!    ([`types::limits::CONTROL_MESSAGE_BYTES_MAX`]), on entries of a table, on a pool's record, on an increment's changes.

mod envelope;
mod increment;
mod map;
mod messages;
mod values;

pub(crate) use envelope::checksum_of;
pub use increment::{CHANGES_MAX, decode_increment, encode_increment};
pub use map::{LaterFields, decode_map, encode_map};
pub(crate) use values::{POOL_BYTES_MAX, pool_bytes};

#[cfg(test)]
mod tests;

//! Ceph's binary form of a map, byte for byte.
//!
//! Everything is little-endian and without lengths around it: the reader must know every field. Old maps simply end earlier;
//! what is missing has its oldest meaning (see [`decode`]). Every count is checked against the bytes that are left before
//! memory is taken for it.
//! Layout: magic, three table sizes; per bucket slot the algorithm (0: empty) and the bucket; per rule slot a presence word
//! and the rule; names of types, items and rules; tunables; classes; choose arguments.

mod decode;
mod encode;

/// The first word of every map.
const MAGIC: u32 = 0x0001_0000;

//! Bytes of messages and persisted values.
//!
//! Layout: a value begins with its version and the oldest version of a reader that understands it, one byte each;
//! then come tagged fields in Protocol Buffers' wire format (key, varint, length-delimited), written directly from
//! the domain types and read directly into them: no mirror of each type, no copy in between. What is zero, empty or
//! `None` is left out. One wire type is our own: bulk bytes stand in the payload beside the body and only their
//! length stands in the body (wire type 3, which Protocol Buffers gave up).
//!
//! Invariants
//! 1. A field's tag is never given to another meaning. A reader skips tags it does not know; a writer that adds
//!    something a reader must not skip raises the oldest reader.
//! 2. Reading never panics, never recurses deeper than `DEPTH_MAX`, and allocates in proportion to its input.
//! 3. Equal values have equal bytes: fields go out in the order of their table, maps in key order.
//! 4. Bulk bytes are neither copied when written nor when read.

mod bounds;
mod client;
mod control;
mod field;
mod message;
mod object;
mod persisted;
mod placement_group;
mod scrub;
mod statistics;
mod stream;

pub use control::{
    decode_control_reply, decode_control_request, decode_map_share, encode_control_reply, encode_control_request,
    encode_map_share,
};
pub use message::{EncodedMessage, decode_message, encode_message};
pub use persisted::{
    decode_history, decode_inconsistent_object, decode_log_entry, decode_missing_object, decode_object_info,
    decode_past_intervals, decode_pg_info, decode_request_outcome, decode_scrub_record, encode_history,
    encode_inconsistent_object, encode_log_entry, encode_missing_object, encode_object_info, encode_past_intervals,
    encode_pg_info, encode_request_outcome, encode_scrub_record,
};

//! Messages of both planes, and what placement groups keep on disk.

use bytes::{Bytes, BytesMut};
use types::Result;
use wire::{
    EncodedMessage, decode_control_reply, decode_control_request, decode_history, decode_log_entry, decode_map_share,
    decode_message, decode_missing_object, decode_object_info, decode_past_intervals, decode_pg_info,
    decode_request_outcome, encode_control_reply, encode_control_request, encode_history, encode_log_entry,
    encode_map_share, encode_message, encode_missing_object, encode_object_info, encode_past_intervals, encode_pg_info,
    encode_request_outcome,
};

/// A message of the data plane: kind (2 bytes), length of the body (2 bytes), body, payload.
pub(crate) fn data_plane(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return };
    let kind = u16::from_le_bytes([head[0], head[1]]);
    let body_bytes = usize::from(u16::from_le_bytes([head[2], head[3]])).min(rest.len());
    let rest = Bytes::copy_from_slice(rest);
    check_message(kind, rest.slice(..body_bytes), rest.slice(body_bytes..));
}

/// What can be read survives being written and read again.
pub(crate) fn check_message(kind: u16, body: Bytes, payload: Bytes) {
    let message = match decode_message(kind, body, payload) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.message.contains(&format!("kind {kind}")), "{error}: does not say of what");
            return;
        }
    };
    let EncodedMessage { kind, body, payload } = encode_message(&message);
    let mut gathered = BytesMut::new();
    payload.iter().for_each(|piece| gathered.extend_from_slice(piece));
    let again = decode_message(kind, body, gathered.freeze());
    assert_eq!(again.as_ref(), Ok(&message), "what was read cannot be written and read again");
}

fn check_round_trip<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T>,
    encode: impl Fn(&T) -> Bytes,
) {
    match decode(bytes) {
        Ok(value) => assert_eq!(decode(&encode(&value)).as_ref(), Ok(&value)),
        Err(error) => assert!(!error.message.is_empty()),
    }
}

/// A message of the control plane; the first byte chooses the kind.
pub(crate) fn control_plane(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 3 {
        0 => check_round_trip(bytes, decode_control_request, encode_control_request),
        1 => check_round_trip(bytes, decode_control_reply, encode_control_reply),
        _ => check_round_trip(bytes, decode_map_share, encode_map_share),
    }
}

/// A value of a placement group's omap or attribute; the first byte chooses the kind.
pub(crate) fn persisted(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 7 {
        0 => check_round_trip(bytes, decode_object_info, encode_object_info),
        1 => check_round_trip(bytes, decode_log_entry, encode_log_entry),
        2 => check_round_trip(bytes, decode_pg_info, encode_pg_info),
        3 => check_round_trip(bytes, decode_history, encode_history),
        4 => check_round_trip(bytes, decode_request_outcome, encode_request_outcome),
        5 => check_round_trip(bytes, decode_past_intervals, |intervals| encode_past_intervals(intervals)),
        _ => check_round_trip(bytes, decode_missing_object, encode_missing_object),
    }
}

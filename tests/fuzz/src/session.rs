//! The handshake's blocks and the data plane's frames.

use bytes::Bytes;
use net::untrusted::{FRAME_HEADER_BYTES, HANDSHAKE_BLOCK_BYTES, check_frame_header, check_handshake_block};

use crate::message::check_message;

/// One block of the handshake, cut or filled to its size, as it is and with its checksum made right.
pub(crate) fn handshake(bytes: &[u8]) {
    let mut block = [0; HANDSHAKE_BLOCK_BYTES];
    let length = bytes.len().min(block.len());
    block[..length].copy_from_slice(&bytes[..length]);
    let as_it_is = check_handshake_block(&block);
    let crc_at = HANDSHAKE_BLOCK_BYTES - 4;
    let crc = crc32fast::hash(&block[..crc_at]);
    block[crc_at..].copy_from_slice(&crc.to_le_bytes());
    for outcome in [as_it_is, check_handshake_block(&block)] {
        if let Err(refusal) = outcome {
            assert!(!refusal.message.is_empty());
        }
    }
}

/// A stream of frames. Checksums and sequence numbers are the receiver's own tests' matter; lengths and contents are tried.
pub(crate) fn frames(mut bytes: &[u8]) {
    while let Some((head, rest)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() {
        let Ok(header) = check_frame_header(head) else { return };
        let Some((body, rest)) = rest.split_at_checked(header.body_bytes) else { return };
        let Some((payload, rest)) = rest.split_at_checked(header.payload_bytes) else { return };
        check_message(header.kind, Bytes::copy_from_slice(body), Bytes::copy_from_slice(payload));
        bytes = rest;
    }
}

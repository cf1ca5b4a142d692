//! The doors at which bytes of strangers become values, for the fuzz rig alone: what they would be told, nothing else.

use crate::{
    Refusal,
    data::{HEADER_BYTES, Header},
    greeting::{BLOCK_BYTES, decode_step},
};

/// Bytes of each step of the handshake.
pub const HANDSHAKE_BLOCK_BYTES: usize = BLOCK_BYTES;
/// Bytes in front of a frame's body.
pub const FRAME_HEADER_BYTES: usize = HEADER_BYTES;

/// What a frame's header announces, within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedFrame {
    /// Which message, or which word of the session.
    pub kind: u16,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Bytes of the payload.
    pub payload_bytes: usize,
}

/// Whether the block is a step of the handshake.
///
/// # Errors
/// How the other side would be refused.
pub fn check_handshake_block(block: &[u8; HANDSHAKE_BLOCK_BYTES]) -> Result<(), Refusal> {
    decode_step(block).map(|_| ())
}

/// What the header announces.
///
/// # Errors
/// `Invalid`, as the session would be closed.
pub fn check_frame_header(bytes: &[u8; FRAME_HEADER_BYTES]) -> types::Result<AnnouncedFrame> {
    let header = Header::decode(bytes)?;
    Ok(AnnouncedFrame { kind: header.kind, body_bytes: header.body_bytes, payload_bytes: header.payload_bytes })
}

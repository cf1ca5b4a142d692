//! The data plane's messages as a kind, a body and a payload.
//!
//! Body: version, oldest reader, then either the fields, or nothing at all: then the fields stand at the payload's
//! beginning, behind their length (four bytes, little-endian). That is how a PG's whole log passes the bound of
//! bodies, which keeps the reader's buffer for ordinary messages small.

use bytes::{BufMut, Bytes, BytesMut};
use types::{Epoch, Error, Result, limits};

use super::{
    field::{Record, newtype, record},
    stream::{Decoder, Encoder},
};
use crate::{
    ClientOp, ClientReply, MapShare, Message, NetworkStack, Notification, PgMessage, Ping, Pong, VerifyPage,
    VerifyRequest,
};

/// Version of message bodies written here, and the oldest reader that understands them.
const VERSION: u8 = 1;
const OLDEST_READER: u8 = 1;

/// Bytes of an ordinary body: an operation with one write, or its replication with two log keys.
const BODY_CAPACITY: usize = 512;

/// The bytes of a message: two parts of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedMessage {
    /// Which message.
    pub kind: u16,
    /// Its fields, at most `FRAME_BODY_BYTES_MAX`.
    pub body: Bytes,
    /// Bulk bytes, in order; the receiver sees them as one piece.
    pub payload: Vec<Bytes>,
}

impl EncodedMessage {
    /// Bytes of the payload.
    pub fn payload_bytes(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }
}

record!(Ping { 1 epoch, 2 sent_nanoseconds });
newtype!(NetworkStack);
record!(Pong { 1 epoch, 2 sent_nanoseconds, 3 progress_age, 80 network_stack });

/// The only field of `Message::MapRequest`.
struct MapRequest {
    have: Epoch,
}
record!(MapRequest { 1 have });

/// Refuses what needs a newer reader than this one.
pub(super) fn check_version(what: &str, input: &mut Decoder<'_>, reader: u8) -> Result<()> {
    let version = input.raw_byte()?;
    let oldest_reader = input.raw_byte()?;
    if version == 0 || oldest_reader == 0 || oldest_reader > version {
        return Err(Error::invalid(format!("version {version} with oldest reader {oldest_reader} cannot be")));
    }
    if oldest_reader > reader {
        return Err(Error::invalid(format!(
            "the {what} has version {version} and needs a reader of at least {oldest_reader}; this one has {reader}"
        )));
    }
    Ok(())
}

impl Message {
    /// The number of its kind on the wire; never given to another kind.
    pub fn kind(&self) -> u16 {
        match self {
            Self::ClientOp(_) => 1,
            Self::ClientReply(_) => 2,
            Self::Pg(_) => 3,
            Self::Ping(_) => 4,
            Self::Pong(_) => 5,
            Self::MapShare(_) => 6,
            Self::MapRequest { .. } => 7,
            Self::VerifyRequest(_) => 8,
            Self::VerifyPage(_) => 9,
            Self::Notification(_) => 100,
        }
    }
}

/// The bytes of a message. Bulk bytes are shared, not copied.
pub fn encode_message(message: &Message) -> EncodedMessage {
    let mut out = Encoder::with_payload(BODY_CAPACITY);
    out.raw_byte(VERSION);
    out.raw_byte(OLDEST_READER);
    match message {
        Message::ClientOp(op) => op.put_fields(&mut out),
        Message::ClientReply(reply) => reply.put_fields(&mut out),
        Message::Pg(message) => message.put_fields(&mut out),
        Message::Ping(ping) => ping.put_fields(&mut out),
        Message::Pong(pong) => pong.put_fields(&mut out),
        Message::MapShare(share) => share.put_fields(&mut out),
        Message::MapRequest { have } => MapRequest { have: *have }.put_fields(&mut out),
        Message::VerifyRequest(request) => request.put_fields(&mut out),
        Message::VerifyPage(page) => page.put_fields(&mut out),
        Message::Notification(notification) => notification.put_fields(&mut out),
    }
    let (body, mut payload) = out.finish();
    // A body without fields would be read as a spilled one, so it is written as one; a pong of zeroes is the only
    // kind of message that gets here so.
    if body.len() > limits::FRAME_BODY_BYTES_MAX || body.len() == 2 {
        let mut fields = BytesMut::with_capacity(body.len() + 2);
        fields.put_u32_le(u32::try_from(body.len() - 2).unwrap_or(u32::MAX));
        fields.extend_from_slice(&body[2..]);
        payload.insert(0, fields.freeze());
        return EncodedMessage { kind: message.kind(), body: Bytes::copy_from_slice(&body[..2]), payload };
    }
    EncodedMessage { kind: message.kind(), body: body.into(), payload }
}

/// The message of these bytes, within its limits, or why not. Bulk bytes become slices of `payload`.
pub fn decode_message(kind: u16, body: Bytes, payload: Bytes) -> Result<Message> {
    let read = |error: Error| error.context(format!("read a message of kind {kind}"));
    check_part("body", body.len(), limits::FRAME_BODY_BYTES_MAX).map_err(read)?;
    check_part("payload", payload.len(), limits::FRAME_PAYLOAD_BYTES_MAX).map_err(read)?;
    decode(kind, &body, payload).map_err(read)
}

fn check_part(what: &str, length: usize, limit: usize) -> Result<()> {
    if length <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!("the {what} has {length} bytes; the limit is {limit}")))
}

fn decode(kind: u16, body: &[u8], mut payload: Bytes) -> Result<Message> {
    let mut none = Bytes::new();
    check_version("message", &mut Decoder::new(body, &mut none), VERSION)?;
    // `check_version` has read two bytes.
    let spilled;
    let fields = if body.len() == 2 {
        spilled = take_spilled(&mut payload)?;
        &spilled[..]
    } else {
        &body[2..]
    };
    let mut input = Decoder::new(fields, &mut payload);
    let message = match kind {
        1 => Message::ClientOp(Box::new(ClientOp::take_fields(&mut input)?)),
        2 => Message::ClientReply(Box::new(ClientReply::take_fields(&mut input)?)),
        3 => Message::Pg(Box::new(PgMessage::take_fields(&mut input)?)),
        4 => Message::Ping(Ping::take_fields(&mut input)?),
        5 => Message::Pong(Pong::take_fields(&mut input)?),
        6 => Message::MapShare(MapShare::take_fields(&mut input)?),
        7 => Message::MapRequest { have: MapRequest::take_fields(&mut input)?.have },
        8 => Message::VerifyRequest(VerifyRequest::take_fields(&mut input)?),
        9 => Message::VerifyPage(VerifyPage::take_fields(&mut input)?),
        100 => Message::Notification(Box::new(Notification::take_fields(&mut input)?)),
        _ => return Err(Error::invalid("the kind is not known here")),
    };
    if !payload.is_empty() {
        return Err(Error::invalid(format!("{} payload bytes belong to no field", payload.len())));
    }
    Ok(message)
}

fn take_spilled(payload: &mut Bytes) -> Result<Bytes> {
    let Some(length) = payload.first_chunk::<4>() else {
        return Err(Error::invalid("the body has no fields and the payload none either"));
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > payload.len() - 4 {
        return Err(Error::invalid(format!(
            "{length} bytes of fields are announced where {} are left",
            payload.len() - 4
        )));
    }
    let _length = payload.split_to(4);
    Ok(payload.split_to(length))
}

//! The way in: frames out of a stream, checked, decoded, and admitted.
//!
//! Small frames are cut out of one large buffer; a large payload is read straight into a buffer of its own. All
//! state is in the receiver, so a dropped `next` loses nothing.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::{
    io::AsyncReadExt,
    net::tcp::OwnedReadHalf,
    time::{Instant, Sleep, sleep_until},
};
use types::{Error, Result};
use wire::{ClientOp, Message, decode_message};

use super::{
    buffers::PayloadBuffer,
    frame::{HEADER_BYTES, Header, KIND_GOODBYE, KIND_KEEP_ALIVE, KIND_SESSION_FIRST},
    sender::Outgoing,
};

/// Silence after which a peer counts as gone.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// Bytes that one read may bring.
const READ_BYTES: usize = 256 << 10;
/// Room below which the buffer is made larger: less would cost a read for few bytes.
const READ_BYTES_MIN: usize = 16 << 10;
/// Payloads from here on get a buffer of their own.
const OWN_BUFFER_BYTES_MIN: usize = 128 << 10;

/// A frame whose large payload is still coming.
#[derive(Debug)]
struct Pending {
    header: Header,
    body: Bytes,
    payload: PayloadBuffer,
}

/// What has been found in the bytes read so far.
enum Found {
    Frame(Header, Bytes, Bytes),
    /// Not a whole frame; so many bytes are missing at least.
    Missing(usize),
}

/// The receiving end of a session. Dropping it closes the session.
#[derive(Debug)]
pub struct SessionReceiver {
    half: OwnedReadHalf,
    outgoing: Arc<Outgoing>,
    buffer: BytesMut,
    pending: Option<Pending>,
    /// An operation that waits for its permit.
    waiting: Option<Box<ClientOp>>,
    sequence: u64,
    heard: Instant,
    /// Fires at `DEAD_AFTER` after some time at which something was heard, not always the last.
    alarm: Pin<Box<Sleep>>,
    is_finished: bool,
}

impl SessionReceiver {
    pub(super) fn new(half: OwnedReadHalf, outgoing: Arc<Outgoing>) -> Self {
        let heard = Instant::now();
        Self {
            half,
            outgoing,
            buffer: BytesMut::new(),
            pending: None,
            waiting: None,
            sequence: 0,
            heard,
            alarm: Box::pin(sleep_until(heard + DEAD_AFTER)),
            is_finished: false,
        }
    }

    /// The next message. An error ends the session; then, and after a proper end, comes `None`.
    ///
    /// A client's operation comes out when it has its permit. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Message>> {
        if self.is_finished {
            return None;
        }
        match self.receive().await {
            Ok(Some(message)) => Some(Ok(message)),
            Ok(None) => {
                self.is_finished = true;
                self.outgoing.close("the peer closed");
                None
            }
            Err(error) => {
                self.is_finished = true;
                self.outgoing.close(&error.message);
                Some(Err(error))
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(op) = &self.waiting {
                tokio::select! {
                    biased;
                    () = self.outgoing.permits.admit(op) => {}
                    () = self.outgoing.closed() => return Ok(None),
                }
                // Waiting for permits is this side's doing; the peer's silence counts from now.
                self.heard = Instant::now();
                return Ok(self.waiting.take().map(Message::ClientOp));
            }
            match self.find_frame()? {
                Found::Frame(header, body, payload) => match header.kind {
                    KIND_KEEP_ALIVE => {}
                    // The peer's farewell after one's own says nothing new.
                    KIND_GOODBYE if !self.outgoing.is_open() => return Ok(None),
                    KIND_GOODBYE => {
                        let reason = String::from_utf8_lossy(&body);
                        return Err(Error::closed(format!("the peer closed the session: {reason}")));
                    }
                    kind if kind >= KIND_SESSION_FIRST => {
                        return Err(Error::invalid(format!("a frame of kind {kind:#x} is not known here")));
                    }
                    kind => match decode_message(kind, body, payload)? {
                        Message::ClientOp(op) => self.waiting = Some(op),
                        message => return Ok(Some(message)),
                    },
                },
                Found::Missing(bytes) => {
                    if self.read(bytes).await? == 0 {
                        return self.end();
                    }
                }
            }
        }
    }

    /// The stream ended: properly between two frames, or by this side.
    fn end(&self) -> Result<Option<Message>> {
        let is_between = self.buffer.is_empty() && self.pending.is_none();
        if is_between || !self.outgoing.is_open() {
            return Ok(None);
        }
        Err(Error::closed("the connection ended inside a frame"))
    }

    async fn read(&mut self, missing: usize) -> Result<usize> {
        loop {
            let outcome = if let Some(pending) = &mut self.pending {
                let left = pending.header.payload_bytes - pending.payload.len();
                let mut target = pending.payload.target().limit(left);
                tokio::select! {
                    biased;
                    outcome = self.half.read_buf(&mut target) => Some(outcome),
                    () = &mut self.alarm => None,
                }
            } else {
                if self.buffer.capacity() - self.buffer.len() < missing.max(READ_BYTES_MIN) {
                    self.buffer.reserve(missing.max(READ_BYTES));
                }
                tokio::select! {
                    biased;
                    outcome = self.half.read_buf(&mut self.buffer) => Some(outcome),
                    () = &mut self.alarm => None,
                }
            };
            match outcome {
                Some(Ok(bytes)) => {
                    self.heard = Instant::now();
                    return Ok(bytes);
                }
                Some(Err(_)) if !self.outgoing.is_open() => return Ok(0),
                Some(Err(error)) => return Err(Error::closed(format!("the connection broke: {error}"))),
                None => {
                    let deadline = self.heard + DEAD_AFTER;
                    if Instant::now() >= deadline {
                        let seconds = DEAD_AFTER.as_secs();
                        return Err(Error::closed(format!("the peer said nothing for {seconds} seconds")));
                    }
                    self.alarm.as_mut().reset(deadline);
                }
            }
        }
    }

    fn find_frame(&mut self) -> Result<Found> {
        if let Some(pending) = self.pending.take_if(|pending| pending.payload.len() == pending.header.payload_bytes) {
            return self.check_payload(pending.header, pending.body, pending.payload.freeze());
        }
        if self.pending.is_some() {
            return Ok(Found::Missing(0));
        }
        let Some(head) = self.buffer.first_chunk::<HEADER_BYTES>() else {
            return Ok(Found::Missing(HEADER_BYTES - self.buffer.len()));
        };
        let header = Header::decode(head)?;
        let head_bytes = HEADER_BYTES + header.body_bytes;
        let has_own_buffer = header.payload_bytes >= OWN_BUFFER_BYTES_MIN;
        let needed = if has_own_buffer { head_bytes } else { head_bytes + header.payload_bytes };
        if self.buffer.len() < needed {
            return Ok(Found::Missing(needed - self.buffer.len()));
        }
        if crc32fast::hash(&self.buffer[4..head_bytes]) != header.crc {
            return Err(Error::invalid("a frame's header or body fails its checksum"));
        }
        self.sequence += 1;
        if header.sequence != self.sequence {
            let (found, expected) = (header.sequence, self.sequence);
            return Err(Error::invalid(format!("frame {found} came where {expected} belongs")));
        }
        let mut head = self.buffer.split_to(head_bytes);
        let body = head.split_off(HEADER_BYTES).freeze();
        if !has_own_buffer {
            let payload = self.buffer.split_to(header.payload_bytes).freeze();
            return self.check_payload(header, body, payload);
        }
        let mut payload = PayloadBuffer::new(header.payload_bytes);
        payload.target().put(self.buffer.split_to(header.payload_bytes.min(self.buffer.len())));
        self.pending = Some(Pending { header, body, payload });
        self.find_frame()
    }

    fn check_payload(&self, header: Header, body: Bytes, payload: Bytes) -> Result<Found> {
        if crc32fast::hash(&payload) != header.payload_crc {
            return Err(Error::invalid("a frame's payload fails its checksum"));
        }
        Ok(Found::Frame(header, body, payload))
    }
}

impl Drop for SessionReceiver {
    fn drop(&mut self) {
        self.outgoing.close("the receiver is gone");
    }
}

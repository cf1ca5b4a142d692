//! The way out: bounded queues, and the task that writes what is queued, as many frames at once as there are.
//!
//! Invariants
//! 1. Each class has its own bound in bytes and waits only for itself: clients' operations, answers to them, and all
//!    that OSDs say to each other. Pings go before everything else.
//! 2. Bytes count until they are written to the socket, so a peer that does not read stops its senders.
//! 3. Frames have consecutive sequences in the order in which they are written; a failed write closes the session.

use std::{
    collections::VecDeque,
    fmt,
    io::IoSlice,
    net::Shutdown,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::{
    io::AsyncWriteExt,
    net::tcp::OwnedWriteHalf,
    sync::Notify,
    time::{Instant, sleep_until},
};
use types::{Error, RequestId, limits};
use wire::{EncodedMessage, Message, encode_message};

use super::{
    admission::SessionPermits,
    frame::{HEADER_BYTES, KIND_GOODBYE, KIND_KEEP_ALIVE, put_frame},
};

/// Something is written at least so often.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long a closing session may take to write what is queued.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of clients' operations that wait to be written: two of the largest.
const REQUEST_BYTES_MAX: usize = 2 * limits::OPERATION_PAYLOAD_BYTES_MAX;
/// Bytes of answers that wait to be written. Permits bound them to less; beyond it the client asked for more than it
/// said, and is closed.
const REPLY_BYTES_MAX: usize = 256 << 20;
/// Bytes of all else that waits to be written: replication of four of the largest operations.
const PEER_BYTES_MAX: usize = 4 * limits::OPERATION_PAYLOAD_BYTES_MAX;
/// Frames in one write: beyond some tens the kernel's work per byte rules.
const BATCH_FRAMES_MAX: usize = 64;
/// Bytes in one write, so that what is written is freed in steps.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Pieces in one write; IOV_MAX of Linux is 1,024.
const BATCH_PIECES_MAX: usize = 1024;
/// Bytes of a reason to close.
const GOODBYE_BYTES_MAX: usize = 512;

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The queue of its class is full.
    Full,
    /// The session is closed.
    Closed,
    /// It does not fit a frame.
    TooLarge(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the session's queue is full",
            Self::Closed => "the session is closed",
            Self::TooLarge(message) => message,
        })
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let message = error.to_string();
        match error {
            SendError::Full => Self::retry(message),
            SendError::Closed => Self::closed(message),
            SendError::TooLarge(_) => Self::invalid(message),
        }
    }
}

/// Whose bytes are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Request,
    Reply,
    Peer,
}

impl Class {
    const COUNT: usize = 3;

    fn of(message: &Message) -> Self {
        match message {
            Message::ClientOp(_) => Self::Request,
            Message::ClientReply(_) => Self::Reply,
            _ => Self::Peer,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Request => 0,
            Self::Reply => 1,
            Self::Peer => 2,
        }
    }

    fn bytes_max(self) -> usize {
        match self {
            Self::Request => REQUEST_BYTES_MAX,
            Self::Reply => REPLY_BYTES_MAX,
            Self::Peer => PEER_BYTES_MAX,
        }
    }
}

#[derive(Debug)]
struct Queued {
    message: EncodedMessage,
    class: Class,
    bytes: usize,
    answers: Option<RequestId>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// What is queued is written, then the reason, then the socket is closed.
    Closing(String),
    Closed,
}

#[derive(Debug, Default)]
struct Queue {
    urgent: VecDeque<Queued>,
    ordinary: VecDeque<Queued>,
    /// Queued or being written, by class.
    bytes: [usize; Class::COUNT],
    state: State,
}

/// What senders, writer and receiver of one session share.
#[derive(Debug)]
pub(super) struct Outgoing {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    ready: Notify,
    /// Wakes senders that wait for room.
    room: Notify,
    pub(super) permits: SessionPermits,
}

impl Outgoing {
    pub(super) fn new(permits: SessionPermits) -> Self {
        Self { queue: Mutex::default(), ready: Notify::new(), room: Notify::new(), permits }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session; what is queued is still written unless the connection is broken.
    pub(super) fn close(&self, reason: &str) {
        let mut queue = self.queue();
        if queue.state == State::Open {
            let end = reason.floor_char_boundary(GOODBYE_BYTES_MAX);
            queue.state = State::Closing(reason[..end].to_owned());
        }
        drop(queue);
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    /// The connection is gone.
    pub(super) fn break_off(&self) {
        let mut queue = self.queue();
        queue.state = State::Closed;
        queue.urgent.clear();
        queue.ordinary.clear();
        drop(queue);
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    pub(super) fn is_open(&self) -> bool {
        self.queue().state == State::Open
    }

    /// Returns when the session does not take messages any more.
    pub(super) async fn closed(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if !self.is_open() {
                return;
            }
            room.await;
        }
    }

    fn enqueue(&self, queued: &mut Option<Queued>, is_urgent: bool) -> Result<(), SendError> {
        let Some(entry) = queued.as_ref() else { return Ok(()) };
        let mut queue = self.queue();
        if queue.state != State::Open {
            return Err(SendError::Closed);
        }
        let used = queue.bytes[entry.class.index()];
        if used > 0 && used + entry.bytes > entry.class.bytes_max() {
            return Err(SendError::Full);
        }
        queue.bytes[entry.class.index()] += entry.bytes;
        let list = if is_urgent { &mut queue.urgent } else { &mut queue.ordinary };
        list.extend(queued.take());
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }
}

/// The sending end of a session; clones share its queue.
#[derive(Debug, Clone)]
pub struct SessionSender {
    outgoing: Arc<Outgoing>,
}

impl SessionSender {
    pub(super) fn new(outgoing: Arc<Outgoing>) -> Self {
        Self { outgoing }
    }

    fn encode(message: &Message) -> Result<Queued, SendError> {
        let class = Class::of(message);
        let answers = match message {
            Message::ClientReply(reply) => Some(reply.request),
            _ => None,
        };
        let message = encode_message(message);
        let (body, payload) = (message.body.len(), message.payload_bytes());
        if body > limits::FRAME_BODY_BYTES_MAX || payload > limits::FRAME_PAYLOAD_BYTES_MAX {
            let text = format!("a message of {body} and {payload} bytes does not fit a frame");
            return Err(SendError::TooLarge(text));
        }
        Ok(Queued { message, class, bytes: HEADER_BYTES + body + payload, answers })
    }

    fn is_urgent(message: &Message) -> bool {
        matches!(message, Message::Ping(_) | Message::Pong(_))
    }

    /// Queues the message if there is room for it now. It arrives whole and in order, or the session ends.
    pub fn try_send(&self, message: &Message) -> Result<(), SendError> {
        self.outgoing.enqueue(&mut Some(Self::encode(message)?), Self::is_urgent(message))
    }

    /// Queues the message as soon as there is room for it.
    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mut queued = Some(Self::encode(message)?);
        loop {
            let room = self.outgoing.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.outgoing.enqueue(&mut queued, Self::is_urgent(message)) {
                Err(SendError::Full) => room.await,
                outcome => return outcome,
            }
        }
    }

    /// Gives back the permit of an operation that will not be answered on this session.
    pub fn release(&self, request: RequestId) {
        self.outgoing.permits.release(request);
    }

    /// Ends the session after what is queued; the peer hears the reason.
    pub fn close(&self, reason: &str) {
        self.outgoing.close(reason);
    }

    /// Whether messages are still taken.
    pub fn is_open(&self) -> bool {
        self.outgoing.is_open()
    }

    /// Whether it is the same session.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.outgoing, &other.outgoing)
    }
}

/// What one write consists of.
#[derive(Default)]
struct Batch {
    pieces: VecDeque<Bytes>,
    freed: [usize; Class::COUNT],
    answered: Vec<RequestId>,
}

struct Writer {
    outgoing: Arc<Outgoing>,
    half: OwnedWriteHalf,
    sequence: u64,
    /// Headers and bodies of a batch; its memory is used again when the batch is written.
    heads: BytesMut,
}

/// What the writer does next.
enum Step {
    Write(Batch),
    Wait,
    Close(String),
    Stop,
}

impl Writer {
    fn put(&mut self, batch: &mut Batch, kind: u16, body: &[u8], payload: Vec<Bytes>) {
        self.sequence += 1;
        put_frame(&mut self.heads, kind, self.sequence, body, &payload);
        if !payload.is_empty() {
            batch.pieces.push_back(self.heads.split().freeze());
            batch.pieces.extend(payload);
        }
    }

    fn finish(&mut self, batch: &mut Batch) {
        if !self.heads.is_empty() {
            batch.pieces.push_back(self.heads.split().freeze());
        }
    }

    fn next_step(&mut self) -> Step {
        let outgoing = self.outgoing.clone();
        let mut taken: Vec<Queued> = Vec::new();
        {
            let mut queue = outgoing.queue();
            let (mut bytes, mut pieces) = (0, 0);
            while taken.len() < BATCH_FRAMES_MAX && bytes < BATCH_BYTES_MAX && pieces < BATCH_PIECES_MAX {
                let Some(queued) = queue.urgent.pop_front().or_else(|| queue.ordinary.pop_front()) else { break };
                bytes += queued.bytes;
                pieces += queued.message.payload.len() + 1;
                taken.push(queued);
            }
            if taken.is_empty() {
                return match std::mem::take(&mut queue.state) {
                    State::Open => Step::Wait,
                    State::Closing(reason) => {
                        queue.state = State::Closed;
                        Step::Close(reason)
                    }
                    State::Closed => {
                        queue.state = State::Closed;
                        Step::Stop
                    }
                };
            }
        }
        let mut batch = Batch::default();
        for Queued { message: EncodedMessage { kind, body, payload }, class, bytes, answers } in taken {
            self.put(&mut batch, kind, &body, payload);
            batch.freed[class.index()] += bytes;
            batch.answered.extend(answers);
        }
        self.finish(&mut batch);
        Step::Write(batch)
    }

    async fn write(&mut self, batch: &mut Batch) -> std::io::Result<()> {
        while !batch.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); 64];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&batch.pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let mut written = self.half.write_vectored(&slices[..count]).await?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            while let Some(piece) = batch.pieces.front_mut() {
                if piece.len() > written {
                    let _written = piece.split_to(written);
                    break;
                }
                written -= piece.len();
                batch.pieces.pop_front();
            }
        }
        Ok(())
    }

    fn account(&self, batch: &Batch) {
        let mut queue = self.outgoing.queue();
        for (used, freed) in queue.bytes.iter_mut().zip(batch.freed) {
            *used -= freed;
        }
        drop(queue);
        for request in &batch.answered {
            self.outgoing.permits.release(*request);
        }
        self.outgoing.room.notify_waiters();
    }

    /// Writes the batch, but once the session closes no longer than `CLOSING_TIMEOUT`: a peer that does not read must
    /// not keep a closing session and its memory for ever.
    async fn write_or_give_up(&mut self, batch: &mut Batch) -> std::io::Result<()> {
        let outgoing = self.outgoing.clone();
        let give_up = async {
            outgoing.closed().await;
            sleep_until(Instant::now() + CLOSING_TIMEOUT).await;
        };
        tokio::select! {
            biased;
            outcome = self.write(batch) => outcome,
            () = give_up => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    async fn run(&mut self) -> std::io::Result<()> {
        loop {
            match self.next_step() {
                Step::Write(mut batch) => {
                    self.write_or_give_up(&mut batch).await?;
                    self.account(&batch);
                }
                Step::Wait => {
                    let keep_alive_at = Instant::now() + KEEP_ALIVE;
                    let is_ready = tokio::select! {
                        biased;
                        () = self.outgoing.ready.notified() => true,
                        () = sleep_until(keep_alive_at) => false,
                    };
                    if !is_ready {
                        self.write_own(KIND_KEEP_ALIVE, &[]).await?;
                    }
                }
                Step::Close(reason) => return self.write_own(KIND_GOODBYE, reason.as_bytes()).await,
                Step::Stop => return Ok(()),
            }
        }
    }

    /// Writes a frame that is no message.
    async fn write_own(&mut self, kind: u16, body: &[u8]) -> std::io::Result<()> {
        let mut batch = Batch::default();
        self.put(&mut batch, kind, body, Vec::new());
        self.finish(&mut batch);
        self.write_or_give_up(&mut batch).await
    }
}

/// Writes what is queued until the session ends.
pub(super) async fn write_frames(outgoing: Arc<Outgoing>, half: OwnedWriteHalf) {
    let mut writer = Writer { outgoing, half, sequence: 0, heads: BytesMut::new() };
    if let Err(error) = writer.run().await {
        tracing::debug!(%error, "a session's connection broke while writing");
    }
    writer.outgoing.break_off();
    // Both directions, so that the receiver wakes too.
    if let Err(error) = SockRef::from(writer.half.as_ref()).shutdown(Shutdown::Both) {
        tracing::debug!(%error, "the connection was closed already");
    }
}

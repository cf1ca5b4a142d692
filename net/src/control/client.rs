//! The client of the control plane: calls that try the next address when one fails, until their deadline.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, sleep_until, timeout_at},
};
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use types::{EntityName, Epoch, Error, Result, limits};
use wire::{ControlReply, ControlRequest, MapShare, decode_control_reply, decode_map_share, encode_control_request};

use super::{
    codec::{CALL, HELLO, PROVE, RawCodec, SUBSCRIBE},
    sealed::{Purpose, SEALED_HEAD_BYTES, Sealed, seal},
};
use crate::{
    Identity, PeerAddress, Refusal, RefusalReason,
    greeting::{BLOCK_BYTES, Block, Greeting, Role, Step, decode_step, encode_proof},
    identity::random_bytes,
    proof::{Prover, SessionKey, Transcript},
};

/// How often an idle connection is tried, and how long the answer may take: dead after five seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// For the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For one attempt of a call that has other addresses to try: a monitor without a quorum holds its callers.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after all addresses failed: doubles from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(800);
/// Connections kept; beyond it the first in order of addresses goes.
const LINKS_MAX: usize = 64;
/// Bytes in flight on one stream and on one connection before the receiver has taken them.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A proved session with a server.
struct ClientSession {
    number: u64,
    key: SessionKey,
    server: EntityName,
    counter: AtomicU64,
}

/// The connection to one address.
struct Link {
    address: SocketAddr,
    channel: Channel,
    /// Made by the first caller; the others wait for it.
    session: AsyncMutex<Option<Arc<ClientSession>>>,
}

struct Inner {
    identity: Identity,
    addresses: Vec<SocketAddr>,
    /// Which address answered last.
    preferred: AtomicUsize,
    links: Mutex<BTreeMap<SocketAddr, Arc<Link>>>,
}

/// A client of monitors and managers; clones share connections and sessions.
#[derive(Clone)]
pub struct ControlClient {
    inner: Arc<Inner>,
}

/// Why one attempt failed.
enum AttemptError {
    /// Nobody could be asked, or the answer did not come; another address may do.
    Unreachable(Error),
    /// Whoever is at the address refuses, or is refused: another cluster that took over a port, as a rule. Another
    /// address may do; when all are like that, so is the outcome.
    Refused(Error),
    /// The server does not know the session any more; nothing happened.
    SessionLost,
    /// Asking again does not help.
    Final(Error),
}

fn unreachable(address: SocketAddr, what: &str) -> AttemptError {
    AttemptError::Unreachable(Error::retry(format!("{address} does not answer: {what}")))
}

fn from_status(address: SocketAddr, status: &Status) -> AttemptError {
    match status.code() {
        Code::Unauthenticated => AttemptError::SessionLost,
        Code::InvalidArgument | Code::Unimplemented | Code::OutOfRange | Code::ResourceExhausted => {
            AttemptError::Final(Error::invalid(format!("{address} refuses the message: {}", status.message())))
        }
        _ => {
            let mut text = status.message().to_owned();
            let mut source = std::error::Error::source(status);
            while let Some(error) = source {
                text = format!("{text}: {error}");
                source = error.source();
            }
            unreachable(address, &text)
        }
    }
}

fn from_refusal(address: SocketAddr, refusal: &Refusal, by_peer: bool) -> AttemptError {
    let who = if by_peer { "the server refuses" } else { "this side refuses" };
    tracing::warn!(%address, reason = %refusal, "{who} a control connection");
    match refusal.reason {
        RefusalReason::Busy | RefusalReason::Other => unreachable(address, &refusal.message),
        _ => AttemptError::Refused(Error::denied(refusal.message.clone())),
    }
}

impl Link {
    fn new(address: SocketAddr) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Error::invalid(format!("the address {address} cannot be used: {error}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        Ok(Self { address, channel: endpoint.connect_lazy(), session: AsyncMutex::default() })
    }

    async fn grpc(&self) -> Result<Grpc<Channel>, AttemptError> {
        let most = limits::CONTROL_MESSAGE_BYTES_MAX + SEALED_HEAD_BYTES;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(most).max_encoding_message_size(most);
        match grpc.ready().await {
            Ok(()) => Ok(grpc),
            Err(error) => Err(from_status(self.address, &Status::from_error(Box::new(error)))),
        }
    }

    async fn unary(&self, path: &'static str, message: Bytes) -> Result<Bytes, AttemptError> {
        let mut grpc = self.grpc().await?;
        let outcome = grpc.unary(Request::new(message), PathAndQuery::from_static(path), RawCodec).await;
        Ok(outcome.map_err(|status| from_status(self.address, &status))?.into_inner())
    }

    /// The step in a block, with refusals as errors.
    fn read_step(&self, block: &Block) -> Result<Step, AttemptError> {
        match decode_step(block) {
            Ok(Step::Refusal(refusal)) => Err(from_refusal(self.address, &refusal, true)),
            Ok(step) => Ok(step),
            Err(refusal) => Err(from_refusal(self.address, &refusal, false)),
        }
    }

    async fn session(&self, own: &Identity) -> Result<Arc<ClientSession>, AttemptError> {
        let mut slot = self.session.lock().await;
        if let Some(session) = &*slot {
            return Ok(session.clone());
        }
        let refused = |refusal: Refusal| from_refusal(self.address, &refusal, false);
        let malformed = || unreachable(self.address, "its handshake is malformed");
        let challenge = random_bytes().map_err(AttemptError::Final)?;
        let connector = Greeting::of(own, Role::Connector, (None, None), challenge).encode();
        let answer = self.unary(HELLO, Bytes::copy_from_slice(&connector)).await?;
        let (number, acceptor) = answer.split_first_chunk::<8>().ok_or_else(malformed)?;
        let acceptor: Block = acceptor.try_into().map_err(|_| malformed())?;
        let Step::Greeting(greeting) = self.read_step(&acceptor)? else { return Err(malformed()) };
        greeting.check(own, Role::Acceptor).map_err(refused)?;
        let anyone = PeerAddress { entity: None, address: self.address, nonce: None };
        greeting.check_expected(&anyone).map_err(refused)?;
        let transcript = Transcript { connector, acceptor };
        let proof = encode_proof(&transcript.prove(&own.key, Prover::Connector));
        let answer = self.unary(PROVE, Bytes::from([&number[..], &proof].concat())).await?;
        let answer: Block = answer[..].try_into().map_err(|_| malformed())?;
        const _: () = assert!(BLOCK_BYTES == size_of::<Block>(), "an answer is one block");
        let Step::Proof(proof) = self.read_step(&answer)? else { return Err(malformed()) };
        if !transcript.is_proof(&own.key, Prover::Acceptor, &proof) {
            let message = format!("{} did not prove the cluster key that {} has", greeting.entity, own.entity);
            return Err(refused(Refusal::new(RefusalReason::WrongKey, message)));
        }
        let session = Arc::new(ClientSession {
            number: u64::from_le_bytes(*number),
            key: transcript.session_key(&own.key),
            server: greeting.entity,
            counter: AtomicU64::new(0),
        });
        tracing::debug!(address = %self.address, server = %session.server, "a control session begins");
        *slot = Some(session.clone());
        Ok(session)
    }

    /// Forgets the session, unless somebody made a new one already.
    async fn forget(&self, lost: &Arc<ClientSession>) {
        let mut slot = self.session.lock().await;
        slot.take_if(|session| Arc::ptr_eq(session, lost));
    }

    /// Sends a sealed message with `send`; makes a new session once when the server lost the old one.
    async fn sealed<T, F: Future<Output = Result<T, AttemptError>>>(
        &self,
        own: &Identity,
        purpose: Purpose,
        body: &[u8],
        send: impl Fn(Bytes) -> F,
    ) -> Result<(Arc<ClientSession>, u64, T), AttemptError> {
        for _ in 0..2 {
            let session = self.session(own).await?;
            let counter = session.counter.fetch_add(1, Ordering::Relaxed) + 1;
            let message = seal(&session.key, purpose, session.number, counter, body);
            match send(message).await {
                Ok(answer) => return Ok((session, counter, answer)),
                Err(AttemptError::SessionLost) => self.forget(&session).await,
                Err(error) => return Err(error),
            }
        }
        Err(unreachable(self.address, "it forgets sessions at once"))
    }

    async fn call(&self, own: &Identity, body: &Bytes) -> Result<ControlReply, AttemptError> {
        let send = |message| self.unary(CALL, message);
        let (session, counter, answer) = self.sealed(own, Purpose::Call, body, send).await?;
        let opened = Sealed::split(answer)
            .filter(|sealed| sealed.session == session.number && sealed.counter == counter)
            .and_then(|sealed| sealed.open(&session.key, Purpose::Reply))
            .ok_or_else(|| unreachable(self.address, "its answer is not sealed by it"))?;
        decode_control_reply(&opened).map_err(AttemptError::Final)
    }

    async fn subscribe(self: &Arc<Self>, own: &Identity, have: Epoch) -> Result<MapStream, AttemptError> {
        let send = async |message: Bytes| {
            let mut grpc = self.grpc().await?;
            let path = PathAndQuery::from_static(SUBSCRIBE);
            let outcome = grpc.server_streaming(Request::new(message), path, RawCodec).await;
            Ok(outcome.map_err(|status| from_status(self.address, &status))?.into_inner())
        };
        let body = have.0.to_le_bytes();
        let (session, counter, stream) = self.sealed(own, Purpose::Subscribe, &body, send).await?;
        Ok(MapStream { link: self.clone(), session, counter, index: 0, stream })
    }
}

impl ControlClient {
    /// A client that asks these addresses; nothing is connected yet.
    pub fn new(identity: Identity, addresses: Vec<SocketAddr>) -> Self {
        let inner = Inner { identity, addresses, preferred: AtomicUsize::new(0), links: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Whom it asks.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.inner.addresses
    }

    fn link(&self, address: SocketAddr) -> Result<Arc<Link>> {
        self.inner.identity.check()?;
        let mut links = self.inner.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(&address) {
            return Ok(link.clone());
        }
        if links.len() >= LINKS_MAX {
            links.pop_first();
        }
        let link = Arc::new(Link::new(address)?);
        links.insert(address, link.clone());
        Ok(link)
    }

    fn encode(request: &ControlRequest) -> Result<Bytes> {
        let body = encode_control_request(request);
        if body.len() > limits::CONTROL_MESSAGE_BYTES_MAX {
            let (length, limit) = (body.len(), limits::CONTROL_MESSAGE_BYTES_MAX);
            return Err(Error::invalid(format!("the request has {length} bytes; the limit is {limit}")));
        }
        Ok(body)
    }

    /// Asks whoever of the addresses answers, and asks again until the deadline: requests are such that a repeat does
    /// no harm. The server's own refusals come as `ControlReply::Failed`.
    pub async fn call(&self, request: ControlRequest, deadline: Duration) -> Result<ControlReply> {
        let body = Self::encode(&request)?;
        self.try_addresses(Instant::now() + deadline, |link| {
            let body = body.clone();
            async move { link.call(&self.inner.identity, &body).await }
        })
        .await
    }

    /// Asks this address, once.
    pub async fn call_at(
        &self,
        address: SocketAddr,
        request: ControlRequest,
        deadline: Duration,
    ) -> Result<ControlReply> {
        let (body, link) = (Self::encode(&request)?, self.link(address)?);
        let deadline = Instant::now() + deadline;
        flatten(address, timeout_at(deadline, link.call(&self.inner.identity, &body)).await)
    }

    /// Maps behind `have` and every new one, from whoever of the addresses answers first. When the stream ends, the
    /// caller subscribes again with what it has then.
    pub async fn subscribe(&self, have: Epoch) -> Result<MapStream> {
        let rounds = u32::try_from(self.inner.addresses.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + ATTEMPT_TIMEOUT * rounds.max(1);
        let subscribe = async |link: Arc<Link>| link.subscribe(&self.inner.identity, have).await;
        self.try_addresses(deadline, subscribe).await
    }

    async fn try_addresses<T, F: Future<Output = Result<T, AttemptError>>>(
        &self,
        deadline: Instant,
        attempt: impl Fn(Arc<Link>) -> F,
    ) -> Result<T> {
        let addresses = &self.inner.addresses;
        if addresses.is_empty() {
            return Err(Error::invalid("no monitor's address is known"));
        }
        let mut pause = PAUSE_MIN;
        let (mut failed, mut refused) = (0, 0);
        loop {
            let index = self.inner.preferred.load(Ordering::Relaxed) % addresses.len();
            let address = addresses[index];
            let link = self.link(address)?;
            let until = deadline.min(Instant::now() + ATTEMPT_TIMEOUT);
            let outcome = timeout_at(until, attempt(link)).await;
            refused += usize::from(matches!(outcome, Ok(Err(AttemptError::Refused(_)))));
            let is_final = matches!(outcome, Ok(Err(AttemptError::Final(_))));
            let error = match flatten(address, outcome) {
                Err(error) if !is_final => error,
                outcome => return outcome,
            };
            tracing::debug!(%error, "a control attempt failed");
            // Another caller may have moved on already; then this one follows instead of skipping an address.
            let next = (index + 1) % addresses.len();
            let _ = self.inner.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
            failed += 1;
            if Instant::now() >= deadline || refused == addresses.len() {
                return Err(error);
            }
            if failed == addresses.len() {
                (failed, refused) = (0, 0);
                sleep_until(deadline.min(Instant::now() + pause)).await;
                pause = (2 * pause).min(PAUSE_MAX);
            }
        }
    }
}

fn flatten<T>(address: SocketAddr, outcome: Result<Result<T, AttemptError>, tokio::time::error::Elapsed>) -> Result<T> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(AttemptError::Unreachable(error) | AttemptError::Refused(error) | AttemptError::Final(error))) => {
            Err(error)
        }
        Ok(Err(AttemptError::SessionLost)) => Err(Error::retry(format!("{address} lost the session"))),
        Err(_) => Err(Error::retry(format!("{address} did not answer in time"))),
    }
}

/// Maps from one server, as they come.
pub struct MapStream {
    link: Arc<Link>,
    session: Arc<ClientSession>,
    counter: u64,
    index: u64,
    stream: Streaming<Bytes>,
}

impl MapStream {
    /// From where they come.
    pub fn address(&self) -> SocketAddr {
        self.link.address
    }

    /// The next maps; `None` when the server ended the stream or the connection broke. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<MapShare> {
        let address = self.link.address;
        let message = match self.stream.message().await {
            Ok(message) => message?,
            Err(status) => {
                tracing::debug!(%address, %status, "a subscription broke");
                return None;
            }
        };
        let sealed = Sealed::split(message)
            .filter(|sealed| sealed.session == self.session.number && sealed.counter == self.index)
            .and_then(|sealed| sealed.open(&self.session.key, Purpose::Share(self.counter)));
        let Some(body) = sealed else {
            tracing::warn!(%address, "maps came that the server did not seal");
            return None;
        };
        self.index += 1;
        match decode_map_share(&body) {
            Ok(share) => Some(share),
            Err(error) => {
                tracing::warn!(%address, %error, "maps came that cannot be read");
                None
            }
        }
    }
}

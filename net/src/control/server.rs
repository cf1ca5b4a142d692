//! The server of the control plane.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::Pin, sync::Arc, task, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, ServerStreamingService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use types::{EntityName, Epoch, Error, Result, limits};
use wire::{ControlReply, ControlRequest, MapShare, decode_control_request, encode_control_reply, encode_map_share};

use super::{
    codec::{CALL, HELLO, PROVE, RawCodec, SERVICE, SUBSCRIBE},
    sealed::{Purpose, SEALED_HEAD_BYTES, seal},
    sessions::Sessions,
};
use crate::{
    Identity, Refusal,
    greeting::{BLOCK_BYTES, Block, encode_refusal},
    socket::listen,
};

/// How often an idle connection is tried, and how long the answer may take: dead after five seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// Calls at once on one connection.
const STREAMS_MAX: u32 = 512;
/// Bytes in flight on one stream and on one connection before the receiver has taken them.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Who answers.
#[async_trait::async_trait]
pub trait ControlHandler: Send + Sync + 'static {
    /// Answers a request of a proved peer.
    async fn handle(&self, peer: EntityName, request: ControlRequest) -> ControlReply;

    /// Maps behind `have`, and then every new one, until the receiver is dropped. The sender decides what to do with a
    /// subscriber that does not keep up; ending the channel makes it subscribe again with what it has.
    async fn subscribe(&self, peer: EntityName, have: Epoch) -> mpsc::Receiver<MapShare>;
}

/// A running server. Dropping it does not stop it; its shutdown does.
#[derive(Debug)]
pub struct ControlServer {
    local_address: SocketAddr,
    task: JoinHandle<()>,
}

impl ControlServer {
    /// Serves at the address until `shutdown` resolves; port zero lets the kernel choose.
    pub fn start(
        address: SocketAddr,
        identity: Identity,
        handler: Arc<dyn ControlHandler>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self> {
        identity.check()?;
        let (listener, local_address) = listen(address)?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let (stop, stopping) = watch::channel(false);
        let service = ControlService { sessions: Arc::new(Sessions::new(identity)), handler, stopping };
        let router = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .add_service(service);
        let stopped = async move {
            shutdown.await;
            // Calls and subscriptions under way end too; otherwise a graceful end would wait for them.
            stop.send_replace(true);
        };
        let task = tokio::spawn(async move {
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, stopped).await {
                tracing::error!(%error, "the control plane's server stopped");
            }
        });
        Ok(Self { local_address, task })
    }

    /// Where it serves.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Waits until it has stopped, after its shutdown.
    pub async fn stopped(self) -> Result<()> {
        self.task.await.map_err(|error| Error::internal(format!("the control plane's server stopped: {error}")))
    }
}

#[derive(Clone)]
struct ControlService {
    sessions: Arc<Sessions>,
    handler: Arc<dyn ControlHandler>,
    stopping: watch::Receiver<bool>,
}

impl NamedService for ControlService {
    const NAME: &'static str = SERVICE;
}

/// Resolves when the server stops.
async fn stops(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
}

fn block(bytes: &[u8]) -> Result<&Block, Status> {
    bytes.try_into().map_err(|_| Status::invalid_argument(format!("a step of the handshake has {BLOCK_BYTES} bytes")))
}

fn refuse(refusal: &Refusal) -> Block {
    tracing::warn!(reason = %refusal, "this side refuses a control connection");
    encode_refusal(refusal)
}

impl ControlService {
    fn hello(&self, message: &Bytes) -> Result<Bytes, Status> {
        let (number, block) = self.sessions.hello(block(message)?).unwrap_or_else(|refusal| (0, refuse(&refusal)));
        Ok(Bytes::from([&number.to_le_bytes()[..], &block].concat()))
    }

    fn prove(&self, message: &Bytes) -> Result<Bytes, Status> {
        let Some((number, proof)) = message.split_first_chunk::<8>() else {
            return Err(Status::invalid_argument("a proof begins with the number of its handshake"));
        };
        let answer = self.sessions.prove(u64::from_le_bytes(*number), block(proof)?);
        Ok(Bytes::copy_from_slice(&answer.unwrap_or_else(|refusal| refuse(&refusal))))
    }

    async fn call(self, message: Bytes) -> Result<Bytes, Status> {
        let (session, number, counter, body) =
            self.sessions.open(message, Purpose::Call).map_err(Status::unauthenticated)?;
        let reply = match decode_control_request(&body) {
            Ok(request) => tokio::select! {
                reply = self.handler.handle(session.entity.clone(), request) => reply,
                () = stops(self.stopping.clone()) => return Err(Status::unavailable("the server stops")),
            },
            Err(error) => ControlReply::Failed(error),
        };
        let mut body = encode_control_reply(&reply);
        if body.len() > limits::CONTROL_MESSAGE_BYTES_MAX {
            let message = format!("the answer has {} bytes, more than a message may have", body.len());
            body = encode_control_reply(&ControlReply::Failed(Error::internal(message)));
        }
        Ok(seal(&session.key, Purpose::Reply, number, counter, &body))
    }

    async fn subscribe(self, message: Bytes) -> Result<ShareStream, Status> {
        let (session, number, counter, body) =
            self.sessions.open(message, Purpose::Subscribe).map_err(Status::unauthenticated)?;
        let have: [u8; 4] =
            body[..].try_into().map_err(|_| Status::invalid_argument("a subscription names one epoch"))?;
        let shares = self.handler.subscribe(session.entity.clone(), Epoch(u32::from_le_bytes(have))).await;
        let sealed = ReceiverStream::new(shares).enumerate().map(move |(index, share)| {
            let body = encode_map_share(&share);
            if body.len() > limits::CONTROL_MESSAGE_BYTES_MAX {
                return Err(Status::internal(format!("maps of {} bytes are more than a message may have", body.len())));
            }
            Ok(seal(&session.key, Purpose::Share(counter), number, index as u64, &body))
        });
        Ok(Box::pin(sealed.take_until(stops(self.stopping))))
    }
}

type ShareStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// One of the methods with one answer.
enum Unary {
    Hello(ControlService),
    Prove(ControlService),
    Call(ControlService),
}

impl UnaryService<Bytes> for Unary {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        match self {
            Self::Hello(service) => {
                let answer = service.hello(&message);
                Box::pin(async move { answer.map(Response::new) })
            }
            Self::Prove(service) => {
                let answer = service.prove(&message);
                Box::pin(async move { answer.map(Response::new) })
            }
            Self::Call(service) => {
                let service = service.clone();
                Box::pin(async move { service.call(message).await.map(Response::new) })
            }
        }
    }
}

struct Subscribe(ControlService);

impl ServerStreamingService<Bytes> for Subscribe {
    type Response = Bytes;
    type ResponseStream = ShareStream;
    type Future = BoxFuture<Response<ShareStream>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move { service.subscribe(request.into_inner()).await.map(Response::new) })
    }
}

impl Service<http::Request<Body>> for ControlService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _context: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        let handshake_bytes_max = BLOCK_BYTES + 8;
        let message_bytes_max = limits::CONTROL_MESSAGE_BYTES_MAX + SEALED_HEAD_BYTES;
        let grpc = |most: usize| {
            Grpc::new(RawCodec).max_decoding_message_size(most).max_encoding_message_size(message_bytes_max)
        };
        match request.uri().path() {
            HELLO => {
                let mut grpc = grpc(handshake_bytes_max);
                Box::pin(async move { Ok(grpc.unary(Unary::Hello(service), request).await) })
            }
            PROVE => {
                let mut grpc = grpc(handshake_bytes_max);
                Box::pin(async move { Ok(grpc.unary(Unary::Prove(service), request).await) })
            }
            CALL => {
                let mut grpc = grpc(message_bytes_max);
                Box::pin(async move { Ok(grpc.unary(Unary::Call(service), request).await) })
            }
            SUBSCRIBE => {
                let mut grpc = grpc(handshake_bytes_max);
                Box::pin(async move { Ok(grpc.server_streaming(Subscribe(service), request).await) })
            }
            path => {
                let status = Status::unimplemented(format!("there is no method {path}"));
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}

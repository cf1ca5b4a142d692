//! The gateway as a server: connections in, answers out, an orderly end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use client::{Cluster, Error};
use futures::{FutureExt, future::BoxFuture};
use hyper::{Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, rt::TokioTimer, server::graceful::GracefulShutdown};
use s3s::{
    config::{S3Config, StaticConfigProvider},
    service::{S3Service, S3ServiceBuilder},
};
use telemetry::clock::{boot_clock_now, instant_of};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{
    auth::Keys,
    gateway::{Gateway, Settings},
    metrics::Format,
    service::Service,
};

/// Open connections; more wait to be accepted. Each costs some tens of KiB, and what its request holds of the budgets.
const CONNECTIONS_MAX: usize = 2048;
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long nothing is accepted after an accept that failed, as it does when all files are open.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long requests under way may take when the gateway ends.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a form upload: its body is held in memory.
const FORM_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a request's XML: a thousand keys of 1,024 bytes, escaped.
const XML_BYTES_MAX: usize = 8 << 20;

/// A gateway that is connected to its cluster.
#[derive(Debug, Clone)]
pub struct Server {
    gateway: Arc<Gateway>,
}

impl Server {
    /// Makes the pools where they are missing.
    pub async fn open(cluster: Cluster, settings: Settings) -> client::Result<Self> {
        Ok(Self { gateway: Gateway::open(cluster, settings).await? })
    }

    /// Serves until `shutdown` ends; then requests under way are finished. Metrics are served where a listener for
    /// them is given.
    ///
    /// # Errors
    /// When the cluster refuses this gateway: another took it for dead.
    pub async fn run(
        &self,
        listener: TcpListener,
        metrics: Option<TcpListener>,
        shutdown: impl Future<Output = ()>,
    ) -> client::Result<()> {
        let service = self.service();
        let graceful = GracefulShutdown::new();
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let metrics = metrics.map(|listener| tokio::spawn(serve_metrics(listener, Arc::clone(&self.gateway))));
        let running = self.gateway.run();
        tokio::pin!(shutdown, running);
        let outcome = loop {
            let accepted = async {
                let place = Arc::clone(&connections).acquire_owned().await;
                (listener.accept().await, place)
            };
            tokio::select! {
                () = &mut shutdown => break Ok(()),
                error = &mut running => break Err(error),
                (accepted, place) = accepted => match accepted {
                    Ok((stream, _)) => {
                        prepare(&stream);
                        let connection = connection(stream, service.clone());
                        let watched = graceful.watch(connection);
                        let gateway = Arc::clone(&self.gateway);
                        let open = Arc::clone(&connections);
                        tokio::spawn(async move {
                            gateway.note_connections(CONNECTIONS_MAX - open.available_permits());
                            if let Err(error) = watched.await {
                                tracing::debug!(%error, "a connection ended");
                            }
                            drop(place);
                            gateway.note_connections(CONNECTIONS_MAX - open.available_permits());
                        });
                    }
                    // Too many open files, say: those that are open go on.
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        rest().await;
                    }
                },
            }
        };
        drop(listener);
        if outcome.is_ok() {
            let deadline = instant_of(boot_clock_now() + FAREWELL_TIMEOUT);
            if tokio::time::timeout_at(deadline.into(), graceful.shutdown()).await.is_err() {
                tracing::warn!("some requests were not finished");
            }
            // What is left of the ledger is found by another gateway: a cluster that lets writes wait holds nobody up.
            match tokio::time::timeout_at(deadline.into(), self.gateway.ledger.close()).await {
                Ok(closed) => closed?,
                Err(_) => tracing::warn!("the ledger was not closed: the cluster lets writes wait"),
            }
        }
        if let Some(metrics) = metrics {
            metrics.abort();
        }
        outcome
    }

    fn service(&self) -> Counted {
        let keys = Keys::new(self.gateway.users.clone());
        let mut builder = S3ServiceBuilder::new(Service { gateway: Arc::clone(&self.gateway), keys: keys.clone() });
        let mut config = S3Config::default();
        config.post_object_max_file_size = FORM_BYTES_MAX;
        config.xml_max_body_size = XML_BYTES_MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_auth(keys);
        Counted { service: builder.build(), gateway: Arc::clone(&self.gateway) }
    }
}

/// The protocol library, with what it leaves out: a count of all its answers, since it refuses a wrong signature before
/// any operation hears of it, and the status of a HEAD that asks for a range.
#[derive(Clone)]
struct Counted {
    service: S3Service,
    gateway: Arc<Gateway>,
}

impl hyper::service::Service<hyper::Request<Incoming>> for Counted {
    type Response = s3s::HttpResponse;
    type Error = s3s::HttpError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let is_head = request.method() == hyper::Method::HEAD;
        let answer = hyper::service::Service::call(&self.service, request);
        let gateway = Arc::clone(&self.gateway);
        async move {
            let mut answer = answer.await?;
            if is_head && answer.status().is_success() && answer.headers().contains_key(hyper::header::CONTENT_RANGE) {
                *answer.status_mut() = hyper::StatusCode::PARTIAL_CONTENT;
            }
            gateway.metrics.responses.with(answer.status().as_u16()).increment();
            Ok(answer)
        }
        .boxed()
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, Counted>;

fn connection(stream: TcpStream, service: Counted) -> Connection {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
}

fn prepare(stream: &TcpStream) {
    // An answer goes out as it is ready; waiting for more to send with it costs 40 ms at worst.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "set TCP_NODELAY");
    }
}

/// Between a connection that could not be accepted and the next try.
async fn rest() {
    tokio::time::sleep_until(instant_of(boot_clock_now() + ACCEPT_REST).into()).await;
}

async fn serve_metrics(listener: TcpListener, gateway: Arc<Gateway>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a reader of metrics was not accepted");
                rest().await;
                continue;
            }
        };
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let found = request.uri().path() == "/metrics";
                let accept = request.headers().get(hyper::header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
                let format = Format::accepted(accept);
                let text = if found { gateway.metrics.render(format) } else { "see /metrics\n".to_owned() };
                let kind = if found { format.content_type() } else { "text/plain" };
                let status = if found { hyper::StatusCode::OK } else { hyper::StatusCode::NOT_FOUND };
                async move {
                    let answer = Response::builder().status(status).header(hyper::header::CONTENT_TYPE, kind);
                    answer.body(http_body_util::Full::new(Bytes::from(text)))
                }
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            if let Err(error) = served {
                tracing::debug!(%error, "a reader of metrics went away");
            }
        });
    }
}

impl Gateway {
    fn note_connections(&self, open: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge's value; bounded by the connections' bound")]
        self.metrics.connections.set(open as f64);
    }
}

/// Listens there.
///
/// # Errors
/// `Invalid` when somebody else does, or the address is not this machine's.
pub async fn listen(address: SocketAddr) -> client::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Error::invalid(format!("listen on {address}: {error}; another port is given by --port")))
}

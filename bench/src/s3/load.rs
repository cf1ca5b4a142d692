//! Load on an S3 service: requests of one kind, so many in flight, each counted from its first byte sent to its answer's
//! last byte received.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use telemetry::clock::boot_clock_now;
use tokio::{net::TcpStream, task::JoinSet};
use types::{Seed, SeededRandom, Time};

use super::service::Service;

/// Answers of which the text is kept: refusals and pages of listings. Data is counted and dropped.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// What one measurement found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Requests, or whole listings.
    pub count: usize,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Processor time of all processes of the service, for one.
    pub service_cpu_ms: f64,
}

/// When requests stop being sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// At a time.
    At(Time),
    /// When all of them were sent.
    AfterAll,
}

/// Which of so many keys is the next.
pub(crate) enum Order {
    /// One after the other.
    InTurn(Cell<usize>),
    /// Any of them, again and again.
    Random(RefCell<SeededRandom>),
}

impl Order {
    pub fn in_turn() -> Self {
        Self::InTurn(Cell::new(0))
    }

    pub fn random() -> Self {
        Self::Random(RefCell::new(SeededRandom::new(Seed(16))))
    }

    fn next(&self, keys: usize) -> Option<usize> {
        match self {
            Self::InTurn(next) => (next.get() < keys).then(|| next.replace(next.get() + 1)),
            Self::Random(random) => usize::try_from(random.borrow_mut().below(keys as u64)).ok(),
        }
    }
}

/// One kind of request.
pub(crate) struct Load {
    pub method: Method,
    pub bucket: String,
    /// What keys begin with.
    pub prefix: String,
    /// Keys that there are, or that may be made.
    pub keys: usize,
    /// Bytes of an object, sent or expected.
    pub bytes: usize,
    pub in_flight: usize,
    pub order: Order,
    pub end: End,
}

/// Runs a load. The caller's runtime must be single-threaded: the service shall have the other processors.
pub(crate) async fn run(service: &Service, load: Load) -> Result<Figures> {
    let body = match load.method {
        Method::PUT => Bytes::from((0..load.bytes).map(|at| (at * 31 % 251).to_le_bytes()[0]).collect::<Vec<u8>>()),
        _ => Bytes::new(),
    };
    let expected = if load.method == Method::GET { load.bytes } else { 0 };
    let load = Rc::new(load);
    let service = Rc::new(service.clone());
    let mut connections = Vec::with_capacity(load.in_flight);
    for _ in 0..load.in_flight {
        connections.push(Connection::open(&service.host).await?);
    }
    let (begun, spent) = (boot_clock_now(), service.processor_time()?);
    let mut workers = JoinSet::new();
    for mut connection in connections {
        let (load, service, body) = (Rc::clone(&load), Rc::clone(&service), body.clone());
        workers.spawn_local(async move {
            let mut latencies = Vec::new();
            loop {
                if matches!(load.end, End::At(deadline) if boot_clock_now() >= deadline) {
                    return Ok::<_, anyhow::Error>(latencies);
                }
                let Some(number) = load.order.next(load.keys) else { return Ok(latencies) };
                let key = format!("{}{number:08}", load.prefix);
                let target = service.presign(load.method.as_str(), &load.bucket, &key, &[]);
                let sent = boot_clock_now();
                let answer = connection.send(load.method.clone(), &target, body.clone()).await?;
                latencies.push(boot_clock_now().since(sent));
                ensure!(
                    matches!(answer.status, 200 | 204) && answer.bytes == expected,
                    "{} {key} was answered with {} and {} bytes: {}",
                    load.method,
                    answer.status,
                    answer.bytes,
                    answer.text
                );
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(worker) = workers.join_next().await {
        latencies.extend(worker.context("a worker ended")??);
    }
    let elapsed = boot_clock_now().since(begun);
    Ok(figures(latencies, elapsed, service.processor_time()?.saturating_sub(spent)))
}

/// Lists a bucket from end to end, by pages of a thousand, again and again.
pub(crate) async fn list(service: &Service, bucket: &str, keys: usize, deadline: Time) -> Result<Figures> {
    let mut connection = Connection::open(&service.host).await?;
    let (begun, spent) = (boot_clock_now(), service.processor_time()?);
    let mut latencies = Vec::new();
    while latencies.is_empty() || boot_clock_now() < deadline {
        let (sent, mut marker, mut found) = (boot_clock_now(), String::new(), 0);
        loop {
            let query = [("marker", marker.as_str()), ("max-keys", "1000")];
            let target = service.presign("GET", bucket, "", &query);
            let page = connection.send(Method::GET, &target, Bytes::new()).await?;
            ensure!(page.status == 200, "a listing was answered with {}: {}", page.status, page.text);
            found += page.text.matches("<Key>").count();
            let last = page.text.rsplit("<Key>").next().and_then(|rest| rest.split("</Key>").next());
            last.unwrap_or_default().clone_into(&mut marker);
            if !page.text.contains("<IsTruncated>true</IsTruncated>") {
                break;
            }
        }
        ensure!(found == keys, "a listing shows {found} of {keys} keys");
        latencies.push(boot_clock_now().since(sent));
    }
    let elapsed = boot_clock_now().since(begun);
    Ok(figures(latencies, elapsed, service.processor_time()?.saturating_sub(spent)))
}

/// Makes a bucket, if it is not there.
pub(crate) async fn make_bucket(service: &Service, bucket: &str) -> Result<()> {
    let mut connection = Connection::open(&service.host).await?;
    let answer = connection.send(Method::PUT, &service.presign("PUT", bucket, "", &[]), Bytes::new()).await?;
    match answer.status {
        200 | 409 => Ok(()),
        status => bail!("{} does not make a bucket ({status}): {}", service.name, answer.text),
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for a human; exact up to 2^53")]
fn figures(mut latencies: Vec<Duration>, elapsed: Duration, spent: Duration) -> Figures {
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).map_or(0.0, Duration::as_secs_f64) * 1e3;
    Figures {
        count: latencies.len(),
        per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
        p50_ms: at(50),
        p99_ms: at(99),
        service_cpu_ms: spent.as_secs_f64() * 1e3 / latencies.len().max(1) as f64,
    }
}

/// An answer that was received to its end.
struct Answer {
    status: u16,
    bytes: usize,
    /// The first bytes, where they are text.
    text: String,
}

/// One connection that is kept.
struct Connection {
    host: String,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host).await.with_context(|| format!("connect to {host}"))?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("begin HTTP")?;
        tokio::spawn(connection);
        Ok(Self { host: host.to_owned(), sender })
    }

    async fn send(&mut self, method: Method, target: &str, body: Bytes) -> Result<Answer> {
        self.sender.ready().await.context("the service closed the connection")?;
        let request = Request::builder().method(method).uri(target).header("host", &self.host).body(Full::new(body))?;
        let answer = self.sender.send_request(request).await.context("send a request")?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_text = kind.contains("xml");
        let (mut bytes, mut text, mut body) = (0, Vec::new(), answer.into_body());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.context("receive an answer")?.into_data() else { continue };
            bytes += data.len();
            if is_text {
                ensure!(text.len() + data.len() <= TEXT_BYTES_MAX, "an answer in XML has no end");
                text.extend_from_slice(&data);
            }
        }
        Ok(Answer { status, bytes, text: String::from_utf8_lossy(&text).into_owned() })
    }
}

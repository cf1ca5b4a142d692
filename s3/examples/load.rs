//! A load generator for any S3 service, so that two can be compared in one run.
//!
//! ```sh
//! eval "$(ika s3 env)"
//! cargo run -p ika-s3 --example load -- put 4096 16 8 1000      # OPERATION BYTES IN_FLIGHT SECONDS OBJECTS
//! ```
//! `put` writes OBJECTS keys again and again, `get` reads those that a `put` wrote, `fill` writes each of them once,
//! `list` lists the bucket from one end to the other, by pages of a thousand. Requests are presigned before the clock
//! starts, so that what is measured is the service. Prints one line of JSON.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use telemetry::clock::{boot_clock_now, instant_of, wall_clock_now};
use tokio::net::TcpStream;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The bucket that is used; made if it is not there.
const BUCKET: &str = "load";
/// Seconds for which addresses are valid.
const VALID_SECONDS: u32 = 86_400;

struct Service {
    host: String,
    region: String,
    access: String,
    secret: String,
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [operation, numbers @ ..] = words.as_slice() else { return Err("see the head of this file".into()) };
    let numbers: Vec<usize> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [bytes, in_flight, seconds, objects] = numbers[..] else {
        return Err("OPERATION BYTES IN_FLIGHT SECONDS OBJECTS".into());
    };
    let variable = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
    let endpoint = variable("AWS_ENDPOINT_URL")?;
    let service = Service {
        host: endpoint
            .strip_prefix("http://")
            .ok_or("the endpoint is not http://HOST:PORT")?
            .trim_end_matches('/')
            .to_owned(),
        region: variable("AWS_DEFAULT_REGION")?,
        access: variable("AWS_ACCESS_KEY_ID")?,
        secret: variable("AWS_SECRET_ACCESS_KEY")?,
    };
    // One thread, so that the service has the other core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(&service.host).await?;
        let (status, _) = connection.send(Method::PUT, &service.presign("PUT", "", &[]), Bytes::new()).await?;
        if !matches!(status, 200 | 409) {
            return Err(format!("the bucket could not be made: {status}").into());
        }
        if operation == "list" {
            return list(&service, connection, seconds).await;
        }
        run(&service, operation, bytes, in_flight, seconds, objects).await
    })
}

async fn run(
    service: &Service,
    operation: &str,
    bytes: usize,
    in_flight: usize,
    seconds: usize,
    objects: usize,
) -> Result<(), Failure> {
    let method = match operation {
        "put" | "fill" => Method::PUT,
        "get" => Method::GET,
        other => return Err(format!("`{other}` is none of put, fill, get, list").into()),
    };
    let signed: Vec<String> =
        (0..objects).map(|number| service.presign(method.as_str(), &format!("{bytes}-{number:06}"), &[])).collect();
    let signed = Arc::new(signed);
    let data: Vec<u8> = (0..bytes).map(|at| u8::try_from(at * 31 % 251).unwrap_or(0)).collect();
    let body = if method == Method::PUT { Bytes::from(data) } else { Bytes::new() };
    let (next, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let once = operation == "fill";
    let mut workers = Vec::new();
    let begun = boot_clock_now();
    for _ in 0..in_flight {
        let mut connection = Connection::open(&service.host).await?;
        let (signed, next, over) = (Arc::clone(&signed), Arc::clone(&next), Arc::clone(&over));
        let (method, body) = (method.clone(), body.clone());
        workers.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if once && number >= signed.len() {
                    break;
                }
                // A stride that no usual number of objects shares a divisor with: reads do not follow the writes.
                let at = if once { number } else { number.wrapping_mul(7919) % signed.len() };
                let sent = boot_clock_now();
                let (status, received) = connection.send(method.clone(), &signed[at], body.clone()).await?;
                latencies.push(boot_clock_now().since(sent));
                if status != 200 || (method == Method::GET && received.len() != bytes) {
                    return Err::<_, Failure>(format!("{status} and {} bytes", received.len()).into());
                }
            }
            Ok(latencies)
        }));
    }
    if !once {
        let deadline = begun + Duration::from_secs(seconds as u64);
        tokio::time::sleep_until(instant_of(deadline).into()).await;
        over.store(true, Ordering::Relaxed);
    }
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await??);
    }
    report(operation, bytes, in_flight, boot_clock_now().since(begun), latencies);
    Ok(())
}

async fn list(service: &Service, mut connection: Connection, seconds: usize) -> Result<(), Failure> {
    let begun = boot_clock_now();
    let (mut latencies, mut keys) = (Vec::new(), 0);
    while boot_clock_now().since(begun) < Duration::from_secs(seconds as u64) {
        let (sent, mut marker) = (boot_clock_now(), String::new());
        keys = 0;
        loop {
            let query = [("marker", marker.as_str()), ("max-keys", "1000")];
            let (status, page) =
                connection.send(Method::GET, &service.presign("GET", "", &query), Bytes::new()).await?;
            let page = String::from_utf8_lossy(&page).into_owned();
            if status != 200 {
                return Err(format!("a listing was refused: {status} {page}").into());
            }
            keys += page.matches("<Key>").count();
            let last = page.rsplit("<Key>").next().and_then(|rest| rest.split("</Key>").next()).unwrap_or_default();
            if !page.contains("<IsTruncated>true</IsTruncated>") {
                break;
            }
            last.clone_into(&mut marker);
        }
        latencies.push(boot_clock_now().since(sent));
    }
    report(&format!("list of {keys}"), 0, 1, boot_clock_now().since(begun), latencies);
    Ok(())
}

fn report(operation: &str, bytes: usize, in_flight: usize, elapsed: Duration, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let count = latencies.len();
    #[expect(clippy::cast_precision_loss, reason = "figures for a human")]
    let (rate, megabytes) =
        (count as f64 / elapsed.as_secs_f64(), (count * bytes) as f64 / 1e6 / elapsed.as_secs_f64());
    println!(
        "{{\"operation\": \"{operation}\", \"bytes\": {bytes}, \"in_flight\": {in_flight}, \"count\": {count}, \
         \"per_second\": {rate:.1}, \"mb_per_second\": {megabytes:.1}, \"p50_ms\": {:.2}, \"p99_ms\": {:.2}}}",
        at(50),
        at(99)
    );
}

/// One connection that is kept.
struct Connection {
    host: String,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn open(host: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { host: host.to_owned(), sender })
    }

    async fn send(&mut self, method: Method, target: &str, body: Bytes) -> Result<(u16, Bytes), Failure> {
        self.sender.ready().await?;
        let request = Request::builder().method(method).uri(target).header("host", &self.host).body(Full::new(body))?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

impl Service {
    /// A signed path and query: Signature Version 4 in the query, the body unsigned.
    fn presign(&self, method: &str, key: &str, query: &[(&str, &str)]) -> String {
        let (date, time) = date_and_time();
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let path = if key.is_empty() { format!("/{BUCKET}") } else { format!("/{BUCKET}/{key}") };
        let mut pairs: Vec<(String, String)> = vec![
            ("X-Amz-Algorithm".into(), "AWS4-HMAC-SHA256".into()),
            ("X-Amz-Credential".into(), encode(&format!("{}/{scope}", self.access))),
            ("X-Amz-Date".into(), format!("{date}T{time}Z")),
            ("X-Amz-Expires".into(), VALID_SECONDS.to_string()),
            ("X-Amz-SignedHeaders".into(), "host".into()),
        ];
        pairs.extend(query.iter().map(|(name, value)| ((*name).to_owned(), encode(value))));
        pairs.sort();
        let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let canonical = format!("{method}\n{path}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", self.host);
        let digest = hexadecimal(&Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{date}T{time}Z\n{scope}\n{digest}");
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for word in [date.as_str(), &self.region, "s3", "aws4_request", &text] {
            key = keyed(&key, word.as_bytes());
        }
        format!("{path}?{query}&X-Amz-Signature={}", hexadecimal(&key))
    }
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// `20260102` and `030405`, in UTC.
fn date_and_time() -> (String, String) {
    let seconds = wall_clock_now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let date = format!("{:04}{:02}{:02}", time.year(), u8::from(time.month()), time.day());
    (date, format!("{:02}{:02}{:02}", time.hour(), time.minute(), time.second()))
}

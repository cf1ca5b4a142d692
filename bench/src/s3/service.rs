//! An S3 service as a client with a key sees it: where it is, and addresses that it accepts.
//!
//! Signature Version 4 in the query, as AWS's "Authenticating Requests: Using Query Parameters" has it, with the body
//! unsigned: what is measured is the service, and both of a comparison verify the same signature.

use std::{
    env,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use telemetry::{ProcessStatistics, clock::wall_clock_now};

/// Seconds for which addresses are valid: longer than any measurement.
const VALID_SECONDS: u32 = 86_400;

/// A service and a key for it.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// What tables call it.
    pub name: String,
    /// `HOST:PORT`.
    pub host: String,
    /// Its processes on this machine, whose processor time is its cost.
    pub processes: Vec<u32>,
    region: String,
    access: String,
    secret: String,
}

impl Service {
    /// A service at an endpoint like `http://127.0.0.1:7480`.
    pub fn new(name: &str, endpoint: &str, region: &str, access: &str, secret: &str) -> Result<Self> {
        let host = endpoint.strip_prefix("http://").context("the endpoint is not http://HOST:PORT")?;
        Ok(Self {
            name: name.to_owned(),
            processes: Vec::new(),
            host: host.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
            access: access.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// The service that the variables `PEER_…` name.
    pub fn peer() -> Result<Self> {
        let variable =
            |name: &str| env::var(name).with_context(|| format!("{name} is not set; see docs/performance.md"));
        let mut peer = Self::new(
            &env::var("PEER_NAME").unwrap_or_else(|_| "peer".to_owned()),
            &variable("PEER_ENDPOINT_URL")?,
            "us-east-1",
            &variable("PEER_ACCESS_KEY_ID")?,
            &variable("PEER_SECRET_ACCESS_KEY")?,
        )?;
        let processes = env::var("PEER_PROCESSES").unwrap_or_default();
        let ids = processes.split_whitespace().map(|id| id.parse().with_context(|| format!("`{id}` is no process id")));
        peer.processes = ids.collect::<Result<_>>()?;
        Ok(peer)
    }

    /// Processor time of all its processes so far.
    pub fn processor_time(&self) -> Result<Duration> {
        let times = self.processes.iter().map(|id| Ok(ProcessStatistics::of_process(*id)?.cpu_time()));
        times.sum::<Result<_>>()
    }

    /// A signed path and query for `/BUCKET/KEY` (or the bucket, when the key is empty).
    pub fn presign(&self, method: &str, bucket: &str, key: &str, query: &[(&str, &str)]) -> String {
        let (date, time) = date_and_time();
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let path = if key.is_empty() { format!("/{bucket}") } else { format!("/{bucket}/{key}") };
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
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
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
    let now = wall_clock_now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = time::OffsetDateTime::UNIX_EPOCH + now;
    let date = format!("{:04}{:02}{:02}", time.year(), u8::from(time.month()), time.day());
    (date, format!("{:02}{:02}{:02}", time.hour(), time.minute(), time.second()))
}

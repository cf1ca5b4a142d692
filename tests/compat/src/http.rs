//! One request to a server on loopback.

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Asks `127.0.0.1:PORT`; JSON goes in where there is any.
pub(crate) async fn ask(port: u16, method: Method, path: &str, json: Option<String>) -> Result<(StatusCode, Bytes)> {
    let what = format!("{method} {path} of port {port}");
    let asked = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("127.0.0.1:{port}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(json.unwrap_or_default())))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        connection.abort();
        anyhow::Ok((status, bytes))
    };
    asked.await.context(what)
}

/// The text behind an address on this machine.
pub async fn get_text(url: &str) -> Result<String> {
    let place = url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once('/'));
    let (port, path) = place.with_context(|| format!("{url} is not on this machine"))?;
    let (status, bytes) =
        ask(port.parse().context("a port is a number")?, Method::GET, &format!("/{path}"), None).await?;
    if !status.is_success() {
        bail!("{url} answered {status}");
    }
    String::from_utf8(bytes.into()).with_context(|| format!("{url} is no text"))
}

//! What the gateway tells Prometheus, as `promtool` and a reader of either text format see it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests_compat::{Tool, Tools, complaints_of_promtool, get_text, run};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::gateway::Gateway;

/// A second gateway of the same cluster counts what is asked of it, and only that.
pub(crate) async fn gateway_metrics(gateway: &Gateway, tools: &Tools) -> Result<()> {
    let Some(python) = tools.find(Tool::Boto3) else { return Ok(()) };
    let mut second = Command::new(gateway.cluster.program());
    second.args(["s3", "run", "--id", "counting", "--port", "0", "--metrics-port", "0", "--config"]);
    second.arg(gateway.cluster.path().join("ika.toml"));
    second.arg("--log").arg(gateway.cluster.path().join("log/s3.counting.log")).stdout(Stdio::piped());
    let mut second = tokio::process::Command::from(second).kill_on_drop(true).spawn().context("start a gateway")?;
    let mut said = String::new();
    let output = second.stdout.take().context("its output is a pipe")?;
    BufReader::new(output).read_line(&mut said).await.context("hear where it serves")?;
    let addresses = said.trim_end().strip_prefix("s3.counting serves on ");
    let addresses = addresses.and_then(|addresses| addresses.split_once(", its metrics on "));
    let (requests, figures) = addresses.with_context(|| format!("the gateway says {said:?}"))?;

    for _ in 0..3 {
        let refused = get_text(&format!("http://{requests}/some-bucket")).await;
        ensure!(refused.is_err_and(|error| error.to_string().contains("403")), "an unsigned request was served");
    }
    let asked = ["-c", "import boto3; boto3.client('s3').list_buckets()"];
    run(gateway.command(&python).args(asked).env("AWS_ENDPOINT_URL", format!("http://{requests}")))?;
    let text = get_text(&format!("http://{figures}/metrics")).await?;
    for line in [
        "ika_s3_responses_total{status=\"403\"} 3",
        "ika_s3_requests_total{operation=\"ListBuckets\"} 1",
        "ika_s3_received_bytes_total 0",
        "ika_s3_request_latency_seconds_count 1",
    ] {
        ensure!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
    }
    let complaints = complaints_of_promtool(tools, &text)?.unwrap_or_default();
    ensure!(complaints.is_empty(), "promtool says {complaints:?}");
    second.kill().await.context("end the second gateway")
}

//! What the gateway counts.

use std::time::Duration;

use telemetry::{Counter, CounterBy, Gauge, Histogram, MetricRegistry, exponential_buckets};

/// First bound of the latencies, in seconds: a read from memory is about there.
const LATENCY_FIRST: f64 = 0.000_25;

/// The gateway's figures.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub registry: MetricRegistry,
    pub requests: CounterBy,
    pub errors: CounterBy,
    pub responses: CounterBy,
    pub received: Counter,
    pub sent: Counter,
    pub latency: Histogram,
    pub connections: Gauge,
    pub garbage_removed: Counter,
    pub garbage_waiting: Gauge,
    pub swept: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = MetricRegistry::new("ika_s3");
        Self {
            requests: registry.counter_by("requests", "", "operation", "Requests of known users that were answered."),
            errors: registry.counter_by("errors", "", "code", "Those that were refused, by S3's error code."),
            responses: registry.counter_by("responses", "", "status", "All answers by their HTTP status."),
            received: registry.counter("received", "bytes", "Bytes of objects that came in."),
            sent: registry.counter("sent", "bytes", "Bytes of objects that answers promised."),
            latency: registry.histogram(
                "request_latency",
                "seconds",
                exponential_buckets(LATENCY_FIRST, 2.0, 18),
                "Time from a request's head to its answer's head.",
            ),
            connections: registry.gauge("connections", "", "Connections that are open."),
            garbage_removed: registry.counter("garbage_removed", "", "Replaced or deleted data that was removed."),
            garbage_waiting: registry.gauge("garbage_waiting", "", "Replaced or deleted data that is still there."),
            swept: registry.counter("swept", "", "Half-written data of gateways that died, removed."),
            registry,
        }
    }
}

/// A way to write figures down, as a reader of `/metrics` asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's older text format, 0.0.4: what everybody reads.
    Text,
}

impl Format {
    /// What a request's `Accept` asks for. Prometheus itself asks for OpenMetrics.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(kinds) if kinds.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// For the answer's head.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The older format says a counter's name with its `_total` in the comments too, and knows neither units nor an end.
fn older_text(open_metrics: &str) -> String {
    let lines: Vec<&str> = open_metrics.lines().collect();
    let is_counter =
        |name: &str| lines.iter().any(|line| line.strip_prefix("# TYPE ") == Some(&format!("{name} counter")));
    let mut text = String::with_capacity(open_metrics.len());
    for line in &lines {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("UNIT" | "EOF"), ..) => continue,
            (Some("#"), Some(kind), Some(name), Some(rest)) if is_counter(name) => {
                text += &format!("# {kind} {name}_total {rest}");
            }
            _ => text += line,
        }
        text.push('\n');
    }
    text
}

impl Metrics {
    /// All figures.
    pub fn render(&self, format: Format) -> String {
        let text = self.registry.render();
        match format {
            Format::OpenMetrics => text,
            Format::Text => older_text(&text),
        }
    }

    /// Notes an answered request.
    pub fn note(&self, operation: &'static str, latency: Duration, error: Option<&str>) {
        self.requests.with(operation).increment();
        self.latency.observe(latency.as_secs_f64());
        if let Some(code) = error {
            self.errors.with(code).increment();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_get_the_format_that_they_ask_for() {
        let metrics = Metrics::default();
        metrics.note("PutObject", Duration::from_millis(3), Some("NoSuchBucket"));
        let open = metrics.render(Format::accepted(Some("application/openmetrics-text;version=1.0.0,text/plain")));
        assert!(open.contains("# TYPE ika_s3_requests counter\n") && open.ends_with("# EOF\n"), "{open}");
        let older = metrics.render(Format::accepted(Some("text/plain")));
        for line in [
            "# TYPE ika_s3_requests_total counter",
            "# HELP ika_s3_requests_total Requests of known users that were answered.",
            "ika_s3_requests_total{operation=\"PutObject\"} 1",
            "ika_s3_errors_total{code=\"NoSuchBucket\"} 1",
            "# TYPE ika_s3_request_latency_seconds histogram",
            "# TYPE ika_s3_connections gauge",
        ] {
            assert!(older.lines().any(|other| other == line), "{line}\nis not in\n{older}");
        }
        assert!(!older.contains("# UNIT") && !older.contains("# EOF"), "{older}");
        assert_eq!(Format::accepted(None), Format::Text);
    }
}

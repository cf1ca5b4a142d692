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
            requests: registry.counter_by("requests", "", "operation", "Requests that were answered."),
            errors: registry.counter_by("errors", "", "code", "Requests that were refused, by S3's error code."),
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

impl Metrics {
    /// Notes an answered request.
    pub fn note(&self, operation: &'static str, latency: Duration, error: Option<&str>) {
        self.requests.with(operation).increment();
        self.latency.observe(latency.as_secs_f64());
        if let Some(code) = error {
            self.errors.with(code).increment();
        }
    }
}

//! A registry of named figures, as a value: each daemon has its own, declared in its shell's `metrics.rs`.
//!
//! The names follow Prometheus: lower case, base units, the unit last; a counter's rendered name ends in `_total`.
//! A figure is registered once, under a name that no other has; that and the form of names are checked at
//! registration, which happens at start, so a wrong declaration cannot hide.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter, family::Family, gauge, histogram},
    registry::{Registry, Unit},
};

/// Values of one label. What comes beyond them is counted as `other`, so that no input can grow a daemon's memory.
const LABEL_VALUES_MAX: usize = 1000;

/// Counts up.
#[derive(Debug, Clone, Default)]
pub struct Counter(counter::Counter<u64, AtomicU64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.inc();
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    /// How many so far.
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

/// Counters of one name, told apart by one label's value.
#[derive(Debug, Clone)]
pub struct CounterBy {
    label: &'static str,
    family: Family<Vec<(&'static str, String)>, counter::Counter<u64, AtomicU64>>,
    values: std::sync::Arc<Mutex<BTreeSet<String>>>,
}

impl CounterBy {
    /// The counter of this label value. Keep it where it is used often.
    pub fn with(&self, value: impl fmt::Display) -> Counter {
        let mut value = value.to_string();
        let mut values = lock(&self.values);
        if !values.contains(&value) {
            if values.len() >= LABEL_VALUES_MAX {
                "other".clone_into(&mut value);
            } else {
                values.insert(value.clone());
            }
        }
        Counter(self.family.get_or_create(&vec![(self.label, value)]).clone())
    }
}

/// Goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(gauge::Gauge<f64, AtomicU64>);

impl Gauge {
    /// What it is now.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// The value that was set last.
    pub fn value(&self) -> f64 {
        self.0.get()
    }
}

/// How often values fell into which bucket, with their sum and count.
#[derive(Debug, Clone)]
pub struct Histogram(histogram::Histogram);

impl Histogram {
    /// One more value.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

/// Upper bounds of `count` buckets: `first`, then each `factor` times the one before.
pub fn exponential_buckets(first: f64, factor: f64, count: u16) -> Vec<f64> {
    assert!(first > 0.0 && factor > 1.0, "buckets must grow");
    std::iter::successors(Some(first), |bound| Some(bound * factor)).take(usize::from(count)).collect()
}

/// All figures of one daemon.
#[derive(Debug)]
pub struct MetricRegistry {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    names: BTreeSet<&'static str>,
}

impl MetricRegistry {
    /// A registry whose names all begin with `prefix` and an underscore.
    pub fn new(prefix: &'static str) -> Self {
        let inner = Inner { registry: Registry::with_prefix(prefix), names: BTreeSet::new() };
        Self { inner: Mutex::new(inner) }
    }

    /// Declares a counter. `unit` as in `bytes` or `seconds`, empty for plain counts.
    pub fn counter(&self, name: &'static str, unit: &'static str, help: &str) -> Counter {
        let metric = Counter::default();
        self.register(name, unit, help, metric.0.clone());
        metric
    }

    /// Declares counters that differ in the value of `label`.
    pub fn counter_by(&self, name: &'static str, unit: &'static str, label: &'static str, help: &str) -> CounterBy {
        assert_name(label);
        let metric = CounterBy { label, family: Family::default(), values: std::sync::Arc::default() };
        self.register(name, unit, help, metric.family.clone());
        metric
    }

    /// Declares a gauge.
    pub fn gauge(&self, name: &'static str, unit: &'static str, help: &str) -> Gauge {
        let metric = Gauge::default();
        self.register(name, unit, help, metric.0.clone());
        metric
    }

    /// Declares a histogram with these upper bounds; one for everything above them is added.
    pub fn histogram(&self, name: &'static str, unit: &'static str, buckets: Vec<f64>, help: &str) -> Histogram {
        assert!(buckets.is_sorted(), "the buckets of {name} are not in order");
        let metric = Histogram(histogram::Histogram::new(buckets));
        self.register(name, unit, help, metric.0.clone());
        metric
    }

    /// All figures in the OpenMetrics text format that Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &lock(&self.inner).registry).expect("writing to a string does not fail");
        text
    }

    fn register(
        &self,
        name: &'static str,
        unit: &'static str,
        help: &str,
        metric: impl prometheus_client::registry::Metric,
    ) {
        assert_name(name);
        let mut inner = lock(&self.inner);
        assert!(inner.names.insert(name), "the metric {name} is declared twice");
        // The library ends the sentence itself.
        let help = help.trim_end_matches('.');
        if unit.is_empty() {
            inner.registry.register(name, help, metric);
        } else {
            inner.registry.register_with_unit(name, help, Unit::Other(unit.to_owned()), metric);
        }
    }
}

fn assert_name(name: &str) {
    let valid = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    assert!(valid && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase), "`{name}` is no metric name");
    assert!(!name.ends_with("_total"), "`{name}`: the rendering adds _total itself");
}

/// A panic elsewhere leaves figures as they were; they stay readable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_render_with_name_unit_and_help() {
        let registry = MetricRegistry::new("ika_osd");
        registry.counter("operations", "", "Client operations answered.").add(3);
        registry.gauge("used", "bytes", "Bytes that objects take.").set(4096.0);
        let commits = registry.counter_by("commits", "", "class", "Transactions committed.");
        commits.with("client").increment();
        commits.with("recovery").add(2);
        let latency =
            registry.histogram("commit_latency", "seconds", exponential_buckets(0.001, 10.0, 3), "Time to flush.");
        latency.observe(0.05);
        let text = registry.render();
        for line in [
            "# HELP ika_osd_operations Client operations answered.",
            "# TYPE ika_osd_operations counter",
            "ika_osd_operations_total 3",
            "# UNIT ika_osd_used_bytes bytes",
            "ika_osd_used_bytes 4096.0",
            "ika_osd_commits_total{class=\"recovery\"} 2",
            "ika_osd_commit_latency_seconds_bucket{le=\"0.01\"} 0",
            "ika_osd_commit_latency_seconds_bucket{le=\"0.1\"} 1",
            "ika_osd_commit_latency_seconds_count 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn label_values_are_bounded() {
        let registry = MetricRegistry::new("ika");
        let by = registry.counter_by("errors", "", "kind", "Errors.");
        for number in 0..LABEL_VALUES_MAX + 5 {
            by.with(number).increment();
        }
        by.with(7).increment();
        let text = registry.render();
        assert!(text.contains("ika_errors_total{kind=\"other\"} 5\n"));
        assert!(text.contains("ika_errors_total{kind=\"7\"} 2\n"));
        assert!(text.contains("ika_errors_total{kind=\"999\"} 1\n") && !text.contains("kind=\"1000\""));
    }

    #[test]
    #[should_panic(expected = "declared twice")]
    fn a_name_is_declared_once() {
        let registry = MetricRegistry::new("ika");
        registry.counter("things", "", "Things.");
        registry.gauge("things", "", "Things.");
    }

    #[test]
    #[should_panic(expected = "no metric name")]
    fn a_name_is_lower_case() {
        MetricRegistry::new("ika").counter("Things", "", "Things.");
    }
}

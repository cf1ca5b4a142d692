//! What a process tells about itself and where it gets the time.
//!
//! Owns: the clocks, the log's set-up and format, the metric registry with its text rendering, the statistics of a
//! process. Does not know: any daemon, message or map; each shell declares its metrics itself, in one place.
//!
//! Nothing here is global but what the operating system and `tracing` make so: the clocks and the one log of the
//! process. A registry is a value; a process that holds several daemons (a test does) has several.

pub mod clock;
pub mod logging;
mod metrics;
mod process;

pub use metrics::{Counter, CounterBy, Gauge, Histogram, MetricRegistry, exponential_buckets};
pub use process::ProcessStatistics;

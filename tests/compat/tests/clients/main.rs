//! The gateway and the dashboard as their users see them, on real processes.

mod dashboard;
mod gateway;
mod kill;
mod metrics;
mod programs;

/// Whether the tests shall do their full counts.
fn is_long() -> bool {
    std::env::var_os("IKA_LONG").is_some()
}

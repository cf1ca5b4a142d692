//! The gateway and the dashboard as their users see them, on real processes.

mod dashboard;
mod gateway;
mod kill;
mod metrics;
mod programs;

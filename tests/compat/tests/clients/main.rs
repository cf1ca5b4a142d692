//! The gateway as its clients see it, on real processes.

mod gateway;
mod kill;
mod programs;

//! Placement as a whole: against golden data, against Ceph's own tool where it is installed, against its properties, and
//! against bytes that are no maps.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod differential;
mod golden;
mod options;
mod properties;
mod random_map;
mod regressions;
mod robustness;

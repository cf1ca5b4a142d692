//! Tests with real processes: a cluster of its own for each test, its binary, and a load that knows what was
//! acknowledged.
//!
//! Owns: finding the binary, clusters in temporary folders that are stopped when the test ends, the load. Does not
//! know: what any single test does to the processes.

mod hosted_cluster;
mod hosts;
mod load;
mod pause;
mod test_cluster;

pub use hosted_cluster::HostedCluster;
pub use hosts::{Hosts, OwnNetwork, inside_own_network};
pub use load::{Load, LoadReport};
pub use pause::PauseMeter;
pub use test_cluster::{TestCluster, program};

//! What a manager process is told.

use std::net::IpAddr;

use client::Config;

/// Who it is and how it reaches the cluster.
#[derive(Debug, Clone)]
pub struct ManagerSettings {
    /// How to connect.
    pub config: Config,
    /// Its name: the part behind the dot in `mgr.x`.
    pub name: String,
    /// The address to listen on; the port is the kernel's choice.
    pub listen: IpAddr,
}

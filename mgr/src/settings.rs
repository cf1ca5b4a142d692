//! What a manager process is told.

use std::{net::IpAddr, sync::Arc};

use client::Config;

use crate::BucketSource;

/// Who it is and how it reaches the cluster.
#[derive(Debug, Clone)]
pub struct ManagerSettings {
    /// How to connect.
    pub config: Config,
    /// Its name: the part behind the dot in `mgr.x`.
    pub name: String,
    /// The address to listen on; the port for reports is the kernel's choice.
    pub listen: IpAddr,
    /// The dashboard and `/metrics`; without it there are none.
    pub dashboard: Option<DashboardSettings>,
}

/// How the dashboard is served.
#[derive(Debug, Clone)]
pub struct DashboardSettings {
    /// The port, on the manager's address; 0 is the kernel's choice.
    pub port: u16,
    /// Where browsers find it, when that is not the address that it listens on.
    pub url: Option<String>,
    /// Who knows the S3 buckets.
    pub buckets: Option<Arc<dyn BucketSource>>,
}

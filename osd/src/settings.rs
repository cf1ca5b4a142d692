//! What an OSD process is told on its command line and by the cluster's file.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use net::ClusterKey;
use store::StoreOptions;
use types::{ClusterId, OsdId};

/// How to reach the cluster and where the device is.
#[derive(Debug, Clone)]
pub struct OsdSettings {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The key that all its parties hold.
    pub key: ClusterKey,
    /// Control planes of the monitors.
    pub monitors: Vec<SocketAddr>,
    /// The OSD's number; must be the device's.
    pub id: OsdId,
    /// The OSD's folder: `block` (a file or a link to a block device) and `db` (its metadata).
    pub data: PathBuf,
    /// The host's name: failure domain and witness of refused connections.
    pub host: String,
    /// The address to listen on; the port is the kernel's choice.
    pub listen: IpAddr,
    /// What the store is told.
    pub store: StoreOptions,
    /// What the device hears of space that becomes free.
    pub free_space: FreeSpace,
}

/// What a device hears of space that becomes free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FreeSpace {
    /// Nothing: its owner keeps it.
    #[default]
    Kept,
    /// That nobody needs its content any more.
    Discarded,
}

/// What a new OSD's device is told once.
#[derive(Debug, Clone)]
pub struct CreateSettings {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The OSD's number.
    pub id: OsdId,
    /// The OSD's folder.
    pub data: PathBuf,
    /// Bytes that the device file shall have; `None` for a block device that is there.
    pub size: Option<u64>,
    /// What the store is told.
    pub store: StoreOptions,
}

/// The device in an OSD's folder.
pub(crate) fn device_path(data: &Path) -> PathBuf {
    data.join("block")
}

/// The metadata in an OSD's folder.
pub(crate) fn metadata_path(data: &Path) -> PathBuf {
    data.join("db")
}

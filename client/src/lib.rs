//! The client library: clusters, pools, objects, and a striper for what is larger than one object.
//!
//! ```no_run
//! # async fn tour() -> client::Result<()> {
//! let cluster = client::Cluster::connect(&client::Config::load("ika.toml".as_ref())?).await?;
//! let pool = cluster.pool("demo").await?;
//! pool.object("greeting").write_full("hello").await?;
//! assert_eq!(pool.object("greeting").read_all().await?, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! Operations wait for the cluster rather than fail: they are sent again after map changes and broken sessions,
//! take effect at most once, and those of one client on one object take effect in the order begun. Dropping a
//! future gives its operation up; what was on its way may still take effect. Bounds on operations and bytes in
//! flight make callers wait (`Options`).
//!
//! Owns: settings, the driver task around `client_ops::Table`, sessions, the subscription to maps. Does not know:
//! how daemons do what they promise.

mod cluster;
mod commands;
mod config;
mod dashboard;
mod driver;
mod listing;
mod lock;
mod monitors;
mod object;
mod operation;
mod placement_group;
mod pool;
mod sessions;
mod snapshots;
mod striper;
mod submit;
mod verify;
mod watch;

pub use cluster::{Cluster, Options};
pub use commands::CommandArguments;
pub use config::{CONFIG_PATH_DEFAULT, CONFIG_VARIABLE, ClusterKey, Config};
pub use dashboard::{PasswordHash, draw_password};
pub use map::PublishedMap;
pub use object::{Object, ObjectStat};
pub use operation::OpBuilder;
pub use placement_group::InconsistentObjects;
pub use pool::Pool;
pub use snapshots::{PoolSnapshots, SelfManagedSnapshots, Snapshot, SnapshotContext};
pub use striper::{ObjectForm, PieceExtent, PieceStore, StripeLayout, StripedStat, StripedWriter, Striper};
pub use types::{Error, ErrorKind, ObjectName, OmapPage, Result, SnapshotId, XattrMap};
pub use verify::{Difference, PgVerdict};
pub use watch::{Notified, NotifyOutcome, Watch, WatchEvent};
pub use wire::{
    AllocationHint, ChecksumKind, CloneRecord, CommandAnswer, Comparison, InconsistencyFlags, InconsistentCopy,
    InconsistentObject, NotifyAnswer, OpFailure, OpSuccess, ScrubOrder, SubOp, SubOpResult, UnfoundFate, Watcher,
};

/// The arguments and answers of the built-in object classes, for [`Object::call`].
pub use osd_classes as classes;

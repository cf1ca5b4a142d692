//! A whole cluster on one machine: separate processes on loopback under one folder.
//!
//! Owns: the folder's layout, free ports, starting and stopping the processes, waiting until they serve. Does not
//! know: what the daemons do; it starts the same binary that an operator would start by hand.
//!
//! ```text
//! DIR/ika.toml        the cluster: id, key, monitors; what clients take by --config. Written first, whole or not at all
//! DIR/mon.a …         a folder for each daemon
//! DIR/run/NAME        process id and start time of each running daemon
//! DIR/log/NAME.log    its log
//! DIR/lock            held by whoever starts or stops the cluster
//! ```
//!
//! Invariants
//! 1. Nothing that holds data is ever overwritten: what is there is started, what is missing is made.
//! 2. A process is only stopped when its id *and* start time are those that were written down.
//! 3. An interrupted start leaves a folder that the next start completes.

mod folder;
mod plan;
mod port;
mod process;
mod ready;
mod start;
mod stop;

pub use folder::{Folder, Topology};
pub use plan::{Daemon, Role};
pub use process::RunningProcess;
pub use start::{PortChoice, Started, UpOptions, start_daemon, up};
pub use stop::{StopOrder, down, kill, stop_daemon};

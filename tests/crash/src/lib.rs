//! A file system that remembers what was done to it, and shows what a loss of power would have left.
//!
//! Owns: the files in memory, the record of every change and flush, the crash model, the mount. Does not know: who writes
//! to it, or what a state that is left should mean to them.
//!
//! Crash model, harsher than the usual file systems: at any moment
//! 1. a file's writes and changes of size since its last fsync are there, lost, or torn at 512 bytes, each on its own;
//! 2. a folder's entries are those of a prefix of what was done to them, at least up to the folder's last fsync. An
//!    fsync of a file does not make its name durable.

mod files;
mod history;
mod mount;

pub use files::Files;
pub use history::{Event, History, Kept};
pub use mount::RecordingMount;

//! Maps on their way: from monitors to subscribers, and between OSDs and clients by gossip.

use bytes::Bytes;
use types::Epoch;

/// A full map, or increments, or a full map and the increments behind it; in the map crate's encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapShare {
    /// Newest epoch that the sender has.
    pub newest: Epoch,
    /// A full map, for a receiver that is too far behind.
    pub full: Option<(Epoch, Bytes)>,
    /// Increments in epoch order without gaps; behind `full` when there is one.
    pub increments: Vec<(Epoch, Bytes)>,
}

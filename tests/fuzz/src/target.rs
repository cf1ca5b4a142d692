//! The targets by name.

use crate::{budget::Budget, cluster_map, message, placement, session, store_format};

/// One decoder, or a family of them that one byte chooses from.
pub struct Target {
    /// Its name: a folder of the corpus, and a program under `libfuzzer/`.
    pub name: &'static str,
    /// Decodes, and uses what was decoded as its first user does. Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// What one input may cost.
    pub budget: Budget,
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target { name: "crush_text", run: placement::text, budget: Budget::PLACEMENT_MAP },
    Target { name: "crush_binary", run: placement::binary, budget: Budget::PLACEMENT_MAP },
    Target { name: "map_full", run: cluster_map::full, budget: Budget::PLACEMENT_MAP },
    Target { name: "map_increment", run: cluster_map::increment, budget: Budget::PLACEMENT_MAP },
    Target { name: "message", run: message::data_plane, budget: Budget::MESSAGE },
    Target { name: "control", run: message::control_plane, budget: Budget::MESSAGE },
    Target { name: "persisted", run: message::persisted, budget: Budget::MESSAGE },
    Target { name: "handshake", run: session::handshake, budget: Budget::MESSAGE },
    Target { name: "frames", run: session::frames, budget: Budget::MESSAGE },
    Target { name: "superblock", run: store_format::superblock, budget: Budget::MESSAGE },
    Target { name: "journal_group", run: store_format::journal_group, budget: Budget::MESSAGE },
    Target { name: "store_value", run: store_format::value, budget: Budget::MESSAGE },
];

/// The target of this name.
///
/// # Panics
/// When there is none: a program or a test is misspelt.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("programs and tests name targets that exist")
}

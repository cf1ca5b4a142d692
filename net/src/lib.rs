//! Bytes between actors: who is at the other end, whole messages in order, bounded memory, and no silent loss.
//!
//! Owns: the greeting with which every connection begins, proof of the cluster key, the frames of the data plane,
//! the sessions with their queues and permits, and the control plane's calls and subscriptions (the only place that
//! knows the RPC library). Does not know: what a message means, who should be connected to whom, maps.
//!
//! Invariants
//! 1. Nothing of a peer is believed before it proved the cluster key; wrong cluster, wrong peer or wrong key is
//!    refused with a reason that both sides log.
//! 2. A session delivers every message once and in order, or is closed; it never skips one.
//! 3. Memory per session is bounded, whatever the peer does or does not do.
//! 4. Only clients' operations wait for permits; nothing else ever waits behind them on another session.

pub mod control;
pub mod data;
mod greeting;
mod identity;
mod proof;
mod socket;
#[doc(hidden)]
pub mod untrusted;

pub use greeting::{Refusal, RefusalReason};
pub use identity::{ClusterKey, Identity, Peer, PeerAddress};

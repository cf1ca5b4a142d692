//! The control plane: calls to monitors and managers, and subscriptions to maps.
//!
//! Over gRPC, which nobody outside of this module knows: four methods whose messages are opaque bytes. `Hello` and
//! `Prove` carry the same handshake as the data plane and give a session; `Call` and `Subscribe` carry a session, a
//! counter that is never used twice, and a seal (HMAC under the session's key) over method, counter and body. What
//! comes back is sealed too. The layouts are drawn in docs/internals/wire-format.md.

mod client;
mod codec;
mod replay;
mod sealed;
mod server;
mod sessions;

pub use client::{ControlClient, MapStream};
pub use server::{ControlHandler, ControlServer};

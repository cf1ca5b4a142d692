//! The data plane: sessions of messages between clients and OSDs and among OSDs, over TCP.
//!
//! A session is one connection after its handshake. It delivers messages in order and whole, or it is closed; there
//! is no reconnection inside: whoever wants one connects again and knows that what was not answered may be lost.
//! Each side sends something at least every second and closes when it hears nothing for five.

mod admission;
mod buffers;
mod connect;
mod frame;
mod handshake;
mod listener;
mod receiver;
mod sender;
mod session;

pub(crate) use frame::{HEADER_BYTES, Header};

pub use admission::AdmissionLimits;
pub use connect::{ConnectError, connect};
pub use listener::{Listener, ListenerCounts};
pub use receiver::SessionReceiver;
pub use sender::{SendError, SessionSender};
pub use session::Session;

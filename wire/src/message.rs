//! Everything that travels on the data plane, in one enum.

use types::Epoch;

use crate::{ClientOp, ClientReply, MapShare, Notification, PgMessage, Ping, Pong, VerifyPage, VerifyRequest};

/// A message of the data plane: client and OSD, OSD and OSD.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A client's operation.
    ClientOp(Box<ClientOp>),
    /// The answer.
    ClientReply(Box<ClientReply>),
    /// Between members of a PG.
    Pg(Box<PgMessage>),
    /// Are you there?
    Ping(Ping),
    /// I am here.
    Pong(Pong),
    /// Maps that the receiver lacks.
    MapShare(MapShare),
    /// Send me maps from this epoch on.
    MapRequest {
        /// The epoch that the asker has.
        have: Epoch,
    },
    /// Digests, please.
    VerifyRequest(VerifyRequest),
    /// Digests.
    VerifyPage(VerifyPage),
    /// To a client that watches an object: somebody notified.
    Notification(Box<Notification>),
}

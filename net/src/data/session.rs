//! A session and what its two ends share.

use std::sync::Arc;

use tokio::net::TcpStream;
use types::{Error, Result};

use super::{
    admission::{Admission, SessionPermits},
    receiver::SessionReceiver,
    sender::{Outgoing, SessionSender, write_frames},
};
use crate::{Peer, proof::SessionKey};

/// A proved connection to a peer. Taking it apart is how it is used: the halves go to different places.
#[derive(Debug)]
pub struct Session {
    /// Who is at the other end.
    pub peer: Peer,
    /// A number for logs that both ends have.
    pub id: u64,
    /// Where messages go out.
    pub sender: SessionSender,
    /// Where messages come in. Dropping it closes the session.
    pub receiver: SessionReceiver,
}

impl Session {
    /// The session over a stream whose handshake is done. One task writes; whoever owns the receiver reads.
    pub(super) fn over(stream: TcpStream, peer: Peer, key: &SessionKey, admission: Arc<Admission>) -> Result<Self> {
        stream.set_nodelay(true).map_err(|error| Error::closed(format!("set up the session with {peer}: {error}")))?;
        let (read_half, write_half) = stream.into_split();
        let outgoing = Arc::new(Outgoing::new(SessionPermits::new(admission)));
        tokio::spawn(write_frames(outgoing.clone(), write_half));
        Ok(Self {
            peer,
            id: key.session_id(),
            sender: SessionSender::new(outgoing.clone()),
            receiver: SessionReceiver::new(read_half, outgoing),
        })
    }
}

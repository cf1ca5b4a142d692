//! Connecting to a peer.

use std::{fmt, io::ErrorKind, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use types::Error;

use super::{
    admission::{Admission, AdmissionLimits},
    handshake::{self, HandshakeError},
    session::Session,
};
use crate::{Identity, PeerAddress, Refusal, identity::check_entity};

/// For the connection and the handshake together. A machine with too few cores answers late, not never.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectError {
    /// Nobody listens at the address. Seen from the peer's own host, it proves that the process is gone.
    Refused,
    /// No answer in time.
    Timeout,
    /// Somebody answers, but not whom we look for, or not as we must; which side refused, and why.
    Mismatch(Refusal),
    /// Anything else.
    Other(Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("nobody listens at the address"),
            Self::Timeout => write!(f, "no answer within {} seconds", CONNECT_TIMEOUT.as_secs()),
            Self::Mismatch(refusal) => refusal.fmt(f),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Mismatch(refusal) => Self::denied(refusal.message),
            ConnectError::Other(error) => error,
            other => Self::retry(other.to_string()),
        }
    }
}

impl From<std::io::Error> for ConnectError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Other(Error::retry(error.to_string())),
        }
    }
}

/// A session with the expected peer at the address.
pub async fn connect(identity: &Identity, peer: &PeerAddress) -> Result<Session, ConnectError> {
    identity.check().map_err(ConnectError::Other)?;
    if let Some(entity) = &peer.entity {
        check_entity(entity).map_err(ConnectError::Other)?;
    }
    let attempt = async {
        let mut stream = TcpStream::connect(peer.address).await?;
        stream.set_nodelay(true)?;
        match handshake::connect(&mut stream, identity, peer).await {
            Ok((found, key)) => {
                let admission = Admission::new(AdmissionLimits::default());
                Session::over(stream, found, &key, admission).map_err(ConnectError::Other)
            }
            Err(HandshakeError::Refused { refusal, by_peer }) => {
                let who = if by_peer { "the peer refuses" } else { "this side refuses" };
                tracing::warn!(address = %peer.address, reason = %refusal, "{who} a connection");
                Err(ConnectError::Mismatch(refusal))
            }
            Err(HandshakeError::Io(error)) => Err(ConnectError::Other(Error::retry(format!(
                "the connection to {} ended in the handshake: {error}",
                peer.address
            )))),
            Err(HandshakeError::Own(error)) => Err(ConnectError::Other(error)),
        }
    };
    timeout(CONNECT_TIMEOUT, attempt).await.unwrap_or(Err(ConnectError::Timeout))
}

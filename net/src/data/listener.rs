//! Accepting peers: handshakes run beside each other, each with a deadline; bad peers are refused and counted.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use types::{Error, Result};

use super::{
    admission::{Admission, AdmissionLimits},
    handshake::{self, HandshakeError},
    session::Session,
};
use crate::{Identity, RefusalReason, socket::listen};

/// How long a peer may take for its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes at once; more connections wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 256;
/// How long to leave the kernel alone after it refused us a connection, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What became of those who connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerCounts {
    /// Sessions.
    pub accepted: u64,
    /// Refused, by reason, those that occurred.
    pub refused: Vec<(RefusalReason, u64)>,
    /// Took too long for the handshake.
    pub timed_out: u64,
    /// Broke off during the handshake.
    pub broken: u64,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    refused: [AtomicU64; RefusalReason::ALL.len()],
    timed_out: AtomicU64,
    broken: AtomicU64,
}

/// An address at which peers are accepted.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local_address: SocketAddr,
    identity: Arc<Identity>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    handshakes: JoinSet<Option<Session>>,
}

impl Listener {
    /// Listens at the address; port zero lets the kernel choose. Must be called within the runtime.
    pub fn bind(address: SocketAddr, identity: Identity) -> Result<Self> {
        Self::bind_with(address, identity, AdmissionLimits::default())
    }

    /// The same with other limits for clients' operations.
    pub fn bind_with(address: SocketAddr, identity: Identity, limits: AdmissionLimits) -> Result<Self> {
        identity.check()?;
        let (socket, local_address) = listen(address)?;
        Ok(Self {
            socket,
            local_address,
            identity: Arc::new(identity),
            admission: Admission::new(limits),
            counters: Arc::default(),
            handshakes: JoinSet::new(),
        })
    }

    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// What became of those who connected so far.
    pub fn counts(&self) -> ListenerCounts {
        let counters = &self.counters;
        let refused = RefusalReason::ALL.iter().zip(&counters.refused);
        ListenerCounts {
            accepted: counters.accepted.load(Ordering::Relaxed),
            refused: refused
                .map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            timed_out: counters.timed_out.load(Ordering::Relaxed),
            broken: counters.broken.load(Ordering::Relaxed),
        }
    }

    /// The next peer that proved itself. Dropping the future loses nothing.
    pub async fn accept(&mut self) -> Result<Session> {
        let mut paused_until = None;
        loop {
            let may_accept = self.handshakes.len() < HANDSHAKES_MAX && paused_until.is_none();
            tokio::select! {
                biased;
                Some(outcome) = self.handshakes.join_next() => match outcome {
                    Ok(Some(session)) => return Ok(session),
                    Ok(None) => {}
                    Err(error) => return Err(Error::internal(format!("a handshake stopped: {error}"))),
                },
                accepted = self.socket.accept(), if may_accept => match accepted {
                    Ok((stream, address)) => {
                        let (identity, admission) = (self.identity.clone(), self.admission.clone());
                        self.handshakes.spawn(shake_hands(stream, address, identity, admission, self.counters.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accept a connection");
                        paused_until = Some(Instant::now() + ACCEPT_PAUSE);
                    }
                },
                () = sleep_until(paused_until.unwrap_or_else(Instant::now)), if paused_until.is_some() => {
                    paused_until = None;
                }
            }
        }
    }
}

async fn shake_hands(
    mut stream: TcpStream,
    address: SocketAddr,
    identity: Arc<Identity>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
) -> Option<Session> {
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    match timeout(HANDSHAKE_TIMEOUT, handshake::accept(&mut stream, &identity)).await {
        Ok(Ok((peer, key))) => match Session::over(stream, peer, &key, admission) {
            Ok(session) => {
                count(&counters.accepted);
                return Some(session);
            }
            Err(error) => {
                count(&counters.broken);
                tracing::debug!(%address, %error, "a peer left after its handshake");
            }
        },
        Ok(Err(HandshakeError::Refused { refusal, by_peer })) => {
            count(&counters.refused[refusal.reason.index()]);
            let who = if by_peer { "a peer refuses" } else { "this side refuses" };
            tracing::warn!(%address, reason = %refusal, "{who} a connection");
        }
        Ok(Err(HandshakeError::Io(error))) => {
            count(&counters.broken);
            tracing::debug!(%address, %error, "a peer broke off its handshake");
        }
        Ok(Err(HandshakeError::Own(error))) => {
            count(&counters.broken);
            tracing::error!(%address, %error, "a handshake failed on this side");
        }
        Err(_) => {
            count(&counters.timed_out);
            tracing::debug!(%address, "a peer took too long for its handshake");
        }
    }
    None
}

//! The handshake of a connection, seen from either side: greeting, greeting, proof, proof.
//!
//! The connector proves first, so that a stranger who connects learns nothing but a greeting.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use types::{Error, Result};

use crate::{
    Identity, Peer, PeerAddress, Refusal, RefusalReason,
    greeting::{BLOCK_BYTES, Block, Greeting, Role, Step, decode_step, encode_proof, encode_refusal},
    identity::random_bytes,
    proof::{Prover, SessionKey, Transcript},
};

/// Bytes of a refused peer that are read and dropped, so that the refusal reaches it before a reset does.
const REFUSED_BYTES_MAX: u64 = 64 << 10;

/// Why a handshake ended without a session.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// One side refused; who does is in `by_peer`.
    Refused { refusal: Refusal, by_peer: bool },
    /// The connection failed.
    Io(std::io::Error),
    /// This side cannot.
    Own(Error),
}

impl From<std::io::Error> for HandshakeError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for HandshakeError {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// Reads one step; a refusal by the peer is an error.
async fn read_step(stream: &mut TcpStream) -> Result<(Step, Block), HandshakeError> {
    let mut block = [0; BLOCK_BYTES];
    stream.read_exact(&mut block).await?;
    match decode_step(&block) {
        Ok(Step::Refusal(refusal)) => Err(HandshakeError::Refused { refusal, by_peer: true }),
        Ok(step) => Ok((step, block)),
        Err(refusal) => Err(HandshakeError::Refused { refusal, by_peer: false }),
    }
}

async fn read_greeting(stream: &mut TcpStream) -> Result<(Greeting, Block), HandshakeError> {
    match read_step(stream).await? {
        (Step::Greeting(greeting), block) => Ok((*greeting, block)),
        _ => Err(out_of_order()),
    }
}

async fn read_proof(stream: &mut TcpStream) -> Result<[u8; 32], HandshakeError> {
    match read_step(stream).await? {
        (Step::Proof(proof), _) => Ok(proof),
        _ => Err(out_of_order()),
    }
}

fn out_of_order() -> HandshakeError {
    refused(Refusal::new(RefusalReason::Malformed, "the steps of the handshake come out of order"))
}

fn refused(refusal: Refusal) -> HandshakeError {
    HandshakeError::Refused { refusal, by_peer: false }
}

fn wrong_key(prover: &Greeting, own: &Identity) -> HandshakeError {
    let message = format!("{} did not prove the cluster key that {} has", prover.entity, own.entity);
    refused(Refusal::new(RefusalReason::WrongKey, message))
}

/// Tells the peer why, when it is this side that refuses, and lets that arrive.
async fn tell(stream: &mut TcpStream, error: &HandshakeError) {
    let HandshakeError::Refused { refusal, by_peer: false } = error else { return };
    let telling = async {
        stream.write_all(&encode_refusal(refusal)).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await
    };
    if let Err(error) = telling.await {
        tracing::debug!(%error, "a refused peer did not wait for the reason");
    }
}

/// The connector's side. `wanted` says whom it expects.
pub(super) async fn connect(
    stream: &mut TcpStream,
    own: &Identity,
    wanted: &PeerAddress,
) -> Result<(Peer, SessionKey), HandshakeError> {
    let outcome = connect_steps(stream, own, wanted).await;
    if let Err(error) = &outcome {
        tell(stream, error).await;
    }
    outcome
}

async fn connect_steps(
    stream: &mut TcpStream,
    own: &Identity,
    wanted: &PeerAddress,
) -> Result<(Peer, SessionKey), HandshakeError> {
    let expected = (wanted.entity.clone(), wanted.nonce);
    let connector = Greeting::of(own, Role::Connector, expected, random_bytes()?).encode();
    stream.write_all(&connector).await?;
    let (greeting, acceptor) = read_greeting(stream).await?;
    greeting.check(own, Role::Acceptor).map_err(refused)?;
    greeting.check_expected(wanted).map_err(refused)?;
    let transcript = Transcript { connector, acceptor };
    stream.write_all(&encode_proof(&transcript.prove(&own.key, Prover::Connector))).await?;
    let proof = read_proof(stream).await?;
    if !transcript.is_proof(&own.key, Prover::Acceptor, &proof) {
        return Err(wrong_key(&greeting, own));
    }
    let peer = Peer { entity: greeting.entity, nonce: greeting.nonce, address: stream.peer_addr()? };
    Ok((peer, transcript.session_key(&own.key)))
}

/// The acceptor's side.
pub(super) async fn accept(stream: &mut TcpStream, own: &Identity) -> Result<(Peer, SessionKey), HandshakeError> {
    let outcome = accept_steps(stream, own).await;
    if let Err(error) = &outcome {
        tell(stream, error).await;
    }
    outcome
}

async fn accept_steps(stream: &mut TcpStream, own: &Identity) -> Result<(Peer, SessionKey), HandshakeError> {
    let (greeting, connector) = read_greeting(stream).await?;
    greeting.check(own, Role::Connector).map_err(refused)?;
    let expected = (Some(greeting.entity.clone()), Some(greeting.nonce));
    let acceptor = Greeting::of(own, Role::Acceptor, expected, random_bytes()?).encode();
    stream.write_all(&acceptor).await?;
    let transcript = Transcript { connector, acceptor };
    let proof = read_proof(stream).await?;
    if !transcript.is_proof(&own.key, Prover::Connector, &proof) {
        return Err(wrong_key(&greeting, own));
    }
    stream.write_all(&encode_proof(&transcript.prove(&own.key, Prover::Acceptor))).await?;
    let peer = Peer { entity: greeting.entity, nonce: greeting.nonce, address: stream.peer_addr()? };
    Ok((peer, transcript.session_key(&own.key)))
}

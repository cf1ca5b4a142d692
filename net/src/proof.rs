//! Authentication method 1: both sides prove that they know the cluster key, without sending it.
//!
//! A proof is HMAC-SHA256, under the cluster key, of a label that names the prover's role and of both greetings as
//! they were sent. The greetings carry 32 fresh random bytes of each side, so a proof is good for one connection; the
//! label keeps one side's proof from being sent back to it. The session key is made the same way under a third label.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{ClusterKey, greeting::Block};

/// Bytes of a proof, of a session key, of a message's seal.
pub(crate) const PROOF_BYTES: usize = 32;

/// Whose proof it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prover {
    Connector,
    Acceptor,
}

impl Prover {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Connector => b"ika 1 connector",
            Self::Acceptor => b"ika 1 acceptor",
        }
    }
}

/// Both greetings of one connection, as they were sent.
#[derive(Clone)]
pub(crate) struct Transcript {
    pub(crate) connector: Block,
    pub(crate) acceptor: Block,
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

impl Transcript {
    fn under(&self, key: &ClusterKey, label: &[u8]) -> Hmac<Sha256> {
        let mut mac = keyed(key.bytes());
        mac.update(label);
        mac.update(&self.connector);
        mac.update(&self.acceptor);
        mac
    }

    pub(crate) fn prove(&self, key: &ClusterKey, prover: Prover) -> [u8; PROOF_BYTES] {
        self.under(key, prover.label()).finalize().into_bytes().into()
    }

    /// Whether the proof is the prover's, in a time that tells nothing.
    pub(crate) fn is_proof(&self, key: &ClusterKey, prover: Prover, proof: &[u8]) -> bool {
        self.under(key, prover.label()).verify_slice(proof).is_ok()
    }

    pub(crate) fn session_key(&self, key: &ClusterKey) -> SessionKey {
        SessionKey(self.under(key, b"ika 1 session").finalize().into_bytes().into())
    }
}

/// What both sides of one session know and nobody else.
#[derive(Clone)]
pub(crate) struct SessionKey([u8; PROOF_BYTES]);

impl SessionKey {
    /// A number for logs that both sides have.
    pub(crate) fn session_id(&self) -> u64 {
        let mut mac = keyed(&self.0);
        mac.update(b"ika 1 session id");
        let bytes = mac.finalize().into_bytes();
        u64::from_le_bytes(*bytes.first_chunk().expect("a hash has 32 bytes"))
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = keyed(&self.0);
        for part in parts {
            // The length keeps the border between two parts from moving.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    /// The seal of these parts.
    pub(crate) fn seal(&self, parts: &[&[u8]]) -> [u8; PROOF_BYTES] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether the seal is of these parts, in a time that tells nothing.
    pub(crate) fn is_seal(&self, parts: &[&[u8]], seal: &[u8]) -> bool {
        self.over(parts).verify_slice(seal).is_ok()
    }
}

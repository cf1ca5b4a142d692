//! Who one is, who the other is, and the key that all of one cluster share.

use std::{fmt, net::SocketAddr, str::FromStr};

use types::{BootNonce, ClusterId, EntityName, Error, Result};

use crate::greeting::ENTITY_BYTES;

/// The secret that every party of a cluster knows. Text form: 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; Self::BYTES]);

impl ClusterKey {
    /// Bytes of a key: as many as the hash behind the proofs has.
    pub const BYTES: usize = 32;

    /// A key of these bytes.
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// A new key from the operating system's randomness.
    pub fn generate() -> Result<Self> {
        Ok(Self(random_bytes()?))
    }

    /// The text form, for the configuration file.
    pub fn to_hexadecimal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Never shows the key.
impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

impl FromStr for ClusterKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::invalid("the cluster key is not 64 hexadecimal digits");
        if text.len() != 2 * Self::BYTES || !text.is_ascii() {
            return Err(refuse());
        }
        let mut bytes = [0; Self::BYTES];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }
}

/// Unpredictable bytes, for challenges and keys.
pub(crate) fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal(format!("read the operating system's randomness: {error}")))?;
    Ok(bytes)
}

/// Oneself, towards others.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The cluster one belongs to.
    pub cluster: ClusterId,
    /// One's name.
    pub entity: EntityName,
    /// One's process; not zero.
    pub nonce: BootNonce,
    /// What proves that one belongs to the cluster.
    pub key: ClusterKey,
}

impl Identity {
    /// Refuses what does not fit the greeting.
    pub(crate) fn check(&self) -> Result<()> {
        if self.nonce == BootNonce(0) {
            return Err(Error::invalid("a boot nonce must not be zero; zero means any"));
        }
        check_entity(&self.entity)
    }
}

pub(crate) fn check_entity(entity: &EntityName) -> Result<()> {
    let text = entity.to_string();
    if text.len() > ENTITY_BYTES {
        return Err(Error::invalid(format!("the name `{text}` has more than {ENTITY_BYTES} bytes")));
    }
    match text.parse::<EntityName>() {
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where to connect, and whom to expect there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Who must be there; `None` takes anyone of the cluster.
    pub entity: Option<EntityName>,
    /// Where.
    pub address: SocketAddr,
    /// Which process must be there; `None` takes any.
    pub nonce: Option<BootNonce>,
}

/// Who is at the other end, proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub entity: EntityName,
    /// Its process.
    pub nonce: BootNonce,
    /// Where its end of the connection is; for an accepted one a port that the kernel chose.
    pub address: SocketAddr,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.entity, self.address)
    }
}

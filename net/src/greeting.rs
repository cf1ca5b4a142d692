//! The greeting: the first bytes of every connection, in a layout that never changes (FOUNDATIONS 17).
//!
//! Every step of the handshake is one block of 256 bytes: a greeting, a proof, or a refusal in place of either. The
//! drawing stands in docs/internals/wire-format.md.

use std::{fmt, ops::Range};

use types::{BootNonce, ClusterId, EntityName, Uuid};

use crate::{Identity, PeerAddress, proof::PROOF_BYTES};

/// Bytes of each step of the handshake.
pub(crate) const BLOCK_BYTES: usize = 256;
/// One step of the handshake.
pub(crate) type Block = [u8; BLOCK_BYTES];

/// First byte not ASCII, line ends that text transfers would change: as PNG does it.
const MAGIC_GREETING: [u8; 8] = *b"\x89ika\r\n\x1a\n";
const MAGIC_PROOF: [u8; 8] = *b"\x89ikaok\x1a\n";
const MAGIC_REFUSAL: [u8; 8] = *b"\x89ikano\x1a\n";

const MAGIC: Range<usize> = 0..8;
const PROTOCOL_MIN: Range<usize> = 8..10;
const PROTOCOL_MAX: Range<usize> = 10..12;
const ROLE: usize = 12;
const METHOD: usize = 13;
const SHARD: Range<usize> = 14..16;
const FEATURES_SUPPORTED: Range<usize> = 16..24;
const FEATURES_REQUIRED: Range<usize> = 24..32;
const CLUSTER: Range<usize> = 32..48;
const NONCE: Range<usize> = 48..56;
const EXPECTED_NONCE: Range<usize> = 56..64;
const CHALLENGE: Range<usize> = 64..96;
const ENTITY: Range<usize> = 96..168;
const EXPECTED_ENTITY: Range<usize> = 168..240;
const RESERVED: Range<usize> = 240..252;
const CRC: Range<usize> = 252..256;

const PROOF: Range<usize> = 8..8 + PROOF_BYTES;

const REFUSAL_REASON: Range<usize> = 8..10;
const REFUSAL_LENGTH: Range<usize> = 10..12;
const REFUSAL_TEXT: Range<usize> = 12..252;

/// Bytes of an entity's name in the greeting.
pub(crate) const ENTITY_BYTES: usize = ENTITY.end - ENTITY.start;
/// Fresh random bytes of each side.
pub(crate) const CHALLENGE_BYTES: usize = CHALLENGE.end - CHALLENGE.start;

const _: () = {
    assert!(CRC.end == BLOCK_BYTES && RESERVED.end == CRC.start, "the layout fills its block");
    assert!(
        ENTITY_BYTES == 72 && EXPECTED_ENTITY.end - EXPECTED_ENTITY.start == ENTITY_BYTES,
        "`client.` and 64 bytes"
    );
    assert!(CHALLENGE_BYTES == 32 && PROOF.end <= CRC.start && REFUSAL_TEXT.end == CRC.start, "parts fit their block");
};

/// The protocols spoken here.
const PROTOCOL: (u16, u16) = (1, 1);
/// Authentication by the cluster key.
const METHOD_CLUSTER_KEY: u8 = 1;
/// Features, one bit each: none yet.
const FEATURES: u64 = 0;

/// Which side of the connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Connector,
    Acceptor,
}

/// Why a connection is refused; the numbers are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// The bytes are not a step of the handshake.
    Malformed,
    /// No version of the protocol is spoken by both.
    Protocol,
    /// The other belongs to another cluster.
    WrongCluster,
    /// Somebody else than expected is here.
    WrongPeer,
    /// The expected one is here, but not the expected life of its process.
    WrongProcess,
    /// One side requires what the other does not have.
    Feature,
    /// The method of authentication is not accepted here.
    Method,
    /// The proof is not made with this cluster's key.
    WrongKey,
    /// There are too many connections.
    Busy,
    /// Something else; the text says what.
    Other,
}

impl RefusalReason {
    /// Every reason, in the order of their numbers, from one.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Protocol,
        Self::WrongCluster,
        Self::WrongPeer,
        Self::WrongProcess,
        Self::Feature,
        Self::Method,
        Self::WrongKey,
        Self::Busy,
        Self::Other,
    ];

    /// Its place in [`RefusalReason::ALL`].
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|reason| *reason == self).expect("every reason is in the list")
    }

    fn number(self) -> u16 {
        u16::try_from(self.index() + 1).expect("there are ten")
    }

    fn from_number(number: u16) -> Self {
        usize::from(number).checked_sub(1).and_then(|index| Self::ALL.get(index)).copied().unwrap_or(Self::Other)
    }
}

/// A refusal and its sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for programs.
    pub reason: RefusalReason,
    /// Why, for humans; at most 240 bytes reach the other side.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A greeting's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) protocol_min: u16,
    pub(crate) protocol_max: u16,
    pub(crate) role: Role,
    pub(crate) method: u8,
    pub(crate) shard: u16,
    pub(crate) features_supported: u64,
    pub(crate) features_required: u64,
    pub(crate) cluster: ClusterId,
    pub(crate) nonce: BootNonce,
    /// `None`: any.
    pub(crate) expected_nonce: Option<BootNonce>,
    pub(crate) challenge: [u8; CHALLENGE_BYTES],
    pub(crate) entity: EntityName,
    /// `None`: anyone.
    pub(crate) expected_entity: Option<EntityName>,
}

/// What a block of the handshake is.
#[derive(Debug)]
pub(crate) enum Step {
    Greeting(Box<Greeting>),
    Proof([u8; PROOF_BYTES]),
    Refusal(Refusal),
}

fn put(block: &mut Block, range: Range<usize>, bytes: &[u8]) {
    block[range][..bytes.len()].copy_from_slice(bytes);
}

fn seal(mut block: Block) -> Block {
    let crc = crc32fast::hash(&block[..CRC.start]);
    put(&mut block, CRC, &crc.to_le_bytes());
    block
}

fn array<const COUNT: usize>(block: &Block, range: Range<usize>) -> [u8; COUNT] {
    *block[range].first_chunk().expect("the range has so many bytes")
}

pub(crate) fn encode_proof(proof: &[u8; PROOF_BYTES]) -> Block {
    let mut block = [0; BLOCK_BYTES];
    put(&mut block, MAGIC, &MAGIC_PROOF);
    put(&mut block, PROOF, proof);
    seal(block)
}

pub(crate) fn encode_refusal(refusal: &Refusal) -> Block {
    let mut block = [0; BLOCK_BYTES];
    let most = REFUSAL_TEXT.end - REFUSAL_TEXT.start;
    let text = &refusal.message[..refusal.message.floor_char_boundary(most)];
    put(&mut block, MAGIC, &MAGIC_REFUSAL);
    put(&mut block, REFUSAL_REASON, &refusal.reason.number().to_le_bytes());
    put(&mut block, REFUSAL_LENGTH, &u16::try_from(text.len()).expect("at most 240").to_le_bytes());
    put(&mut block, REFUSAL_TEXT, text.as_bytes());
    seal(block)
}

/// What the block says, or how to refuse it.
pub(crate) fn decode_step(block: &Block) -> Result<Step, Refusal> {
    let malformed = |what: &str| Refusal::new(RefusalReason::Malformed, what);
    let magic: [u8; 8] = array(block, MAGIC);
    if ![MAGIC_GREETING, MAGIC_PROOF, MAGIC_REFUSAL].contains(&magic) {
        return Err(malformed("the other side does not speak ika's protocol"));
    }
    if crc32fast::hash(&block[..CRC.start]) != u32::from_le_bytes(array(block, CRC)) {
        return Err(malformed("a step of the handshake fails its checksum"));
    }
    match magic {
        MAGIC_GREETING => Ok(Step::Greeting(Box::new(Greeting::decode(block)?))),
        MAGIC_PROOF => Ok(Step::Proof(array(block, PROOF))),
        _ => {
            let reason = RefusalReason::from_number(u16::from_le_bytes(array(block, REFUSAL_REASON)));
            let length = usize::from(u16::from_le_bytes(array(block, REFUSAL_LENGTH)));
            let text = block[REFUSAL_TEXT].get(..length).ok_or_else(|| malformed("a refusal's text is too long"))?;
            Ok(Step::Refusal(Refusal::new(reason, String::from_utf8_lossy(text))))
        }
    }
}

impl Greeting {
    /// One's own greeting.
    pub(crate) fn of(
        identity: &Identity,
        role: Role,
        expected: (Option<EntityName>, Option<BootNonce>),
        challenge: [u8; CHALLENGE_BYTES],
    ) -> Self {
        Self {
            protocol_min: PROTOCOL.0,
            protocol_max: PROTOCOL.1,
            role,
            method: METHOD_CLUSTER_KEY,
            shard: 0,
            features_supported: FEATURES,
            features_required: 0,
            cluster: identity.cluster,
            nonce: identity.nonce,
            expected_nonce: expected.1,
            challenge,
            entity: identity.entity.clone(),
            expected_entity: expected.0,
        }
    }

    pub(crate) fn encode(&self) -> Block {
        let mut block = [0; BLOCK_BYTES];
        put(&mut block, MAGIC, &MAGIC_GREETING);
        put(&mut block, PROTOCOL_MIN, &self.protocol_min.to_le_bytes());
        put(&mut block, PROTOCOL_MAX, &self.protocol_max.to_le_bytes());
        block[ROLE] = match self.role {
            Role::Connector => 1,
            Role::Acceptor => 2,
        };
        block[METHOD] = self.method;
        put(&mut block, SHARD, &self.shard.to_le_bytes());
        put(&mut block, FEATURES_SUPPORTED, &self.features_supported.to_le_bytes());
        put(&mut block, FEATURES_REQUIRED, &self.features_required.to_le_bytes());
        put(&mut block, CLUSTER, &self.cluster.0.0);
        put(&mut block, NONCE, &self.nonce.0.to_le_bytes());
        put(&mut block, EXPECTED_NONCE, &self.expected_nonce.map_or(0, |nonce| nonce.0).to_le_bytes());
        put(&mut block, CHALLENGE, &self.challenge);
        put(&mut block, ENTITY, self.entity.to_string().as_bytes());
        if let Some(expected) = &self.expected_entity {
            put(&mut block, EXPECTED_ENTITY, expected.to_string().as_bytes());
        }
        seal(block)
    }

    fn decode(block: &Block) -> Result<Self, Refusal> {
        let malformed = |what: String| Refusal::new(RefusalReason::Malformed, what);
        let role = match block[ROLE] {
            1 => Role::Connector,
            2 => Role::Acceptor,
            other => return Err(malformed(format!("role {other} is neither connector (1) nor acceptor (2)"))),
        };
        let entity = |range: Range<usize>| {
            let bytes = &block[range];
            let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            if length == 0 {
                return Ok(None);
            }
            let text = std::str::from_utf8(&bytes[..length]).ok();
            match text.and_then(|text| text.parse::<EntityName>().ok()) {
                Some(name) => Ok(Some(name)),
                None => Err(malformed(format!("`{}` is no entity's name", bytes[..length].escape_ascii()))),
            }
        };
        let nonce = |range: Range<usize>| match u64::from_le_bytes(array(block, range)) {
            0 => None,
            nonce => Some(BootNonce(nonce)),
        };
        Ok(Self {
            protocol_min: u16::from_le_bytes(array(block, PROTOCOL_MIN)),
            protocol_max: u16::from_le_bytes(array(block, PROTOCOL_MAX)),
            role,
            method: block[METHOD],
            shard: u16::from_le_bytes(array(block, SHARD)),
            features_supported: u64::from_le_bytes(array(block, FEATURES_SUPPORTED)),
            features_required: u64::from_le_bytes(array(block, FEATURES_REQUIRED)),
            cluster: ClusterId(Uuid(array(block, CLUSTER))),
            nonce: nonce(NONCE).ok_or_else(|| malformed("a greeting has no boot nonce".to_owned()))?,
            expected_nonce: nonce(EXPECTED_NONCE),
            challenge: array(block, CHALLENGE),
            entity: entity(ENTITY)?.ok_or_else(|| malformed("a greeting has no name".to_owned()))?,
            expected_entity: entity(EXPECTED_ENTITY)?,
        })
    }

    /// Whether `own` can talk with whom this greeting is of. Both sides ask this.
    pub(crate) fn check(&self, own: &Identity, role: Role) -> Result<(), Refusal> {
        if self.role != role {
            return Err(Refusal::new(RefusalReason::Malformed, "both sides claim the same role"));
        }
        if self.protocol_max < PROTOCOL.0 || self.protocol_min > PROTOCOL.1 {
            let (min, max) = PROTOCOL;
            return Err(Refusal::new(
                RefusalReason::Protocol,
                format!(
                    "{} speaks protocols {} to {}, {} speaks {min} to {max}",
                    self.entity, self.protocol_min, self.protocol_max, own.entity
                ),
            ));
        }
        if self.cluster != own.cluster {
            return Err(Refusal::new(
                RefusalReason::WrongCluster,
                format!("{} is of cluster {}, {} of cluster {}", self.entity, self.cluster, own.entity, own.cluster),
            ));
        }
        if let Some(expected) = self.expected_entity.as_ref().filter(|expected| **expected != own.entity) {
            let message = format!("{} expects {expected} here, but this is {}", self.entity, own.entity);
            return Err(Refusal::new(RefusalReason::WrongPeer, message));
        }
        if self.expected_nonce.is_some_and(|expected| expected != own.nonce) {
            let message = format!("{} expects an earlier or later process of {} here", self.entity, own.entity);
            return Err(Refusal::new(RefusalReason::WrongProcess, message));
        }
        let missing = self.features_required & !FEATURES;
        if missing != 0 {
            let message = format!("{} requires features {missing:#x} that {} lacks", self.entity, own.entity);
            return Err(Refusal::new(RefusalReason::Feature, message));
        }
        if self.method != METHOD_CLUSTER_KEY {
            let message = format!("authentication method {} is not accepted by {}", self.method, own.entity);
            return Err(Refusal::new(RefusalReason::Method, message));
        }
        Ok(())
    }

    /// Whether it is the greeting of whom one wanted to reach.
    pub(crate) fn check_expected(&self, wanted: &PeerAddress) -> Result<(), Refusal> {
        if let Some(expected) = wanted.entity.as_ref().filter(|expected| **expected != self.entity) {
            let message = format!("{expected} was expected at {}, but {} is there", wanted.address, self.entity);
            return Err(Refusal::new(RefusalReason::WrongPeer, message));
        }
        if wanted.nonce.is_some_and(|expected| expected != self.nonce) {
            let message = format!("another process of {} was expected at {}", self.entity, wanted.address);
            return Err(Refusal::new(RefusalReason::WrongProcess, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClusterKey;

    fn identity() -> Identity {
        Identity {
            cluster: ClusterId(Uuid([7; 16])),
            entity: "osd.3".parse().expect("a name"),
            nonce: BootNonce(0x0102_0304_0506_0708),
            key: ClusterKey::new([1; 32]),
        }
    }

    fn greeting() -> Greeting {
        let expected = (Some("client.admin".parse().expect("a name")), Some(BootNonce(9)));
        Greeting::of(&identity(), Role::Acceptor, expected, [5; CHALLENGE_BYTES])
    }

    fn hexadecimal(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_greetings_bytes_never_change() {
        let expected = [
            "89696b610d0a1a0a0100010002010000",
            "00000000000000000000000000000000",
            "07070707070707070707070707070707",
            "08070605040302010900000000000000",
            &"05".repeat(32),
            "6f73642e33",
            &"00".repeat(67),
            "636c69656e742e61646d696e",
            &"00".repeat(60 + 12),
        ]
        .concat();
        let block = greeting().encode();
        assert_eq!(hexadecimal(&block[..CRC.start]), expected);
        assert_eq!(block[CRC], crc32fast::hash(&block[..CRC.start]).to_le_bytes());
        let Ok(Step::Greeting(read)) = decode_step(&block) else { panic!("not read as a greeting") };
        assert_eq!(*read, greeting());
    }

    #[test]
    fn refusals_are_cut_at_a_character() {
        let refusal = Refusal::new(RefusalReason::Feature, "ä".repeat(200));
        let Ok(Step::Refusal(read)) = decode_step(&encode_refusal(&refusal)) else { panic!("not read as a refusal") };
        assert_eq!(read, Refusal::new(RefusalReason::Feature, "ä".repeat(120)));
        for reason in RefusalReason::ALL {
            assert_eq!(RefusalReason::from_number(reason.number()), reason);
        }
    }

    #[test]
    fn every_mismatch_has_its_reason() {
        let own = Identity { entity: "client.admin".parse().expect("a name"), nonce: BootNonce(9), ..identity() };
        let reason = |change: fn(&mut Greeting)| {
            let mut greeting = greeting();
            change(&mut greeting);
            greeting.check(&own, Role::Acceptor).map_err(|refusal| refusal.reason)
        };
        assert_eq!(reason(|_| ()), Ok(()));
        assert_eq!(reason(|greeting| greeting.role = Role::Connector), Err(RefusalReason::Malformed));
        assert_eq!(reason(|greeting| greeting.protocol_max = 0), Err(RefusalReason::Protocol));
        assert_eq!(reason(|greeting| greeting.protocol_min = 2), Err(RefusalReason::Protocol));
        assert_eq!(reason(|greeting| greeting.cluster = ClusterId(Uuid([8; 16]))), Err(RefusalReason::WrongCluster));
        assert_eq!(reason(|greeting| greeting.expected_entity = "osd.4".parse().ok()), Err(RefusalReason::WrongPeer));
        assert_eq!(reason(|greeting| greeting.expected_nonce = Some(BootNonce(1))), Err(RefusalReason::WrongProcess));
        assert_eq!(reason(|greeting| greeting.features_required = 4), Err(RefusalReason::Feature));
        assert_eq!(reason(|greeting| greeting.method = 2), Err(RefusalReason::Method));
    }

    #[test]
    fn a_changed_block_is_malformed() {
        let block = greeting().encode();
        for index in 0..BLOCK_BYTES {
            let mut changed = block;
            changed[index] ^= 0x10;
            let refusal = decode_step(&changed).map(|_| ()).expect_err("every byte is covered");
            assert_eq!(refusal.reason, RefusalReason::Malformed, "byte {index}");
        }
    }
}

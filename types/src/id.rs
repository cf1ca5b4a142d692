//! Who is who: daemons, pools, clients, requests, and the uuids that tell a reused name from the same thing.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

macro_rules! integer_id {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

integer_id! {
    /// An OSD's number in the cluster map: `osd.3` is `OsdId(3)`.
    OsdId(u32);
    /// A monitor's number in the monitor map; also its id in the replicated log. Never reused.
    MonId(u64);
    /// A pool's number. Never reused.
    PoolId(u64);
    /// A client's number, given by the monitors, never reused. Zero is nobody.
    ClientId(u64);
    /// A snapshot's number within a pool.
    SnapshotId(u64);
    /// A daemon's number for this life of its process, drawn at start: tells a restarted peer from the old one.
    BootNonce(u64);
}

impl SnapshotId {
    /// The live object, not a snapshot of it.
    pub const HEAD: Self = Self(u64::MAX - 1);
}

/// One operation of one client. The client counts `sequence` up from one; the pair is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId {
    /// Who asked.
    pub client: ClientId,
    /// The client's count.
    pub sequence: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.client, self.sequence)
    }
}

/// 128 bits that name one thing for ever. Text form: 8-4-4-4-12 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// A version 4 uuid from 128 random bits.
    pub fn from_random(mut bits: [u8; 16]) -> Self {
        bits[6] = bits[6] & 0x0f | 0x40;
        bits[8] = bits[8] & 0x3f | 0x80;
        Self(bits)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::invalid(format!("`{text}` is not a uuid of the form 8-4-4-4-12 hexadecimal digits"));
        if text.len() != 36 || [8, 13, 18, 23].iter().any(|&at| text.as_bytes()[at] != b'-') {
            return Err(refuse());
        }
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        if digits.len() != 32 {
            return Err(refuse());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Uuid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuid_id! {
    /// The cluster. Two clusters on one machine may reuse each other's ports; this tells them apart.
    ClusterId;
    /// One life of an OSD id: a wiped device under its old number has a new one.
    OsdUuid;
    /// One formatted store; in both its halves.
    StoreUuid;
}

/// What kind of party speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A monitor.
    Mon,
    /// An object storage daemon.
    Osd,
    /// A manager.
    Mgr,
    /// Anything that is no daemon of the cluster.
    Client,
}

impl EntityKind {
    /// The word in front of the dot of an entity's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Osd => "osd",
            Self::Mgr => "mgr",
            Self::Client => "client",
        }
    }
}

/// A party's name: `osd.3`, `mon.a`, `client.admin`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntityName {
    /// What it is.
    pub kind: EntityKind,
    /// Which one: an OSD's number, a monitor's letter, a user's name.
    pub id: String,
}

impl EntityName {
    /// The name of an OSD.
    pub fn osd(id: OsdId) -> Self {
        Self { kind: EntityKind::Osd, id: id.to_string() }
    }

    /// The name of a party of this kind.
    pub fn new(kind: EntityKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }

    /// The OSD's number, when this names an OSD.
    pub fn osd_id(&self) -> Option<OsdId> {
        (self.kind == EntityKind::Osd).then(|| self.id.parse().ok().map(OsdId)).flatten()
    }
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind.name(), self.id)
    }
}

impl FromStr for EntityName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse =
            || Error::invalid(format!("`{text}` is not an entity; it would be like osd.3, mon.a or client.admin"));
        let (kind, id) = text.split_once('.').ok_or_else(refuse)?;
        let kind = match kind {
            "mon" => EntityKind::Mon,
            "osd" => EntityKind::Osd,
            "mgr" => EntityKind::Mgr,
            "client" => EntityKind::Client,
            _ => return Err(refuse()),
        };
        let valid = !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !valid || kind == EntityKind::Osd && id.parse::<u32>().is_err() {
            return Err(refuse());
        }
        Ok(Self { kind, id: id.to_owned() })
    }
}

impl TryFrom<String> for EntityName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<EntityName> for String {
    fn from(name: EntityName) -> Self {
        name.to_string()
    }
}

//! The control plane: what daemons, clients and operators ask of monitors and managers.
//!
//! Reports (`Beacon`, `Failure`, statistics) are not replicated; whoever sent one sends it again until a map shows
//! its effect or a new leader asks. Everything else is answered only when its effect is agreed on.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use types::{BootNonce, ClientId, Epoch, Error, OsdId, OsdUuid, PgId, StoreUsage};

use crate::{ClusterDigest, MapShare, StatisticsReport};

/// Names a command once and for ever, so that a repeat gets the first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId {
    /// Who asks: 64 random bits drawn by the asking process at its start.
    pub asker: u64,
    /// The asker's count, from one.
    pub sequence: u64,
}

/// A command: Ceph's grammar, already cut into prefix and named arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRequest {
    /// Its name.
    pub id: CommandId,
    /// The words, for example `osd pool create`.
    pub prefix: String,
    /// Named arguments as text; the command table validates them.
    pub arguments: BTreeMap<String, String>,
    /// Bulk input: a CRUSH map, say.
    pub input: Bytes,
}

/// A command's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandAnswer {
    /// One sentence for a human; may be empty.
    pub status: String,
    /// JSON, or raw bytes for commands that say so; may be empty.
    pub output: Bytes,
}

/// An OSD's introduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsdBoot {
    /// Its number.
    pub osd: OsdId,
    /// Its life.
    pub uuid: OsdUuid,
    /// Its process.
    pub nonce: BootNonce,
    /// Its data plane.
    pub address: SocketAddr,
    /// Its host; becomes its place in the CRUSH tree when it has none yet.
    pub host: String,
    /// Its size in bytes; becomes its first CRUSH weight (1.0 for each TiB).
    pub total_bytes: u64,
    /// Newest map it has.
    pub newest_map: Epoch,
}

/// Why an OSD is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureEvidence {
    /// It did not answer for so long.
    Silent(Duration),
    /// Its registered address refuses connections, seen from the network stack that it lived in: nothing but its death
    /// can be the reason.
    Refused,
    /// Its registered address refuses connections, seen from elsewhere. It is as good as silence, only sooner; but a
    /// firewall may refuse in its place, so it proves nothing.
    Closed,
    /// It answers again; the report is taken back.
    Recovered,
}

/// A report on another OSD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsdFailure {
    /// Who reports.
    pub reporter: OsdId,
    /// On whom.
    pub target: OsdId,
    /// On which life of its process.
    pub nonce: BootNonce,
    /// What was seen.
    pub evidence: FailureEvidence,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlRequest {
    /// A command; may go to any monitor.
    Command(CommandRequest),
    /// A number for a new client; answered with `ClientId`.
    NewClient(CommandId),
    /// Maps after this epoch, from the monitor that is asked.
    GetMaps {
        /// What the asker has.
        have: Epoch,
    },
    /// An OSD introduces itself; sent again until a map shows it up.
    Boot(OsdBoot),
    /// An OSD is alive; every few seconds.
    Beacon {
        /// Which.
        osd: OsdId,
        /// Its process.
        nonce: BootNonce,
        /// Its map.
        epoch: Epoch,
        /// Lowest epoch that its PGs still need.
        lowest_needed: Epoch,
        /// How full it is.
        usage: StoreUsage,
    },
    /// A report on another OSD.
    Failure(OsdFailure),
    /// An OSD stops on purpose; answered when the map shows it down.
    Farewell {
        /// Which.
        osd: OsdId,
        /// Its process.
        nonce: BootNonce,
    },
    /// A primary wants its `up_thru` raised before it serves.
    UpThru {
        /// Which.
        osd: OsdId,
        /// Its process.
        nonce: BootNonce,
        /// To at least this.
        epoch: Epoch,
    },
    /// A primary wants a temporary acting set; an empty one ends it.
    PgTemp {
        /// Who asks.
        osd: OsdId,
        /// The map that it had.
        epoch: Epoch,
        /// Which sets.
        sets: Vec<(PgId, Vec<OsdId>)>,
    },
    /// A primary has peered a new PG for the first time.
    PgCreated {
        /// Which.
        pgs: Vec<PgId>,
    },
    /// A manager is alive and would serve.
    ManagerBeacon {
        /// Its name.
        name: String,
        /// Its control plane.
        address: SocketAddr,
        /// Its process.
        nonce: BootNonce,
        /// What the active one knows.
        digest: Option<Box<ClusterDigest>>,
    },
    /// To the active manager: an OSD's report.
    Statistics(Box<StatisticsReport>),
    /// Between monitors: the consensus library's own words.
    Consensus {
        /// Which call.
        method: String,
        /// In the library's own encoding.
        body: Bytes,
    },
    /// Between monitors: a request that only the leader can answer, passed on with who first asked.
    Forwarded {
        /// Who asked.
        asker: types::EntityName,
        /// What.
        request: Box<ControlRequest>,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlReply {
    /// Noted or done.
    Done,
    /// A command's answer.
    Answer(CommandAnswer),
    /// A client's number.
    Client(ClientId),
    /// Maps.
    Maps(MapShare),
    /// The consensus library's own words.
    Consensus(Bytes),
    /// Refused.
    Failed(Error),
}

//! What changes from one epoch to the next.

use std::{net::SocketAddr, sync::Arc};

use crush::CrushMap;
use types::{BootNonce, ClientId, Epoch, MonId, OsdId, OsdUuid, PgId, PoolId};

use crate::{BlocklistEntry, ClusterFlags, ConfigTarget, FullRatios, Managers, MonitorEntry, Pool, Weight};

/// One change. A list of them, applied in order, makes the next epoch.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Cluster-wide switches become these.
    Flags(ClusterFlags),
    /// Makes an OSD exist: down, out, with full affinity and nothing proven. Refused (`Exists`) when it does.
    OsdCreate {
        /// Its number.
        osd: OsdId,
        /// Its life.
        uuid: OsdUuid,
    },
    /// An OSD booted: it is up, at this place, in this life of its process; `up_from` becomes this epoch, and the death of
    /// an earlier incarnation no longer stands. With another uuid than the map's it is a new life on an empty device:
    /// `up_thru` and the last clean interval are forgotten; `lost_at` stays, since only an operator can say that the old
    /// data need not be waited for. Its weight stays as it is.
    OsdUp {
        /// Which.
        osd: OsdId,
        /// Its life; differs from the map's after a wipe.
        uuid: OsdUuid,
        /// Its data plane.
        address: SocketAddr,
        /// Its process.
        nonce: BootNonce,
        /// Its host.
        host: String,
    },
    /// An OSD is down: `down_at` becomes this epoch and the address is forgotten. Of one that is down already nothing of
    /// that changes. `dead`: its process is proven gone; `dead_epoch` becomes this epoch, also when the proof comes later
    /// than the first report.
    OsdDown {
        /// Which.
        osd: OsdId,
        /// Whether this incarnation is proven dead, so that nobody need wait for its leases.
        dead: Death,
    },
    /// In/out weight: both values become these. `weight_before_out` is kept for an automatic return.
    OsdWeight {
        /// Which.
        osd: OsdId,
        /// The new weight.
        weight: Weight,
        /// What it gets back when it comes in by itself.
        weight_before_out: Option<Weight>,
    },
    /// Primary affinity.
    OsdPrimaryAffinity {
        /// Which.
        osd: OsdId,
        /// The new affinity.
        affinity: Weight,
    },
    /// The OSD could have served writes in the interval that this epoch belongs to. Never lowers what was proven before.
    OsdUpThru {
        /// Which.
        osd: OsdId,
        /// The epoch.
        epoch: Epoch,
    },
    /// The OSD's last clean interval.
    OsdLastClean {
        /// Which.
        osd: OsdId,
        /// First epoch.
        begin: Epoch,
        /// Last epoch.
        end: Epoch,
    },
    /// An OSD's own flags.
    OsdFlags {
        /// Which.
        osd: OsdId,
        /// The new flags.
        flags: ClusterFlags,
    },
    /// An operator declared the OSD's data lost: `lost_at` becomes this epoch. Refused while it is up.
    OsdLost {
        /// Which.
        osd: OsdId,
    },
    /// The OSD no longer exists, nor does any exception that names it; in a temporary set of an erasure-coded pool it
    /// becomes a hole. Refused while it is up. The placement hierarchy is changed by itself.
    OsdRemove {
        /// Which.
        osd: OsdId,
    },
    /// A pool is made or changed; `created` and `changed` are stamped with this epoch as is due, whatever they say.
    ///
    /// A new one must have a number that was never given; all its PGs go into `creating_pgs`. With more PGs than before,
    /// those that split off a PG that is still to be created are to be created too; with fewer, exceptions for those that
    /// are gone go with them.
    PoolSet(Arc<Pool>),
    /// A pool is gone, with all exceptions for its PGs.
    PoolRemove(PoolId),
    /// A new placement hierarchy.
    Crush(Arc<CrushMap>),
    /// Raw set exception; `None` or an empty list removes it.
    PgUpmap(PgId, Option<Vec<OsdId>>),
    /// Replacement exceptions; `None` or an empty list removes them.
    PgUpmapItems(PgId, Option<Vec<(OsdId, OsdId)>>),
    /// Primary exception; `None` removes it.
    PgUpmapPrimary(PgId, Option<OsdId>),
    /// Temporary acting set; `None` or an empty list removes it.
    PgTemp(PgId, Option<Vec<OsdId>>),
    /// Temporary primary; `None` removes it.
    PrimaryTemp(PgId, Option<OsdId>),
    /// The PG has been peered once: it leaves `creating_pgs`. Nothing happens when it is not there.
    PgCreated(PgId),
    /// A monitor joins or moves; `None` removes it.
    Monitor(MonId, Option<MonitorEntry>),
    /// The managers become these.
    Managers(Managers),
    /// A client is fenced until this wall time in milliseconds; `None` lifts it.
    Blocklist(BlocklistEntry, Option<u64>),
    /// Fill levels.
    FullRatios(FullRatios),
    /// A setting for somebody, in canonical form; `None` forgets it. The name may be one that only a later version knows.
    Configuration {
        /// Which option, by name.
        option: String,
        /// For whom.
        target: ConfigTarget,
        /// Its value.
        value: Option<String>,
    },
    /// Client ids below this have been given. Refused when it goes back.
    ClientNext(ClientId),
    /// Gates. Refused when one is lowered.
    Gates {
        /// Lowest protocol.
        protocol_min: u32,
        /// Required features.
        require_osd_release: u32,
    },
}

/// How sure the monitors are that a down OSD's process is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It may still run behind a partition; its leases must run out.
    Possible,
    /// Its registered address refused a connection, reported from its own host, or it said farewell.
    Proven,
}

/// The step from epoch `epoch - 1` to `epoch`.
#[derive(Debug, Clone, PartialEq)]
pub struct Increment {
    /// The epoch it makes.
    pub epoch: Epoch,
    /// Wall time in milliseconds, as the leader stamped it; never goes back.
    pub modified_ms: u64,
    /// The checksum that the resulting full map must have.
    pub result_checksum: u32,
    /// What changes, in order.
    pub changes: Vec<Change>,
}

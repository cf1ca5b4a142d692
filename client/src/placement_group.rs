//! What operators ask of a placement group: scrubs, what they found, where it stands, and to give up what is lost.
//!
//! The question goes to the group's primary, as an operation of a client does, and waits like one until there is a primary.

use bytes::Bytes;
use client_ops::Target;
use types::{Error, OsdId, PgId, Result, limits};
use wire::{InconsistentObject, OpFlags, ScrubOrder, SubOp, SubOpResult, UnfoundFate};

use crate::{Cluster, object::unexpected, submit::error_of};

/// What scrubs found in a placement group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InconsistentObjects {
    /// When the last scrub began, in milliseconds since 1970; zero when there was none.
    pub stamp_ms: u64,
    /// How many objects are inconsistent. More than are listed when this primary did not lead the scrub that found them.
    pub total: u64,
    /// Those that are listed, in object order.
    pub objects: Vec<InconsistentObject>,
}

impl Cluster {
    async fn ask_pg(&self, pg: PgId, step: SubOp) -> Result<SubOpResult> {
        let map = self.refresh_map().await?;
        if map.map().pools.get(&pg.pool).is_none_or(|pool| pg.seed >= pool.pg_num) {
            return Err(Error::not_found(format!("there is no placement group {pg}")));
        }
        let outcome = self.submitter().submit(pg.pool, Target::Pg(pg), vec![step], OpFlags::default()).await;
        let mut success = outcome.map_err(|failure| error_of(failure).context(format_args!("ask {pg}")))?;
        success.results.pop().ok_or_else(|| unexpected(pg))
    }

    /// Lets the placement group be scrubbed as soon as there is a place for it. Answers when its primary has noted that.
    pub async fn order_scrub(&self, pg: PgId, order: ScrubOrder) -> Result<()> {
        match self.ask_pg(pg, SubOp::ScrubPg(order)).await? {
            SubOpResult::Done => Ok(()),
            _ => Err(unexpected(pg)),
        }
    }

    /// The placement groups that this OSD leads by the newest map.
    pub async fn pgs_led_by(&self, osd: OsdId) -> Result<Vec<PgId>> {
        let map = self.refresh_map().await?;
        if !map.map().osds.contains_key(&osd) {
            return Err(Error::not_found(format!("osd.{osd} does not exist; `osd ls` lists those that do")));
        }
        Ok(map.map().pgs().filter(|pg| map.place(*pg).acting_primary == Some(osd)).collect())
    }

    /// What scrubs found.
    pub async fn inconsistent_objects(&self, pg: PgId) -> Result<InconsistentObjects> {
        let mut found = InconsistentObjects { stamp_ms: 0, total: 0, objects: Vec::new() };
        let objects_max = u32::try_from(limits::INCONSISTENT_PAGE_OBJECTS).unwrap_or(u32::MAX);
        loop {
            let skip = u32::try_from(found.objects.len()).unwrap_or(u32::MAX);
            match self.ask_pg(pg, SubOp::ListInconsistent { skip, objects_max }).await? {
                SubOpResult::Inconsistents { stamp_ms, total, objects } => {
                    (found.stamp_ms, found.total) = (stamp_ms, total);
                    if objects.is_empty() {
                        return Ok(found);
                    }
                    found.objects.extend(objects);
                }
                _ => return Err(unexpected(pg)),
            }
        }
    }

    /// Everything that tells where the placement group stands, as JSON.
    pub async fn query_pg(&self, pg: PgId) -> Result<Bytes> {
        match self.ask_pg(pg, SubOp::QueryPg).await? {
            SubOpResult::Data(json) => Ok(json),
            _ => Err(unexpected(pg)),
        }
    }

    /// Gives up every object of which no copy can be found. Answers how many there were.
    pub async fn mark_unfound_lost(&self, pg: PgId, fate: UnfoundFate) -> Result<u64> {
        let mut given_up = 0;
        loop {
            let SubOpResult::Data(digits) = self.ask_pg(pg, SubOp::MarkUnfoundLost(fate)).await? else {
                return Err(unexpected(pg));
            };
            let left = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<u64>().ok());
            match left.ok_or_else(|| unexpected(pg))? {
                0 => return Ok(given_up),
                _ => given_up += 1,
            }
        }
    }
}

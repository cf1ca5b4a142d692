//! Everything that tells where a placement group stands, as JSON for operators; field names are those of Ceph's `pg query`
//! where it has them.

use bytes::Bytes;
use serde_json::{Value, json};
use types::{Cursor, Error, OsdId, Result};
use wire::PgInfo;

use crate::{peering::Stage, pg::Pg};

fn cursor(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Start => "MIN".to_owned(),
        Cursor::Before(object) => object.to_string(),
        Cursor::End => "MAX".to_owned(),
    }
}

fn set(osds: &[Option<OsdId>]) -> Vec<Option<u32>> {
    osds.iter().map(|osd| osd.map(|osd| osd.0)).collect()
}

fn numbers<'a>(osds: impl IntoIterator<Item = &'a OsdId>) -> Vec<u32> {
    osds.into_iter().map(|osd| osd.0).collect()
}

fn info(info: &PgInfo) -> Value {
    let history = &info.history;
    json!({
        "pgid": info.pg,
        "last_update": info.last_update.to_string(),
        "last_complete": info.last_complete.to_string(),
        "log_tail": info.log_tail.to_string(),
        "last_user_version": info.last_user_version,
        "last_backfill": cursor(&info.backfill),
        "history": {
            "epoch_created": history.epoch_created.0,
            "last_epoch_started": history.last_epoch_started.0,
            "last_interval_started": history.last_interval_started.0,
            "last_epoch_clean": history.last_epoch_clean.0,
            "last_interval_clean": history.last_interval_clean.0,
            "same_up_since": history.same_up_since.0,
            "same_interval_since": history.same_interval_since.0,
            "same_primary_since": history.same_primary_since.0,
        },
        "stats": { "stat_sum": { "num_objects": info.objects, "num_bytes": info.bytes } },
    })
}

impl Pg {
    /// The answer to a query.
    pub(crate) fn query(&self) -> Result<Bytes> {
        let statistics = self.statistics();
        let record = &self.scrub.record;
        let peers: Vec<Value> = self
            .peers
            .iter()
            .map(|(osd, peer)| {
                let mut value = info(&peer.info);
                value["peer"] = json!(osd.0);
                value["num_missing"] = json!(peer.missing.len());
                value
            })
            .collect();
        let past: Vec<Value> = self
            .past
            .list()
            .iter()
            .map(|past| {
                json!({
                    "first": past.first.0, "last": past.last.0, "up": set(&past.up), "acting": set(&past.acting),
                    "primary": past.primary.map(|osd| osd.0), "maybe_went_rw": past.maybe_wrote,
                })
            })
            .collect();
        let value = json!({
            "state": statistics.state.to_string(),
            "epoch": self.map.epoch().0,
            "up": set(&self.interval.up),
            "acting": set(&self.interval.acting),
            "info": info(&self.info),
            "peer_info": peers,
            "recovery_state": [{
                "name": format!("{:?}", self.peering.stage),
                "comment": self.stage_sentence(),
                "probing_osds": numbers(self.peering.queried.keys()),
                "blocked_by": numbers(&self.peering.blocked_by),
                "past_intervals": past,
                "might_have_unfound": numbers(&self.absent_witnesses()),
            }],
            "num_missing": self.missing.len(),
            "num_unfound": statistics.unfound_objects,
            "scrub": {
                "last_scrub": record.scrub_version.to_string(),
                "last_scrub_stamp_ms": record.scrub_stamp_ms,
                "last_deep_scrub": record.deep_version.to_string(),
                "last_deep_scrub_stamp_ms": record.deep_stamp_ms,
                "next_scrub_ms": record.scrub_due_ms,
                "next_deep_scrub_ms": record.deep_due_ms,
                "num_scrub_errors": record.errors,
                "num_objects_repaired": record.repaired,
            },
        });
        serde_json::to_vec(&value)
            .map(Bytes::from)
            .map_err(|error| Error::internal(format!("write the answer to a query: {error}")))
    }

    /// What the PG waits for, in a sentence.
    fn stage_sentence(&self) -> String {
        let osds = |osds: Vec<u32>| {
            let names: Vec<String> = osds.iter().map(|osd| format!("osd.{osd}")).collect();
            names.join(", ")
        };
        match self.peering.stage {
            Stage::Waiting | Stage::Replica => "this member does not lead".to_owned(),
            Stage::GetInfo => format!("asks {} what they have", osds(numbers(self.peering.queried.keys()))),
            Stage::Down if self.peering.blocked_by.is_empty() => {
                "nobody who is there knows the past of this placement group".to_owned()
            }
            Stage::Down => format!(
                "writes may have been accepted that only {} know of: start one of them, or declare them lost",
                osds(numbers(&self.peering.blocked_by))
            ),
            Stage::Incomplete => "nobody who is there has a whole copy of the newest history".to_owned(),
            Stage::WaitActing => "waits for the map that lets another set serve".to_owned(),
            Stage::GetLog => "waits for the authoritative log".to_owned(),
            Stage::WaitProof => "waits until no earlier primary can serve reads any more".to_owned(),
            Stage::Activating => "waits until every member has the log on disk".to_owned(),
            Stage::Active => "serves".to_owned(),
            Stage::Peered => "has fewer members than writes need".to_owned(),
        }
    }
}

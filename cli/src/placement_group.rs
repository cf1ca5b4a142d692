//! `ika pg scrub`, `pg repair`, `pg query`, `object list-inconsistent` and their like: words for a placement group's primary.

use client::{
    Cluster, Error, InconsistencyFlags, InconsistentObject, InconsistentObjects, Result, ScrubOrder, UnfoundFate,
};
use serde_json::{Value, json};
use types::{ObjectId, OsdId, PgId, SnapshotId};

use crate::console::Console;

/// What the words ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PgCommand {
    /// `pg scrub PGID`, `pg deep-scrub PGID`, `pg repair PGID`.
    Scrub(PgId, ScrubOrder),
    /// `osd scrub OSD` and its like: every group that the OSD leads.
    ScrubOsd(OsdId, ScrubOrder),
    /// `pg query PGID`, or as Ceph has it `pg PGID query`.
    Query(PgId),
    /// `object list-inconsistent PGID`.
    ListInconsistent(PgId),
    /// `pg PGID mark_unfound_lost revert`.
    MarkUnfoundLost(PgId, UnfoundFate),
}

/// The command, if these words are one; a wrong one is a sentence.
pub(crate) fn understand(words: &[&str]) -> Option<std::result::Result<PgCommand, String>> {
    let parsed = match words {
        ["pg", "query", pg] | ["pg", pg, "query"] => group(pg).map(PgCommand::Query),
        ["pg", word, pg] => {
            let order = order(word)?;
            group(pg).map(|pg| PgCommand::Scrub(pg, order))
        }
        ["osd", word, osd] => {
            let order = order(word)?;
            let number = osd.strip_prefix("osd.").unwrap_or(osd).parse();
            let number = number.map_err(|_| format!("`{osd}` is no OSD; it would be like 3 or osd.3"));
            number.map(|osd| PgCommand::ScrubOsd(OsdId(osd), order))
        }
        ["object", "list-inconsistent", pg] => group(pg).map(PgCommand::ListInconsistent),
        ["pg", pg, "mark_unfound_lost" | "mark-unfound-lost", fate] => {
            let fate = match *fate {
                "revert" => Ok(UnfoundFate::Revert),
                "delete" => Ok(UnfoundFate::Delete),
                other => Err(format!("`{other}` is no way to give objects up; it would be revert or delete")),
            };
            group(pg).and_then(|pg| Ok(PgCommand::MarkUnfoundLost(pg, fate?)))
        }
        ["object", "list-inconsistent", ..] => {
            Err("object list-inconsistent takes a placement group such as 3.1f".into())
        }
        _ => return None,
    };
    Some(parsed)
}

fn order(word: &str) -> Option<ScrubOrder> {
    match word {
        "scrub" => Some(ScrubOrder::Scrub),
        "deep-scrub" => Some(ScrubOrder::DeepScrub),
        "repair" => Some(ScrubOrder::Repair),
        _ => None,
    }
}

fn name_of(order: ScrubOrder) -> &'static str {
    match order {
        ScrubOrder::Scrub => "scrub",
        ScrubOrder::DeepScrub => "deep-scrub",
        ScrubOrder::Repair => "repair",
    }
}

fn group(text: &str) -> std::result::Result<PgId, String> {
    text.parse().map_err(|error: Error| error.message)
}

/// Carries the command out.
pub(crate) async fn carry_out(cluster: &Cluster, command: PgCommand, console: Console) -> Result<()> {
    match command {
        PgCommand::Scrub(pg, order) => {
            cluster.order_scrub(pg, order).await?;
            console.remark(&format!("instructing pg {pg} to {}", name_of(order)));
            Ok(())
        }
        PgCommand::ScrubOsd(osd, order) => {
            let groups = cluster.pgs_led_by(osd).await?;
            for pg in &groups {
                cluster.order_scrub(*pg, order).await?;
            }
            console.remark(&format!("instructed the {} pgs that osd.{osd} leads to {}", groups.len(), name_of(order)));
            Ok(())
        }
        PgCommand::Query(pg) => {
            let answer = cluster.query_pg(pg).await?;
            let value: Value = serde_json::from_slice(&answer)
                .map_err(|error| Error::internal(format!("the answer to a query cannot be read: {error}")))?;
            console.json(&value)
        }
        PgCommand::ListInconsistent(pg) => {
            let found = cluster.inconsistent_objects(pg).await?;
            if found.stamp_ms == 0 {
                return Err(Error::not_found(format!("pg {pg} was never scrubbed; `ika pg deep-scrub {pg}` does it")));
            }
            if found.objects.is_empty() && found.total > 0 {
                return Err(Error::retry(format!(
                    "pg {pg} has {} inconsistent objects that another primary listed; `ika pg deep-scrub {pg}` lists them anew",
                    found.total
                )));
            }
            console.json(&listed(pg, &found))
        }
        PgCommand::MarkUnfoundLost(pg, fate) => {
            let count = cluster.mark_unfound_lost(pg, fate).await?;
            let what = match fate {
                UnfoundFate::Revert => "went back to older versions, or were removed where there was none",
                UnfoundFate::Delete => "were removed",
            };
            console.remark(&format!("pg {pg}: {count} unfound objects {what}"));
            Ok(())
        }
    }
}

/// Ceph: the answer of `rados list-inconsistent-obj`.
fn listed(pg: PgId, found: &InconsistentObjects) -> Value {
    json!({
        "pgid": pg,
        "scrub_stamp_ms": found.stamp_ms,
        "num_inconsistent": found.total,
        "inconsistents": found.objects.iter().map(inconsistent).collect::<Vec<_>>(),
    })
}

fn names(flags: InconsistencyFlags) -> Vec<&'static str> {
    flags.names().collect()
}

fn object_json(object: &ObjectId, version: u64) -> Value {
    let snapshot = if object.snapshot == SnapshotId::HEAD { json!("head") } else { json!(object.snapshot.0) };
    json!({
        "name": object.name.name.escape_ascii().to_string(),
        "nspace": object.name.namespace.escape_ascii().to_string(),
        "locator": object.name.key.escape_ascii().to_string(),
        "snap": snapshot,
        "version": version,
    })
}

fn inconsistent(found: &InconsistentObject) -> Value {
    let mut union = InconsistencyFlags::default();
    let shards: Vec<Value> = found
        .copies
        .iter()
        .enumerate()
        .map(|(index, copy)| {
            union = union.with(copy.errors);
            let mut shard = json!({ "osd": copy.osd.0, "primary": index == 0, "errors": names(copy.errors) });
            if let Some(digest) = &copy.digest {
                shard["size"] = json!(digest.size);
                shard["version"] = json!(digest.version.to_string());
                shard["data_digest"] = json!(format!("0x{:08x}", digest.data_crc));
                shard["omap_digest"] = json!(format!("0x{:08x}", digest.omap_crc));
                shard["damage"] = json!(digest.damage);
            }
            shard
        })
        .collect();
    json!({
        "object": object_json(&found.object, found.version.number),
        "errors": names(found.errors),
        "union_shard_errors": names(union),
        "proven_by": found.proven.map(|osd| osd.0),
        "shards": shards,
    })
}

#[cfg(test)]
mod tests {
    use client::InconsistentCopy;
    use types::{Epoch, LogVersion, ObjectName, PoolId};

    use super::*;

    const PG: PgId = PgId { pool: PoolId(3), seed: 0x1f };

    #[test]
    fn words_for_placement_groups_are_understood_or_refused() {
        let good = [
            (vec!["pg", "scrub", "3.1f"], PgCommand::Scrub(PG, ScrubOrder::Scrub)),
            (vec!["pg", "deep-scrub", "3.1f"], PgCommand::Scrub(PG, ScrubOrder::DeepScrub)),
            (vec!["pg", "repair", "3.1f"], PgCommand::Scrub(PG, ScrubOrder::Repair)),
            (vec!["osd", "repair", "osd.4"], PgCommand::ScrubOsd(OsdId(4), ScrubOrder::Repair)),
            (vec!["pg", "3.1f", "query"], PgCommand::Query(PG)),
            (vec!["object", "list-inconsistent", "3.1f"], PgCommand::ListInconsistent(PG)),
            (vec!["pg", "3.1f", "mark_unfound_lost", "revert"], PgCommand::MarkUnfoundLost(PG, UnfoundFate::Revert)),
        ];
        for (words, command) in good {
            assert_eq!(understand(&words), Some(Ok(command)), "{words:?}");
        }
        for others in [vec!["pg", "stat"], vec!["pg", "map", "3.1f"], vec!["osd", "out", "3"], vec!["status"]] {
            assert_eq!(understand(&others), None, "{others:?}");
        }
        let refused = understand(&["pg", "scrub", "three"]).unwrap().unwrap_err();
        assert!(refused.contains("3.1f"), "{refused}");
        assert!(understand(&["pg", "3.1f", "mark_unfound_lost", "forget"]).unwrap().unwrap_err().contains("revert"));
    }

    #[test]
    fn an_inconsistent_object_is_shown_with_cephs_names() {
        let copy = |osd, errors| InconsistentCopy { osd: OsdId(osd), errors, digest: None };
        let found = InconsistentObjects {
            stamp_ms: 5,
            total: 1,
            objects: vec![InconsistentObject {
                object: ObjectId::head(PoolId(3), 7, ObjectName::new("o")),
                version: LogVersion::new(Epoch(2), 9),
                errors: InconsistencyFlags::SIZE_MISMATCH,
                proven: Some(OsdId(1)),
                copies: vec![copy(0, InconsistencyFlags::MISSING), copy(1, InconsistencyFlags::default())],
            }],
        };
        let shown = listed(PG, &found);
        let first = &shown["inconsistents"][0];
        assert_eq!(first["object"]["name"], "o");
        assert_eq!(first["object"]["snap"], "head");
        assert_eq!(first["errors"][0], "size_mismatch");
        assert_eq!(first["union_shard_errors"][0], "missing");
        assert_eq!(first["shards"][0]["primary"], true);
        assert_eq!(first["proven_by"], 1);
    }
}

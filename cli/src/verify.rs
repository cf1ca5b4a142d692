//! `ika osd verify`: are the replicas equal?

use std::process::ExitCode;

use client::{Cluster, Error, PgVerdict, Result};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use types::PgId;

use crate::{
    console::Console,
    figures::bytes,
    progress::{Progress, Unit},
};

/// Placement groups compared at once.
const GROUPS_AT_ONCE: usize = 4;

/// Compares the replicas of every placement group, or of one pool's. Exit code 1 when some differ.
pub(crate) async fn verify(cluster: &Cluster, pool: Option<&str>, console: Console) -> Result<ExitCode> {
    let map = match pool {
        Some(pool) => {
            cluster.pool(pool).await?;
            cluster.map()
        }
        None => cluster.refresh_map().await?,
    };
    let pools = map.map().pools.values().filter(|known| pool.is_none_or(|pool| known.name == pool));
    let groups: Vec<PgId> = pools.flat_map(|pool| pool.pgs()).collect();
    let mut progress = Progress::new(Unit::Things("placement groups"), Some(groups.len() as u64));
    let mut verdicts = stream::iter(groups.iter().copied())
        .map(|pg| async move { (pg, cluster.verify_pg(pg).await) })
        .buffered(GROUPS_AT_ONCE);
    let mut outcome = Outcome::default();
    while let Some((pg, verdict)) = verdicts.next().await {
        outcome.add(pg, verdict);
        progress.add(1);
    }
    drop(progress);
    console.show(|| outcome.text(), || outcome.json())?;
    Ok(if outcome.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Debug, Default)]
struct Outcome {
    groups: u64,
    objects: u64,
    bytes: u64,
    different: Vec<PgVerdict>,
    failed: Vec<(PgId, Error)>,
}

impl Outcome {
    fn add(&mut self, pg: PgId, verdict: Result<PgVerdict>) {
        self.groups += 1;
        match verdict {
            Ok(verdict) => {
                self.objects += verdict.objects;
                self.bytes += verdict.bytes;
                if !verdict.differences.is_empty() {
                    self.different.push(verdict);
                }
            }
            Err(error) => self.failed.push((pg, error)),
        }
    }

    fn is_equal(&self) -> bool {
        self.different.is_empty() && self.failed.is_empty()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for verdict in &self.different {
            for difference in &verdict.differences {
                text += &format!("{} {difference}\n", verdict.pg);
            }
        }
        for (pg, error) in &self.failed {
            text += &format!("{pg} could not be compared: {error}\n");
        }
        let verdict = match self.is_equal() {
            true => "all replicas are equal".to_owned(),
            false => format!("{} placement groups differ, {} not compared", self.different.len(), self.failed.len()),
        };
        text + &format!("{} pgs, {} objects, {}: {verdict}\n", self.groups, self.objects, bytes(self.bytes))
    }

    fn json(&self) -> Value {
        let differences = self.different.iter().flat_map(|verdict| {
            verdict.differences.iter().map(|difference| {
                let members = difference.members.iter().map(|(osd, what)| json!({ "osd": osd, "what": what }));
                json!({
                    "pgid": verdict.pg,
                    "object": difference.object,
                    "members": members.collect::<Vec<_>>(),
                })
            })
        });
        let failed = self
            .failed
            .iter()
            .map(|(pg, error)| json!({ "pgid": pg, "kind": error.kind.name(), "message": error.message }));
        json!({
            "equal": self.is_equal(),
            "pgs": self.groups,
            "objects": self.objects,
            "bytes": self.bytes,
            "differences": differences.collect::<Vec<_>>(),
            "not_compared": failed.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use client::Difference;
    use types::{OsdId, PoolId};

    use super::*;

    #[test]
    fn what_differs_and_what_failed_are_listed() {
        let pg = |seed| PgId { pool: PoolId(1), seed };
        let verdict = |seed, differences| PgVerdict {
            pg: pg(seed),
            members: vec![OsdId(0), OsdId(1)],
            objects: 10,
            bytes: 1024,
            differences,
        };
        let mut outcome = Outcome::default();
        outcome.add(pg(0), Ok(verdict(0, vec![])));
        assert!(outcome.is_equal());
        assert_eq!(outcome.text(), "1 pgs, 10 objects, 1 KiB: all replicas are equal\n");
        let members = vec![(OsdId(0), "lacks it".to_owned()), (OsdId(1), "size 3".to_owned())];
        outcome.add(pg(1), Ok(verdict(1, vec![Difference { object: Some("1:ab:x".into()), members }])));
        outcome.add(pg(2), Err(Error::retry("osd.1 is down")));
        assert!(!outcome.is_equal());
        assert_eq!(
            outcome.text(),
            "1.1 1:ab:x: osd.0 lacks it; osd.1 size 3\n1.2 could not be compared: osd.1 is down\n\
             3 pgs, 20 objects, 2 KiB: 1 placement groups differ, 1 not compared\n"
        );
        let json = outcome.json();
        assert_eq!(json["differences"][0]["members"][0]["what"], "lacks it");
        assert_eq!(json["not_compared"][0]["kind"], "retry");
        assert_eq!(json["equal"], false);
    }
}

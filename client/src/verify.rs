//! Comparing replicas: the same objects, by digest, on every member of each placement group.
//!
//! The question goes past the data path, to each member's own store, so it finds what reads through primaries
//! cannot. Members that are written meanwhile differ for a moment; such a group is asked again.

use std::{collections::BTreeMap, fmt, time::Duration};

use telemetry::clock::{boot_clock_now, instant_of};
use tokio::sync::oneshot;
use types::{Cursor, Error, ErrorKind, LogVersion, ObjectId, OsdId, PgId, Result, limits};
use wire::{ObjectDigest, VerifyRequest};

use crate::{Cluster, driver::Request};

/// How often a group whose members differ, or that changes its members, is asked again before that is the verdict.
const ROUNDS_MAX: usize = 5;
/// Between rounds, so that writes under way reach all members.
const ROUND_PAUSE: Duration = Duration::from_millis(300);

/// One way in which members differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object, as the store names it; `None` when it is about the whole group.
    pub object: Option<String>,
    /// What each member has.
    pub members: Vec<(OsdId, String)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.object.as_deref().unwrap_or("the placement group"))?;
        for (index, (osd, what)) in self.members.iter().enumerate() {
            write!(f, "{} osd.{osd} {what}", if index == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

/// What was found of one placement group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgVerdict {
    /// Which.
    pub pg: PgId,
    /// Who was compared.
    pub members: Vec<OsdId>,
    /// How many objects its first member has.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Empty when all members are equal.
    pub differences: Vec<Difference>,
}

/// One member's whole answer.
struct Copy {
    present: bool,
    last_update: LogVersion,
    objects: BTreeMap<ObjectId, ObjectDigest>,
}

impl Cluster {
    /// Compares all members of the placement group's acting set.
    pub async fn verify_pg(&self, pg: PgId) -> Result<PgVerdict> {
        let mut verdict = Err(Error::retry(format!("placement group {pg} has no members")));
        for round in 0..ROUNDS_MAX {
            if round > 0 {
                tokio::time::sleep_until(instant_of(boot_clock_now() + ROUND_PAUSE).into()).await;
            }
            verdict = self.verify_pg_once(pg).await;
            match &verdict {
                Ok(verdict) if verdict.differences.is_empty() => break,
                Err(error) if error.kind != ErrorKind::Retry => break,
                _ => {}
            }
        }
        verdict
    }

    async fn verify_pg_once(&self, pg: PgId) -> Result<PgVerdict> {
        let map = self.map();
        let pool = map.map().pools.get(&pg.pool).filter(|pool| pg.seed < pool.pg_num);
        let pool = pool.ok_or_else(|| Error::not_found(format!("placement group {pg} does not exist")))?;
        let members: Vec<OsdId> = map.place(pg).acting.into_iter().flatten().collect();
        if members.is_empty() {
            return Err(Error::retry(format!("placement group {pg} has no members that are up")));
        }
        let asked = members.iter().map(|osd| self.copy_of(*osd, pg));
        let copies = futures::future::try_join_all(asked).await?;
        let mut differences = compare(&members, &copies);
        if members.len() < usize::try_from(pool.size).unwrap_or(usize::MAX) {
            let missing = format!("is one of {} members; the pool's size is {}", members.len(), pool.size);
            differences.push(Difference { object: None, members: vec![(members[0], missing)] });
        }
        let first = &copies[0].objects;
        let bytes = first.values().map(|digest| digest.size).sum();
        Ok(PgVerdict { pg, members, objects: first.len() as u64, bytes, differences })
    }

    async fn copy_of(&self, osd: OsdId, pg: PgId) -> Result<Copy> {
        let mut copy = Copy { present: false, last_update: LogVersion::ZERO, objects: BTreeMap::new() };
        let mut begin = Some(Cursor::Start);
        while let Some(cursor) = begin {
            let objects_max = u32::try_from(limits::SCAN_PAGE_OBJECTS).unwrap_or(u32::MAX);
            let request = VerifyRequest { sequence: 0, epoch: self.map().epoch(), pg, begin: cursor, objects_max };
            let (answer, page) = oneshot::channel();
            let closed = || Error::closed("the connection to the cluster was closed");
            let request = Request::Verify { osd, request, answer };
            self.submitter().requests.send(request).await.map_err(|_| closed())?;
            let page = page.await.map_err(|_| closed())??;
            copy.present = page.present;
            copy.last_update = page.last_update;
            copy.objects.extend(page.objects.into_iter().map(|digest| (digest.object.clone(), digest)));
            begin = page.next;
        }
        Ok(copy)
    }
}

fn compare(members: &[OsdId], copies: &[Copy]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let whole = |copy: &Copy| match copy.present {
        true => format!("at version {}", copy.last_update),
        false => "has no copy".to_owned(),
    };
    let same = |copy: &Copy| (copy.present, copy.last_update) == (copies[0].present, copies[0].last_update);
    if !copies[0].present || !copies.iter().all(same) {
        let members = members.iter().zip(copies).map(|(osd, copy)| (*osd, whole(copy))).collect();
        differences.push(Difference { object: None, members });
    }
    let mut objects: Vec<&ObjectId> = copies.iter().flat_map(|copy| copy.objects.keys()).collect();
    objects.sort();
    objects.dedup();
    for object in objects {
        let digests: Vec<Option<&ObjectDigest>> = copies.iter().map(|copy| copy.objects.get(object)).collect();
        let is_whole = digests.iter().all(|digest| digest.is_some_and(|digest| digest.damage.is_none()));
        if is_whole && digests.iter().all(|digest| digest == &digests[0]) {
            continue;
        }
        let members = members.iter().zip(digests).map(|(osd, digest)| (*osd, show(digest))).collect();
        differences.push(Difference { object: Some(object.to_string()), members });
    }
    differences
}

fn show(digest: Option<&ObjectDigest>) -> String {
    match digest {
        None => "lacks it".to_owned(),
        Some(ObjectDigest { damage: Some(damage), .. }) => format!("cannot read it: {damage}"),
        Some(digest) => format!(
            "version {} size {} data {:08x} xattrs {:08x} omap {:08x}",
            digest.version, digest.size, digest.data_crc, digest.xattrs_crc, digest.omap_crc
        ),
    }
}

#[cfg(test)]
mod tests {
    use types::{ObjectName, PoolId};

    use super::*;

    fn copy(objects: &[(&str, u32)]) -> Copy {
        let digest = |(name, data_crc): &(&str, u32)| {
            let object = ObjectId::head(PoolId(1), 7, ObjectName::new(name));
            let digest = ObjectDigest {
                object: object.clone(),
                version: LogVersion::ZERO,
                size: 3,
                data_crc: *data_crc,
                xattrs_crc: 0,
                omap_crc: 0,
                damage: None,
            };
            (object, digest)
        };
        Copy { present: true, last_update: LogVersion::ZERO, objects: objects.iter().map(digest).collect() }
    }

    #[test]
    fn equal_copies_have_no_differences_and_every_other_kind_is_named() {
        let members = [OsdId(0), OsdId(2)];
        assert_eq!(compare(&members, &[copy(&[("a", 1), ("b", 2)]), copy(&[("a", 1), ("b", 2)])]), []);
        let found = compare(&members, &[copy(&[("a", 1), ("b", 2)]), copy(&[("a", 9), ("c", 3)])]);
        let found: Vec<String> = found.iter().map(Difference::to_string).collect();
        assert_eq!(found.len(), 3);
        assert!(found[0].contains(":a: osd.0 version 0'0 size 3 data 00000001"), "{}", found[0]);
        assert!(found[1].ends_with("osd.2 lacks it"), "{}", found[1]);
        assert!(found[2].contains("osd.0 lacks it"), "{}", found[2]);

        let mut damaged = copy(&[("a", 1)]);
        damaged.objects.values_mut().for_each(|digest| digest.damage = Some("bad block".into()));
        let equally_bad = compare(&members, &[damaged, copy(&[("a", 1)])]);
        assert!(equally_bad[0].to_string().contains("cannot read it: bad block"));
        let absent = Copy { present: false, ..copy(&[]) };
        assert!(compare(&members, &[copy(&[]), absent])[0].to_string().contains("osd.2 has no copy"));
    }
}

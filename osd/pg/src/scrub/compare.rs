//! What is wrong with an object, from the digests of its copies. A pure function.
//!
//! A copy is *proven* when everything of it could be read and passed its checksums, it has the version that the log
//! names (the newest version that any intact copy has, where the log does not reach back), and no other such copy
//! says something else. Where two intact copies of one version differ, nobody is proven: a majority is no proof.
//!
//! An object that the log says was removed is proven not to exist. Without that entry a copy that some lack is
//! believed: bringing back what was removed is a smaller evil than losing what was acknowledged.

use types::{LogVersion, ObjectId, OsdId};
use wire::{InconsistencyFlags, InconsistentCopy, InconsistentObject, LogEntry, LogEntryKind, ObjectDigest};

/// One member's copy.
pub type Copy<'a> = (OsdId, Option<&'a ObjectDigest>);

/// What is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For the record.
    pub found: InconsistentObject,
    /// The cure, where one is proven.
    pub cure: Option<Cure>,
}

/// Which copies have to be made anew, or to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cure {
    /// Members whose copies are wrong.
    pub bad: Vec<OsdId>,
    /// The version they should have.
    pub version: LogVersion,
    /// Whether they should have none.
    pub deleted: bool,
}

/// Compares the copies of one object; the primary's comes first. `newest` is its newest entry in the log. `None` when
/// all are equal and intact.
pub fn compare(object: &ObjectId, newest: Option<&LogEntry>, copies: &[Copy<'_>]) -> Option<Verdict> {
    let removed = newest.filter(|entry| entry.kind == LogEntryKind::Delete);
    if let Some(entry) = removed {
        return compare_removed(object, entry.version, copies);
    }
    let intact = copies.iter().filter_map(|(osd, digest)| Some((*osd, intact(*digest)?)));
    let expected = match newest {
        Some(entry) => Some(entry.version),
        None => intact.clone().map(|(_, digest)| digest.version).max(),
    };
    let good: Vec<(OsdId, &ObjectDigest)> = intact.filter(|(_, digest)| Some(digest.version) == expected).collect();
    let agree = good.windows(2).all(|pair| same_content(pair[0].1, pair[1].1));
    if good.len() == copies.len() && agree {
        return None;
    }
    let proven = good.first().filter(|_| agree);
    let mut errors = InconsistencyFlags::default();
    let reference = proven.or(good.first()).map(|(_, digest)| *digest);
    let copies: Vec<InconsistentCopy> = copies
        .iter()
        .map(|(osd, digest)| {
            let wrong = describe(*digest, reference);
            errors = errors.with(differences(*digest, reference));
            InconsistentCopy { osd: *osd, errors: wrong, digest: digest.cloned() }
        })
        .collect();
    let version = expected.unwrap_or(LogVersion::ZERO);
    let cure = proven.map(|_| {
        let is_good = |copy: &&InconsistentCopy| !good.iter().any(|(osd, _)| *osd == copy.osd);
        let bad = copies.iter().filter(is_good).map(|copy| copy.osd).collect();
        Cure { bad, version, deleted: false }
    });
    let proven = proven.map(|(osd, _)| *osd);
    Some(Verdict { found: InconsistentObject { object: object.clone(), version, errors, proven, copies }, cure })
}

fn compare_removed(object: &ObjectId, version: LogVersion, copies: &[Copy<'_>]) -> Option<Verdict> {
    let bad: Vec<OsdId> = copies.iter().filter(|(_, digest)| digest.is_some()).map(|(osd, _)| *osd).collect();
    if bad.is_empty() {
        return None;
    }
    let flag = |digest: &Option<&ObjectDigest>| match digest {
        Some(_) => InconsistencyFlags::REMOVED,
        None => InconsistencyFlags::default(),
    };
    let listed = copies
        .iter()
        .map(|(osd, digest)| InconsistentCopy { osd: *osd, errors: flag(digest), digest: digest.cloned() })
        .collect();
    let found = InconsistentObject {
        object: object.clone(),
        version: LogVersion::ZERO,
        errors: InconsistencyFlags::default(),
        proven: None,
        copies: listed,
    };
    Some(Verdict { found, cure: Some(Cure { bad, version, deleted: true }) })
}

fn intact(digest: Option<&ObjectDigest>) -> Option<&ObjectDigest> {
    digest.filter(|digest| digest.damage.is_none())
}

fn same_content(one: &ObjectDigest, other: &ObjectDigest) -> bool {
    let content = |digest: &ObjectDigest| (digest.size, digest.data_crc, digest.xattrs_crc, digest.omap_crc);
    content(one) == content(other)
}

/// Ceph counts what copies differ in at the object, and what is wrong with a copy by itself at the copy; where one copy
/// is held against the chosen one, both.
fn describe(digest: Option<&ObjectDigest>, reference: Option<&ObjectDigest>) -> InconsistencyFlags {
    match digest {
        None => InconsistencyFlags::MISSING,
        Some(digest) if digest.damage.is_some() => InconsistencyFlags::READ_ERROR,
        Some(_) => differences(digest, reference),
    }
}

fn differences(digest: Option<&ObjectDigest>, reference: Option<&ObjectDigest>) -> InconsistencyFlags {
    let (Some(digest), Some(reference)) = (intact(digest), reference) else { return InconsistencyFlags::default() };
    let mut flags = InconsistencyFlags::default();
    let mut note = |differ: bool, flag| {
        if differ {
            flags = flags.with(flag);
        }
    };
    note(digest.size != reference.size, InconsistencyFlags::SIZE_MISMATCH);
    note(digest.data_crc != reference.data_crc, InconsistencyFlags::DATA_DIGEST_MISMATCH);
    note(digest.omap_crc != reference.omap_crc, InconsistencyFlags::OMAP_DIGEST_MISMATCH);
    let other_version = digest.version != reference.version;
    note(other_version, InconsistencyFlags::INFO_MISMATCH);
    // Another version is another attribute: that alone is said once.
    note(!other_version && digest.xattrs_crc != reference.xattrs_crc, InconsistencyFlags::ATTRIBUTE_MISMATCH);
    flags
}

#[cfg(test)]
mod tests;

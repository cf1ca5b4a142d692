//! Which pools are over their quota, by the manager's figures. OSDs let writes to such a pool wait, or refuse those that
//! ask for that; removals always work.
//!
//! Figures come every few seconds and count what is stored, not what is under way: a fast writer passes its quota by what
//! it writes in that time, as in Ceph.

use std::sync::Arc;

use map::{Change, Pool, PoolFlags};
use types::Result;
use wire::{ClusterDigest, PgStateFlags};

use crate::{commands::view::View, draft::Draft, entry::LogLevel};

/// Marks pools that have reached their quota, and takes the mark from those that have room again.
pub(crate) fn plan_quotas(view: &View<'_>, draft: &mut Draft) -> Result<()> {
    let digest = view.fresh_digest();
    let changed: Vec<Pool> = draft
        .map()
        .pools
        .values()
        .filter_map(|pool| {
            let is_marked = pool.flags.contains(PoolFlags::FULL_QUOTA);
            let flags = match (is_marked, reached(pool, digest)) {
                (false, Reached::Yes) => pool.flags.with(PoolFlags::FULL_QUOTA),
                (true, Reached::No) => pool.flags.without(PoolFlags::FULL_QUOTA),
                _ => return None,
            };
            Some(Pool { flags, ..Pool::clone(pool) })
        })
        .collect();
    for pool in changed {
        let (level, sentence) = if pool.flags.contains(PoolFlags::FULL_QUOTA) {
            (LogLevel::Warning, format!("pool '{}' is full (reached its quota{})", pool.name, bounds(&pool)))
        } else {
            (LogLevel::Info, format!("pool '{}' has room in its quota again", pool.name))
        };
        draft.change(Change::PoolSet(Arc::new(pool)))?;
        draft.log(level, sentence);
    }
    Ok(())
}

/// What the quota of a pool is, in the words of the log and of health.
pub(crate) fn bounds(pool: &Pool) -> String {
    let mut words = String::new();
    for (value, name) in [(pool.quota_bytes, "max_bytes"), (pool.quota_objects, "max_objects")] {
        if value > 0 {
            words += &format!(", {name}: {value}");
        }
    }
    words
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Yes,
    No,
    /// The figures do not tell; the mark stays as it is.
    Unknown,
}

fn reached(pool: &Pool, digest: Option<&ClusterDigest>) -> Reached {
    if pool.quota_bytes == 0 && pool.quota_objects == 0 {
        return Reached::No;
    }
    let Some(digest) = digest else { return Reached::Unknown };
    let Some((_, objects, bytes)) = digest.pools.iter().find(|(id, ..)| *id == pool.id) else {
        return Reached::Unknown;
    };
    let is_over = |quota: u64, used: u64| quota > 0 && used >= quota;
    if is_over(pool.quota_bytes, *bytes) || is_over(pool.quota_objects, *objects) {
        return Reached::Yes;
    }
    // What groups hold that do not serve is not counted, and would let the pool look emptier than it is.
    match digest.pg_states.iter().all(|(state, _)| state.contains(PgStateFlags::ACTIVE)) {
        true => Reached::No,
        false => Reached::Unknown,
    }
}

//! Snapshots of a pool: what all its objects were when one was made.
//!
//! A pool has snapshots of one of two kinds, and the first one decides. Named ones are made by operators, of the whole pool;
//! every write preserves them, whoever writes. Self-managed ones are numbers that writers hand out among themselves, as
//! block devices do for their images: a write preserves those that its context names, and no others.
//!
//! Owns: asking the monitors, and that an operation that names a snapshot leaves with a map that has it. Does not know: how
//! placement groups keep what was.

use map::{ClusterMap, PoolFlags};
use serde::Deserialize;
use types::{Epoch, Error, Result, SnapshotId, limits};
use wire::{CloneRecord, SubOp, SubOpResult};

use crate::{CommandArguments, Object, Pool, object::unexpected};

/// A named snapshot of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number; greater than those of all snapshots made before it in this pool.
    pub id: SnapshotId,
    /// Its name.
    pub name: String,
}

/// What a write preserves in a pool of self-managed snapshots: those that exist, and the newest number of all, also when
/// that one was removed again.
///
/// ```
/// use client::{SnapshotContext, SnapshotId};
///
/// let mut context = SnapshotContext::default();
/// context.add(SnapshotId(3))?;
/// context.add(SnapshotId(7))?;
/// context.remove(SnapshotId(7));
/// assert_eq!(context.snapshots(), [SnapshotId(3)]);
/// assert_eq!(context.newest(), SnapshotId(7));
/// # Ok::<(), client::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotContext(wire::SnapshotContext);

impl SnapshotContext {
    /// A context as somebody has kept it: the newest number of all, and the snapshots that exist in any order.
    ///
    /// # Errors
    /// `Invalid` for a snapshot beyond the newest, one that is given twice, a number that no snapshot has, or more than
    /// 4,096 of them.
    pub fn new(newest: SnapshotId, snapshots: impl IntoIterator<Item = SnapshotId>) -> Result<Self> {
        let mut snapshots: Vec<SnapshotId> = snapshots.into_iter().collect();
        snapshots.sort_unstable_by(|one, other| other.cmp(one));
        let is_distinct = snapshots.is_sorted_by(|newer, older| newer > older);
        let is_within = snapshots.first().is_none_or(|first| *first <= newest) && newest < SnapshotId::HEAD;
        if !is_distinct || !is_within || snapshots.last() == Some(&SnapshotId(0)) {
            return Err(Error::invalid("a context names snapshots from 1 to its newest number, each of them once"));
        }
        check_count(snapshots.len())?;
        Ok(Self(wire::SnapshotContext { sequence: newest.0, snapshots }))
    }

    /// Writes preserve this new snapshot too.
    ///
    /// # Errors
    /// `Invalid` unless it is newer than every other; at most 4,096 are preserved.
    pub fn add(&mut self, snapshot: SnapshotId) -> Result<()> {
        if snapshot.0 <= self.0.sequence || snapshot >= SnapshotId::HEAD {
            return Err(Error::invalid(format!(
                "snapshot {snapshot} is not newer than {}, which the context has known",
                self.0.sequence
            )));
        }
        check_count(self.0.snapshots.len() + 1)?;
        self.0.sequence = snapshot.0;
        self.0.snapshots.insert(0, snapshot);
        Ok(())
    }

    /// Writes do not preserve this snapshot any more. The newest number stays what it is.
    pub fn remove(&mut self, snapshot: SnapshotId) {
        self.0.snapshots.retain(|kept| *kept != snapshot);
    }

    /// The newest number of all; zero when there never was a snapshot.
    pub fn newest(&self) -> SnapshotId {
        SnapshotId(self.0.sequence)
    }

    /// The snapshots that are preserved, newest first.
    pub fn snapshots(&self) -> &[SnapshotId] {
        &self.0.snapshots
    }

    pub(crate) fn to_wire(&self) -> wire::SnapshotContext {
        self.0.clone()
    }
}

fn check_count(count: usize) -> Result<()> {
    if count > limits::SNAPSHOTS_IN_CONTEXT_MAX {
        return Err(Error::invalid(format!(
            "a write preserves at most {} snapshots, not {count}",
            limits::SNAPSHOTS_IN_CONTEXT_MAX
        )));
    }
    Ok(())
}

/// The named snapshots of a pool.
#[derive(Debug, Clone)]
pub struct PoolSnapshots {
    pool: Pool,
}

impl PoolSnapshots {
    /// All of them, oldest first, by the newest map.
    pub async fn list(&self) -> Result<Vec<Snapshot>> {
        let map = self.pool.cluster().refresh_map().await?;
        let snapshots = self.pool.in_map(map.map())?.snapshots.iter();
        Ok(snapshots.map(|(id, name)| Snapshot { id: SnapshotId(*id), name: name.clone() }).collect())
    }

    /// The snapshot of that name; `NotFound` when there is none.
    pub async fn find(&self, name: &str) -> Result<Snapshot> {
        let found = self.list().await?.into_iter().find(|snapshot| snapshot.name == name);
        found.ok_or_else(|| Error::not_found(format!("pool `{}` has no snapshot `{name}`", self.pool.name())))
    }

    /// Makes a snapshot of every object as it is now: whatever this client writes from now on leaves it as it was. Writes
    /// of others that are under way may or may not belong to it.
    ///
    /// # Errors
    /// `Exists` for a name that the pool has a snapshot of; `Invalid` in a pool of self-managed snapshots.
    pub async fn create(&self, name: &str) -> Result<Snapshot> {
        let id = self.pool.change_snapshots("osd pool mksnap", Some(("snap", name.to_owned()))).await?;
        Ok(Snapshot { id, name: name.to_owned() })
    }

    /// Removes a snapshot. Its space comes back in the background.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub async fn remove(&self, name: &str) -> Result<()> {
        self.pool.change_snapshots("osd pool rmsnap", Some(("snap", name.to_owned()))).await.map(drop)
    }
}

/// The snapshots of a pool whose writers manage them.
#[derive(Debug, Clone)]
pub struct SelfManagedSnapshots {
    pool: Pool,
}

impl SelfManagedSnapshots {
    /// A number for a new snapshot. It preserves nothing by itself: all who write the objects in question must name it in
    /// their contexts from now on.
    ///
    /// # Errors
    /// `Invalid` in a pool of named snapshots.
    pub async fn create(&self) -> Result<SnapshotId> {
        self.pool.change_snapshots("osd pool self-managed-snap create", None).await
    }

    /// Removes a snapshot; once more is no error. Its space comes back in the background, whatever contexts still name it.
    ///
    /// # Errors
    /// `NotFound` for a number that was never given.
    pub async fn remove(&self, snapshot: SnapshotId) -> Result<()> {
        let argument = Some(("snapid", snapshot.to_string()));
        self.pool.change_snapshots("osd pool self-managed-snap rm", argument).await.map(drop)
    }
}

/// What the monitors answer to a change of snapshots.
#[derive(Deserialize)]
struct Changed {
    snapid: SnapshotId,
    epoch: Epoch,
}

impl Pool {
    /// The pool's named snapshots.
    ///
    /// ```no_run
    /// # async fn tour(pool: client::Pool) -> client::Result<()> {
    /// let note = pool.object("note");
    /// note.write_full("first").await?;
    /// let monday = pool.snapshots().create("monday").await?;
    /// note.write_full("second").await?;
    /// assert_eq!(note.at(monday.id).read_all().await?, "first");
    /// note.rollback(monday.id).await?;
    /// assert_eq!(note.read_all().await?, "first");
    /// pool.snapshots().remove("monday").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshots(&self) -> PoolSnapshots {
        PoolSnapshots { pool: self.clone() }
    }

    /// The pool's self-managed snapshots.
    ///
    /// ```no_run
    /// # async fn tour(pool: client::Pool) -> client::Result<()> {
    /// use client::SnapshotContext;
    ///
    /// let disk = pool.object("disk");
    /// disk.write_full("first").await?;
    /// let snapshot = pool.self_managed_snapshots().create().await?;
    /// let mut context = SnapshotContext::default();
    /// context.add(snapshot)?;
    /// pool.with_snapshot_context(&context).object("disk").write_full("second").await?;
    /// assert_eq!(disk.at(snapshot).read_all().await?, "first");
    /// # Ok(())
    /// # }
    /// ```
    pub fn self_managed_snapshots(&self) -> SelfManagedSnapshots {
        SelfManagedSnapshots { pool: self.clone() }
    }

    /// Asks for a change, and waits for the map that shows it: what this client sends from now on goes to nobody who has an
    /// older one.
    async fn change_snapshots(&self, prefix: &str, argument: Option<(&str, String)>) -> Result<SnapshotId> {
        let name = self.in_map(self.map().map())?.name.clone();
        let mut arguments = CommandArguments::from([("pool".to_owned(), name)]);
        arguments.extend(argument.map(|(name, value)| (name.to_owned(), value)));
        let answer = self.cluster().command(prefix, arguments, Vec::new()).await?;
        let changed: Changed = serde_json::from_slice(&answer.output)
            .map_err(|error| Error::internal(format!("the monitor's answer to `{prefix}` cannot be read: {error}")))?;
        let shown = changed.epoch;
        if self.map().epoch() < shown {
            self.cluster().refresh_map().await?;
            self.cluster().wait_for(|map| map.epoch >= shown).await?;
        }
        Ok(changed.snapid)
    }

    /// The pool as a map has it, whatever it is called there.
    fn in_map<'m>(&self, map: &'m ClusterMap) -> Result<&'m map::Pool> {
        let pool = map.pools.get(&self.id()).map(AsRef::as_ref);
        pool.ok_or_else(|| Error::not_found(format!("pool `{}` does not exist any more", self.name())))
    }

    /// Makes sure that this client's map has the snapshot: an OSD that the operation reaches then has it too.
    ///
    /// # Errors
    /// `NotFound` for a number that was never given.
    pub(crate) async fn know_snapshot(&self, snapshot: SnapshotId) -> Result<()> {
        let is_given = |map: &ClusterMap| self.in_map(map).map(|pool| snapshot.0 <= pool.snapshot_sequence);
        if is_given(self.map().map())? || is_given(self.cluster().refresh_map().await?.map())? {
            return Ok(());
        }
        Err(Error::not_found(format!("pool `{}` never had a snapshot {snapshot}", self.name())))
    }

    /// The same for all snapshots of a write's context, in a pool where contexts count.
    pub(crate) async fn know_context(&self, context: &wire::SnapshotContext) -> Result<()> {
        if context.sequence == 0 {
            return Ok(());
        }
        self.know_snapshot(SnapshotId(context.sequence)).await?;
        if self.in_map(self.map().map())?.flags.contains(PoolFlags::POOL_SNAPSHOTS) {
            return Err(Error::invalid(format!(
                "pool `{}` has named snapshots, which every write preserves; a context of one's own has no place there",
                self.name()
            )));
        }
        Ok(())
    }
}

impl Object {
    /// What it was at this snapshot. Only reads: whatever would change it is refused with `Invalid`; and `NotFound` when it
    /// did not exist then, or the snapshot was removed.
    #[must_use]
    pub fn at(&self, snapshot: SnapshotId) -> Self {
        self.pool().at(snapshot).object_named(self.name().clone())
    }

    /// Makes it what it was at this snapshot: bytes, attributes and omap, or its absence. What it is now is preserved for
    /// newer snapshots, as by any write.
    pub async fn rollback(&self, snapshot: SnapshotId) -> Result<()> {
        self.run_one(SubOp::Rollback(snapshot)).await.map(drop)
    }

    /// What is kept of the object, oldest first: a record for each state that snapshots preserve, and one for the live
    /// object behind them, where it exists. `NotFound` when there is neither.
    pub async fn clones(&self) -> Result<Vec<CloneRecord>> {
        let (mut records, mut after) = (Vec::new(), SnapshotId(0));
        loop {
            match self.run_one(SubOp::ListSnapshots { after }).await? {
                SubOpResult::Snapshots { clones, next, .. } => {
                    records.extend(clones);
                    match next {
                        Some(next) => after = next,
                        None => return Ok(records),
                    }
                }
                _ => return Err(unexpected(self.name())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use types::ErrorKind;

    use super::*;

    fn refused(outcome: Result<SnapshotContext>) -> bool {
        outcome.is_err_and(|error| error.kind == ErrorKind::Invalid)
    }

    #[test]
    fn contexts_are_ordered_and_bounded() {
        let ids = |ids: &[u64]| ids.iter().copied().map(SnapshotId).collect::<Vec<_>>();
        let context = SnapshotContext::new(SnapshotId(9), ids(&[2, 7, 5])).expect("is in order");
        assert_eq!(context.snapshots(), ids(&[7, 5, 2]));
        assert_eq!(context.to_wire().sequence, 9);
        for wrong in [&[10_u64][..], &[2, 2], &[0]] {
            assert!(refused(SnapshotContext::new(SnapshotId(9), ids(wrong))), "{wrong:?}");
        }
        assert!(refused(SnapshotContext::new(SnapshotId::HEAD, [])));
        let many = limits::SNAPSHOTS_IN_CONTEXT_MAX as u64;
        let mut full = SnapshotContext::new(SnapshotId(many), (1..=many).map(SnapshotId)).expect("just within");
        assert!(refused(SnapshotContext::new(SnapshotId(many + 1), (1..=many + 1).map(SnapshotId))));
        assert!(full.add(SnapshotId(many + 1)).is_err(), "one too many");
        full.remove(SnapshotId(1));
        full.add(SnapshotId(many + 1)).expect("there is a place again");
    }

    #[test]
    fn a_contexts_newest_number_never_goes_back() {
        let mut context = SnapshotContext::default();
        context.add(SnapshotId(4)).expect("newer");
        context.remove(SnapshotId(4));
        assert_eq!((context.newest(), context.snapshots()), (SnapshotId(4), &[][..]));
        assert!(context.add(SnapshotId(4)).is_err(), "what was removed does not come back");
        assert!(context.add(SnapshotId(3)).is_err());
        assert!(context.add(SnapshotId::HEAD).is_err());
    }
}

//! Objects: what users name, how the cluster identifies it, and in which order objects sort.

use std::cmp::Ordering;
use std::fmt;

use crate::{Error, PoolId, Result, SnapshotId, limits};

/// What a user names within a pool: a namespace, an optional locator key, and a name. Bytes, not text.
///
/// Two objects with one locator key live in one placement group; without a key the name decides.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ObjectName {
    /// The namespace; empty is the default one.
    pub namespace: Vec<u8>,
    /// The locator key; empty means that the name places the object.
    pub key: Vec<u8>,
    /// The name; empty only for the placement group's own metadata.
    pub name: Vec<u8>,
}

impl ObjectName {
    /// An object in the default namespace, placed by its name.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self { namespace: Vec::new(), key: Vec::new(), name: name.as_ref().to_vec() }
    }

    /// Refuses what is empty or over its limit, with the limit in the sentence.
    pub fn check(&self) -> Result<()> {
        let bound = |what: &str, length: usize, limit: usize| {
            if length <= limit {
                return Ok(());
            }
            Err(Error::invalid(format!("the {what} has {length} bytes; the limit is {limit}")))
        };
        if self.name.is_empty() {
            return Err(Error::invalid("an object's name must not be empty"));
        }
        bound("object name", self.name.len(), limits::OBJECT_NAME_BYTES_MAX)?;
        bound("namespace", self.namespace.len(), limits::NAMESPACE_BYTES_MAX)?;
        bound("locator key", self.key.len(), limits::LOCATOR_KEY_BYTES_MAX)
    }

    /// The bytes that the placement hash is computed of, besides the namespace.
    pub fn placement_bytes(&self) -> &[u8] {
        if self.key.is_empty() { &self.name } else { &self.key }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace.escape_ascii())?;
        }
        write!(f, "{}", self.name.escape_ascii())?;
        if !self.key.is_empty() {
            write!(f, "@{}", self.key.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which shard of an erasure-coded object a stored copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub i8);

impl ShardId {
    /// A whole copy, as replicated pools keep.
    pub const WHOLE: Self = Self(-1);
}

/// The generation of everything but rollback copies of erasure-coded shards.
pub const GENERATION_NONE: u64 = u64::MAX;

/// One stored object. Ceph calls it `ghobject_t`.
///
/// Sorts by pool, bit-reversed hash, namespace, key, name, snapshot, generation, shard.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// The pool.
    pub pool: PoolId,
    /// The placement hash of (namespace, locator key or name), as the map computes it.
    pub hash: u32,
    /// What the user named.
    pub name: ObjectName,
    /// Which snapshot; [`SnapshotId::HEAD`] is the live object.
    pub snapshot: SnapshotId,
    /// Which rollback generation; [`GENERATION_NONE`] is the object itself.
    pub generation: u64,
    /// Which shard; [`ShardId::WHOLE`] in replicated pools.
    pub shard: ShardId,
}

impl ObjectId {
    /// The live object of a replicated pool.
    pub fn head(pool: PoolId, hash: u32, name: ObjectName) -> Self {
        Self { pool, hash, name, snapshot: SnapshotId::HEAD, generation: GENERATION_NONE, shard: ShardId::WHOLE }
    }

    /// The object that keeps a placement group's own metadata (info, log, remembered requests) in its omap.
    ///
    /// It lies inside the PG's range, has an empty name (which users cannot choose) and sorts before every user
    /// object of its hash; listings for users skip empty names.
    pub fn pg_meta(pg: crate::PgId) -> Self {
        Self::head(pg.pool, pg.seed, ObjectName::default())
    }

    /// The object whose omap says which clones preserve which snapshot, so that trimming one need not look at all objects.
    ///
    /// Kept apart from [`Self::pg_meta`], which is read whole at each start. It has an empty name as well.
    pub fn snapshot_index(pg: crate::PgId) -> Self {
        Self::pg_meta(pg).at_snapshot(SnapshotId(0))
    }

    /// The live object of the same name.
    #[must_use]
    pub fn head_of_name(&self) -> Self {
        Self { snapshot: SnapshotId::HEAD, generation: GENERATION_NONE, ..self.clone() }
    }

    /// The object of the same name that preserves this snapshot and older ones.
    #[must_use]
    pub fn at_snapshot(&self, snapshot: SnapshotId) -> Self {
        Self { snapshot, generation: GENERATION_NONE, ..self.clone() }
    }

    /// Whether it is what a live object was at a snapshot.
    pub fn is_clone(&self) -> bool {
        self.snapshot != SnapshotId::HEAD && !self.is_pg_meta()
    }

    /// Whether both belong to one live object: itself or its clones.
    pub fn is_of_same_name(&self, other: &Self) -> bool {
        self.pool == other.pool && self.hash == other.hash && self.name == other.name
    }

    /// Whether this is a placement group's metadata object.
    pub fn is_pg_meta(&self) -> bool {
        self.name.name.is_empty()
    }
}

impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |id: &Self| (id.pool, id.hash.reverse_bits());
        order(self)
            .cmp(&order(other))
            .then_with(|| self.name.cmp(&other.name))
            .then_with(|| self.snapshot.cmp(&other.snapshot))
            .then_with(|| self.generation.cmp(&other.generation))
            .then_with(|| self.shard.cmp(&other.shard))
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08x}:{}", self.pool, self.hash.reverse_bits(), self.name)?;
        if self.snapshot != SnapshotId::HEAD {
            write!(f, ":snapshot={}", self.snapshot)?;
        }
        if self.generation != GENERATION_NONE {
            write!(f, ":generation={}", self.generation)?;
        }
        if self.shard != ShardId::WHOLE {
            write!(f, ":shard={}", self.shard.0)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place between objects in object order: a listing or a backfill has handled all that sorts before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cursor {
    /// Before every object.
    Start,
    /// Just before this object.
    Before(ObjectId),
    /// After every object.
    End,
}

impl Cursor {
    /// Before every object of the pool whose reversed hash is at least this.
    pub fn before_hash(pool: PoolId, reversed_hash: u32) -> Self {
        let mut first = ObjectId::head(pool, reversed_hash.reverse_bits(), ObjectName::default());
        first.snapshot = SnapshotId(0);
        first.generation = 0;
        first.shard = ShardId(i8::MIN);
        Self::Before(first)
    }

    /// After every object of the pool.
    pub fn after_pool(pool: PoolId) -> Self {
        match pool.0.checked_add(1) {
            Some(next) => Self::before_hash(PoolId(next), 0),
            None => Self::End,
        }
    }

    /// Just after this object.
    pub fn after(object: &ObjectId) -> Self {
        let mut next = object.clone();
        match next.shard.0.checked_add(1) {
            Some(shard) => next.shard = ShardId(shard),
            None => {
                next.shard = ShardId(i8::MIN);
                match next.generation.checked_add(1) {
                    Some(generation) => next.generation = generation,
                    None => {
                        next.generation = 0;
                        next.snapshot = SnapshotId(next.snapshot.0.saturating_add(1));
                    }
                }
            }
        }
        Self::Before(next)
    }

    /// Whether the object lies before the cursor, that is, has been handled.
    pub fn is_past(&self, object: &ObjectId) -> bool {
        match self {
            Self::Start => false,
            Self::Before(next) => object < next,
            Self::End => true,
        }
    }
}

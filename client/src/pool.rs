//! One pool: where objects and listings come from.

use std::sync::Arc;

use map::PublishedMap;
use types::{ObjectName, PoolId, SnapshotId};
use wire::SnapshotContext as WireContext;

use crate::{Cluster, Object, SnapshotContext, StripeLayout, Striper, submit::Submitter};

/// A pool, with the namespace in which its objects are named, and which snapshots its objects are read at and preserve.
#[derive(Debug, Clone)]
pub struct Pool {
    cluster: Cluster,
    id: PoolId,
    name: Arc<str>,
    namespace: Arc<[u8]>,
    snapshot: SnapshotId,
    context: Arc<WireContext>,
}

impl Pool {
    pub(crate) fn new(cluster: Cluster, id: PoolId, name: &str) -> Self {
        let (snapshot, context) = (SnapshotId::HEAD, Arc::default());
        Self { cluster, id, name: name.into(), namespace: Arc::default(), snapshot, context }
    }

    /// Its number.
    pub fn id(&self) -> PoolId {
        self.id
    }

    /// The name by which it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that it is of.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The same pool with another namespace; the empty one is the default.
    #[must_use]
    pub fn namespace(&self, namespace: impl AsRef<[u8]>) -> Self {
        Self { namespace: namespace.as_ref().into(), ..self.clone() }
    }

    /// The same pool as it was at a snapshot: its objects, and objects striped over them, are only read. A listing shows
    /// live objects and is refused.
    #[must_use]
    pub fn at(&self, snapshot: SnapshotId) -> Self {
        Self { snapshot, ..self.clone() }
    }

    /// The same pool where writes preserve the snapshots of a context; for pools of self-managed snapshots.
    #[must_use]
    pub fn with_snapshot_context(&self, context: &SnapshotContext) -> Self {
        Self { context: Arc::new(context.to_wire()), ..self.clone() }
    }

    /// An object of the namespace, placed by its name.
    pub fn object(&self, name: impl AsRef<[u8]>) -> Object {
        let name = ObjectName { namespace: self.namespace.to_vec(), key: Vec::new(), name: name.as_ref().to_vec() };
        Object::new(self.clone(), name)
    }

    /// An object by its full name, locator key and namespace included.
    pub fn object_named(&self, name: ObjectName) -> Object {
        Object::new(self.clone(), name)
    }

    /// Objects larger than one object, in this pool and namespace.
    pub fn striper(&self, layout: StripeLayout) -> Striper<Self> {
        Striper::new(self.clone(), layout)
    }

    pub(crate) fn namespace_bytes(&self) -> &[u8] {
        &self.namespace
    }

    /// Which snapshot is read; `HEAD` are the live objects.
    pub(crate) fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }

    /// Which snapshots writes preserve.
    pub(crate) fn snapshot_context(&self) -> &Arc<WireContext> {
        &self.context
    }

    pub(crate) fn submitter(&self) -> &Submitter {
        self.cluster.submitter()
    }

    pub(crate) fn map(&self) -> Arc<PublishedMap> {
        self.cluster.map()
    }
}

//! One pool: where objects and listings come from.

use std::sync::Arc;

use map::PublishedMap;
use types::{ObjectName, PoolId};

use crate::{Cluster, Object, StripeLayout, Striper, submit::Submitter};

/// A pool, with the namespace in which its objects are named.
#[derive(Debug, Clone)]
pub struct Pool {
    cluster: Cluster,
    id: PoolId,
    name: Arc<str>,
    namespace: Arc<[u8]>,
}

impl Pool {
    pub(crate) fn new(cluster: Cluster, id: PoolId, name: &str) -> Self {
        Self { cluster, id, name: name.into(), namespace: Arc::default() }
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

    pub(crate) fn submitter(&self) -> &Submitter {
        self.cluster.submitter()
    }

    pub(crate) fn map(&self) -> Arc<PublishedMap> {
        self.cluster.map()
    }
}

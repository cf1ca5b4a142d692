//! Listing a pool: a page at a time, over several placement groups at once.

use client_ops::Target;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use types::{Cursor, Error, ObjectName, PgId, Result, SnapshotId, limits};
use wire::{OpFlags, SubOp, SubOpResult};

use crate::{Pool, object::unexpected, submit::error_of};

/// Placement groups that are listed at once: enough to keep every OSD of a small cluster busy, few enough that
/// the pages held are 8,000 names at most.
const GROUPS_AT_ONCE: usize = 8;

/// Names in one page.
const PAGE_NAMES: u32 = 1000;
const _: () = assert!(PAGE_NAMES as usize == limits::PAGE_KEYS_MAX, "a page is as large as it may be");

impl Pool {
    /// The names of the pool's objects in this namespace, in no particular order.
    ///
    /// An object that exists from the beginning to the end of the listing is named exactly once. When the number
    /// of placement groups changes in between, the listing fails with `Retry`.
    pub fn list(&self) -> BoxStream<'static, Result<ObjectName>> {
        self.list_in(Some(self.namespace_bytes().to_vec()))
    }

    /// The same over all namespaces.
    pub fn list_all_namespaces(&self) -> BoxStream<'static, Result<ObjectName>> {
        self.list_in(None)
    }

    fn list_in(&self, namespace: Option<Vec<u8>>) -> BoxStream<'static, Result<ObjectName>> {
        let (pool, id) = (self.clone(), self.id());
        let pg_num = self.pg_num();
        let groups = stream::iter((0..pg_num).map(move |seed| PgId { pool: id, seed }));
        groups
            .map(move |pg| {
                let begin = Some(Cursor::Start);
                let (pool, namespace) = (pool.clone(), namespace.clone());
                let pages = stream::try_unfold(begin, move |cursor| {
                    let (pool, namespace) = (pool.clone(), namespace.clone());
                    async move {
                        let Some(begin) = cursor else { return Ok(None) };
                        let page = pool.list_page(pg, begin, namespace).await?;
                        if pool.pg_num() != pg_num {
                            return Err(Error::retry("the pool's placement groups changed; list again"));
                        }
                        Ok(Some(page))
                    }
                });
                Box::pin(pages.map_ok(|names| stream::iter(names.into_iter().map(Ok))).try_flatten())
            })
            .flatten_unordered(GROUPS_AT_ONCE)
            .boxed()
    }

    /// Zero for a pool that is gone.
    fn pg_num(&self) -> u32 {
        self.map().map().pools.get(&self.id()).map_or(0, |pool| pool.pg_num)
    }

    /// One page of one placement group, and where the next begins.
    async fn list_page(
        &self,
        pg: PgId,
        begin: Cursor,
        namespace: Option<Vec<u8>>,
    ) -> Result<(Vec<ObjectName>, Option<Cursor>)> {
        if self.snapshot() != SnapshotId::HEAD {
            return Err(Error::invalid("a listing shows the live objects of a pool, not those of a snapshot"));
        }
        let list = SubOp::ListObjects { begin, namespace, objects_max: PAGE_NAMES };
        let outcome = self.submitter().submit(self.id(), Target::Pg(pg), vec![list], OpFlags::default()).await;
        let mut success = outcome.map_err(|failure| error_of(failure).context(format_args!("list {}", self.name())))?;
        match success.results.pop() {
            Some(SubOpResult::List { names, next }) => Ok((names, next)),
            _ => Err(unexpected(pg)),
        }
    }
}

//! Objects larger than one object: cut into pieces that are objects of their own.
//!
//! Owns: which objects a striped object consists of and in which order they change. Does not know: what is in them.
//!
//! A striped object `name` of generation `7-3` is
//!
//! ```text
//! name                               the head: no bytes; what is said below, in xattrs
//!   striper.layout      1 4194304 1 4194304 7-3   version, stripe unit, stripe count, piece size, generation
//!   striper.size        1073741824                bytes of the whole
//!   striper.reach       256                       no piece from this number on was ever written
//!   striper.upload.7-4  512                       pieces below 512 of generation 7-4 may exist; not yet readable
//!   striper.dead.7-2    256                       pieces below 256 of generation 7-2 may exist; to be removed
//! name.7-3.0000000000000000          the first piece
//! name.7-3.0000000000000001          …
//! ```
//!
//! A generation is a client's number and its count, so it never comes back, and two writers never share a piece.
//!
//! Invariants, whenever a client stops:
//! 1. Every piece that may exist is named by the head: by reach, upload or dead. (Named first, written then.)
//! 2. Everything that `layout` and `size` promise is there. (Written first, promised then; no longer promised
//!    first, removed then.)
//! 3. What a reader sees is one generation: a put replaces the whole in one step. A reader that was overtaken
//!    notices, because a piece it misses makes it look at the head again.
//! 4. The head goes last, and only when it names nothing.
//!
//! Why in this order: a crash leaves at worst pieces that the head names; the next `remove` or `clean` of the name
//! removes them. (The one gap: an upload whose name is removed by another client, and which dies before it notices,
//! may leave pieces that nothing names.) Writes in place ([`Striper::write_at`]) are atomic per extent only, like a file's.

mod head;
mod layout;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::{future::Future, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use types::{Error, ErrorKind, Result, XattrMap};
use wire::{OpFailure, OpSuccess};

pub use layout::{PieceExtent, StripeLayout};
pub use writing::StripedWriter;

use crate::{OpBuilder, Pool, submit::error_of};
use head::{Head, Mark, MarkKind};

/// Pieces that are under way at once: 32 MiB with pieces of 4 MiB, enough for every disk of a small cluster.
pub(crate) const PIECES_AT_ONCE: usize = 8;

/// How often a step is tried again when others change the head in between, before it is left to the caller.
const CONTENTION_RETRIES_MAX: usize = 32;

/// What a striper needs of a pool.
pub trait PieceStore: Clone + Send + Sync + 'static {
    /// Carries out an atomic operation on one object.
    fn operate(&self, name: Vec<u8>, operation: OpBuilder)
    -> impl Future<Output = Result<OpSuccess, OpFailure>> + Send;

    /// A word that was never given before and never will be, of at most 33 letters, digits and dashes.
    fn unique(&self) -> String;
}

impl PieceStore for Pool {
    async fn operate(&self, name: Vec<u8>, operation: OpBuilder) -> Result<OpSuccess, OpFailure> {
        self.object(name).operate(operation).await
    }

    fn unique(&self) -> String {
        self.cluster().unique()
    }
}

/// What a striped object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripedStat {
    /// Bytes of the whole.
    pub size: u64,
    /// How it is cut.
    pub layout: StripeLayout,
    /// When its head was last written, by the writer's clock, in milliseconds since 1970.
    pub modified_ms: u64,
}

/// Striped objects of one pool and namespace.
#[derive(Debug, Clone)]
pub struct Striper<P: PieceStore = Pool> {
    store: P,
    /// How new objects are cut; existing ones say it themselves.
    layout: StripeLayout,
}

impl<P: PieceStore> Striper<P> {
    /// Striped objects in `store`; new ones are cut by `layout`.
    pub fn new(store: P, layout: StripeLayout) -> Self {
        Self { store, layout }
    }

    /// What the striped object is; `NotFound` when there is none of that name.
    pub async fn stat(&self, name: impl AsRef<[u8]>) -> Result<StripedStat> {
        let head = self.promised(name.as_ref()).await?;
        let promise = head.promise.as_ref().expect("`promised` answers heads that promise");
        Ok(StripedStat { size: promise.size, layout: promise.layout, modified_ms: head.modified_ms })
    }

    /// Begins to write the whole anew. What was there stays readable until [`StripedWriter::finish`].
    pub fn writer(&self, name: impl AsRef<[u8]>) -> Result<StripedWriter<P>> {
        self.layout.check()?;
        Ok(StripedWriter::new(self.clone(), name.as_ref()))
    }

    /// Removes the whole, its pieces before its head, and whatever unfinished uploads left of the name.
    pub async fn remove(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = name.as_ref();
        let existed = self.withdraw(name).await?;
        self.clean(name).await?;
        self.remove_empty_head(name).await?;
        if existed { Ok(()) } else { Err(no_such(name)) }
    }

    /// Removes the pieces that the head names as dead.
    pub async fn clean(&self, name: impl AsRef<[u8]>) -> Result<()> {
        let name = name.as_ref();
        let Some(head) = self.head(name).await? else { return Ok(()) };
        for mark in head.marks.iter().filter(|mark| mark.kind == MarkKind::Dead) {
            self.bury(name, mark).await?;
        }
        Ok(())
    }

    /// Removes all pieces of a dead generation, then its mark.
    async fn bury(&self, name: &[u8], mark: &Mark) -> Result<()> {
        let remove_piece = |piece| {
            let object = piece_name(name, &mark.generation, piece);
            async move {
                match self.store.operate(object, OpBuilder::new().remove()).await {
                    Err(failure) if failure.error.kind != ErrorKind::NotFound => Err(error_of(failure)),
                    _ => Ok(()),
                }
            }
        };
        let pieces = stream::iter(0..mark.pieces).map(remove_piece).buffer_unordered(PIECES_AT_ONCE);
        pieces.try_collect::<()>().await.map_err(|error| error.context(format_args!("remove {}", show(name))))?;
        let unmark = OpBuilder::new().assert_exists().remove_xattr(mark.xattr());
        match self.store.operate(name.to_vec(), unmark).await {
            // Another cleaner was as quick.
            Err(failure) if failure.error.kind != ErrorKind::NotFound => Err(error_of(failure)),
            _ => Ok(()),
        }
    }

    /// Takes back what the head promises and declares everything of the name dead. Answers whether it promised.
    async fn withdraw(&self, name: &[u8]) -> Result<bool> {
        let mut existed = false;
        for _ in 0..CONTENTION_RETRIES_MAX {
            let Some(head) = self.head(name).await? else { return Ok(existed) };
            let Some(operation) = head.withdrawal() else { return Ok(existed) };
            match self.store.operate(name.to_vec(), operation).await {
                Ok(_) => existed |= head.promise.is_some(),
                Err(failure) if is_guard(&failure) => {}
                Err(failure) => return Err(error_of(failure)),
            }
        }
        Err(contended(name))
    }

    async fn remove_empty_head(&self, name: &[u8]) -> Result<()> {
        for _ in 0..CONTENTION_RETRIES_MAX {
            match self.head(name).await? {
                Some(head) if head.is_empty() && head.is_striped => {
                    let remove = OpBuilder::new().assert_version(head.user_version).remove();
                    match self.store.operate(name.to_vec(), remove).await {
                        Ok(_) => return Ok(()),
                        Err(failure) if is_guard(&failure) => {}
                        Err(failure) => return Err(error_of(failure)),
                    }
                }
                // Gone already, plain, or in somebody else's use again.
                _ => return Ok(()),
            }
        }
        Err(contended(name))
    }

    /// The head, if there is an object of that name.
    async fn head(&self, name: &[u8]) -> Result<Option<Head>> {
        match self.store.operate(name.to_vec(), OpBuilder::new().stat().get_xattrs()).await {
            Ok(success) => Head::read(&success).map(Some).map_err(|error| error.context(show(name))),
            Err(failure) if failure.error.kind == ErrorKind::NotFound => Ok(None),
            Err(failure) => Err(error_of(failure).context(show(name))),
        }
    }

    /// The head, if it promises something.
    async fn promised(&self, name: &[u8]) -> Result<Head> {
        let head = self.head(name).await?;
        head.filter(|head| head.promise.is_some()).ok_or_else(|| no_such(name))
    }
}

/// The object that holds one piece.
fn piece_name(name: &[u8], generation: &str, piece: u64) -> Vec<u8> {
    let mut object = name.to_vec();
    object.extend_from_slice(format!(".{generation}.{piece:016x}").as_bytes());
    object
}

/// What the object of a name is, by its xattrs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectForm {
    /// An object with bytes of its own.
    Plain,
    /// The head of a striped object.
    Striped,
    /// The head of an upload that has not ended, or of a removal that was cut off: to readers, nothing.
    Unfinished,
}

impl ObjectForm {
    /// The form of an object with these xattrs.
    pub fn of(xattrs: &XattrMap) -> Self {
        if xattrs.contains_key(head::LAYOUT.as_bytes()) {
            return Self::Striped;
        }
        let is_marked = xattrs
            .range(head::PREFIX.as_bytes().to_vec()..)
            .next()
            .is_some_and(|(name, _)| name.starts_with(head::PREFIX.as_bytes()));
        if is_marked { Self::Unfinished } else { Self::Plain }
    }

    /// Goes on only if the object is not striped; for writers of plain objects.
    pub fn guard_plain(operation: OpBuilder) -> OpBuilder {
        operation.create().compare_xattr_equal(head::LAYOUT, bytes::Bytes::new())
    }
}

/// Whether a guard did not hold, or the object that it was about is gone.
fn is_guard(failure: &OpFailure) -> bool {
    matches!(failure.error.kind, ErrorKind::Exists | ErrorKind::NotFound)
}

fn show(name: &[u8]) -> Arc<str> {
    name.escape_ascii().to_string().into()
}

fn no_such(name: &[u8]) -> Error {
    Error::not_found(format!("there is no striped object `{}`", show(name)))
}

fn contended(name: &[u8]) -> Error {
    Error::retry(format!("others change `{}` all the time", show(name)))
}

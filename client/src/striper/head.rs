//! What the head of a striped object says, and the operations that change it in one step.

use bytes::Bytes;
use types::{Error, Result, XattrMap};
use wire::{Comparison, OpSuccess, SubOpResult};

use super::StripeLayout;
use crate::OpBuilder;

pub(super) const PREFIX: &str = "striper.";
pub(super) const LAYOUT: &str = "striper.layout";
pub(super) const SIZE: &str = "striper.size";
pub(super) const REACH: &str = "striper.reach";
const UPLOAD: &str = "striper.upload.";
const DEAD: &str = "striper.dead.";

/// Marks that one withdrawal turns; each takes three of an operation's 64 steps.
const MARKS_AT_ONCE: usize = 16;

/// What readers may rely on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promise {
    pub layout: StripeLayout,
    pub generation: String,
    pub size: u64,
    pub reach: u64,
}

impl Promise {
    pub fn layout_text(&self) -> String {
        format!("{} {}", self.layout.to_text(), self.generation)
    }

    /// Sets all of it.
    pub fn set(&self, operation: OpBuilder) -> OpBuilder {
        operation
            .set_xattr(LAYOUT, self.layout_text())
            .set_xattr(SIZE, self.size.to_string())
            .set_xattr(REACH, self.reach.to_string())
    }

    /// Goes on only if this is still the generation.
    pub fn guard(&self) -> OpBuilder {
        OpBuilder::new().compare_xattr_equal(LAYOUT, self.layout_text())
    }

    /// The mark that its pieces get when it is taken back.
    pub fn dead(&self) -> Mark {
        let pieces = self.reach.max(self.layout.pieces(self.size));
        Mark { kind: MarkKind::Dead, generation: self.generation.clone(), pieces }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkKind {
    /// Somebody writes it.
    Upload,
    /// Nobody may read it.
    Dead,
}

/// Pieces that may exist and are not promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub kind: MarkKind,
    pub generation: String,
    /// None from this number on.
    pub pieces: u64,
}

impl Mark {
    pub fn xattr(&self) -> String {
        let prefix = match self.kind {
            MarkKind::Upload => UPLOAD,
            MarkKind::Dead => DEAD,
        };
        format!("{prefix}{}", self.generation)
    }

    pub fn set(&self, operation: OpBuilder) -> OpBuilder {
        operation.set_xattr(self.xattr(), self.pieces.to_string())
    }

    pub fn guard(&self, operation: OpBuilder) -> OpBuilder {
        operation.compare_xattr(self.xattr(), Comparison::Equal, self.pieces.to_string())
    }
}

/// The head as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub promise: Option<Promise>,
    pub marks: Vec<Mark>,
    pub user_version: u64,
    pub modified_ms: u64,
    /// Whether it holds no bytes, as heads do: an object with bytes of its own is plain.
    pub is_striped: bool,
}

impl Head {
    /// From the answers to `stat` and `get_xattrs`.
    pub fn read(success: &OpSuccess) -> Result<Self> {
        let [SubOpResult::Stat { size, modified_ms }, SubOpResult::Xattrs(xattrs)] = &success.results[..] else {
            return Err(Error::internal("the OSD's answer does not fit the question"));
        };
        let promise = match xattrs.get(LAYOUT.as_bytes()) {
            None => None,
            Some(layout) => Some(read_promise(text(layout)?, xattrs)?),
        };
        let mut marks = Vec::new();
        for (name, value) in xattrs {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let (kind, generation) = match (name.strip_prefix(UPLOAD), name.strip_prefix(DEAD)) {
                (Some(generation), _) => (MarkKind::Upload, generation),
                (_, Some(generation)) => (MarkKind::Dead, generation),
                _ => continue,
            };
            marks.push(Mark { kind, generation: generation.to_owned(), pieces: number(value)? });
        }
        let user_version = success.user_version;
        Ok(Self { promise, marks, user_version, modified_ms: *modified_ms, is_striped: *size == 0 })
    }

    /// Whether no piece is named.
    pub fn is_empty(&self) -> bool {
        self.promise.is_none() && self.marks.is_empty()
    }

    /// The operation that takes back the promise and turns uploads into dead ones; `None` when there is neither.
    pub fn withdrawal(&self) -> Option<OpBuilder> {
        let uploads: Vec<&Mark> =
            self.marks.iter().filter(|mark| mark.kind == MarkKind::Upload).take(MARKS_AT_ONCE).collect();
        if self.promise.is_none() && uploads.is_empty() {
            return None;
        }
        let mut operation = match &self.promise {
            Some(promise) => promise.guard().compare_xattr_equal(REACH, promise.reach.to_string()),
            None => OpBuilder::new().compare_xattr_equal(LAYOUT, Bytes::new()),
        };
        operation = operation.assert_exists();
        for upload in &uploads {
            operation = upload.guard(operation);
        }
        if let Some(promise) = &self.promise {
            operation = promise.dead().set(operation.remove_xattr(LAYOUT).remove_xattr(SIZE).remove_xattr(REACH));
        }
        for upload in uploads {
            let dead = Mark { kind: MarkKind::Dead, ..upload.clone() };
            operation = dead.set(operation.remove_xattr(upload.xattr()));
        }
        Some(operation)
    }
}

fn read_promise(layout: &str, xattrs: &XattrMap) -> Result<Promise> {
    let (layout, generation) =
        layout.rsplit_once(' ').ok_or_else(|| Error::invalid(format!("`{layout}` is not a stripe layout")))?;
    let value = |name: &str| {
        let value = xattrs.get(name.as_bytes());
        number(value.ok_or_else(|| Error::damaged(format!("the striped object's head lacks `{name}`")))?)
    };
    Ok(Promise {
        layout: StripeLayout::parse(layout)?,
        generation: generation.to_owned(),
        size: value(SIZE)?,
        reach: value(REACH)?,
    })
}

fn text(value: &Bytes) -> Result<&str> {
    std::str::from_utf8(value).map_err(|_| Error::invalid("the striped object's head is not text"))
}

fn number(value: &Bytes) -> Result<u64> {
    let text = text(value)?;
    text.parse().map_err(|_| Error::invalid(format!("the striped object's head has `{text}` for a number")))
}

//! What can go wrong with a placement map, as a kind that tells the caller what to do and a sentence that tells a human why.

use std::fmt;

/// What sort of trouble an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request or the map makes no sense: a cycle, an unknown type, a weight out of range.
    Invalid,
    /// The named item, rule, class or set does not exist.
    NotFound,
    /// A name or id that should be new is taken.
    Exists,
    /// The thing is still referred to by something else and therefore stays.
    InUse,
    /// A bucket that should go still has items.
    NotEmpty,
    /// A bucket would come to lie below itself.
    Cycle,
    /// A weight or a sum of weights does not fit 16.16 fixed point.
    Range,
    /// Bytes that are not a map.
    Damaged,
}

/// An error of this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// An error of this kind with this sentence.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What sort of trouble it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for a human.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Exists, message)
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InUse, message)
    }

    pub(crate) fn not_empty(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotEmpty, message)
    }

    pub(crate) fn cycle(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cycle, message)
    }

    pub(crate) fn range(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Range, message)
    }

    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Damaged, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

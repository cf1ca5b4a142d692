//! One error type with few kinds; the kind tells the caller what to do.

use std::fmt;

/// What a caller can do about an error. The set is closed on purpose: faces map it to their own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Try again later; for a write with a deadline the outcome is unknown.
    Retry,
    /// The sender's map is too old or too new; refresh it and compute the target again.
    RefreshMap,
    /// The request itself is wrong and will never succeed.
    Invalid,
    /// The caller lacks the capability.
    Denied,
    /// The named thing does not exist.
    NotFound,
    /// The named thing exists already, or a compare or assert form did not hold.
    Exists,
    /// No space, or over quota.
    Full,
    /// Stored bytes failed their checksum and no good copy answered.
    Damaged,
    /// The other side is shutting down or was closed.
    Closed,
    /// A broken promise inside ika; a human must look.
    Internal,
}

impl ErrorKind {
    /// The stable name used in JSON and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::RefreshMap => "refresh_map",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Exists => "exists",
            Self::Full => "full",
            Self::Damaged => "damaged",
            Self::Closed => "closed",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A kind and one sentence that says what is wrong and, where it is not plain, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What the caller can do.
    pub kind: ErrorKind,
    /// One sentence for a human, without the kind's name in it.
    pub message: String,
}

/// The result type of everything that can fail for operating reasons.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! error_constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        impl Error {
            $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self {
                Self { kind: ErrorKind::$kind, message: message.into() }
            })*
        }
    };
}

error_constructors! {
    /// An error of kind [`ErrorKind::Retry`].
    retry => Retry;
    /// An error of kind [`ErrorKind::RefreshMap`].
    refresh_map => RefreshMap;
    /// An error of kind [`ErrorKind::Invalid`].
    invalid => Invalid;
    /// An error of kind [`ErrorKind::Denied`].
    denied => Denied;
    /// An error of kind [`ErrorKind::NotFound`].
    not_found => NotFound;
    /// An error of kind [`ErrorKind::Exists`].
    exists => Exists;
    /// An error of kind [`ErrorKind::Full`].
    full => Full;
    /// An error of kind [`ErrorKind::Damaged`].
    damaged => Damaged;
    /// An error of kind [`ErrorKind::Closed`].
    closed => Closed;
    /// An error of kind [`ErrorKind::Internal`].
    internal => Internal;
}

impl Error {
    /// The same kind with a verb in the present tense in front: `read superblock: …`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

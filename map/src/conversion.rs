//! Placement's errors in the words of everyone else.

use crush::ErrorKind;
use types::Error;

/// The same trouble as the shared error type tells it.
pub(crate) fn from_crush(error: crush::Error) -> Error {
    let message = error.message();
    match error.kind() {
        ErrorKind::NotFound => Error::not_found(message),
        ErrorKind::Exists => Error::exists(message),
        ErrorKind::Damaged => Error::damaged(message),
        ErrorKind::Invalid | ErrorKind::InUse | ErrorKind::NotEmpty | ErrorKind::Cycle | ErrorKind::Range => {
            Error::invalid(message)
        }
    }
}

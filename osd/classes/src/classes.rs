//! The built-in classes. One file each; the line in `all` makes it known.

pub mod hello;
pub mod lock;
pub mod numeric;
pub mod refcount;
pub mod s3_index;
pub mod version;

use crate::ObjectClass;

/// All of them.
pub(crate) fn all() -> Vec<Box<dyn ObjectClass>> {
    vec![
        Box::new(hello::Hello),
        Box::new(lock::Lock),
        Box::new(numeric::Numeric),
        Box::new(refcount::Refcount),
        Box::new(s3_index::S3Index),
        Box::new(version::Version),
    ]
}

#[cfg(test)]
mod tests;

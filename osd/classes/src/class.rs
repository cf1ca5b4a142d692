//! What a class is.

use std::fmt::Debug;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use types::{Error, Result};

use crate::Call;

/// Whether a method may change the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It only looks. The operation may be a read, and is repeated freely.
    Read,
    /// It may change the object. The operation is a write: logged, replicated, carried out at most once.
    Write,
}

/// A method's name and whether it may change the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// How calls name it.
    pub name: &'static str,
    /// What it may do.
    pub access: Access,
}

impl Method {
    /// A method that only looks.
    pub const fn read(name: &'static str) -> Self {
        Self { name, access: Access::Read }
    }

    /// A method that may change the object.
    pub const fn write(name: &'static str) -> Self {
        Self { name, access: Access::Write }
    }
}

/// A class: a name and methods that work on one object. See the crate's words for what a method may rely on.
///
/// ```
/// use bytes::Bytes;
/// use osd_classes::{Call, Method, ObjectClass, unknown_method};
///
/// #[derive(Debug)]
/// struct Counter;
///
/// impl ObjectClass for Counter {
///     fn name(&self) -> &'static str {
///         "counter"
///     }
///     fn methods(&self) -> &'static [Method] {
///         const { &[Method::write("next")] }
///     }
///     fn call(&self, method: &str, call: &mut Call<'_, '_>, _input: &[u8]) -> types::Result<Bytes> {
///         match method {
///             "next" => {
///                 let last = call.xattr(b"count")?.map_or(0, |value| u64::from(value[0]));
///                 call.set_xattr(b"count", vec![(last + 1) as u8])?;
///                 Ok(Bytes::from(vec![(last + 1) as u8]))
///             }
///             _ => Err(unknown_method(self, method)),
///         }
///     }
/// }
/// ```
pub trait ObjectClass: Debug + Send + Sync {
    /// How calls name it; at most `CLASS_NAME_BYTES_MAX` bytes.
    fn name(&self) -> &'static str;

    /// All its methods.
    fn methods(&self) -> &'static [Method];

    /// Runs a method. An error fails the whole operation, with the index of this step. Its kind tells the user what
    /// to do; `Retry`, `RefreshMap` and `Closed` speak to the client library and must not be used.
    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes>;
}

/// The error of a call that names a method which the class has not.
pub fn unknown_method(class: &dyn ObjectClass, method: &str) -> Error {
    let known: Vec<&str> = class.methods().iter().map(|method| method.name).collect();
    Error::invalid(format!("class `{}` has no method `{method}`; it has {}", class.name(), known.join(", ")))
}

/// A method's argument from JSON; an empty input is read as `{}`.
pub fn decode_json<T: DeserializeOwned>(input: &[u8]) -> Result<T> {
    let input = if input.is_empty() { b"{}" } else { input };
    serde_json::from_slice(input).map_err(|error| Error::invalid(format!("the method's input is wrong: {error}")))
}

/// A method's answer, or what a class keeps in the object, as JSON.
pub fn encode_json(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("the classes' own types have string keys and no failing parts"))
}

//! `refcount`: an object that lives as long as somebody refers to it, by tags instead of a bare count.
//!
//! Taking a tag twice counts once, and giving back what is not held changes nothing, so that requests may be repeated.
//! When the last tag is given back the object is removed, with everything in it.
//!
//! An object that was written without this class may count as held once by nobody in particular: who passes
//! `implicit` says that such an object has one unnamed reference, which the first `put` of an unknown tag gives back.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::{Call, Method, ObjectClass, decode_json, encode_json, unknown_method};

/// Where the tags stand.
const XATTR: &[u8] = b"refcount";
/// Tags of one object: with `TAG_BYTES_MAX` they fit an attribute's value.
const TAGS_MAX: usize = 250;
/// Bytes of a tag.
const TAG_BYTES_MAX: usize = 200;
/// The tag of the unnamed reference.
const IMPLICIT_TAG: &str = "";

/// The argument of `get` and `put`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Who refers.
    pub tag: String,
    /// Whether an object without tags has one unnamed reference.
    #[serde(default)]
    pub implicit: bool,
}

/// The argument of `read`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadReferences {
    /// Whether an object without tags has one unnamed reference.
    #[serde(default)]
    pub implicit: bool,
}

/// The argument of `set` and the answer of `read`; the unnamed reference is the empty tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct References {
    /// All tags.
    pub tags: BTreeSet<String>,
}

/// The class.
#[derive(Debug)]
pub struct Refcount;

impl ObjectClass for Refcount {
    fn name(&self) -> &'static str {
        "refcount"
    }

    fn methods(&self) -> &'static [Method] {
        const { &[Method::write("get"), Method::write("put"), Method::write("set"), Method::read("read")] }
    }

    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes> {
        match method {
            "get" => {
                let Reference { tag, implicit } = decode_json(input)?;
                check_tag(&tag)?;
                let mut references = stored(call, implicit)?;
                references.tags.insert(tag);
                store(call, &references)
            }
            "put" => {
                let Reference { tag, implicit } = decode_json(input)?;
                check_tag(&tag)?;
                call.require_existing()?;
                let mut references = stored(call, implicit)?;
                if !references.tags.remove(&tag) && !references.tags.remove(IMPLICIT_TAG) {
                    return Ok(Bytes::new());
                }
                store(call, &references)
            }
            "set" => {
                let references: References = decode_json(input)?;
                references.tags.iter().try_for_each(|tag| check_tag(tag))?;
                call.require_existing()?;
                store(call, &references)
            }
            "read" => {
                let ReadReferences { implicit } = decode_json(input)?;
                call.require_existing()?;
                Ok(encode_json(&stored(call, implicit)?))
            }
            _ => Err(unknown_method(self, method)),
        }
    }
}

fn check_tag(tag: &str) -> Result<()> {
    if tag.is_empty() || tag.len() > TAG_BYTES_MAX {
        return Err(Error::invalid(format!("a tag has from 1 to {TAG_BYTES_MAX} bytes, not {}", tag.len())));
    }
    Ok(())
}

fn stored(call: &Call<'_, '_>, implicit: bool) -> Result<References> {
    match call.xattr(XATTR)? {
        Some(value) => decode_json(&value).map_err(|error| error.context("read the object's references")),
        None if implicit && call.exists() => Ok(References { tags: [IMPLICIT_TAG.to_owned()].into() }),
        None => Ok(References::default()),
    }
}

/// Keeps the tags, or removes the object when there is none left.
fn store(call: &mut Call<'_, '_>, references: &References) -> Result<Bytes> {
    if references.tags.is_empty() {
        call.remove()?;
        return Ok(Bytes::new());
    }
    if references.tags.len() > TAGS_MAX {
        return Err(Error::full(format!("the object is referred to {TAGS_MAX} times, which is the limit")));
    }
    call.set_xattr(XATTR, encode_json(references))?;
    Ok(Bytes::new())
}

//! `version`: a version that users give to an object, apart from the count of its changes, and guards on it.
//!
//! A version is a number and a tag: two versions with different tags are of different histories and never equal.
//! Put a `check` in front of the other steps of an operation to carry it out only while the version is as expected.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::{Call, Method, ObjectClass, decode_json, encode_json, unknown_method};

/// Where the version stands.
const XATTR: &[u8] = b"version";

/// A version. An object that was given none has number zero and an empty tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectVersion {
    /// The count.
    #[serde(default)]
    pub number: u64,
    /// The history that the count is of.
    #[serde(default)]
    pub tag: String,
}

/// How the stored number must compare with the given one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The same number, and the same tag.
    Equal,
    /// A greater number.
    Greater,
    /// A greater number or the same.
    GreaterOrEqual,
    /// A smaller number.
    Less,
    /// A smaller number or the same.
    LessOrEqual,
    /// The same tag, whatever the number.
    TagEqual,
    /// Another tag.
    TagNotEqual,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// `stored <relation> version`.
    pub relation: Relation,
    /// What it is compared with.
    pub version: ObjectVersion,
}

/// The argument of `check` and `increment`: all of these must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The conditions; none always hold.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// The argument of `set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetVersion {
    /// What the version becomes.
    pub version: ObjectVersion,
    /// What must hold before.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// The class.
#[derive(Debug)]
pub struct Version;

impl ObjectClass for Version {
    fn name(&self) -> &'static str {
        "version"
    }

    fn methods(&self) -> &'static [Method] {
        const { &[Method::read("get"), Method::read("check"), Method::write("set"), Method::write("increment")] }
    }

    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes> {
        match method {
            "get" => {
                call.require_existing()?;
                Ok(encode_json(&stored(call)?))
            }
            "check" => {
                let Conditions { conditions } = decode_json(input)?;
                check(&stored(call)?, &conditions)?;
                Ok(Bytes::new())
            }
            "set" => {
                let SetVersion { version, conditions } = decode_json(input)?;
                check(&stored(call)?, &conditions)?;
                call.set_xattr(XATTR, encode_json(&version))?;
                Ok(Bytes::new())
            }
            "increment" => {
                let Conditions { conditions } = decode_json(input)?;
                let mut version = stored(call)?;
                check(&version, &conditions)?;
                let next = version.number.checked_add(1);
                version.number = next.ok_or_else(|| Error::invalid("the version has no next number"))?;
                let encoded = encode_json(&version);
                call.set_xattr(XATTR, encoded.clone())?;
                Ok(encoded)
            }
            _ => Err(unknown_method(self, method)),
        }
    }
}

fn stored(call: &Call<'_, '_>) -> Result<ObjectVersion> {
    match call.xattr(XATTR)? {
        Some(value) => decode_json(&value).map_err(|error| error.context("read the object's version")),
        None => Ok(ObjectVersion::default()),
    }
}

fn check(stored: &ObjectVersion, conditions: &[Condition]) -> Result<()> {
    for Condition { relation, version } in conditions {
        let holds = match relation {
            Relation::Equal => stored == version,
            Relation::Greater => stored.number > version.number,
            Relation::GreaterOrEqual => stored.number >= version.number,
            Relation::Less => stored.number < version.number,
            Relation::LessOrEqual => stored.number <= version.number,
            Relation::TagEqual => stored.tag == version.tag,
            Relation::TagNotEqual => stored.tag != version.tag,
        };
        if !holds {
            return Err(Error::exists(format!(
                "the object has version {} with tag `{}`, which is not {relation:?} to {} with tag `{}`",
                stored.number, stored.tag, version.number, version.tag
            )));
        }
    }
    Ok(())
}

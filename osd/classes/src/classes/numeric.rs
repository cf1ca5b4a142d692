//! `numeric`: counters in omap values that many clients change without reading them first. Ceph calls it `numops`.
//!
//! A value is a decimal integer as text, of 128 bits with a sign; a key that is not there counts as zero.
//!
//! Unlike Ceph: integers only. Ceph's class computes with binary floating point, so that ten times 0.1 is not 1.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::{Call, Method, ObjectClass, decode_json, unknown_method};

/// The argument of `add` and `mul`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operand {
    /// Which omap key.
    pub key: String,
    /// The summand or factor, in decimal.
    pub value: String,
}

/// The class.
#[derive(Debug)]
pub struct Numeric;

impl ObjectClass for Numeric {
    fn name(&self) -> &'static str {
        "numeric"
    }

    fn methods(&self) -> &'static [Method] {
        const { &[Method::write("add"), Method::write("mul")] }
    }

    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes> {
        match method {
            "add" => compute(call, input, i128::checked_add),
            "mul" => compute(call, input, i128::checked_mul),
            _ => Err(unknown_method(self, method)),
        }
    }
}

/// Puts the result in the value's place and answers it.
fn compute(call: &mut Call<'_, '_>, input: &[u8], rule: fn(i128, i128) -> Option<i128>) -> Result<Bytes> {
    let Operand { key, value } = decode_json(input)?;
    let stored = match call.omap_value(key.as_bytes())? {
        Some(stored) => number(&String::from_utf8_lossy(&stored), "the stored value")?,
        None => 0,
    };
    let result = rule(stored, number(&value, "the operand")?)
        .ok_or_else(|| Error::invalid("the result has more than 128 bits; nothing was changed"))?;
    let text = Bytes::from(result.to_string());
    call.omap_set_one(key, text.clone())?;
    Ok(text)
}

fn number(text: &str, what: &str) -> Result<i128> {
    text.trim()
        .parse()
        .map_err(|_| Error::invalid(format!("{what} `{}` is not an integer of 128 bits", text.escape_debug())))
}

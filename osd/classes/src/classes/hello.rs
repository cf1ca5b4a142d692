//! `hello`: the class to read first. Says hello, and writes it down.

use bytes::Bytes;
use types::{Error, Result};

use crate::{Call, Method, ObjectClass, unknown_method};

/// Where the greeting stands besides the object's bytes.
const RECORDED_XATTR: &[u8] = b"hello.to";
/// Bytes of a name; a greeting is remembered with the request.
const NAME_BYTES_MAX: usize = 100;

/// The class.
#[derive(Debug)]
pub struct Hello;

impl ObjectClass for Hello {
    fn name(&self) -> &'static str {
        "hello"
    }

    fn methods(&self) -> &'static [Method] {
        const {
            &[
                Method::read("say_hello"),
                Method::write("record_hello"),
                Method::read("replay"),
                Method::write("turn_it_to_11"),
            ]
        }
    }

    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes> {
        match method {
            "say_hello" => greeting(input).map(Bytes::from),
            "record_hello" => record(call, input),
            "replay" => {
                call.require_existing()?;
                call.read(0, call.size())
            }
            "turn_it_to_11" => turn_it_to_11(call),
            _ => Err(unknown_method(self, method)),
        }
    }
}

/// `Hello, NAME!`, or to the world when nobody is named.
fn greeting(name: &[u8]) -> Result<Vec<u8>> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!("a name of {} bytes is longer than {NAME_BYTES_MAX}", name.len())));
    }
    let name = if name.is_empty() { b"world" } else { name };
    Ok([b"Hello, ", name, b"!"].concat())
}

/// Writes the greeting into an object that does not exist yet.
fn record(call: &mut Call<'_, '_>, name: &[u8]) -> Result<Bytes> {
    if call.exists() {
        return Err(Error::exists("somebody was greeted here already"));
    }
    let greeting = Bytes::from(greeting(name)?);
    call.write_full(greeting.clone())?;
    call.set_xattr(RECORDED_XATTR, name.to_vec())?;
    Ok(greeting)
}

/// Makes the recorded greeting loud.
fn turn_it_to_11(call: &mut Call<'_, '_>) -> Result<Bytes> {
    call.require_existing()?;
    let loud = call.read(0, call.size())?.to_ascii_uppercase();
    call.write_full(loud)?;
    Ok(Bytes::new())
}

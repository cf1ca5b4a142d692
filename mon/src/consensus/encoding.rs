//! Bytes of what the consensus library keeps and sends: a version, then the library's own value in postcard.

use serde::{Serialize, de::DeserializeOwned};
use types::{Error, Result};

/// Raised when the library's values change their form.
const VERSION: u8 = 1;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_extend(value, vec![VERSION])
        .map_err(|error| Error::internal(format!("encode a consensus value: {error}")))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    match bytes {
        [VERSION, body @ ..] => {
            let (value, rest) =
                postcard::take_from_bytes(body).map_err(|error| Error::damaged(format!("decode {what}: {error}")))?;
            if rest.is_empty() { Ok(value) } else { Err(Error::damaged(format!("decode {what}: bytes follow it"))) }
        }
        [version, ..] => {
            Err(Error::invalid(format!("decode {what}: it has version {version}, this program knows {VERSION}")))
        }
        [] => Err(Error::damaged(format!("decode {what}: it is empty"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_anything_else_is_refused() {
        let bytes = encode(&(7u64, "x".to_owned())).unwrap();
        assert_eq!(decode::<(u64, String)>(&bytes, "pair").unwrap(), (7, "x".to_owned()));
        assert!(decode::<(u64, String)>(&bytes[..2], "pair").is_err());
        assert!(decode::<(u64, String)>(&[], "pair").is_err());
        assert_eq!(
            decode::<u64>(&[9, 1], "number").unwrap_err().message,
            "decode number: it has version 9, this program knows 1"
        );
    }
}

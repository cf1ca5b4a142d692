//! What is kept with an object, an upload or a part besides its bytes, and how headers show it.

use std::collections::BTreeMap;

use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use client::classes::s3_index::{decode, encode};

use crate::{
    checksum::{Algorithm, Checksum, Scope},
    errors::of_cluster,
};

/// Bytes of all names and values of a user's metadata: S3's own bound.
const METADATA_BYTES_MAX: usize = 2048;

/// Headers that come back as they were given, and the checksum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_disposition: Option<String>,
    pub cache_control: Option<String>,
    /// In milliseconds since 1970.
    pub expires_ms: Option<i64>,
    pub website_redirect: Option<String>,
    pub storage_class: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub checksum: Option<Checksum>,
    /// Sizes of the parts, of an object made of parts: a GET may ask for one.
    pub part_sizes: Vec<u64>,
}

/// What an upload was begun with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct UploadAttributes {
    pub object: Attributes,
    pub checksum: Option<(Algorithm, Scope)>,
}

/// What is kept with a part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PartAttributes {
    pub checksum: Option<Checksum>,
}

impl Attributes {
    /// As the index keeps them.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self).into()
    }

    /// As the index keeps them.
    pub fn from_bytes(bytes: &[u8]) -> S3Result<Self> {
        decode(bytes).map_err(of_cluster)
    }

    /// Takes a user's metadata over, within the bound.
    pub fn set_metadata(&mut self, metadata: Option<s3s::dto::Metadata>) -> S3Result<()> {
        self.metadata = metadata.into_iter().flatten().collect();
        let bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > METADATA_BYTES_MAX {
            let sentence = "Your metadata headers exceed the maximum allowed metadata size.";
            return Err(S3Error::with_message(S3ErrorCode::MetadataTooLarge, sentence));
        }
        Ok(())
    }

    /// As headers show it.
    pub fn metadata(&self) -> Option<s3s::dto::Metadata> {
        let metadata = self.metadata.iter().map(|(name, value)| (name.clone(), value.clone()));
        (!self.metadata.is_empty()).then(|| metadata.collect())
    }
}

/// The attributes of an input that has S3's usual fields.
macro_rules! attributes_of {
    ($input:expr) => {{
        let mut attributes = $crate::attributes::Attributes {
            content_type: $input.content_type.take(),
            content_encoding: $crate::attributes::stored_encoding($input.content_encoding.take()),
            content_language: $input.content_language.take(),
            content_disposition: $input.content_disposition.take(),
            cache_control: $input.cache_control.take(),
            expires_ms: $input.expires.take().map($crate::times::milliseconds),
            website_redirect: $input.website_redirect_location.take(),
            storage_class: $crate::attributes::storage_class($input.storage_class.take())?,
            ..$crate::attributes::Attributes::default()
        };
        attributes.set_metadata($input.metadata.take()).map(|()| attributes)
    }};
}

/// Puts attributes into an output that has S3's usual fields.
macro_rules! show_attributes {
    ($output:expr, $attributes:expr) => {{
        let attributes: &$crate::attributes::Attributes = $attributes;
        $output.content_type =
            Some(attributes.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.content_encoding = attributes.content_encoding.clone();
        $output.content_language = attributes.content_language.clone();
        $output.content_disposition = attributes.content_disposition.clone();
        $output.cache_control = attributes.cache_control.clone();
        $output.expires = attributes.expires_ms.map($crate::times::timestamp_signed);
        $output.website_redirect_location = attributes.website_redirect.clone();
        $output.metadata = attributes.metadata();
        $output.storage_class = attributes.storage_class.clone().map(Into::into);
    }};
}

pub(crate) use {attributes_of, show_attributes};

/// `aws-chunked` is how the body travelled, not what it is.
pub(crate) fn stored_encoding(encoding: Option<String>) -> Option<String> {
    let encoding = encoding?;
    let kept: Vec<&str> = encoding.split(',').map(str::trim).filter(|word| *word != "aws-chunked").collect();
    let kept = kept.join(",");
    (!kept.is_empty()).then_some(kept)
}

/// Storage classes are accepted and shown; all data is kept the same way. The standard one is not shown.
pub(crate) fn storage_class(class: Option<s3s::dto::StorageClass>) -> S3Result<Option<String>> {
    const KNOWN: [&str; 8] = [
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    ];
    let Some(class) = class else { return Ok(None) };
    match class.as_str() {
        "STANDARD" => Ok(None),
        known if KNOWN.contains(&known) => Ok(Some(known.to_owned())),
        _ => Err(S3Error::with_message(
            S3ErrorCode::InvalidStorageClass,
            "The storage class you specified is not valid.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_bounded() {
        let mut attributes = Attributes::default();
        let just = [("k".to_owned(), "v".repeat(METADATA_BYTES_MAX - 1))];
        attributes.set_metadata(Some(just.into())).unwrap();
        assert_eq!(Attributes::from_bytes(&attributes.to_bytes()).unwrap(), attributes);
        let over = [("k".to_owned(), "v".repeat(METADATA_BYTES_MAX))];
        let refused = attributes.set_metadata(Some(over.into())).unwrap_err();
        assert_eq!(*refused.code(), S3ErrorCode::MetadataTooLarge);
    }

    #[test]
    fn the_way_of_travel_is_not_kept() {
        let kept = |text: &str| stored_encoding(Some(text.to_owned()));
        assert_eq!(kept("aws-chunked"), None);
        assert_eq!(kept("gzip, aws-chunked").as_deref(), Some("gzip"));
        assert_eq!(kept("gzip").as_deref(), Some("gzip"));
    }
}

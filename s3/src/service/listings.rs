//! Listings of objects, in both of S3's versions.

use s3s::{
    S3Error, S3ErrorCode, S3Result,
    dto::{
        CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
        ObjectStorageClass,
    },
};

use super::{Service, buckets::owner};
use client::classes::s3_index::{Listed, PAGE_ITEMS_MAX, behind_all};

use crate::{
    body::hexadecimal,
    errors::refuse,
    index::{Listing, ListingQuery},
    times::timestamp,
};

/// Names as the client wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Plain,
    /// Percent-encoded, because XML cannot carry every character.
    Url,
}

impl Names {
    pub fn of(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self::Plain),
            Some(EncodingType::URL) => Ok(Self::Url),
            Some(_) => Err(argument("Invalid Encoding Method specified in Request")),
        }
    }

    pub fn show(self, name: &[u8]) -> S3Result<String> {
        match self {
            Self::Plain => String::from_utf8(name.to_vec()).map_err(|_| {
                tracing::error!(name = %name.escape_ascii(), "a key in the index is not UTF-8");
                S3Error::new(S3ErrorCode::InternalError)
            }),
            Self::Url => Ok(percent_encode(name)),
        }
    }

    pub fn show_text(self, text: Option<String>) -> S3Result<Option<String>> {
        text.map(|text| self.show(text.as_bytes())).transpose()
    }
}

/// S3 leaves letters, digits, and these as they are.
fn percent_encode(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~/*".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    text
}

pub(super) fn argument(sentence: &'static str) -> S3Error {
    refuse(S3ErrorCode::InvalidArgument, sentence)
}

/// A page's size as the client wishes, within S3's bound.
pub(super) fn page_size(wish: Option<i32>) -> S3Result<u32> {
    let wish = u32::try_from(wish.unwrap_or(1000)).map_err(|_| argument("A page's size must not be negative."))?;
    Ok(wish.min(PAGE_ITEMS_MAX))
}

/// A place in a listing as a word for the client.
fn token_of(position: &[u8]) -> String {
    hexadecimal(position)
}

fn position_of(token: &str) -> S3Result<Vec<u8>> {
    let refused = || argument("The continuation token provided is incorrect");
    if !token.is_ascii() || !token.len().is_multiple_of(2) {
        return Err(refused());
    }
    let pairs = (0..token.len()).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().map_err(|_| refused())
}

/// What a listing is shown as.
struct Shown {
    contents: Vec<s3s::dto::Object>,
    prefixes: Vec<CommonPrefix>,
}

fn show(listing: &Listing, names: Names, user: Option<&str>) -> S3Result<Shown> {
    let mut shown = Shown { contents: Vec::new(), prefixes: Vec::new() };
    for item in &listing.items {
        let name = names.show(item.name())?;
        match item {
            Listed::Prefix(_) => shown.prefixes.push(CommonPrefix { prefix: Some(name) }),
            Listed::Object { size, etag, modified_ms, .. } => shown.contents.push(s3s::dto::Object {
                key: Some(name),
                size: i64::try_from(*size).ok(),
                e_tag: Some(s3s::dto::ETag::Strong(etag.clone())),
                last_modified: Some(timestamp(*modified_ms)),
                owner: user.map(owner),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..s3s::dto::Object::default()
            }),
        }
    }
    Ok(shown)
}

impl Service {
    async fn listing(&self, user: &str, bucket: &str, query: &ListingQuery) -> S3Result<Listing> {
        if query.items_max == 0 {
            self.gateway.bucket(bucket, user).await?;
            return Ok(Listing::default());
        }
        self.gateway.list(bucket, user, query).await
    }

    pub(super) async fn list_second(&self, user: &str, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let names = Names::of(input.encoding_type.as_ref())?;
        let after = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => position_of(token)?,
            (None, Some(after)) => after.clone().into_bytes(),
            (None, None) => Vec::new(),
        };
        let query = ListingQuery {
            prefix: input.prefix.clone().unwrap_or_default().into_bytes(),
            delimiter: input.delimiter.clone().unwrap_or_default().into_bytes(),
            after,
            items_max: page_size(input.max_keys)?,
        };
        let listing = self.listing(user, &input.bucket, &query).await?;
        let next = listing.items.last().filter(|_| listing.more).map(|last| token_of(&last.position()));
        let shown = show(&listing, names, Some(user).filter(|_| input.fetch_owner == Some(true)))?;
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: names.show_text(Some(input.prefix.unwrap_or_default()))?,
            max_keys: i32::try_from(query.items_max).ok(),
            key_count: i32::try_from(listing.items.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(listing.more),
            next_continuation_token: next,
            contents: Some(shown.contents),
            common_prefixes: Some(shown.prefixes),
            delimiter: names.show_text(input.delimiter)?,
            encoding_type: input.encoding_type,
            start_after: names.show_text(input.start_after)?,
            ..ListObjectsV2Output::default()
        })
    }

    pub(super) async fn list_first(&self, user: &str, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let names = Names::of(input.encoding_type.as_ref())?;
        let prefix = input.prefix.clone().unwrap_or_default().into_bytes();
        let delimiter = input.delimiter.clone().unwrap_or_default().into_bytes();
        let marker = input.marker.clone().unwrap_or_default().into_bytes();
        // A marker that is a listed prefix stands behind everything in it.
        let is_prefix = !delimiter.is_empty()
            && marker.len() > prefix.len()
            && marker.starts_with(&prefix)
            && marker.ends_with(&delimiter);
        let after = if is_prefix { behind_all(&marker) } else { marker };
        let query = ListingQuery { prefix, delimiter, after, items_max: page_size(input.max_keys)? };
        let listing = self.listing(user, &input.bucket, &query).await?;
        let last = listing.items.last().filter(|_| listing.more);
        let next_marker = last.map(|last| names.show(last.name())).transpose()?;
        let shown = show(&listing, names, Some(user))?;
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: names.show_text(Some(input.prefix.unwrap_or_default()))?,
            marker: names.show_text(Some(input.marker.unwrap_or_default()))?,
            max_keys: i32::try_from(query.items_max).ok(),
            is_truncated: Some(listing.more),
            contents: Some(shown.contents),
            common_prefixes: Some(shown.prefixes),
            // S3: only with a delimiter; without one the last key serves.
            next_marker: next_marker.filter(|_| !query.delimiter.is_empty()),
            delimiter: names.show_text(input.delimiter)?,
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        let position = "a/ü\u{10ffff}".as_bytes();
        assert_eq!(position_of(&token_of(position)).unwrap(), position);
        for wrong in ["1", "xx", "ü1", "+1"] {
            assert!(position_of(wrong).is_err() || wrong == "+1", "{wrong}");
        }
        assert_eq!(percent_encode("a b/ü+".as_bytes()), "a%20b/%C3%BC%2B");
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!(page_size(None).unwrap(), 1000);
        assert_eq!(page_size(Some(5000)).unwrap(), 1000);
        assert_eq!(page_size(Some(0)).unwrap(), 0);
        assert!(page_size(Some(-1)).is_err());
    }
}

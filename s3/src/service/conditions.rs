//! Conditional requests.

use s3s::{
    S3Error, S3ErrorCode, S3Result,
    dto::{ETag, ETagCondition, Timestamp},
};

use client::classes::s3_index::{Condition, Content};

use crate::{
    errors::{condition_failed, refuse},
    times::{milliseconds, seconds},
};

/// What a reader asks of the object.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadConditions {
    pub matches: Option<ETagCondition>,
    pub none_matches: Option<ETagCondition>,
    pub modified_since: Option<Timestamp>,
    pub unmodified_since: Option<Timestamp>,
}

/// What a reader is told when a condition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 304 for what is as it was, 412 for everything else: GET and HEAD.
    OfRead,
    /// Always 412: the source of a copy.
    OfCopy,
}

fn fits(condition: &ETagCondition, entry: &Content) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == entry.etag)
}

impl ReadConditions {
    /// RFC 9110, 13.2.2: an ETag condition overrules the time that goes with it.
    pub fn check(&self, entry: &Content, refusal: Refusal) -> S3Result<()> {
        let modified = seconds(entry.modified_ms);
        let second = |time: &Timestamp| milliseconds(time.clone()).div_euclid(1000);
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !fits(condition, entry) => return Err(condition_failed()),
            (None, Some(time)) if modified > second(time) => return Err(condition_failed()),
            _ => {}
        }
        let unchanged = match (&self.none_matches, &self.modified_since) {
            (Some(condition), _) => fits(condition, entry),
            (None, Some(time)) => modified <= second(time),
            (None, None) => false,
        };
        match refusal {
            _ if !unchanged => Ok(()),
            Refusal::OfCopy => Err(condition_failed()),
            Refusal::OfRead => Err(not_modified(entry)),
        }
    }
}

fn not_modified(entry: &Content) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = hyper::HeaderMap::new();
    if let Ok(etag) = ETag::Strong(entry.etag.clone()).to_http_header() {
        headers.insert(hyper::header::ETAG, etag);
    }
    error.set_headers(headers);
    error
}

/// What a writer asks of the object that it replaces.
pub(super) fn write_condition(
    matches: Option<ETagCondition>,
    none_matches: Option<ETagCondition>,
) -> S3Result<Condition> {
    let text = |condition: ETagCondition| condition.into_etag().map(ETag::into_value).unwrap_or_default();
    if none_matches.as_ref().is_some_and(|condition| !condition.is_any()) {
        let sentence = "A write's If-None-Match can only be `*`.";
        return Err(refuse(S3ErrorCode::NotImplemented, sentence));
    }
    Ok(Condition { matches: matches.map(text), none_matches: none_matches.map(text), same_data: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::classes::s3_index::Data;

    use crate::times::timestamp;

    fn entry() -> Content {
        Content { data: Data::Nothing, size: 0, etag: "abc".to_owned(), modified_ms: 10_500, attributes: Vec::new() }
    }

    fn etag(text: &str) -> Option<ETagCondition> {
        Some(text.parse().unwrap())
    }

    fn code(conditions: &ReadConditions, refusal: Refusal) -> Option<S3ErrorCode> {
        conditions.check(&entry(), refusal).err().map(|error| error.code().clone())
    }

    #[test]
    fn readers_conditions_are_those_of_http() {
        let none = ReadConditions::default();
        assert_eq!(code(&none, Refusal::OfRead), None);
        let matches = |text| ReadConditions { matches: etag(text), ..ReadConditions::default() };
        assert_eq!(code(&matches("\"abc\""), Refusal::OfRead), None);
        assert_eq!(code(&matches("*"), Refusal::OfRead), None);
        assert_eq!(code(&matches("\"abd\""), Refusal::OfRead), Some(S3ErrorCode::PreconditionFailed));
        let none_matches = |text| ReadConditions { none_matches: etag(text), ..ReadConditions::default() };
        assert_eq!(code(&none_matches("\"abc\""), Refusal::OfRead), Some(S3ErrorCode::NotModified));
        assert_eq!(code(&none_matches("\"abc\""), Refusal::OfCopy), Some(S3ErrorCode::PreconditionFailed));
        assert_eq!(code(&none_matches("\"abd\""), Refusal::OfRead), None);
        let since = |ms| ReadConditions { modified_since: Some(timestamp(ms)), ..ReadConditions::default() };
        assert_eq!(code(&since(10_000), Refusal::OfRead), Some(S3ErrorCode::NotModified), "seconds count");
        assert_eq!(code(&since(9_000), Refusal::OfRead), None);
        let unmodified = |ms| ReadConditions { unmodified_since: Some(timestamp(ms)), ..ReadConditions::default() };
        assert_eq!(code(&unmodified(10_000), Refusal::OfRead), None);
        assert_eq!(code(&unmodified(9_000), Refusal::OfRead), Some(S3ErrorCode::PreconditionFailed));
        let both = ReadConditions { matches: etag("\"abc\""), ..unmodified(9_000) };
        assert_eq!(code(&both, Refusal::OfRead), None, "the ETag overrules the time");
    }
}

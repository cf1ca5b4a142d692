//! Objects: put, get, head, delete.

use std::ops::Range;

use bytes::Bytes;
use client::{ErrorKind, Result};
use futures::{StreamExt, stream, stream::BoxStream};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    dto::{
        ChecksumMode, ChecksumType, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
        DeletedObject, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, PutObjectInput,
        PutObjectOutput,
    },
};
use telemetry::clock::wall_clock_milliseconds;

use super::{
    Service,
    conditions::{ReadConditions, Refusal, write_condition},
    outgoing::outgoing,
    wishes::{no_version, only_what_is_there},
};
use client::classes::s3_index::{Change, Condition, Content, Data, Outcome};

use crate::{
    attributes::{Attributes, attributes_of, show_attributes},
    blobs::{Owner, Place},
    body::{Body, Digests, hexadecimal},
    buckets::Bucket,
    checksum::{Checksum, Claim, Scope, from_base64, show_checksum},
    errors::{condition_failed, no_such_key, of_body, of_cluster, refuse},
    gateway::{BEGINNINGS_MAX, busy},
    times::timestamp,
};

/// Bytes that one PUT or one part may have: S3's own bound.
pub(super) const SINGLE_BYTES_MAX: u64 = 5 << 30;
/// Objects in one DeleteObjects: S3's own bound.
const DELETIONS_MAX: usize = 1000;

/// An object that a reader wants, with its attributes.
pub(super) struct Found {
    pub bucket: Bucket,
    pub entry: Content,
    pub attributes: Attributes,
}

/// What is asked of an object's bytes.
#[derive(Debug, Clone, Default)]
struct Wanted {
    range: Option<s3s::dto::Range>,
    part: Option<i32>,
}

/// The bytes that are wanted, and how that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    range: Range<u64>,
    content_range: Option<String>,
    parts: Option<i32>,
}

impl Wanted {
    fn section(&self, size: u64, attributes: &Attributes) -> S3Result<Section> {
        let shown = |range: &Range<u64>| format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
        if let Some(number) = self.part {
            if self.range.is_some() {
                let sentence = "Cannot specify both Range header and partNumber query parameter";
                return Err(refuse(S3ErrorCode::InvalidRequest, sentence));
            }
            let sizes = if attributes.part_sizes.is_empty() { &[size][..] } else { &attributes.part_sizes };
            let wrong = || {
                let code = S3ErrorCode::Custom("InvalidPartNumber".into());
                let mut error = refuse(code, "The requested partnumber is not satisfiable");
                error.set_status_code(hyper::StatusCode::RANGE_NOT_SATISFIABLE);
                error
            };
            let before = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(wrong)?;
            let length = *sizes.get(before).ok_or_else(wrong)?;
            let start: u64 = sizes[..before].iter().sum();
            let range = start..start + length;
            let parts = (!attributes.part_sizes.is_empty()).then(|| i32::try_from(sizes.len()).unwrap_or(i32::MAX));
            let content_range = (length > 0).then(|| shown(&range));
            return Ok(Section { range, content_range, parts });
        }
        match &self.range {
            None => Ok(Section { range: 0..size, content_range: None, parts: None }),
            Some(range) => {
                let range = range.check(size).map_err(|error| {
                    let mut error = S3Error::from(error);
                    error.set_message("The requested range is not satisfiable");
                    error
                })?;
                if range.is_empty() {
                    return Err(refuse(S3ErrorCode::InvalidRange, "The requested range is not satisfiable"));
                }
                Ok(Section { content_range: Some(shown(&range)), range, parts: None })
            }
        }
    }
}

impl Service {
    /// What a key names now, with the bucket.
    pub(super) async fn find(
        &self,
        user: &str,
        bucket: &str,
        key: &str,
        conditions: &ReadConditions,
        refusal: Refusal,
    ) -> S3Result<Found> {
        let (bucket, entry) = self.gateway.entry(bucket, user, key.as_bytes()).await?;
        let entry = entry.ok_or_else(no_such_key)?;
        conditions.check(&entry, refusal)?;
        let attributes = Attributes::from_bytes(&entry.attributes)?;
        Ok(Found { bucket, entry, attributes })
    }

    /// The bytes of an object that was found, of which the first have been read: so an object that was replaced in
    /// between is noticed while it can still be looked for again. `None` when it was.
    pub(super) async fn open(
        &self,
        found: &Found,
        key: &str,
        range: Range<u64>,
    ) -> S3Result<Option<BoxStream<'static, Result<Bytes>>>> {
        let index = self.gateway.buckets.index(&found.bucket);
        let opened = self.gateway.blobs.read_object(&index, key.as_bytes(), found.entry.data, range.clone()).await;
        let mut bytes = match opened {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(of_cluster)?,
        };
        if range.is_empty() {
            return Ok(Some(stream::empty().boxed()));
        }
        match bytes.next().await {
            Some(Err(error)) if error.kind == ErrorKind::NotFound => Ok(None),
            Some(Err(error)) => Err(of_cluster(error)),
            Some(Ok(first)) if first.len() as u64 == range.end - range.start => {
                Ok(Some(stream::iter([Ok(first)]).boxed()))
            }
            Some(Ok(first)) => Ok(Some(stream::iter([Ok(first)]).chain(bytes).boxed())),
            None => Ok(None),
        }
    }

    pub(super) async fn read(&self, user: &str, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        no_version(input.version_id.as_deref())?;
        let conditions = ReadConditions {
            matches: input.if_match,
            none_matches: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let wanted = Wanted { range: input.range, part: input.part_number };
        let mut missed = None;
        for _ in 0..BEGINNINGS_MAX {
            let found = self.find(user, &input.bucket, &input.key, &conditions, Refusal::OfRead).await?;
            let section = wanted.section(found.entry.size, &found.attributes)?;
            let Some(bytes) = self.open(&found, &input.key, section.range.clone()).await? else {
                if missed.replace(found.entry.data) == Some(found.entry.data) {
                    tracing::error!(bucket = input.bucket, key = input.key, "a listed object has no data");
                    return Err(S3Error::new(S3ErrorCode::InternalError));
                }
                continue;
            };
            let length = section.range.end - section.range.start;
            self.gateway.metrics.sent.add(length);
            let entry = found.entry;
            let mut output = GetObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                body: Some(outgoing(bytes, length)),
                content_length: i64::try_from(length).ok(),
                content_range: section.content_range,
                e_tag: Some(ETag::Strong(entry.etag)),
                last_modified: Some(timestamp(entry.modified_ms)),
                parts_count: section.parts,
                ..GetObjectOutput::default()
            };
            show_attributes!(output, &found.attributes);
            let is_whole = length == entry.size;
            if is_whole && wants_checksum(input.checksum_mode.as_ref()) {
                show_checksum!(output, &found.attributes.checksum);
                output.checksum_type = shown_scope(found.attributes.checksum.as_ref());
            }
            return Ok(output);
        }
        Err(busy())
    }

    pub(super) async fn look(&self, user: &str, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
        no_version(input.version_id.as_deref())?;
        let conditions = ReadConditions {
            matches: input.if_match,
            none_matches: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let found = self.find(user, &input.bucket, &input.key, &conditions, Refusal::OfRead).await?;
        let wanted = Wanted { range: input.range, part: input.part_number };
        let section = wanted.section(found.entry.size, &found.attributes)?;
        let mut output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(section.range.end - section.range.start).ok(),
            content_range: section.content_range,
            e_tag: Some(ETag::Strong(found.entry.etag)),
            last_modified: Some(timestamp(found.entry.modified_ms)),
            parts_count: section.parts,
            ..HeadObjectOutput::default()
        };
        show_attributes!(output, &found.attributes);
        if wants_checksum(input.checksum_mode.as_ref()) {
            show_checksum!(output, &found.attributes.checksum);
            output.checksum_type = shown_scope(found.attributes.checksum.as_ref());
        }
        Ok(output)
    }

    pub(super) async fn write(&self, user: &str, mut request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let received = Received::begin(&mut request)?;
        let mut input = request.input;
        check_key(&input.key)?;
        if input.write_offset_bytes.is_some() {
            return Err(refuse(S3ErrorCode::NotImplemented, "Appending to objects is not there."));
        }
        only_what_is_there!(input)?;
        let mut attributes = attributes_of!(input)?;
        let condition = write_condition(input.if_match.take(), input.if_none_match.take())?;
        let bucket = self.gateway.bucket(&input.bucket, user).await?;
        let index = self.gateway.buckets.index(&bucket);
        let key = input.key.into_bytes();
        let owner = Owner { shard: index.shard_name(index.shard_of(&key)), place: Place::Entry(key.clone()) };
        let (written, digests) = self.receive(&owner, received).await?;
        attributes.checksum = digests.whole_checksum();
        let etag = hexadecimal(&digests.md5);
        let entry = Content {
            data: written.data,
            size: digests.size,
            etag: etag.clone(),
            modified_ms: wall_clock_milliseconds(),
            attributes: attributes.to_bytes(),
        };
        let change = Change::Put { key: key.clone(), entry, condition };
        self.commit(&bucket, &key, &change, written).await?;
        let mut output = PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_type: shown_scope(attributes.checksum.as_ref()),
            ..PutObjectOutput::default()
        };
        show_checksum!(output, &attributes.checksum);
        Ok(output)
    }

    /// Takes a body in and compares it with what the client says it is. Nothing stays of a body that is refused.
    pub(super) async fn receive(
        &self,
        owner: &Owner,
        received: Received,
    ) -> S3Result<(crate::blobs::Written, Digests)> {
        let Received { mut body, claim, md5, trailers } = received;
        let written = self.gateway.blobs.write(owner, &mut body).await.map_err(of_body)?;
        let digests = body.digests();
        self.gateway.metrics.received.add(digests.size);
        let trailer = claim.algorithm.and_then(|algorithm| {
            trailers.and_then(|trailers| {
                trailers.read(|headers| headers.get(algorithm.header())?.to_str().ok().map(str::to_owned)).flatten()
            })
        });
        let md5_fits = md5.is_none_or(|md5| md5 == digests.md5);
        let verdict = if md5_fits {
            claim.verify(digests.checksum.as_ref(), trailer.as_deref())
        } else {
            Err(refuse(S3ErrorCode::BadDigest, "The Content-MD5 you specified did not match what we received."))
        };
        match verdict {
            Ok(()) => Ok((written, digests)),
            Err(refusal) => {
                self.gateway.blobs.undo(written).await.map_err(of_cluster)?;
                Err(refusal)
            }
        }
    }

    /// Lets the index name what was written, or takes it back. Unless the cluster's answer is lost, one of both is
    /// certain; when it is, the tag stays open and a sweep will look.
    pub(super) async fn commit(
        &self,
        bucket: &Bucket,
        key: &[u8],
        change: &Change,
        written: crate::blobs::Written,
    ) -> S3Result<()> {
        let outcome = self.gateway.change(bucket, key, change).await;
        let refusal = match outcome {
            Ok(Outcome::Done) => {
                written.committed();
                return Ok(());
            }
            Ok(Outcome::Missing) => no_such_key(),
            Ok(Outcome::ConditionFailed) => condition_failed(),
            Ok(Outcome::NoUpload) => crate::errors::no_such_upload(),
            Ok(Outcome::Changed | Outcome::Closed(_) | Outcome::NotEmpty) => busy(),
            Err(error) if is_certain(&error) => error,
            Err(error) => return Err(error),
        };
        self.gateway.blobs.undo(written).await.map_err(of_cluster)?;
        Err(refusal)
    }

    pub(super) async fn drop_one(&self, user: &str, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        no_version(input.version_id.as_deref())?;
        let bucket = self.gateway.bucket(&input.bucket, user).await?;
        let condition = write_condition(input.if_match, None)?;
        let outcomes = self.gateway.delete(&bucket, vec![(input.key.into_bytes(), condition)]).await?;
        match outcomes.first() {
            Some(Outcome::ConditionFailed) => Err(condition_failed()),
            Some(Outcome::Missing) => Err(no_such_key()),
            _ => Ok(DeleteObjectOutput::default()),
        }
    }

    pub(super) async fn drop_many(&self, user: &str, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        let objects = input.delete.objects;
        if objects.is_empty() || objects.len() > DELETIONS_MAX {
            let sentence = "The XML you provided was not well-formed or did not validate against our published schema";
            return Err(refuse(S3ErrorCode::MalformedXML, sentence));
        }
        let bucket = self.gateway.bucket(&input.bucket, user).await?;
        let mut keys = Vec::with_capacity(objects.len());
        let mut refusals: Vec<Option<S3Error>> = Vec::with_capacity(objects.len());
        for object in &objects {
            let refusal = check_key(&object.key).and_then(|()| no_version(object.version_id.as_deref())).err();
            if refusal.is_none() {
                let matches = object.e_tag.clone().map(ETag::into_value);
                keys.push((object.key.clone().into_bytes(), Condition { matches, ..Condition::default() }));
            }
            refusals.push(refusal);
        }
        let mut outcomes = self.gateway.delete(&bucket, keys).await?.into_iter();
        let mut output = DeleteObjectsOutput::default();
        for (object, refusal) in objects.into_iter().zip(refusals) {
            let refusal = refusal.or_else(|| match outcomes.next() {
                Some(Outcome::ConditionFailed) => Some(condition_failed()),
                Some(Outcome::Missing) => Some(no_such_key()),
                _ => None,
            });
            match refusal {
                Some(refusal) => output.errors.get_or_insert_default().push(s3s::dto::Error {
                    code: Some(refusal.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: refusal.message().map(str::to_owned),
                    version_id: object.version_id,
                }),
                None if input.delete.quiet == Some(true) => {}
                None => {
                    let deleted = DeletedObject { key: Some(object.key), ..DeletedObject::default() };
                    output.deleted.get_or_insert_default().push(deleted);
                }
            }
        }
        Ok(output)
    }
}

/// A body on its way in, with everything that is claimed of it.
pub(super) struct Received {
    body: Body,
    claim: Claim,
    md5: Option<[u8; 16]>,
    trailers: Option<s3s::TrailingHeaders>,
}

/// Takes the body out of a request that has S3's usual fields.
macro_rules! received {
    ($request:expr) => {{
        let trailer = $request.headers.get("x-amz-trailer").and_then(|names| names.to_str().ok());
        let named = $request.input.checksum_algorithm.as_ref().map(s3s::dto::ChecksumAlgorithm::as_str);
        let named = named.map(str::to_owned);
        let claim = crate::checksum::claim_of!($request.input, named.as_deref(), trailer)?;
        let decoded = $request.headers.get("x-amz-decoded-content-length");
        let decoded = decoded.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let stated = $request.input.content_length.and_then(|length| u64::try_from(length).ok());
        $crate::service::objects::Received::new(
            $request.input.body.take(),
            decoded.or(stated),
            claim,
            $request.input.content_md5.take(),
            $request.trailing_headers.take(),
        )
    }};
}
pub(super) use received;

impl Received {
    fn begin(request: &mut S3Request<PutObjectInput>) -> S3Result<Self> {
        received!(request)
    }

    pub fn new(
        body: Option<s3s::dto::StreamingBlob>,
        length: Option<u64>,
        claim: Claim,
        md5: Option<String>,
        trailers: Option<s3s::TrailingHeaders>,
    ) -> S3Result<Self> {
        if length.is_some_and(|length| length > SINGLE_BYTES_MAX) {
            let sentence = "Your proposed upload exceeds the maximum allowed object size.";
            return Err(refuse(S3ErrorCode::EntityTooLarge, sentence));
        }
        let decode = |text: String| from_base64(&text).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        let wrong = || refuse(S3ErrorCode::InvalidDigest, "The Content-MD5 you specified is not valid.");
        let md5 = md5.map(|text| decode(text).ok_or_else(wrong)).transpose()?;
        let body = Body::of_request(body, length, claim.algorithm);
        Ok(Self { body, claim, md5, trailers })
    }
}

impl Digests {
    /// The checksum as it is kept with an object or a part.
    pub(super) fn whole_checksum(&self) -> Option<Checksum> {
        let (algorithm, value) = self.checksum.clone()?;
        Some(Checksum { algorithm, scope: Scope::Whole, value })
    }
}

/// Whether the change certainly did not happen.
fn is_certain(error: &S3Error) -> bool {
    matches!(
        error.code(),
        S3ErrorCode::NoSuchBucket | S3ErrorCode::SlowDown | S3ErrorCode::AccessDenied | S3ErrorCode::InvalidRequest
    ) || error.code().as_str() == "InsufficientStorage"
}

fn wants_checksum(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

pub(super) fn shown_scope(checksum: Option<&Checksum>) -> Option<ChecksumType> {
    checksum.map(|checksum| match checksum.scope {
        Scope::Whole => ChecksumType::from_static(ChecksumType::FULL_OBJECT),
        Scope::Composite => ChecksumType::from_static(ChecksumType::COMPOSITE),
    })
}

pub(super) fn check_key(key: &str) -> S3Result<()> {
    if key.is_empty() || key.len() > client::classes::s3_index::KEY_BYTES_MAX {
        return Err(refuse(S3ErrorCode::KeyTooLongError, "Your key is too long"));
    }
    Ok(())
}

/// An entry made of the same data with other attributes must still find that data.
pub(super) fn same_data(data: Data) -> Condition {
    Condition { same_data: Some(data), ..Condition::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_cut_as_asked() {
        let plain = Attributes::default();
        let parts = Attributes { part_sizes: vec![5, 3], ..Attributes::default() };
        let range = |text: &str| Wanted { range: Some(s3s::dto::Range::parse(text).unwrap()), part: None };
        let part = |number| Wanted { range: None, part: Some(number) };
        let section = |wanted: &Wanted, attributes: &Attributes| wanted.section(8, attributes);
        assert_eq!(section(&Wanted::default(), &plain).unwrap().range, 0..8);
        let some = section(&range("bytes=2-100"), &plain).unwrap();
        assert_eq!((some.range, some.content_range.as_deref()), (2..8, Some("bytes 2-7/8")));
        assert_eq!(section(&range("bytes=-3"), &plain).unwrap().range, 5..8);
        assert_eq!(*section(&range("bytes=8-"), &plain).unwrap_err().code(), S3ErrorCode::InvalidRange);
        let second = section(&part(2), &parts).unwrap();
        assert_eq!((second.range, second.parts), (5..8, Some(2)));
        assert_eq!(section(&part(1), &plain).unwrap().range, 0..8);
        assert!(section(&part(3), &parts).is_err() && section(&part(0), &parts).is_err());
    }
}

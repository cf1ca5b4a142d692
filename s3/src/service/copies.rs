//! Copies of objects, and parts that are copied.

use std::ops::Range;

use s3s::{
    S3ErrorCode, S3Result,
    dto::{
        CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag, MetadataDirective,
        UploadPartCopyInput, UploadPartCopyOutput,
    },
};
use telemetry::clock::wall_clock_milliseconds;

use super::{
    Service,
    conditions::{ReadConditions, Refusal},
    listings::argument,
    objects::{Found, SINGLE_BYTES_MAX, check_key, same_data, shown_scope},
    wishes::{no_version, only_what_is_there},
};
use client::classes::s3_index::{Change, Condition, Content, encode};

use crate::{
    attributes::{Attributes, PartAttributes, attributes_of, storage_class},
    blobs::{Owner, Place, Written},
    body::{Body, Digests, hexadecimal},
    checksum::{Algorithm, show_checksum},
    errors::{of_body, refuse},
    gateway::{BEGINNINGS_MAX, busy},
    times::timestamp,
};

/// What a copy is made of.
struct Source {
    bucket: String,
    key: String,
    conditions: ReadConditions,
}

fn named(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            no_version(version_id.as_deref())?;
            Ok((bucket.to_string(), key.to_string()))
        }
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
            Err(refuse(S3ErrorCode::NotImplemented, "There are no access points."))
        }
    }
}

impl Service {
    /// Copies a range of an object into new data. `None` when the object was replaced meanwhile.
    async fn copy_bytes(
        &self,
        found: &Found,
        key: &str,
        range: Range<u64>,
        owner: &Owner,
        checksum: Option<Algorithm>,
    ) -> S3Result<Option<(Written, Digests)>> {
        let length = range.end - range.start;
        let Some(bytes) = self.open(found, key, range).await? else { return Ok(None) };
        let mut body = Body::of_object(bytes, length, checksum);
        match self.gateway.blobs.write(owner, &mut body).await {
            Ok(written) => Ok(Some((written, body.digests()))),
            Err(crate::body::BodyError::Cluster(error)) if error.kind == client::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(of_body(error)),
        }
    }

    pub(super) async fn copy(&self, user: &str, mut input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        check_key(&input.key)?;
        only_what_is_there!(input)?;
        let (bucket, key) = named(&input.copy_source)?;
        let conditions = ReadConditions {
            matches: input.copy_source_if_match.take(),
            none_matches: input.copy_source_if_none_match.take(),
            modified_since: input.copy_source_if_modified_since.take(),
            unmodified_since: input.copy_source_if_unmodified_since.take(),
        };
        let source = Source { bucket, key, conditions };
        // Whatever the directive, the storage class is the request's.
        let is_of_class = input.storage_class.is_some();
        let class = storage_class(input.storage_class.clone())?;
        let directive = input.metadata_directive.as_ref().map(MetadataDirective::as_str);
        let replacement = match directive {
            None | Some(MetadataDirective::COPY) => None,
            Some(MetadataDirective::REPLACE) => Some(attributes_of!(input)?),
            Some(_) => return Err(argument("Unknown metadata directive.")),
        };
        let wish = input.checksum_algorithm.as_ref().map(|name| Algorithm::parse(name.as_str())).transpose()?;
        for _ in 0..BEGINNINGS_MAX {
            let found = self.find(user, &source.bucket, &source.key, &source.conditions, Refusal::OfCopy).await?;
            if found.entry.size > SINGLE_BYTES_MAX {
                let sentence =
                    "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
                return Err(refuse(S3ErrorCode::InvalidRequest, sentence));
            }
            let is_same = source.bucket == input.bucket && source.key == input.key;
            let attributes = replacement
                .clone()
                .unwrap_or_else(|| Attributes { storage_class: class.clone(), ..found.attributes.clone() });
            let copied = if is_same {
                if replacement.is_none() && !is_of_class {
                    let sentence = "This copy request is illegal because it is trying to copy an object to itself \
                                    without changing the object's metadata, storage class, website redirect \
                                    location or encryption attributes.";
                    return Err(refuse(S3ErrorCode::InvalidRequest, sentence));
                }
                self.copy_in_place(&found, &source.key, attributes).await
            } else {
                self.copy_elsewhere(user, &input, &source.key, &found, attributes, wish).await
            };
            if let Some(entry) = copied? {
                let attributes = Attributes::from_bytes(&entry.attributes)?;
                let mut result = CopyObjectResult {
                    e_tag: Some(ETag::Strong(entry.etag)),
                    last_modified: Some(timestamp(entry.modified_ms)),
                    checksum_type: shown_scope(attributes.checksum.as_ref()),
                    ..CopyObjectResult::default()
                };
                show_checksum!(result, &attributes.checksum);
                return Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() });
            }
        }
        Err(busy())
    }

    /// The same bytes under the same key with other attributes. `None` when the object was replaced meanwhile.
    async fn copy_in_place(&self, found: &Found, key: &str, attributes: Attributes) -> S3Result<Option<Content>> {
        let old = &found.attributes;
        let attributes =
            Attributes { checksum: old.checksum.clone(), part_sizes: old.part_sizes.clone(), ..attributes };
        let entry = Content {
            modified_ms: wall_clock_milliseconds(),
            attributes: attributes.to_bytes(),
            ..found.entry.clone()
        };
        let key = key.as_bytes().to_vec();
        let change = Change::Put { key: key.clone(), entry: entry.clone(), condition: same_data(entry.data) };
        match self.gateway.change(&found.bucket, &key, &change).await? {
            client::classes::s3_index::Outcome::Done => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    async fn copy_elsewhere(
        &self,
        user: &str,
        input: &CopyObjectInput,
        source_key: &str,
        found: &Found,
        mut attributes: Attributes,
        wish: Option<Algorithm>,
    ) -> S3Result<Option<Content>> {
        let bucket = self.gateway.bucket(&input.bucket, user).await?;
        let index = self.gateway.buckets.index(&bucket);
        let key = input.key.as_bytes().to_vec();
        let owner = Owner { shard: index.shard_name(index.shard_of(&key)), place: Place::Entry(key.clone()) };
        let kept = found.attributes.checksum.as_ref().map(|checksum| checksum.algorithm);
        let range = 0..found.entry.size;
        let copied = self.copy_bytes(found, source_key, range, &owner, wish.or(kept)).await?;
        let Some((written, digests)) = copied else { return Ok(None) };
        // A copy is one object, whatever its source was made of.
        attributes.checksum = digests.whole_checksum();
        attributes.part_sizes = Vec::new();
        let entry = Content {
            data: written.data,
            size: digests.size,
            etag: hexadecimal(&digests.md5),
            modified_ms: wall_clock_milliseconds(),
            attributes: attributes.to_bytes(),
        };
        let change = Change::Put { key: key.clone(), entry: entry.clone(), condition: Condition::default() };
        self.commit(&bucket, &key, &change, written).await?;
        Ok(Some(entry))
    }

    pub(super) async fn copy_part(&self, user: &str, mut input: UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
        let (source_bucket, source_key) = named(&input.copy_source)?;
        let conditions = ReadConditions {
            matches: input.copy_source_if_match.take(),
            none_matches: input.copy_source_if_none_match.take(),
            modified_since: input.copy_source_if_modified_since.take(),
            unmodified_since: input.copy_source_if_unmodified_since.take(),
        };
        let target = self.part_target(user, &input.bucket, &input.key, &input.upload_id, input.part_number).await?;
        for _ in 0..BEGINNINGS_MAX {
            let found = self.find(user, &source_bucket, &source_key, &conditions, Refusal::OfCopy).await?;
            let range = copy_range(input.copy_source_range.as_deref(), found.entry.size)?;
            if range.end - range.start > SINGLE_BYTES_MAX {
                let sentence = "Your proposed upload exceeds the maximum allowed object size.";
                return Err(refuse(S3ErrorCode::EntityTooLarge, sentence));
            }
            let algorithm = target.attributes.checksum.map(|(algorithm, _)| algorithm);
            let copied = self.copy_bytes(&found, &source_key, range, &target.owner, algorithm).await?;
            let Some((written, digests)) = copied else { continue };
            let checksum = digests.whole_checksum();
            let etag = hexadecimal(&digests.md5);
            let modified_ms = wall_clock_milliseconds();
            let part = Content {
                data: written.data,
                size: digests.size,
                etag: etag.clone(),
                modified_ms,
                attributes: encode(&PartAttributes { checksum: checksum.clone() }).into(),
            };
            self.commit(&target.bucket, &target.key, &target.change(part), written).await?;
            let mut result = CopyPartResult {
                e_tag: Some(ETag::Strong(etag)),
                last_modified: Some(timestamp(modified_ms)),
                ..CopyPartResult::default()
            };
            show_checksum!(result, &checksum);
            return Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() });
        }
        Err(busy())
    }
}

/// `bytes=FIRST-LAST`, both within the source.
fn copy_range(text: Option<&str>, size: u64) -> S3Result<Range<u64>> {
    let Some(text) = text else { return Ok(0..size) };
    let wrong = || argument("The x-amz-copy-source-range value must be of the form bytes=first-last.");
    let (first, last) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(wrong)?;
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
    let (first, last) = (number(first)?, number(last)?);
    if first > last || last >= size {
        let sentence = "The specified copy range is not within the source object.";
        return Err(refuse(S3ErrorCode::InvalidRange, sentence));
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_ranges_are_whole_and_within() {
        assert_eq!(copy_range(None, 5).unwrap(), 0..5);
        assert_eq!(copy_range(Some("bytes=1-4"), 5).unwrap(), 1..5);
        for wrong in ["bytes=1-5", "bytes=3-2", "bytes=-3", "bytes=1-", "1-2", "bytes=a-b"] {
            assert!(copy_range(Some(wrong), 5).is_err(), "{wrong}");
        }
    }
}

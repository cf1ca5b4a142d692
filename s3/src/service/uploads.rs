//! Uploads in parts.

use md5::{Digest, Md5};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType, CommonPrefix,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, ETag, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
        ListPartsInput, ListPartsOutput, MultipartUpload, UploadPartInput, UploadPartOutput,
    },
};
use telemetry::clock::wall_clock_milliseconds;

use super::{
    Service,
    buckets::owner,
    conditions::write_condition,
    listings::{Names, argument, page_size},
    objects::{Received, check_key, received, shown_scope},
    wishes::{no_encryption, only_what_is_there},
};
use client::classes::s3_index::{
    Change, Content, Data, Outcome, PAGE_ITEMS_MAX, Tag, UPLOAD_PREFIX, Upload, behind_all, decode, encode, upload_key,
};

use crate::{
    attributes::{PartAttributes, UploadAttributes, attributes_of},
    blobs::{Owner, Place},
    body::hexadecimal,
    buckets::Bucket,
    checksum::{Algorithm, Scope, claim_of, of_parts, show_checksum},
    errors::{condition_failed, no_such_key, no_such_upload, of_cluster, refuse},
    gateway::{BEGINNINGS_MAX, busy},
    index::{Index, Seen},
    times::timestamp,
};

/// Parts of an upload: S3's own bound.
const PARTS_MAX: i32 = 10_000;
/// Bytes of every part but the last: S3's own bound.
const PART_BYTES_MIN: u64 = 5 << 20;
/// Where a part goes.
pub(super) struct PartTarget {
    pub bucket: Bucket,
    pub key: Vec<u8>,
    pub upload: Tag,
    pub number: u16,
    pub owner: Owner,
    pub attributes: UploadAttributes,
}

impl PartTarget {
    /// Puts a part there.
    pub fn change(&self, part: Content) -> Change {
        Change::PutPart { key: self.key.clone(), upload: self.upload, number: self.number, part }
    }
}

/// An upload's id as the client knows it.
fn upload_id(text: &str) -> S3Result<Tag> {
    text.parse().map_err(|_| no_such_upload())
}

impl Service {
    /// An upload that is in progress, with its bucket.
    async fn upload(&self, user: &str, bucket: &str, key: &str, id: Tag) -> S3Result<(Bucket, Option<Upload>)> {
        self.gateway.upload(bucket, user, key.as_bytes(), id).await
    }

    pub(super) async fn begin_upload(
        &self,
        user: &str,
        mut input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        check_key(&input.key)?;
        only_what_is_there!(input)?;
        let object = attributes_of!(input)?;
        let algorithm = input.checksum_algorithm.as_ref().map(|name| Algorithm::parse(name.as_str())).transpose()?;
        let kind = input.checksum_type.as_ref().map(ChecksumType::as_str);
        let checksum =
            algorithm.map(|algorithm| scope_of(algorithm, kind).map(|scope| (algorithm, scope))).transpose()?;
        let bucket = self.gateway.bucket(&input.bucket, user).await?;
        let lease = self.gateway.ledger.take().await.map_err(of_cluster)?;
        let id = lease.tag();
        // An upload's id names no data of its own.
        lease.settle();
        let key = input.key.clone().into_bytes();
        let upload = Upload {
            key: key.clone(),
            id,
            started_ms: wall_clock_milliseconds(),
            revision: 0,
            attributes: encode(&UploadAttributes { object, checksum }).into(),
        };
        self.gateway.change(&bucket, &key, &Change::Begin(upload)).await?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id.to_string()),
            checksum_algorithm: algorithm.map(shown_algorithm),
            checksum_type: checksum.map(|(_, scope)| shown_kind(scope)),
            ..CreateMultipartUploadOutput::default()
        })
    }

    pub(super) async fn part_target(
        &self,
        user: &str,
        bucket: &str,
        key: &str,
        id: &str,
        number: i32,
    ) -> S3Result<PartTarget> {
        if !(1..=PARTS_MAX).contains(&number) {
            return Err(argument("Part number must be an integer between 1 and 10000, inclusive"));
        }
        let number =
            u16::try_from(number).map_err(|_| argument("Part number must be an integer between 1 and 10000"))?;
        let upload = upload_id(id)?;
        let (bucket, found) = self.upload(user, bucket, key, upload).await?;
        let found = found.ok_or_else(no_such_upload)?;
        let index = self.gateway.buckets.index(&bucket);
        let key = key.as_bytes().to_vec();
        let owner = Owner { shard: index.shard_name(index.shard_of(&key)), place: Place::Part(upload, number) };
        let attributes = decode(&found.attributes).map_err(of_cluster)?;
        Ok(PartTarget { bucket, key, upload, number, owner, attributes })
    }

    pub(super) async fn write_part(
        &self,
        user: &str,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let input = &request.input;
        no_encryption(input.sse_customer_algorithm.as_deref(), None)?;
        let target = self.part_target(user, &input.bucket, &input.key, &input.upload_id, input.part_number).await?;
        if request.input.checksum_algorithm.is_none()
            && let Some((algorithm, _)) = target.attributes.checksum
        {
            // The object's checksum is made of those of the parts, whether the client sends them or not.
            request.input.checksum_algorithm = Some(shown_algorithm(algorithm));
        }
        let received: Received = received!(request)?;
        let (written, digests) = self.receive(&target.owner, received).await?;
        let checksum = digests.whole_checksum();
        let etag = hexadecimal(&digests.md5);
        let part = Content {
            data: written.data,
            size: digests.size,
            etag: etag.clone(),
            modified_ms: wall_clock_milliseconds(),
            attributes: encode(&PartAttributes { checksum: checksum.clone() }).into(),
        };
        self.commit(&target.bucket, &target.key, &target.change(part), written).await?;
        let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..UploadPartOutput::default() };
        show_checksum!(output, &checksum);
        Ok(output)
    }

    pub(super) async fn complete_upload(
        &self,
        user: &str,
        mut input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let id = upload_id(&input.upload_id)?;
        let claim = claim_of!(input, None, None)?;
        let condition = write_condition(input.if_match.take(), input.if_none_match.take())?;
        let wanted = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
        if wanted.is_empty() {
            return Err(refuse(S3ErrorCode::MalformedXML, "You must specify at least one part"));
        }
        let key = input.key.clone().into_bytes();
        for _ in 0..BEGINNINGS_MAX {
            let (bucket, upload) = self.upload(user, &input.bucket, &input.key, id).await?;
            let Some(upload) = upload else { return self.completed_before(user, &input, id).await };
            let index = self.gateway.buckets.index(&bucket);
            let parts = index.all_parts(&key, id).await.map_err(of_cluster)?;
            let assembled = assemble(&upload, &parts, &wanted, id)?;
            if let Some(checksum) = &assembled.checksum {
                claim.verify(Some(&(checksum.algorithm, checksum.value.clone())), None)?;
            }
            if input.mpu_object_size.is_some_and(|size| u64::try_from(size).ok() != Some(assembled.entry.size)) {
                let sentence = "The provided 'x-amz-mp-object-size' header does not match what was computed.";
                return Err(refuse(S3ErrorCode::InvalidRequest, sentence));
            }
            let change = Change::Complete {
                key: key.clone(),
                upload: id,
                revision: upload.revision,
                unused: assembled.unused,
                entry: assembled.entry.clone(),
                condition: condition.clone(),
            };
            match self.gateway.change(&bucket, &key, &change).await? {
                Outcome::Done => {
                    return Ok(completed(&input, &assembled.entry.etag, assembled.checksum.as_ref()));
                }
                Outcome::NoUpload => return self.completed_before(user, &input, id).await,
                Outcome::Missing => return Err(no_such_key()),
                Outcome::ConditionFailed => return Err(condition_failed()),
                Outcome::Changed | Outcome::Closed(_) | Outcome::NotEmpty => {}
            }
        }
        Err(busy())
    }

    /// A client that did not hear the answer asks again: an upload that became the object is complete.
    async fn completed_before(
        &self,
        user: &str,
        input: &CompleteMultipartUploadInput,
        id: Tag,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let (_, entry) = self.gateway.entry(&input.bucket, user, input.key.as_bytes()).await?;
        let entry = entry.filter(|entry| matches!(entry.data, Data::Parts { upload, .. } if upload == id));
        let entry = entry.ok_or_else(no_such_upload)?;
        let attributes = crate::attributes::Attributes::from_bytes(&entry.attributes)?;
        Ok(completed(input, &entry.etag, attributes.checksum.as_ref()))
    }

    pub(super) async fn abort_upload(
        &self,
        user: &str,
        input: AbortMultipartUploadInput,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let id = upload_id(&input.upload_id)?;
        let bucket = self.gateway.bucket(&input.bucket, user).await?;
        let key = input.key.into_bytes();
        let change = Change::Abort { key: key.clone(), upload: id };
        match self.gateway.change(&bucket, &key, &change).await? {
            Outcome::Done => Ok(AbortMultipartUploadOutput::default()),
            _ => Err(no_such_upload()),
        }
    }

    pub(super) async fn show_parts(&self, user: &str, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let id = upload_id(&input.upload_id)?;
        let (bucket, upload) = self.upload(user, &input.bucket, &input.key, id).await?;
        let upload = upload.ok_or_else(no_such_upload)?;
        let attributes: UploadAttributes = decode(&upload.attributes).map_err(of_cluster)?;
        let most = page_size(input.max_parts)?;
        let after = input.part_number_marker.unwrap_or(0);
        let after = u16::try_from(after).map_err(|_| argument("The part number marker is no part's number."))?;
        let index = self.gateway.buckets.index(&bucket);
        let (parts, more) = match most {
            0 => (Vec::new(), false),
            most => index.parts(input.key.as_bytes(), id, after, most).await.map_err(of_cluster)?,
        };
        let next = parts.last().filter(|_| more).map(|(number, _)| i32::from(*number));
        let mut shown = Vec::with_capacity(parts.len());
        for (number, part) in parts {
            let kept: PartAttributes = decode(&part.attributes).map_err(of_cluster)?;
            let mut one = s3s::dto::Part {
                part_number: Some(i32::from(number)),
                size: i64::try_from(part.size).ok(),
                e_tag: Some(ETag::Strong(part.etag)),
                last_modified: Some(timestamp(part.modified_ms)),
                ..s3s::dto::Part::default()
            };
            show_checksum!(one, &kept.checksum);
            shown.push(one);
        }
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id.to_string()),
            parts: Some(shown),
            is_truncated: Some(more),
            max_parts: i32::try_from(most).ok(),
            part_number_marker: Some(i32::from(after)),
            next_part_number_marker: next,
            owner: Some(owner(user)),
            initiator: Some(Initiator { display_name: Some(user.to_owned()), id: Some(user.to_owned()) }),
            checksum_algorithm: attributes.checksum.map(|(algorithm, _)| shown_algorithm(algorithm)),
            checksum_type: attributes.checksum.map(|(_, scope)| shown_kind(scope)),
            ..ListPartsOutput::default()
        })
    }

    pub(super) async fn show_uploads(
        &self,
        user: &str,
        input: ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let names = Names::of(input.encoding_type.as_ref())?;
        let most = usize::try_from(page_size(input.max_uploads)?).expect("a page's items fit usize");
        let query = UploadQuery {
            prefix: input.prefix.clone().unwrap_or_default().into_bytes(),
            delimiter: input.delimiter.clone().unwrap_or_default().into_bytes(),
            after: uploads_after(input.key_marker.as_deref(), input.upload_id_marker.as_deref())?,
            most: most + 1,
        };
        let bucket = self.gateway.bucket(&input.bucket, user).await?;
        let index = self.gateway.buckets.index(&bucket);
        let mut found = Vec::new();
        for shard in index.shards() {
            match uploads_of(&index, shard, &query).await.map_err(of_cluster)? {
                Seen::Open(mut uploads) => found.append(&mut uploads),
                Seen::Closed(_) | Seen::Gone => return Err(self.gateway.gone(&input.bucket).await),
            }
        }
        found.sort_by(|one, other| one.place().cmp(&other.place()));
        found.dedup_by(|one, other| one.place() == other.place());
        let more = found.len() > most;
        found.truncate(most);
        let last = found.last().filter(|_| more);
        let next_key_marker = last.map(|last| names.show(last.place().0)).transpose()?;
        let next_upload_id_marker = last.and_then(|last| last.place().1).map(|id| id.to_string());
        let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
        for item in found {
            match item {
                ListedUpload::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(names.show(&prefix)?) }),
                ListedUpload::Upload(upload) => uploads.push(MultipartUpload {
                    key: Some(names.show(&upload.key)?),
                    upload_id: Some(upload.id.to_string()),
                    initiated: Some(timestamp(upload.started_ms)),
                    owner: Some(owner(user)),
                    initiator: Some(Initiator { display_name: Some(user.to_owned()), id: Some(user.to_owned()) }),
                    ..MultipartUpload::default()
                }),
            }
        }
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            uploads: Some(uploads),
            common_prefixes: Some(prefixes),
            is_truncated: Some(more),
            max_uploads: i32::try_from(most).ok(),
            key_marker: names.show_text(Some(input.key_marker.unwrap_or_default()))?,
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            next_key_marker,
            next_upload_id_marker,
            prefix: names.show_text(input.prefix)?,
            delimiter: names.show_text(input.delimiter)?,
            encoding_type: input.encoding_type,
            ..ListMultipartUploadsOutput::default()
        })
    }
}

/// An object made of parts.
struct Assembled {
    entry: Content,
    checksum: Option<crate::checksum::Checksum>,
    unused: Vec<u16>,
}

/// Compares what the client lists with what is there, and makes an object of it.
fn assemble(upload: &Upload, parts: &[(u16, Content)], wanted: &[CompletedPart], id: Tag) -> S3Result<Assembled> {
    let missing = || {
        let sentence = "One or more of the specified parts could not be found. The part may not have been uploaded, \
                        or the specified entity tag may not match the part's entity tag.";
        refuse(S3ErrorCode::InvalidPart, sentence)
    };
    let mut chosen: Vec<(u16, &Content, PartAttributes)> = Vec::with_capacity(wanted.len());
    for wish in wanted {
        let number = wish.part_number.and_then(|number| u16::try_from(number).ok()).ok_or_else(missing)?;
        if chosen.last().is_some_and(|(before, ..)| *before >= number) {
            let sentence = "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(refuse(S3ErrorCode::InvalidPartOrder, sentence));
        }
        let at = parts.binary_search_by_key(&number, |(number, _)| *number).map_err(|_| missing())?;
        let part = &parts[at].1;
        if wish.e_tag.as_ref().is_some_and(|etag| etag.value() != part.etag) {
            return Err(missing());
        }
        let kept: PartAttributes = decode(&part.attributes).map_err(of_cluster)?;
        check_part_checksum(wish, &kept, missing)?;
        chosen.push((number, part, kept));
    }
    let too_small = |(_, part, _): &&(u16, &Content, PartAttributes)| part.size < PART_BYTES_MIN;
    if chosen.split_last().is_some_and(|(_, before)| before.iter().any(|part| too_small(&part))) {
        let sentence = "Your proposed upload is smaller than the minimum allowed size";
        return Err(refuse(S3ErrorCode::EntityTooSmall, sentence));
    }
    let mut md5 = Md5::new();
    for (_, part, _) in &chosen {
        md5.update(md5_of(&part.etag).ok_or_else(missing)?);
    }
    let attributes: UploadAttributes = decode(&upload.attributes).map_err(of_cluster)?;
    let sums: Vec<_> = chosen.iter().map(|(_, part, kept)| (kept.checksum.as_ref(), part.size)).collect();
    let checksum = attributes.checksum.and_then(|(algorithm, scope)| of_parts(algorithm, scope, &sums));
    let mut object = attributes.object;
    object.checksum.clone_from(&checksum);
    object.part_sizes = chosen.iter().map(|(_, part, _)| part.size).collect();
    let count = u16::try_from(chosen.len()).map_err(|_| missing())?;
    let used = |number: &u16| chosen.binary_search_by_key(number, |(number, ..)| *number).is_ok();
    let unused = parts.iter().map(|(number, _)| *number).filter(|number| !used(number)).collect();
    let entry = Content {
        data: Data::Parts { upload: id, count },
        size: object.part_sizes.iter().sum(),
        etag: format!("{}-{count}", hexadecimal(&md5.finalize())),
        modified_ms: wall_clock_milliseconds(),
        attributes: object.to_bytes(),
    };
    Ok(Assembled { entry, checksum, unused })
}

/// What the client says of a part's checksum must be what is kept, as far as both say anything of the same kind.
fn check_part_checksum(wish: &CompletedPart, kept: &PartAttributes, missing: impl Fn() -> S3Error) -> S3Result<()> {
    let Some(kept) = &kept.checksum else { return Ok(()) };
    let said = match kept.algorithm {
        Algorithm::Crc32 => &wish.checksum_crc32,
        Algorithm::Crc32c => &wish.checksum_crc32c,
        Algorithm::Crc64Nvme => &wish.checksum_crc64nvme,
        Algorithm::Sha1 => &wish.checksum_sha1,
        Algorithm::Sha256 => &wish.checksum_sha256,
    };
    if said.as_ref().is_some_and(|said| *said != kept.value) { Err(missing()) } else { Ok(()) }
}

fn md5_of(etag: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if etag.len() != 32 || !etag.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(etag.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn completed(
    input: &CompleteMultipartUploadInput,
    etag: &str,
    checksum: Option<&crate::checksum::Checksum>,
) -> CompleteMultipartUploadOutput {
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: Some(ETag::Strong(etag.to_owned())),
        checksum_type: shown_scope(checksum),
        ..CompleteMultipartUploadOutput::default()
    };
    show_checksum!(output, checksum);
    output
}

fn scope_of(algorithm: Algorithm, kind: Option<&str>) -> S3Result<Scope> {
    let is_crc = !matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256);
    match kind {
        None if algorithm == Algorithm::Crc64Nvme => Ok(Scope::Whole),
        Some(ChecksumType::FULL_OBJECT) if is_crc => Ok(Scope::Whole),
        None => Ok(Scope::Composite),
        Some(ChecksumType::COMPOSITE) if algorithm != Algorithm::Crc64Nvme => Ok(Scope::Composite),
        Some(_) => Err(refuse(
            S3ErrorCode::InvalidRequest,
            "The checksum type cannot be used with the specified checksum algorithm.",
        )),
    }
}

fn shown_algorithm(algorithm: Algorithm) -> ChecksumAlgorithm {
    ChecksumAlgorithm::from_static(algorithm.name())
}

fn shown_kind(scope: Scope) -> ChecksumType {
    match scope {
        Scope::Whole => ChecksumType::from_static(ChecksumType::FULL_OBJECT),
        Scope::Composite => ChecksumType::from_static(ChecksumType::COMPOSITE),
    }
}

/// What is asked of each shard's uploads.
struct UploadQuery {
    prefix: Vec<u8>,
    delimiter: Vec<u8>,
    /// An omap key.
    after: Vec<u8>,
    most: usize,
}

enum ListedUpload {
    Upload(Upload),
    Prefix(Vec<u8>),
}

impl ListedUpload {
    fn place(&self) -> (&[u8], Option<Tag>) {
        match self {
            Self::Upload(upload) => (&upload.key, Some(upload.id)),
            Self::Prefix(prefix) => (prefix, None),
        }
    }
}

/// The omap key behind which a page begins.
fn uploads_after(key: Option<&str>, id: Option<&str>) -> S3Result<Vec<u8>> {
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(Vec::new()) };
    match id.filter(|id| !id.is_empty()) {
        Some(id) => Ok(upload_key(key.as_bytes(), upload_id(id)?)),
        // All uploads of that key, and what a listed prefix stands for.
        None => Ok(behind_all(&[UPLOAD_PREFIX, key.as_bytes(), if key.ends_with('/') { b"" } else { b"\0" }].concat())),
    }
}

async fn uploads_of(index: &Index, shard: u32, query: &UploadQuery) -> client::Result<Seen<Vec<ListedUpload>>> {
    let mut found = Vec::new();
    let mut after = query.after.clone();
    loop {
        let page = match index.uploads(shard, &query.prefix, &after, PAGE_ITEMS_MAX).await {
            Err(error) if error.kind == client::ErrorKind::NotFound => return Ok(Seen::Gone),
            page => page?,
        };
        let (uploads, mut more) = page;
        for upload in uploads {
            if found.len() >= query.most {
                return Ok(Seen::Open(found));
            }
            after = upload_key(&upload.key, upload.id);
            let rest = upload.key.get(query.prefix.len()..).unwrap_or_default();
            let delimiter = query.delimiter.as_slice();
            let at = match delimiter {
                [] => None,
                delimiter => rest.windows(delimiter.len()).position(|window| window == delimiter),
            };
            if let Some(at) = at {
                let prefix = upload.key[..query.prefix.len() + at + delimiter.len()].to_vec();
                after = behind_all(&[UPLOAD_PREFIX, &prefix].concat());
                found.push(ListedUpload::Prefix(prefix));
                more = true;
                break;
            }
            found.push(ListedUpload::Upload(upload));
        }
        if !more {
            return Ok(Seen::Open(found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(size: u64, etag: &str) -> Content {
        let attributes = encode(&PartAttributes::default()).into();
        Content { data: Data::Nothing, size, etag: etag.to_owned(), modified_ms: 0, attributes }
    }

    fn wish(number: i32, etag: &str) -> CompletedPart {
        CompletedPart {
            part_number: Some(number),
            e_tag: Some(ETag::Strong(etag.to_owned())),
            ..CompletedPart::default()
        }
    }

    #[test]
    fn parts_are_assembled_as_s3_does() {
        let id = Tag { writer: 1, sequence: 2 };
        let attributes = encode(&UploadAttributes::default()).into();
        let upload = Upload { key: b"k".to_vec(), id, started_ms: 0, revision: 3, attributes };
        let (one, two) = ("d41d8cd98f00b204e9800998ecf8427e", "25f9e794323b453885f5181f1b624d0b");
        let parts = [(1, part(PART_BYTES_MIN, one)), (4, part(7, two)), (9, part(1, one))];
        let done = assemble(&upload, &parts, &[wish(1, one), wish(4, two)], id).unwrap();
        assert_eq!(done.entry.size, PART_BYTES_MIN + 7);
        // md5 of the two digests, as `cat one.bin two.bin | md5sum` says.
        assert_eq!(done.entry.etag.len(), 34);
        assert!(done.entry.etag.ends_with("-2"));
        assert_eq!(done.unused, [9]);
        let code = |wanted: &[CompletedPart]| match assemble(&upload, &parts, wanted, id) {
            Err(error) => error.code().clone(),
            Ok(_) => panic!("assembled"),
        };
        assert_eq!(code(&[wish(4, two), wish(1, one)]), S3ErrorCode::InvalidPartOrder);
        assert_eq!(code(&[wish(1, two)]), S3ErrorCode::InvalidPart);
        assert_eq!(code(&[wish(2, one)]), S3ErrorCode::InvalidPart);
        assert_eq!(code(&[wish(4, two), wish(9, one)]), S3ErrorCode::EntityTooSmall);
    }

    #[test]
    fn checksum_kinds_are_those_that_s3_knows() {
        assert_eq!(scope_of(Algorithm::Crc64Nvme, None).unwrap(), Scope::Whole);
        assert_eq!(scope_of(Algorithm::Crc32, None).unwrap(), Scope::Composite);
        assert_eq!(scope_of(Algorithm::Crc32, Some(ChecksumType::FULL_OBJECT)).unwrap(), Scope::Whole);
        assert!(scope_of(Algorithm::Sha256, Some(ChecksumType::FULL_OBJECT)).is_err());
        assert!(scope_of(Algorithm::Crc64Nvme, Some(ChecksumType::COMPOSITE)).is_err());
    }
}

//! Buckets: make, look, list, remove.

use s3s::{
    S3ErrorCode, S3Result,
    dto::{
        BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
        GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
        ListBucketsOutput, Owner,
    },
};

use super::{Service, wishes::check_acl};
use client::classes::s3_index::{Change, PAGE_ITEMS_MAX, upload_key};

use crate::{
    buckets::{Bucket, Made, Removed},
    errors::{no_such_bucket, of_cluster, refuse},
    times::timestamp,
};

impl Service {
    pub(super) async fn make_bucket(&self, user: &str, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
        if input.object_lock_enabled_for_bucket == Some(true) {
            return Err(refuse(S3ErrorCode::NotImplemented, "Object lock is not there yet."));
        }
        let has_grants = input.grant_full_control.is_some()
            || input.grant_read.is_some()
            || input.grant_read_acp.is_some()
            || input.grant_write.is_some()
            || input.grant_write_acp.is_some();
        check_acl(input.acl.as_ref().map(s3s::dto::BucketCannedACL::as_str), has_grants)?;
        let lease = self.gateway.ledger.take().await.map_err(of_cluster)?;
        let made = self.gateway.buckets.create(&input.bucket, user, lease.tag()).await.map_err(of_cluster)?;
        lease.settle();
        match made {
            Made::Now(_) => Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }),
            Made::Before(bucket) if bucket.owner == user => Err(refuse(
                S3ErrorCode::BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it.",
            )),
            Made::Before(_) => {
                Err(refuse(S3ErrorCode::BucketAlreadyExists, "The requested bucket name is not available."))
            }
            Made::TooMany => {
                let sentence = "You have attempted to create more buckets than are allowed.";
                Err(refuse(S3ErrorCode::TooManyBuckets, sentence))
            }
        }
    }

    /// The bucket as it is now, not as it is remembered.
    async fn bucket_now(&self, user: &str, name: &str) -> S3Result<Bucket> {
        self.gateway.buckets.look(name).await.map_err(of_cluster)?;
        self.gateway.bucket(name, user).await
    }

    pub(super) async fn look_at_bucket(&self, user: &str, input: HeadBucketInput) -> S3Result<HeadBucketOutput> {
        self.bucket_now(user, &input.bucket).await?;
        let region = self.gateway.settings.region.clone();
        Ok(HeadBucketOutput { bucket_region: Some(region), ..HeadBucketOutput::default() })
    }

    pub(super) async fn bucket_location(
        &self,
        user: &str,
        input: GetBucketLocationInput,
    ) -> S3Result<GetBucketLocationOutput> {
        self.bucket_now(user, &input.bucket).await?;
        // S3: the oldest region is shown as nothing.
        let region = Some(self.gateway.settings.region.clone()).filter(|region| region != "us-east-1");
        let location_constraint = region.map(BucketLocationConstraint::from);
        Ok(GetBucketLocationOutput { location_constraint })
    }

    pub(super) async fn all_buckets(&self, user: &str, input: ListBucketsInput) -> S3Result<ListBucketsOutput> {
        let mut buckets = self.gateway.buckets.list(Some(user)).await.map_err(of_cluster)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        buckets.retain(|bucket| bucket.name.starts_with(&prefix) && bucket.name > after);
        let most = usize::try_from(input.max_buckets.unwrap_or(i32::MAX)).unwrap_or(0).max(1);
        let more = buckets.len() > most;
        buckets.truncate(most);
        let continuation_token = buckets.last().filter(|_| more).map(|bucket| bucket.name.clone());
        let region = &self.gateway.settings.region;
        let shown = buckets.into_iter().map(|bucket| s3s::dto::Bucket {
            bucket_region: Some(region.clone()),
            creation_date: Some(timestamp(bucket.created_ms)),
            name: Some(bucket.name),
        });
        Ok(ListBucketsOutput {
            buckets: Some(shown.collect()),
            continuation_token,
            owner: Some(owner(user)),
            prefix: input.prefix,
        })
    }

    pub(super) async fn drop_bucket(&self, user: &str, input: DeleteBucketInput) -> S3Result<DeleteBucketOutput> {
        let bucket = self.bucket_now(user, &input.bucket).await?;
        let is_empty = {
            let query = crate::index::ListingQuery { items_max: 1, ..crate::index::ListingQuery::default() };
            self.gateway.list(&input.bucket, user, &query).await?.items.is_empty()
        };
        let not_empty = || refuse(S3ErrorCode::BucketNotEmpty, "The bucket you tried to delete is not empty");
        if !is_empty {
            return Err(not_empty());
        }
        // Uploads that nobody completed do not keep a bucket.
        self.abort_all(&bucket).await?;
        let lease = self.gateway.ledger.take().await.map_err(of_cluster)?;
        let removed = self.gateway.buckets.remove(&input.bucket, lease.tag()).await.map_err(of_cluster)?;
        lease.settle();
        match removed {
            Removed::Done => Ok(DeleteBucketOutput::default()),
            Removed::Missing => Err(no_such_bucket()),
            Removed::NotEmpty => Err(not_empty()),
            Removed::Disturbed => {
                let sentence = "A conflicting conditional operation is currently in progress against this resource.";
                Err(refuse(S3ErrorCode::OperationAborted, sentence))
            }
        }
    }

    async fn abort_all(&self, bucket: &Bucket) -> S3Result<()> {
        let index = self.gateway.buckets.index(bucket);
        for shard in index.shards() {
            let mut after = Vec::new();
            loop {
                let found = index.uploads(shard, b"", &after, PAGE_ITEMS_MAX).await;
                let (uploads, more) = match found {
                    Err(error) if error.kind == client::ErrorKind::NotFound => break,
                    found => found.map_err(of_cluster)?,
                };
                for upload in &uploads {
                    let change = Change::Abort { key: upload.key.clone(), upload: upload.id };
                    self.gateway.change(bucket, &upload.key, &change).await?;
                }
                match uploads.last() {
                    Some(last) if more => after = upload_key(&last.key, last.id),
                    _ => break,
                }
            }
        }
        Ok(())
    }
}

/// How a user is shown.
pub(super) fn owner(user: &str) -> Owner {
    Owner { display_name: Some(user.to_owned()), id: Some(user.to_owned()) }
}

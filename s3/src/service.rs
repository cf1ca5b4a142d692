//! The operations of S3, one method each. The protocol library takes requests apart and puts answers together; what
//! is done stands in the files beside this one.

mod buckets;
mod conditions;
mod copies;
mod listings;
mod objects;
mod outgoing;
mod uploads;
mod wishes;

use std::sync::Arc;

use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto};
use telemetry::clock::boot_clock_now;

use crate::{auth::Keys, gateway::Gateway};

/// What answers requests.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub gateway: Arc<Gateway>,
    pub keys: Keys,
}

impl Service {
    /// Answers a request in a task of its own, so that a client that goes away leaves nothing half done: its body
    /// breaks off, and the task sees that and takes back what it wrote.
    async fn answer<I, O, F>(
        &self,
        operation: &'static str,
        request: S3Request<I>,
        answer: impl FnOnce(Self, String, S3Request<I>) -> F + Send + 'static,
    ) -> S3Result<S3Response<O>>
    where
        I: Send + 'static,
        O: Send + 'static,
        F: Future<Output = S3Result<O>> + Send,
    {
        let begun = boot_clock_now();
        let service = self.clone();
        let access = request.credentials.as_ref().map(|credentials| credentials.access_key.clone());
        let task = tokio::spawn(async move {
            let user = service.keys.user(access).await?;
            answer(service, user, request).await
        });
        let answered = task.await.unwrap_or_else(|error| {
            tracing::error!(%error, operation, "a request's task ended");
            Err(S3Error::new(S3ErrorCode::InternalError))
        });
        let latency = boot_clock_now().since(begun);
        let code = answered.as_ref().err().map(|error| error.code().as_str());
        self.gateway.metrics.note(operation, latency, code);
        answered.map(S3Response::new)
    }
}

/// One operation whose answer needs only the input.
macro_rules! operation {
    ($(fn $name:ident($input:ident) -> $output:ident, $title:literal = $method:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                self.answer($title, request, |service, user, request| async move {
                    service.$method(&user, request.input).await
                })
                .await
            })*

            async fn put_object(
                &self,
                request: S3Request<dto::PutObjectInput>,
            ) -> S3Result<S3Response<dto::PutObjectOutput>> {
                self.answer("PutObject", request, |service, user, request| async move {
                    service.write(&user, request).await
                })
                .await
            }

            async fn upload_part(
                &self,
                request: S3Request<dto::UploadPartInput>,
            ) -> S3Result<S3Response<dto::UploadPartOutput>> {
                self.answer("UploadPart", request, |service, user, request| async move {
                    service.write_part(&user, request).await
                })
                .await
            }

            async fn get_bucket_versioning(
                &self,
                request: S3Request<dto::GetBucketVersioningInput>,
            ) -> S3Result<S3Response<dto::GetBucketVersioningOutput>> {
                self.answer("GetBucketVersioning", request, |service, user, request| async move {
                    service.gateway.bucket(&request.input.bucket, &user).await?;
                    Ok(dto::GetBucketVersioningOutput::default())
                })
                .await
            }
        }
    };
}

operation! {
    fn list_buckets(ListBucketsInput) -> ListBucketsOutput, "ListBuckets" = all_buckets;
    fn create_bucket(CreateBucketInput) -> CreateBucketOutput, "CreateBucket" = make_bucket;
    fn head_bucket(HeadBucketInput) -> HeadBucketOutput, "HeadBucket" = look_at_bucket;
    fn get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput, "GetBucketLocation" = bucket_location;
    fn delete_bucket(DeleteBucketInput) -> DeleteBucketOutput, "DeleteBucket" = drop_bucket;
    fn get_object(GetObjectInput) -> GetObjectOutput, "GetObject" = read;
    fn head_object(HeadObjectInput) -> HeadObjectOutput, "HeadObject" = look;
    fn delete_object(DeleteObjectInput) -> DeleteObjectOutput, "DeleteObject" = drop_one;
    fn delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput, "DeleteObjects" = drop_many;
    fn copy_object(CopyObjectInput) -> CopyObjectOutput, "CopyObject" = copy;
    fn list_objects(ListObjectsInput) -> ListObjectsOutput, "ListObjects" = list_first;
    fn list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output, "ListObjectsV2" = list_second;
    fn create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput,
        "CreateMultipartUpload" = begin_upload;
    fn upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput, "UploadPartCopy" = copy_part;
    fn complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput,
        "CompleteMultipartUpload" = complete_upload;
    fn abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput,
        "AbortMultipartUpload" = abort_upload;
    fn list_parts(ListPartsInput) -> ListPartsOutput, "ListParts" = show_parts;
    fn list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput,
        "ListMultipartUploads" = show_uploads;
}

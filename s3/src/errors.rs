//! What the cluster says, in S3's words.

use client::{Error, ErrorKind};
use hyper::StatusCode;
use s3s::{S3Error, S3ErrorCode};

use crate::body::BodyError;

/// An error of the cluster as S3's. What a human must look at is logged here, the one place where it is handled.
pub(crate) fn of_cluster(error: Error) -> S3Error {
    match error.kind {
        ErrorKind::Retry | ErrorKind::RefreshMap => {
            S3Error::with_message(S3ErrorCode::SlowDown, "The cluster is busy. Please try again.")
        }
        ErrorKind::Closed | ErrorKind::Denied => {
            tracing::warn!(%error, "the cluster refuses this gateway");
            S3Error::with_message(S3ErrorCode::ServiceUnavailable, "The gateway is shutting down. Please try again.")
        }
        ErrorKind::Full => {
            let code = S3ErrorCode::Custom("InsufficientStorage".into());
            let mut full = S3Error::with_message(code, "The cluster has no space left for this.");
            full.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            full
        }
        ErrorKind::Invalid => S3Error::with_message(S3ErrorCode::InvalidRequest, error.message),
        ErrorKind::NotFound | ErrorKind::Exists | ErrorKind::Damaged | ErrorKind::Internal => {
            tracing::error!(kind = error.kind.name(), %error, "a request failed");
            S3Error::with_message(S3ErrorCode::InternalError, "We encountered an internal error. Please try again.")
        }
    }
}

/// Why a body did not become data, as S3's error.
pub(crate) fn of_body(error: BodyError) -> S3Error {
    match error {
        BodyError::Refused(refusal) => refusal,
        BodyError::Cluster(error) => of_cluster(error),
    }
}

/// An error of this code with a sentence.
pub(crate) fn refuse(code: S3ErrorCode, sentence: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(code, sentence)
}

/// There is no such key.
pub(crate) fn no_such_key() -> S3Error {
    refuse(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

/// There is no such bucket.
pub(crate) fn no_such_bucket() -> S3Error {
    refuse(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist")
}

/// There is no such upload.
pub(crate) fn no_such_upload() -> S3Error {
    let sentence = "The specified multipart upload does not exist. The upload ID may be invalid, \
                    or the upload may have been aborted or completed.";
    refuse(S3ErrorCode::NoSuchUpload, sentence)
}

/// A condition does not hold.
pub(crate) fn condition_failed() -> S3Error {
    refuse(S3ErrorCode::PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

//! What a request asks for beside its bytes and is not there: refused, because a promise that is not kept is worse
//! than none.

use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::errors::refuse;

/// ACLs that say what holds anyway: a bucket and what is in it belong to one user alone.
const ACLS_THAT_HOLD: [&str; 2] = ["private", "bucket-owner-full-control"];

/// There are no versions yet: what asks for one is told so, except for the one that every object has.
pub(super) fn no_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null" | "") => Ok(()),
        Some(_) => Err(refuse(S3ErrorCode::NoSuchVersion, "The specified version does not exist.")),
    }
}

/// Encryption that the client asks for and does not get would be a lie.
pub(super) fn no_encryption(customer: Option<&str>, server: Option<&s3s::dto::ServerSideEncryption>) -> S3Result<()> {
    if customer.is_some() || server.is_some() {
        return Err(refuse(S3ErrorCode::NotImplemented, "Server-side encryption is not there yet."));
    }
    Ok(())
}

/// An ACL by its name, and whether single grants are given.
pub(super) fn check_acl(acl: Option<&str>, has_grants: bool) -> S3Result<()> {
    if has_grants || acl.is_some_and(|acl| !ACLS_THAT_HOLD.contains(&acl)) {
        let code = S3ErrorCode::Custom("AccessControlListNotSupported".into());
        let mut refusal = S3Error::with_message(code, "The bucket does not allow ACLs");
        refusal.set_status_code(hyper::StatusCode::BAD_REQUEST);
        return Err(refusal);
    }
    Ok(())
}

/// Tags and locks would be forgotten.
pub(super) fn no_tags_nor_locks(has_tags: bool, has_lock: bool) -> S3Result<()> {
    if has_tags {
        return Err(refuse(S3ErrorCode::NotImplemented, "Tags are not there yet."));
    }
    if has_lock {
        return Err(refuse(S3ErrorCode::NotImplemented, "Object lock is not there yet."));
    }
    Ok(())
}

/// Refuses what is not there, of an input that makes an object.
macro_rules! only_what_is_there {
    ($input:expr) => {{
        let input = &$input;
        let has_grants = input.grant_full_control.is_some()
            || input.grant_read.is_some()
            || input.grant_read_acp.is_some()
            || input.grant_write_acp.is_some();
        let has_lock = input.object_lock_legal_hold_status.is_some()
            || input.object_lock_mode.is_some()
            || input.object_lock_retain_until_date.is_some();
        let has_tags = input.tagging.as_ref().is_some_and(|tags| !tags.is_empty());
        let acl = input.acl.as_ref().map(s3s::dto::ObjectCannedACL::as_str);
        $crate::service::wishes::no_encryption(
            input.sse_customer_algorithm.as_deref(),
            input.server_side_encryption.as_ref(),
        )
        .and_then(|()| $crate::service::wishes::check_acl(acl, has_grants))
        .and_then(|()| $crate::service::wishes::no_tags_nor_locks(has_tags, has_lock))
    }};
}

pub(super) use only_what_is_there;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acls_that_say_what_holds_are_accepted() {
        assert!(check_acl(None, false).is_ok() && check_acl(Some("private"), false).is_ok());
        for (acl, has_grants) in [(Some("public-read"), false), (None, true), (Some("private"), true)] {
            let refusal = check_acl(acl, has_grants).unwrap_err();
            assert_eq!(refusal.code().as_str(), "AccessControlListNotSupported");
            assert_eq!(refusal.status_code(), Some(hyper::StatusCode::BAD_REQUEST));
        }
    }
}

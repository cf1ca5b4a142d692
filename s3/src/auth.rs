//! Who asks: secrets for signatures, and whose key a request was signed with.
//!
//! Keys are remembered for a few seconds, so that a removed key stops working soon and a request costs no look at the
//! cluster.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use s3s::{
    S3ErrorCode, S3Result,
    auth::{S3Auth, SecretKey},
};
use telemetry::clock::boot_clock_now;
use types::Time;

use crate::{
    errors::{of_cluster, refuse},
    users::{UserKey, Users},
};

/// How long a key is remembered, and so how long a removed one may still be used.
const REMEMBER: Duration = Duration::from_secs(5);
/// Keys remembered; beyond, all are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// Looks keys up.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    users: Users,
    remembered: Arc<Mutex<HashMap<String, (Time, UserKey)>>>,
}

impl Keys {
    pub fn new(users: Users) -> Self {
        Self { users, remembered: Arc::default() }
    }

    async fn key(&self, access: &str) -> S3Result<UserKey> {
        let now = boot_clock_now();
        let lock = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, key)) = lock().get(access)
            && now.since(*at) < REMEMBER
        {
            return Ok(key.clone());
        }
        let found = self.users.key(access).await.map_err(of_cluster)?;
        let mut remembered = lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        let Some(key) = found else {
            remembered.remove(access);
            let sentence = "The AWS Access Key Id you provided does not exist in our records.";
            return Err(refuse(S3ErrorCode::InvalidAccessKeyId, sentence));
        };
        remembered.insert(access.to_owned(), (now, key.clone()));
        Ok(key)
    }

    /// The user whose key a request was signed with.
    pub async fn user(&self, access: Option<String>) -> S3Result<String> {
        let access = access.ok_or_else(|| refuse(S3ErrorCode::AccessDenied, "Access Denied"))?;
        Ok(self.key(&access).await?.user)
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        Ok(SecretKey::from(self.key(access_key).await?.secret))
    }
}

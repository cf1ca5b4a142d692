//! Users and their keys: one object in the meta pool.
//!
//! ```text
//! u<name>     User
//! k<access>   Key
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use client::{Comparison, Error, Object, OpBuilder, Result};
use serde::{Deserialize, Serialize};
use telemetry::clock::wall_clock_milliseconds;

use client::classes::s3_index::{decode, encode};

/// Bytes in a user's name.
const NAME_BYTES_MAX: usize = 64;
/// Keys of one user: enough to replace one while the other is in use, many times over.
const KEYS_MAX: usize = 16;
/// Characters of an access key, as AWS's have.
const ACCESS_CHARACTERS: usize = 20;
/// Characters of a secret, as AWS's have: 200 bits and more.
const SECRET_CHARACTERS: usize = 40;
const PAGE_KEYS: u32 = 1000;

/// Somebody who may own buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// How others name it.
    pub name: String,
    /// In milliseconds since 1970.
    pub created_ms: u64,
}

/// A pair with which requests are signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserKey {
    /// Whose.
    pub user: String,
    /// The half that requests name.
    pub access: String,
    /// The half that nobody else may see.
    pub secret: String,
    /// In milliseconds since 1970.
    pub created_ms: u64,
}

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserKey({} of {})", self.access, self.user)
    }
}

/// All users.
#[derive(Debug, Clone)]
pub struct Users {
    object: Object,
}

fn user_key(name: &str) -> Vec<u8> {
    [b"u", name.as_bytes()].concat()
}

fn access_key(access: &str) -> Vec<u8> {
    [b"k", access.as_bytes()].concat()
}

impl Users {
    pub(crate) async fn open(object: Object) -> Result<Self> {
        object.operate(OpBuilder::new().create()).await.map_err(|failure| failure.error)?;
        Ok(Self { object })
    }

    /// Makes a user without keys.
    ///
    /// # Errors
    /// `Exists` when there is one of that name, `Invalid` when it cannot be a name.
    pub async fn create(&self, name: &str) -> Result<User> {
        let fitting = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fitting) {
            return Err(Error::invalid(format!(
                "`{name}` is no user's name; it has 1 to {NAME_BYTES_MAX} letters, digits, or characters of -_.@"
            )));
        }
        let user = User { name: name.to_owned(), created_ms: wall_clock_milliseconds() };
        let operation = OpBuilder::new()
            .compare_omap(user_key(name), Comparison::Equal, Bytes::new())
            .omap_set(BTreeMap::from([(user_key(name), encode(&user))]));
        match self.object.operate(operation).await {
            Ok(_) => Ok(user),
            Err(failure) if failure.step == Some(0) => Err(Error::exists(format!("user `{name}` exists"))),
            Err(failure) => Err(failure.error),
        }
    }

    /// All users, by name.
    pub async fn list(&self) -> Result<Vec<User>> {
        self.all(b"u").await
    }

    /// A user; `NotFound` when there is none of that name.
    pub async fn user(&self, name: &str) -> Result<User> {
        let found = self.object.omap_values([user_key(name)]).await?;
        let found = found.values().next().ok_or_else(|| Error::not_found(format!("there is no user `{name}`")))?;
        decode(found)
    }

    /// Removes a user with its keys. Its buckets must be gone: the caller looks.
    pub async fn remove(&self, name: &str) -> Result<()> {
        self.user(name).await?;
        let keys = self.keys(name).await?;
        let gone = keys.iter().map(|key| access_key(&key.access)).chain([user_key(name)]);
        self.object.omap_remove(gone).await
    }

    /// Makes a key for a user.
    pub async fn create_key(&self, name: &str) -> Result<UserKey> {
        let user = self.user(name).await?;
        if self.keys(name).await?.len() >= KEYS_MAX {
            return Err(Error::invalid(format!("user `{name}` has {KEYS_MAX} keys, which is the limit; remove one")));
        }
        let key = UserKey {
            user: name.to_owned(),
            access: random_text(ACCESS_CHARACTERS, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")?,
            secret: random_text(
                SECRET_CHARACTERS,
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            )?,
            created_ms: wall_clock_milliseconds(),
        };
        // Only for a user that is still there, and never in place of another's key.
        let operation = OpBuilder::new()
            .compare_omap(user_key(name), Comparison::Equal, encode(&user))
            .compare_omap(access_key(&key.access), Comparison::Equal, Bytes::new())
            .omap_set(BTreeMap::from([(access_key(&key.access), encode(&key))]));
        match self.object.operate(operation).await {
            Ok(_) => Ok(key),
            Err(failure) => Err(failure.error.context("make a key")),
        }
    }

    /// A user's keys.
    pub async fn keys(&self, name: &str) -> Result<Vec<UserKey>> {
        let keys: Vec<UserKey> = self.all(b"k").await?;
        Ok(keys.into_iter().filter(|key| key.user == name).collect())
    }

    /// Removes a key; `NotFound` when there is none.
    pub async fn remove_key(&self, access: &str) -> Result<()> {
        if self.key(access).await?.is_none() {
            return Err(Error::not_found(format!("there is no key `{access}`")));
        }
        self.object.omap_remove([access_key(access)]).await
    }

    /// The key of which this is the access half.
    pub async fn key(&self, access: &str) -> Result<Option<UserKey>> {
        if access.is_empty() || access.len() > 128 {
            return Ok(None);
        }
        let found = self.object.omap_values([access_key(access)]).await?;
        found.values().next().map(|bytes| decode(bytes)).transpose()
    }

    async fn all<T: serde::de::DeserializeOwned>(&self, prefix: &[u8]) -> Result<Vec<T>> {
        let mut found = Vec::new();
        let mut after = Vec::new();
        loop {
            let page = self.object.omap_page(&after, prefix, PAGE_KEYS).await?;
            for (_, value) in &page.entries {
                found.push(decode(value)?);
            }
            match page.entries.last() {
                Some((last, _)) if page.more => after.clone_from(last),
                _ => return Ok(found),
            }
        }
    }
}

/// Characters of an alphabet of 32 or 64, each from bits of the kernel's randomness.
fn random_text(characters: usize, alphabet: &[u8]) -> Result<String> {
    let mut bytes = vec![0; characters];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal(format!("read the operating system's randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_differ() {
        let key = |text: &str| UserKey {
            user: "me".to_owned(),
            access: "AK".to_owned(),
            secret: text.to_owned(),
            created_ms: 0,
        };
        assert!(!format!("{:?}", key("hidden")).contains("hidden"));
        let (one, two) = (random_text(40, b"abcd").unwrap(), random_text(40, b"abcd").unwrap());
        assert_ne!(one, two);
        assert!(one.len() == 40 && one.bytes().all(|byte| b"abcd".contains(&byte)));
    }
}

//! Advisory locks on objects and counters in them, by the built-in classes.

use bytes::Bytes;
use osd_classes::{decode_json, encode_json, lock, numeric};
use types::{Error, Result};

use crate::Object;

impl Object {
    /// Takes a lock of the object, which is made when it does not exist. `Exists` when somebody holds it.
    ///
    /// ```no_run
    /// # async fn tour(object: client::Object) -> client::Result<()> {
    /// use client::classes::lock::{AssertRequest, LockKind, LockRequest, Renewal};
    ///
    /// let request = LockRequest {
    ///     name: "owner".to_owned(),
    ///     kind: LockKind::Exclusive,
    ///     cookie: String::new(),
    ///     tag: String::new(),
    ///     description: "nightly import".to_owned(),
    ///     duration_ms: 30_000,
    ///     renewal: Renewal::Allowed,
    /// };
    /// object.lock(&request).await?;
    /// // Writes only while the lock is held.
    /// let held = AssertRequest {
    ///     name: "owner".to_owned(),
    ///     kind: LockKind::Exclusive,
    ///     cookie: String::new(),
    ///     tag: String::new(),
    /// };
    /// let guarded = client::OpBuilder::new().assert_locked(&held).append("one more line");
    /// object.operate(guarded).await.map_err(|failure| failure.error)?;
    /// object.unlock("owner", "").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lock(&self, request: &lock::LockRequest) -> Result<()> {
        self.call("lock", "lock", encode_json(request)).await.map(drop)
    }

    /// Gives a lock back that this client holds with this cookie; else `NotFound`.
    pub async fn unlock(&self, name: impl Into<String>, cookie: impl Into<String>) -> Result<()> {
        let request = lock::UnlockRequest { name: name.into(), cookie: cookie.into() };
        self.call("lock", "unlock", encode_json(&request)).await.map(drop)
    }

    /// Takes a lock away from whoever holds it. Who may still write must be put on the blocklist besides.
    pub async fn break_lock(&self, request: &lock::BreakRequest) -> Result<()> {
        self.call("lock", "break_lock", encode_json(request)).await.map(drop)
    }

    /// How a lock is held and by whom; `NotFound` when there is none of that name.
    pub async fn lock_info(&self, name: impl Into<String>) -> Result<lock::LockInfo> {
        let request = lock::InfoRequest { name: name.into() };
        answer(&self.call("lock", "get_info", encode_json(&request)).await?)
    }

    /// The names of the object's locks.
    pub async fn locks(&self) -> Result<Vec<String>> {
        answer(&self.call("lock", "list_locks", Bytes::new()).await?)
    }

    /// Adds to a decimal number in an omap value, in one round trip whoever else does the same; a key that is not
    /// there is zero. Answers the sum. `Invalid` when it has more than 128 bits, or what stands there is no number.
    pub async fn add(&self, key: impl Into<String>, summand: i128) -> Result<i128> {
        let operand = numeric::Operand { key: key.into(), value: summand.to_string() };
        answer(&self.call("numeric", "add", encode_json(&operand)).await?)
    }
}

impl crate::OpBuilder {
    /// Goes on only while the caller holds the lock so.
    pub fn assert_locked(self, request: &lock::AssertRequest) -> Self {
        self.call("lock", "assert_locked", encode_json(request))
    }
}

fn answer<T: serde::de::DeserializeOwned>(output: &[u8]) -> Result<T> {
    decode_json(output).map_err(|error| Error::internal(format!("a class answers what is not its own: {error}")))
}

//! `lock`: advisory locks on an object, exclusive or shared, which may run out by themselves.
//!
//! An object may have several locks, by name. Whoever holds one is told apart by its client number and a cookie, so
//! that two parts of one client can compete. Nobody is hindered from writing: who must write only under the lock puts
//! `assert_locked` in front of the other steps of the operation.
//!
//! A lock with a duration runs out by the primary's clock (see [`crate::Circumstances::now_ms`]): choose durations
//! well above what two hosts' clocks differ by. A lock that ran out is as if it were not held.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::{Call, Method, ObjectClass, decode_json, encode_json, unknown_method};

/// What stands before a lock's name in the name of its attribute.
const XATTR_PREFIX: &str = "lock.";
/// Bytes of a lock's name.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a cookie, a tag or a description.
const TEXT_BYTES_MAX: usize = 256;
/// Holders of one shared lock: with their texts they fit an attribute's value.
const HOLDERS_MAX: usize = 100;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockKind {
    /// By one holder.
    Exclusive,
    /// By any number of holders that say the same tag.
    Shared,
}

/// What a holder that asks for its lock again gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renewal {
    /// Refused with `Exists`: it holds the lock already.
    #[default]
    Refused,
    /// The lock, with a new duration.
    Allowed,
    /// The lock with a new duration, but only if it still holds it; else `NotFound`.
    Required,
}

/// The argument of `lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockRequest {
    /// Which lock of the object.
    pub name: String,
    /// How it shall be held.
    pub kind: LockKind,
    /// Tells holders of one client apart.
    #[serde(default)]
    pub cookie: String,
    /// What all holders of a shared lock must say alike.
    #[serde(default)]
    pub tag: String,
    /// For whoever looks who holds it.
    #[serde(default)]
    pub description: String,
    /// For how long, in milliseconds; zero is until it is released or broken.
    #[serde(default)]
    pub duration_ms: u64,
    /// What to do when the caller holds it.
    #[serde(default)]
    pub renewal: Renewal,
}

/// The argument of `unlock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlockRequest {
    /// Which lock.
    pub name: String,
    /// The cookie under which the caller holds it.
    #[serde(default)]
    pub cookie: String,
}

/// The argument of `break_lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakRequest {
    /// Which lock.
    pub name: String,
    /// Whose, as [`Holder::client`] says it.
    pub client: u64,
    /// Under which cookie.
    #[serde(default)]
    pub cookie: String,
}

/// The argument of `assert_locked`: the caller holds the lock so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertRequest {
    /// Which lock.
    pub name: String,
    /// How.
    pub kind: LockKind,
    /// Under which cookie.
    #[serde(default)]
    pub cookie: String,
    /// With which tag.
    #[serde(default)]
    pub tag: String,
}

/// The argument of `get_info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfoRequest {
    /// Which lock.
    pub name: String,
}

/// Somebody who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The client's number.
    pub client: u64,
    /// Its cookie.
    pub cookie: String,
    /// What it said of itself.
    pub description: String,
    /// When the lock runs out, by the primary's clock in milliseconds since 1970; `None` is never.
    pub expires_ms: Option<u64>,
}

/// A lock as it is held: what is kept, and the answer of `get_info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// How it is held, or was last.
    pub kind: LockKind,
    /// The holders' tag.
    pub tag: String,
    /// Who holds it; nobody when empty.
    pub holders: Vec<Holder>,
}

/// The class.
#[derive(Debug)]
pub struct Lock;

impl ObjectClass for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn methods(&self) -> &'static [Method] {
        const {
            &[
                Method::write("lock"),
                Method::write("unlock"),
                Method::write("break_lock"),
                Method::read("get_info"),
                Method::read("list_locks"),
                Method::read("assert_locked"),
            ]
        }
    }

    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes> {
        match method {
            "lock" => lock(call, decode_json(input)?),
            "unlock" => {
                let UnlockRequest { name, cookie } = decode_json(input)?;
                let client = call.circumstances().request.client.0;
                release(call, &name, client, &cookie)
            }
            "break_lock" => {
                let BreakRequest { name, client, cookie } = decode_json(input)?;
                release(call, &name, client, &cookie)
            }
            "get_info" => {
                let InfoRequest { name } = decode_json(input)?;
                call.require_existing()?;
                let info = held(call, &name)?;
                let nobody = || Error::not_found(format!("the object has no lock `{name}`"));
                Ok(encode_json(&info.ok_or_else(nobody)?))
            }
            "list_locks" => {
                call.require_existing()?;
                Ok(encode_json(&list(call)))
            }
            "assert_locked" => assert_locked(call, &decode_json(input)?),
            _ => Err(unknown_method(self, method)),
        }
    }
}

fn xattr_name(name: &str) -> Result<Vec<u8>> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let length = name.len();
        return Err(Error::invalid(format!("a lock's name has from 1 to {NAME_BYTES_MAX} bytes, not {length}")));
    }
    Ok(format!("{XATTR_PREFIX}{name}").into_bytes())
}

/// The lock without those holders whose time is over.
fn held(call: &Call<'_, '_>, name: &str) -> Result<Option<LockInfo>> {
    let Some(value) = call.xattr(&xattr_name(name)?)? else { return Ok(None) };
    let mut info: LockInfo = decode_json(&value).map_err(|error| error.context(format!("read lock `{name}`")))?;
    let now = call.circumstances().now_ms;
    info.holders.retain(|holder| holder.expires_ms.is_none_or(|at| at > now));
    Ok(Some(info))
}

fn lock(call: &mut Call<'_, '_>, request: LockRequest) -> Result<Bytes> {
    let LockRequest { name, kind, cookie, tag, description, duration_ms, renewal } = request;
    for (what, text) in [("cookie", &cookie), ("tag", &tag), ("description", &description)] {
        if text.len() > TEXT_BYTES_MAX {
            let length = text.len();
            return Err(Error::invalid(format!("a lock's {what} has {length} bytes; the limit is {TEXT_BYTES_MAX}")));
        }
    }
    let client = call.circumstances().request.client.0;
    let mut holders = Vec::new();
    if let Some(info) = held(call, &name)? {
        let fits = info.kind == kind && info.tag == tag;
        holders = info.holders;
        let mine = holders.iter().position(|holder| holder.client == client && holder.cookie == cookie);
        match (mine, renewal) {
            (Some(_), Renewal::Refused) => {
                return Err(Error::exists(format!("lock `{name}` is held by this client with this cookie already")));
            }
            (Some(mine), Renewal::Allowed | Renewal::Required) => drop(holders.remove(mine)),
            (None, _) => {}
        }
        if mine.is_none() && renewal == Renewal::Required {
            return Err(not_held(&name));
        }
        let alone = kind == LockKind::Exclusive || !fits;
        if alone && let Some(other) = holders.first() {
            return Err(Error::exists(format!("lock `{name}` is held by client {}", other.client)));
        }
    } else if renewal == Renewal::Required {
        return Err(not_held(&name));
    }
    if holders.len() >= HOLDERS_MAX {
        return Err(Error::full(format!("lock `{name}` is held {HOLDERS_MAX} times, which is the limit")));
    }
    let expires_ms = (duration_ms > 0).then(|| call.circumstances().now_ms.saturating_add(duration_ms));
    holders.push(Holder { client, cookie, description, expires_ms });
    store(call, &name, &LockInfo { kind, tag, holders })
}

fn not_held(name: &str) -> Error {
    Error::not_found(format!("lock `{name}` is not held any more"))
}

fn store(call: &mut Call<'_, '_>, name: &str, info: &LockInfo) -> Result<Bytes> {
    let xattr = xattr_name(name)?;
    if info.holders.is_empty() {
        call.remove_xattr(&xattr)?;
    } else {
        call.set_xattr(&xattr, encode_json(info))?;
    }
    Ok(Bytes::new())
}

fn release(call: &mut Call<'_, '_>, name: &str, client: u64, cookie: &str) -> Result<Bytes> {
    let absent = || Error::not_found(format!("lock `{name}` is not held by client {client} with that cookie"));
    let mut info = held(call, name)?.ok_or_else(absent)?;
    let held_so = |holder: &Holder| holder.client == client && holder.cookie == cookie;
    let at = info.holders.iter().position(held_so).ok_or_else(absent)?;
    info.holders.remove(at);
    store(call, name, &info)
}

/// Names of the object's locks, also of those that ran out.
fn list(call: &Call<'_, '_>) -> Vec<String> {
    let xattrs = call.xattrs();
    let names = xattrs.keys().filter_map(|name| std::str::from_utf8(name).ok()?.strip_prefix(XATTR_PREFIX));
    names.map(str::to_owned).collect()
}

fn assert_locked(call: &Call<'_, '_>, request: &AssertRequest) -> Result<Bytes> {
    let client = call.circumstances().request.client.0;
    let info = held(call, &request.name)?.filter(|info| info.kind == request.kind && info.tag == request.tag);
    let mine = |holder: &Holder| holder.client == client && holder.cookie == request.cookie;
    if info.is_some_and(|info| info.holders.iter().any(mine)) {
        return Ok(Bytes::new());
    }
    Err(Error::exists(format!("lock `{}` is not held so by client {client}", request.name)))
}

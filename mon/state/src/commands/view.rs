//! What a command looks at, and how figures become JSON.

use std::time::Duration;

use bytes::Bytes;
use map::PublishedMap;
use serde_json::{Map, Number, Value};
use types::{EntityName, Error, PoolId, Result, Time};
use wire::{ClusterDigest, CommandAnswer};

use crate::{memory::Memory, settings::Settings, state::State};

/// After a change of the map every OSD has reported on it and the manager has passed that on: several report intervals.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// The replicated state and the leader's memory at one moment.
pub(crate) struct View<'a> {
    pub now: Time,
    /// Who gives the command.
    pub asker: &'a EntityName,
    pub state: &'a State,
    pub map: &'a PublishedMap,
    pub memory: &'a Memory,
    pub settings: &'a Settings,
}

impl View<'_> {
    /// The newest digest, if there is one that is not stale.
    pub fn fresh_digest(&self) -> Option<&ClusterDigest> {
        let (at, digest) = self.memory.digest.as_ref()?;
        (self.now.since(*at) < self.settings.digest_stale_after()).then_some(digest.as_ref())
    }

    /// The newest digest, however old.
    pub fn digest(&self) -> Option<&ClusterDigest> {
        self.memory.digest.as_ref().map(|(_, digest)| digest.as_ref())
    }

    /// The newest digest, if all of it was reported on the published map for sure. One that came soon after a change may still
    /// call a placement group clean that has just lost a copy.
    pub fn settled_digest(&self) -> Option<&ClusterDigest> {
        let (at, _) = self.memory.digest.as_ref()?;
        let (_, since) = self.memory.epoch_since?;
        self.fresh_digest().filter(|_| *at >= since + SETTLED_AFTER)
    }

    /// How old the newest digest is, in milliseconds.
    pub fn digest_age_ms(&self) -> Option<u64> {
        let (at, _) = self.memory.digest.as_ref()?;
        Some(u64::try_from(self.now.since(*at).as_millis()).unwrap_or(u64::MAX))
    }

    /// Placement groups of all pools.
    pub fn pg_count(&self) -> u64 {
        self.map.map().pools.values().map(|pool| u64::from(pool.pg_num)).sum()
    }
}

/// The pool of this name.
pub(crate) fn pool_by_name<'m>(map: &'m map::ClusterMap, name: &str) -> Result<&'m std::sync::Arc<map::Pool>> {
    map.pools.values().find(|pool| pool.name == name).ok_or_else(|| {
        let names = map.pools.values().map(|pool| pool.name.as_str());
        match super::suggest::nearest(name, names) {
            Some(other) => Error::not_found(format!("there is no pool `{name}`; did you mean `{other}`?")),
            None => Error::not_found(format!("there is no pool `{name}`; `osd pool ls` lists those that exist")),
        }
    })
}

/// The name of a pool, or its number when it is gone.
pub(crate) fn pool_name(map: &map::ClusterMap, id: PoolId) -> String {
    map.pools.get(&id).map_or_else(|| id.to_string(), |pool| pool.name.clone())
}

/// An answer of JSON alone.
pub(crate) fn answer_json(value: &Value) -> CommandAnswer {
    CommandAnswer { status: String::new(), output: Bytes::from(value.to_string()) }
}

/// An answer of a value as JSON alone.
pub(crate) fn answer_value(value: &impl serde::Serialize) -> Result<CommandAnswer> {
    let output = serde_json::to_vec(value).map_err(|error| Error::internal(format!("write the answer: {error}")))?;
    Ok(CommandAnswer { status: String::new(), output: output.into() })
}

/// An answer of a sentence alone.
pub(crate) fn answer_status(status: impl Into<String>) -> CommandAnswer {
    CommandAnswer { status: status.into(), output: Bytes::new() }
}

/// A 16.16 fixed point number with Ceph's five digits behind the point.
pub(crate) fn decimal(fixed: u32) -> Value {
    decimal_of(u64::from(fixed), 1 << 16)
}

/// `numerator / denominator` with five digits behind the point; zero when the denominator is zero.
pub(crate) fn decimal_of(numerator: u64, denominator: u64) -> Value {
    let (numerator, denominator) = (u128::from(numerator), u128::from(denominator));
    if denominator == 0 {
        return Value::from(0);
    }
    let scaled = (numerator * 100_000 + denominator / 2) / denominator;
    let text = format!("{}.{:05}", scaled / 100_000, scaled % 100_000);
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

/// A JSON object from these fields, in order of names.
pub(crate) fn object(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(fields.into_iter().collect::<Map<_, _>>())
}

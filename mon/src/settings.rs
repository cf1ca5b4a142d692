//! What a monitor is told before it starts.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use net::ClusterKey;
use serde::{Deserialize, Serialize};
use types::{ClusterId, Error, MonId, Result};

/// Monitors of one cluster. More would only make each agreement slower; Ceph's users run at most seven.
pub const MEMBERS_MAX: usize = 15;

/// At a few KiB for each entry the log stays near 20 MB.
const ENTRIES_PER_SNAPSHOT: u64 = 5000;

/// A monitor of the cluster as it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number in the replicated log. Never reused.
    pub id: MonId,
    /// Its name: the letter in `mon.a`.
    pub name: String,
    /// Its control plane.
    pub address: SocketAddr,
}

/// How fast the monitors notice that one is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Between signs of life of the leader, in milliseconds.
    pub heartbeat_ms: u64,
    /// Without a sign of life for at least this long, a monitor asks for votes.
    pub election_min_ms: u64,
    /// Each monitor draws its patience between the least and this.
    pub election_max_ms: u64,
}

impl Default for Timing {
    /// FOUNDATIONS 10: fit for a loaded machine of two cores.
    fn default() -> Self {
        Self { heartbeat_ms: 250, election_min_ms: 1000, election_max_ms: 2000 }
    }
}

/// A monitor's settings.
#[derive(Debug, Clone)]
pub struct MonSettings {
    /// The cluster.
    pub cluster: ClusterId,
    /// What proves membership.
    pub key: ClusterKey,
    /// Which monitor this is.
    pub id: MonId,
    /// Its folder; made if it is missing.
    pub data: PathBuf,
    /// The monitors that found the cluster, this one among them. Later changes are in the log, not here.
    pub members: Vec<Member>,
    /// How fast a death is noticed.
    pub timing: Timing,
    /// Log entries behind the newest snapshot before the next one is made.
    pub entries_per_snapshot: u64,
}

impl MonSettings {
    /// Settings of monitor `name` of a cluster whose monitors are called `a`, `b`, `c` … in the order of their addresses.
    ///
    /// # Errors
    /// `Invalid` when the name is not one of them.
    pub fn new(
        cluster: ClusterId,
        key: ClusterKey,
        name: String,
        data: PathBuf,
        addresses: Vec<SocketAddr>,
    ) -> Result<Self> {
        let members: Vec<Member> = ('a'..='z')
            .zip(1..)
            .zip(addresses)
            .map(|((letter, number), address)| Member { id: MonId(number), name: letter.to_string(), address })
            .collect();
        let Some(own) = members.iter().find(|member| member.name == name) else {
            let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
            return Err(Error::invalid(format!(
                "there is no monitor `{name}` in this cluster; there is {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )));
        };
        let id = own.id;
        let settings = Self {
            cluster,
            key,
            id,
            data,
            members,
            timing: Timing::default(),
            entries_per_snapshot: ENTRIES_PER_SNAPSHOT,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Refuses settings that make no sense, before anything is touched.
    ///
    /// # Errors
    /// `Invalid` with what is wrong.
    pub fn check(&self) -> Result<()> {
        let Timing { heartbeat_ms, election_min_ms, election_max_ms } = self.timing;
        if !(10..=10_000).contains(&heartbeat_ms)
            || election_min_ms < 2 * heartbeat_ms
            || election_max_ms <= election_min_ms
        {
            return Err(Error::invalid(format!(
                "heartbeat {heartbeat_ms} ms, election {election_min_ms} to {election_max_ms} ms do not fit; the \
                 heartbeat would be 10 to 10,000 ms, the least patience two heartbeats or more, the most above the least"
            )));
        }
        if !(1..=1_000_000).contains(&self.entries_per_snapshot) {
            return Err(Error::invalid(format!(
                "entries_per_snapshot = {} is out of range; it would be from 1 to 1000000",
                self.entries_per_snapshot
            )));
        }
        if self.members.is_empty() || self.members.len() > MEMBERS_MAX {
            return Err(Error::invalid(format!(
                "{} monitors are named; it would be 1 to {MEMBERS_MAX}, and an odd number is best",
                self.members.len()
            )));
        }
        let distinct: BTreeMap<MonId, &str> =
            self.members.iter().map(|member| (member.id, member.name.as_str())).collect();
        let names: std::collections::BTreeSet<&str> = distinct.values().copied().collect();
        if distinct.len() != self.members.len() || names.len() != self.members.len() {
            return Err(Error::invalid("two monitors share a number or a name"));
        }
        self.own().map(|_| ())
    }

    /// This monitor among the members.
    ///
    /// # Errors
    /// `Invalid` when it is not among them.
    pub fn own(&self) -> Result<&Member> {
        self.members
            .iter()
            .find(|member| member.id == self.id)
            .ok_or_else(|| Error::invalid(format!("monitor {} is not among the members", self.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str) -> Result<MonSettings> {
        let addresses = (1..=3u16).map(|port| SocketAddr::from(([127, 0, 0, 1], 3300 + port))).collect();
        let cluster = ClusterId(types::Uuid::from_random([1; 16]));
        MonSettings::new(cluster, ClusterKey::new([2; 32]), name.to_owned(), PathBuf::from("/nowhere"), addresses)
    }

    #[test]
    fn names_follow_the_order_of_addresses() {
        let settings = settings("b").unwrap();
        assert_eq!(settings.id, MonId(2));
        assert_eq!(settings.own().unwrap().address.port(), 3302);
    }

    #[test]
    fn a_stranger_and_a_hasty_election_are_refused() {
        assert_eq!(settings("d").unwrap_err().message, "there is no monitor `d` in this cluster; there is a, b, c");
        let mut hasty = settings("a").unwrap();
        hasty.timing.election_min_ms = 2 * hasty.timing.heartbeat_ms;
        hasty.check().unwrap();
        hasty.timing.election_min_ms -= 1;
        assert!(hasty.check().is_err());
    }
}

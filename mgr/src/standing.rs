//! What the monitors say of the cluster, as far as it is shown: health with its checks, and who agrees.

use client::{CommandAnswer, Error, Result};
use serde::{Deserialize, Serialize};
use types::Time;

/// Lines of detail that are kept of one check.
const DETAIL_MAX: usize = 20;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HealthCheck {
    /// Ceph's word for it, as in `OSD_DOWN`.
    pub code: String,
    /// `HEALTH_WARN` or `HEALTH_ERR`.
    pub severity: String,
    /// A sentence.
    pub message: String,
    /// How many are concerned.
    pub count: u64,
    /// Who, up to a bound.
    pub detail: Vec<String>,
    /// Whether an operator silenced it.
    pub muted: bool,
}

/// The answer to `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// When it was given.
    pub at: Time,
    /// `HEALTH_OK`, `HEALTH_WARN` or `HEALTH_ERR`.
    pub status: String,
    /// What is wrong, by code.
    pub checks: Vec<HealthCheck>,
    /// Names of the monitors that agree.
    pub quorum: Vec<String>,
    /// The one that orders.
    pub leader: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    health: Health,
    quorum_names: Vec<String>,
    quorum_leader_name: Option<String>,
}

#[derive(Deserialize)]
struct Health {
    status: String,
    checks: std::collections::BTreeMap<String, Check>,
}

#[derive(Deserialize)]
struct Check {
    severity: String,
    summary: Summary,
    detail: Vec<Detail>,
    muted: bool,
}

#[derive(Deserialize)]
struct Summary {
    message: String,
    count: u64,
}

#[derive(Deserialize)]
struct Detail {
    message: String,
}

impl Standing {
    /// Understands the answer to `status`.
    pub(crate) fn of(at: Time, answer: &CommandAnswer) -> Result<Self> {
        let answer: Answer = serde_json::from_slice(&answer.output)
            .map_err(|error| Error::internal(format!("the monitors' status is not of the form known here: {error}")))?;
        let check = |(code, check): (String, Check)| HealthCheck {
            code,
            severity: check.severity,
            message: check.summary.message,
            count: check.summary.count,
            detail: check.detail.into_iter().take(DETAIL_MAX).map(|detail| detail.message).collect(),
            muted: check.muted,
        };
        Ok(Self {
            at,
            status: answer.health.status,
            checks: answer.health.checks.into_iter().map(check).collect(),
            quorum: answer.quorum_names,
            leader: answer.quorum_leader_name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_understood_and_nonsense_is_refused() {
        let output = br#"{"health":{"status":"HEALTH_WARN","mutes":[],"checks":{"OSD_DOWN":{"severity":"HEALTH_WARN",
            "summary":{"message":"1 osds down","count":1},"detail":[{"message":"osd.1 (host=h) is down"}],
            "muted":false}}},"quorum_names":["a","b"],"quorum_leader_name":"a","fsid":"x"}"#;
        let answer = CommandAnswer { status: String::new(), output: output.to_vec().into() };
        let standing = Standing::of(Time::ZERO, &answer).unwrap();
        assert_eq!((standing.status.as_str(), standing.quorum.len()), ("HEALTH_WARN", 2));
        assert_eq!(standing.checks[0].detail, ["osd.1 (host=h) is down"]);
        let nonsense = CommandAnswer { status: String::new(), output: b"[]".to_vec().into() };
        assert!(Standing::of(Time::ZERO, &nonsense).unwrap_err().message.contains("not of the form"));
    }
}

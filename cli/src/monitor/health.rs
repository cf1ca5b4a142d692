//! `health` and `health detail`, in the shape of Ceph's.

use serde_json::Value;

use super::scalar;

/// The checks that do not hold, by code.
pub(super) fn checks(health: &Value) -> impl Iterator<Item = (&String, &Value)> {
    health["checks"].as_object().into_iter().flatten()
}

pub(super) fn summary(health: &Value) -> String {
    let mut line = scalar(&health["status"]);
    let is_muted = |check: &Value| check["muted"].as_bool() == Some(true);
    let counting = checks(health).filter(|(_, check)| !is_muted(check));
    let messages: Vec<String> = counting.map(|(_, check)| scalar(&check["summary"]["message"])).collect();
    if !messages.is_empty() {
        line = format!("{line} {}", messages.join("; "));
    }
    let muted: Vec<&str> = checks(health).filter(|(_, check)| is_muted(check)).map(|(code, _)| code.as_str()).collect();
    if !muted.is_empty() {
        line = format!("{line} (muted: {})", muted.join(" "));
    }
    line
}

pub(super) fn detail(health: &Value) -> String {
    let mut text = summary(health) + "\n";
    for (code, check) in checks(health) {
        let severity = match check["severity"].as_str() {
            Some("HEALTH_ERR") => "ERR",
            _ => "WRN",
        };
        let muted = if check["muted"].as_bool() == Some(true) { "(MUTED) " } else { "" };
        text += &format!("{muted}[{severity}] {code}: {}\n", scalar(&check["summary"]["message"]));
        for detail in check["detail"].as_array().into_iter().flatten() {
            text += &format!("    {}\n", scalar(&detail["message"]));
        }
    }
    text
}

//! `health` and `health detail`, in the shape of Ceph's.

use serde_json::Value;

use super::scalar;

/// The checks that do not hold, by code.
pub(super) fn checks(health: &Value) -> impl Iterator<Item = (&String, &Value)> {
    health["checks"].as_object().into_iter().flatten()
}

pub(super) fn summary(health: &Value) -> String {
    let mut line = scalar(&health["status"]);
    let messages: Vec<String> = checks(health).map(|(_, check)| scalar(&check["summary"]["message"])).collect();
    if !messages.is_empty() {
        line = format!("{line} {}", messages.join("; "));
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
        text += &format!("[{severity}] {code}: {}\n", scalar(&check["summary"]["message"]));
        for detail in check["detail"].as_array().into_iter().flatten() {
            text += &format!("    {}\n", scalar(&detail["message"]));
        }
    }
    text
}

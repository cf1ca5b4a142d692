//! Settings: what was set, what counts for a daemon, who changed it, what an option is.

use serde_json::Value;

use super::{number, scalar};
use crate::figures::{Side::Left, table, time};

/// `config dump` and `config get`: who, mask, option, value.
pub(super) fn dump(value: &Value) -> String {
    let head = [("WHO", Left), ("MASK", Left), ("OPTION", Left), ("VALUE", Left)];
    rows(value, &head, |row| ["section", "mask", "name", "value"].map(|field| scalar(&row[field])).to_vec())
}

/// `config show`: every option of a daemon with the source of its value.
pub(super) fn show(value: &Value) -> String {
    let head = [("OPTION", Left), ("VALUE", Left), ("SOURCE", Left)];
    rows(value, &head, |row| ["name", "value", "source"].map(|field| scalar(&row[field])).to_vec())
}

fn rows(value: &Value, head: &[(&str, crate::figures::Side)], row: impl Fn(&Value) -> Vec<String>) -> String {
    table(head, value.as_array().into_iter().flatten().map(row))
}

/// `config log`: newest first, each change with what was before.
pub(super) fn log(value: &Value) -> String {
    let mut text = String::new();
    for entry in value.as_array().into_iter().flatten() {
        let (version, by, name) = (number(&entry["version"]), scalar(&entry["by"]), scalar(&entry["name"]));
        let name = if name.is_empty() { name } else { format!("  ({name})") };
        text += &format!("--- {version} --- {} {by}{name}\n", time(number(&entry["stamp_ms"])));
        for change in entry["changes"].as_array().into_iter().flatten() {
            let side = |mark: &str, value: &Value| match value {
                Value::Null => String::new(),
                value => format!("{mark} {} = {}\n", scalar(&change["name"]), scalar(value)),
            };
            text += &side("-", &change["previous_value"]);
            text += &side("+", &change["new_value"]);
        }
    }
    text
}

/// `config help`: one option.
pub(super) fn help(value: &Value) -> String {
    let takes = if value["can_update_at_runtime"].as_bool() == Some(true) { "at once" } else { "after a restart" };
    format!(
        "{} - {}\n  takes {}; default {}; a change counts {takes}; since {}\n",
        scalar(&value["name"]),
        scalar(&value["desc"]),
        scalar(&value["accepts"]),
        scalar(&value["default"]),
        scalar(&value["since"]),
    )
}

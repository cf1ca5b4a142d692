//! Tables of placement groups.

use serde_json::Value;

use super::scalar;
use crate::figures::{
    Side::{Left, Right},
    bytes, table,
};

pub(super) fn dump(rows: &Value) -> String {
    let set = |value: &Value| {
        let members: Vec<String> = value.as_array().into_iter().flatten().map(scalar).collect();
        format!("[{}]", members.join(","))
    };
    let optional = |value: &Value| if value.is_null() { "-".to_owned() } else { scalar(value) };
    let row = |pg: &Value| {
        let sum = &pg["stat_sum"];
        vec![
            scalar(&pg["pgid"]),
            optional(&sum["num_objects"]),
            sum["num_bytes"].as_u64().map_or_else(|| "-".to_owned(), bytes),
            optional(&sum["num_objects_degraded"]),
            optional(&sum["num_objects_misplaced"]),
            optional(&sum["num_objects_unfound"]),
            optional(&pg["version"]),
            scalar(&pg["state"]),
            format!("{}p{}", set(&pg["up"]), scalar(&pg["up_primary"])),
            format!("{}p{}", set(&pg["acting"]), scalar(&pg["acting_primary"])),
        ]
    };
    let head = [
        ("PG", Left),
        ("OBJECTS", Right),
        ("BYTES", Right),
        ("DEGRADED", Right),
        ("MISPLACED", Right),
        ("UNFOUND", Right),
        ("VERSION", Right),
        ("STATE", Left),
        ("UP", Left),
        ("ACTING", Left),
    ];
    table(&head, rows.as_array().into_iter().flatten().map(row))
}

//! Structured output as one table, or as keys with values, character for character as Ceph's formatter writes it.
//!
//! Every number and text is a column. Its title is its name with those of everything around it behind, the nearest first, and how
//! many columns were called so before.

use std::collections::BTreeMap;

use super::formatter::{DIGITS, Value};
use super::number::general;

/// Blanks between the longest of a column and its end.
const MARGIN: usize = 3;

struct Columns {
    /// Titles and values.
    cells: Vec<(String, String)>,
    seen: BTreeMap<String, usize>,
}

impl Columns {
    fn of(name: &str, value: &Value) -> Self {
        let mut columns = Self { cells: Vec::new(), seen: BTreeMap::new() };
        columns.add(name, "", value);
        columns
    }

    /// Recursive over the levels of the value, which its maker knows.
    fn add(&mut self, name: &str, around: &str, value: &Value) {
        let path = if around.is_empty() { name.to_owned() } else { format!("{name}:{around}") };
        let content = match value {
            Value::Number(content) | Value::Text(content) => content.clone(),
            Value::Float(number) => general(*number, DIGITS),
            Value::List(values) => return values.iter().for_each(|(name, value)| self.add(name, &path, value)),
            Value::Object(values) => return values.iter().for_each(|(name, value)| self.add(name, &path, value)),
        };
        // Its own name comes behind those of what is around it.
        let title = if around.is_empty() { name.to_owned() } else { format!("{around}:{name}") };
        let number = self.seen.entry(title.clone()).or_default();
        self.cells.push((format!("{title}[{number}]"), content));
        *number += 1;
    }
}

/// A head, and one row below.
pub(super) fn table(name: &str, value: &Value) -> String {
    let Columns { cells, .. } = Columns::of(name, value);
    let width = |title: &str, value: &str| title.chars().count().max(value.chars().count()) + MARGIN;
    let rule: String = cells.iter().map(|(title, value)| format!("+{}", "-".repeat(width(title, value)))).collect();
    let row = |choose: fn(&(String, String)) -> &String| -> String {
        let cell = |cell: &(String, String)| format!("| {:<1$}", choose(cell), width(&cell.0, &cell.1) - 1);
        cells.iter().map(cell).collect()
    };
    let (titles, values) = (row(|cell| &cell.0), row(|cell| &cell.1));
    format!("{rule}+\n{titles}|\n{rule}+\n{values}|\n{rule}+\n")
}

/// All in one line.
pub(super) fn keys_and_values(name: &str, value: &Value) -> String {
    let Columns { cells, .. } = Columns::of(name, value);
    cells.iter().map(|(title, value)| format!("key::{title}=\"{value}\" ")).chain(["\n".to_owned()]).collect()
}

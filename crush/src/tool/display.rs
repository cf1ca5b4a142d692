//! What is shown of a map: locations, trees, the dump, the text.

use std::collections::BTreeMap;

use super::arguments::Arguments;
use super::run::Run;
use super::{NAME, Stop, dump};
use crate::map::CrushMap;
use crate::weight::to_float;

impl Run<'_> {
    pub(super) fn display(&mut self, map: &CrushMap, arguments: &Arguments) -> Result<(), Stop> {
        if let Some(item) = arguments.show_location {
            // One line per type: of several buckets of a type above each other the nearest counts.
            let mut by_type = BTreeMap::new();
            for (type_name, name) in map.location_of(item) {
                by_type.entry(type_name).or_insert(name);
            }
            for (type_name, name) in by_type {
                self.say(&format!("{type_name}\t{name}"));
            }
        }
        if arguments.tree {
            self.output.stdout.push_str(&tree_table(map));
        }
        if arguments.bucket_tree {
            self.bucket_tree(map, &arguments.bucket_name);
        }
        if arguments.dump {
            let text = dump::dump(map, arguments.format.as_deref().unwrap_or("json-pretty"));
            self.say(&text);
        }
        if arguments.decompile {
            let text = crate::text::decompile(map);
            if arguments.output.is_empty() {
                self.output.stdout.push_str(&text);
            } else if let Err(reason) = self.files.write(&arguments.output, text.as_bytes()) {
                return self.fail(&format!("{NAME}: error writing '{}': {reason}", arguments.output), 1);
            }
        }
        Ok(())
    }

    fn bucket_tree(&mut self, map: &CrushMap, name: &str) {
        if name.is_empty() {
            return self.complain(": error bucket_name is empty");
        }
        let Some(root) = map.item_by_name(name) else { return };
        let mut devices = std::collections::BTreeSet::new();
        let mut pending = vec![root];
        while let Some(item) = pending.pop() {
            if item >= 0 {
                devices.insert(item);
            }
            pending.extend(map.bucket(item).map(|bucket| bucket.items().to_vec()).unwrap_or_default());
        }
        for device in devices {
            self.say(&format!("osd.{device}"));
        }
    }
}

/// A weight in a tree: five decimals, a plain zero, nothing for negative ones.
fn tree_weight(weight: u32) -> String {
    let number = to_float(weight);
    if number < -0.01 {
        "-".to_owned()
    } else if number < 0.000_001 {
        "0".to_owned()
    } else {
        format!("{number:.5}")
    }
}

/// The tree with the shadows of device classes, and a column for each set of choose arguments.
pub(super) fn tree_table(map: &CrushMap) -> String {
    let mut header = vec!["ID".to_owned(), "CLASS".to_owned(), "WEIGHT".to_owned()];
    for id in map.choose_args().keys() {
        header.push(if *id == -1 { "(compat)".to_owned() } else { id.to_string() });
    }
    header.push("TYPE NAME".to_owned());
    let mut rows = vec![header];
    for row in map.tree(true) {
        let mut cells =
            vec![row.item.to_string(), map.class_of(row.item).unwrap_or_default().to_owned(), tree_weight(row.weight)];
        for set in map.choose_args().values() {
            let weight = row.parent.and_then(|parent| {
                let at = map.bucket(parent)?.items().iter().position(|item| *item == row.item)?;
                set.get(parent)?.weight_sets.first()?.get(at).copied()
            });
            cells.push(weight.map(tree_weight).unwrap_or_default());
        }
        let name = if row.item >= 0 {
            format!("osd.{}", row.item)
        } else {
            let type_name = map.item_type(row.item).and_then(|type_id| map.type_name(type_id)).unwrap_or_default();
            format!("{type_name} {}", map.name(row.item).unwrap_or_default())
        };
        cells.push(format!("{}{name}", "    ".repeat(row.depth)));
        rows.push(cells);
    }
    table(&rows)
}

/// Columns two blanks apart: the header and the last column to the left, all others to the right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if number == 0 || column + 1 == columns { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(&cells.collect::<Vec<_>>().join("  "));
        text.push('\n');
    }
    text
}

//! The text that Prometheus reads, version 0.0.4: families of samples, each with help and type.
//!
//! Written here rather than through the registry of `telemetry`: the names, their suffixes and which label they carry
//! are Ceph's (decision 0091), and the figures are read from the collector when somebody asks, not kept beside it.

use std::fmt::{Display, Write};

/// What a sample's value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goes up until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A label with its value.
pub(super) type Label<'a> = (&'a str, &'a dyn Display);

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family; its samples must follow before the next.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.put(format_args!("# HELP {name} {}\n# TYPE {name} {kind}\n", help.replace('\\', "\\\\")));
        Family { text: self, name: name.to_owned() }
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.text
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string does not fail");
    }
}

/// A family that takes samples.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut Exposition,
    name: String,
}

impl Family<'_> {
    /// One sample. No two of a family have the same labels.
    pub fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.text.put(format_args!("{}", self.name));
        for (place, (label, content)) in labels.iter().enumerate() {
            let content = content.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.text.put(format_args!("{}{label}=\"{content}\"", if place == 0 { '{' } else { ',' }));
        }
        self.text.put(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut text = Exposition::default();
        let mut family = text.family("ceph_x", Kind::Gauge, "Some.");
        family.sample(&[], 1);
        family.sample(&[("name", &"a\"b\\c\nd"), ("id", &7)], 0.5);
        let expected =
            "# HELP ceph_x Some.\n# TYPE ceph_x gauge\nceph_x 1\nceph_x{name=\"a\\\"b\\\\c\\nd\",id=\"7\"} 0.5\n";
        assert_eq!(text.finish(), expected);
    }
}

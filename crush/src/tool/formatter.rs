//! Structured output as JSON, XML or HTML, plain or with indentation, character for character as Ceph's formatters write it.

use super::number::general;

/// Significant digits of floating-point numbers; HTML alone has fewer.
pub(super) const DIGITS: usize = 17;
const DIGITS_IN_HTML: usize = 6;

/// A value to be written. Names of list entries only show in XML.
pub(super) enum Value {
    Number(String),
    /// A number that is written with as many digits as the format has.
    Float(f64),
    Text(String),
    List(Vec<(&'static str, Value)>),
    Object(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// JSON without white space.
pub(super) fn json(value: &Value) -> String {
    let mut text = String::new();
    write_json(value, None, &mut text);
    text
}

/// JSON with four blanks per level.
pub(super) fn json_pretty(value: &Value) -> String {
    let mut text = String::new();
    write_json(value, Some(0), &mut text);
    text.push('\n');
    text
}

fn new_line(indentation: Option<usize>, text: &mut String) {
    if let Some(depth) = indentation {
        text.push('\n');
        text.push_str(&"    ".repeat(depth));
    }
}

fn write_json(value: &Value, indentation: Option<usize>, text: &mut String) {
    let inner = indentation.map(|depth| depth + 1);
    match value {
        Value::Number(number) => text.push_str(number),
        Value::Float(number) => text.push_str(&general(*number, DIGITS)),
        Value::Text(content) => text.push_str(&quoted(content)),
        Value::List(values) => {
            text.push('[');
            for (index, (_, value)) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                new_line(inner, text);
                write_json(value, inner, text);
            }
            if !values.is_empty() {
                new_line(indentation, text);
            }
            text.push(']');
        }
        Value::Object(values) => {
            text.push('{');
            for (index, (name, value)) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                new_line(inner, text);
                text.push_str(&quoted(name));
                text.push_str(if indentation.is_some() { ": " } else { ":" });
                write_json(value, inner, text);
            }
            if !values.is_empty() {
                new_line(indentation, text);
            }
            text.push('}');
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// XML, with one blank per level if `pretty`.
pub(super) fn xml(name: &str, value: &Value, pretty: bool) -> String {
    let leaf = |name: &str, content: &str| format!("<{name}>{content}</{name}>");
    let mut writer = Markup { leaf, digits: DIGITS, pretty, text: String::new() };
    writer.write(name, value, 0);
    writer.text
}

/// HTML: as XML, but numbers and texts are entries of lists.
pub(super) fn html(name: &str, value: &Value, pretty: bool) -> String {
    let leaf = |name: &str, content: &str| format!("<li>{name}: {content}</li>");
    let mut writer = Markup { leaf, digits: DIGITS_IN_HTML, pretty, text: String::new() };
    writer.write(name, value, 0);
    writer.text
}

struct Markup {
    /// How a number or text is written, from its name and its escaped content.
    leaf: fn(&str, &str) -> String,
    digits: usize,
    pretty: bool,
    text: String,
}

impl Markup {
    /// Recursive over the levels of the value, which its maker knows.
    fn write(&mut self, name: &str, value: &Value, depth: usize) {
        match value {
            Value::Number(content) | Value::Text(content) => self.line(depth, &(self.leaf)(name, &escaped(content))),
            Value::Float(number) => self.line(depth, &(self.leaf)(name, &general(*number, self.digits))),
            Value::List(values) => {
                self.line(depth, &format!("<{name}>"));
                values.iter().for_each(|(name, value)| self.write(name, value, depth + 1));
                self.line(depth, &format!("</{name}>"));
            }
            Value::Object(values) => {
                self.line(depth, &format!("<{name}>"));
                values.iter().for_each(|(name, value)| self.write(name, value, depth + 1));
                self.line(depth, &format!("</{name}>"));
            }
        }
    }

    fn line(&mut self, depth: usize, content: &str) {
        if self.pretty {
            self.text.push_str(&" ".repeat(depth));
        }
        self.text.push_str(content);
        if self.pretty {
            self.text.push('\n');
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

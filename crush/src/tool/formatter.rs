//! Structured output as JSON or XML, plain or with indentation, character for character as Ceph's formatters write it.

/// A value to be written. Names of list entries only show in XML.
pub(super) enum Value {
    Number(String),
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
    let mut text = String::new();
    write_xml(name, value, pretty.then_some(0), &mut text);
    if pretty { text } else { text.trim_end_matches('\n').to_owned() }
}

fn write_xml(name: &str, value: &Value, indentation: Option<usize>, text: &mut String) {
    let blanks = " ".repeat(indentation.unwrap_or(0));
    let end = if indentation.is_some() { "\n" } else { "" };
    let inner = indentation.map(|depth| depth + 1);
    match value {
        Value::Number(content) | Value::Text(content) => {
            text.push_str(&format!("{blanks}<{name}>{}</{name}>{end}", escaped(content)));
        }
        Value::List(values) => {
            text.push_str(&format!("{blanks}<{name}>{end}"));
            values.iter().for_each(|(name, value)| write_xml(name, value, inner, text));
            text.push_str(&format!("{blanks}</{name}>{end}"));
        }
        Value::Object(values) => {
            text.push_str(&format!("{blanks}<{name}>{end}"));
            values.iter().for_each(|(name, value)| write_xml(name, value, inner, text));
            text.push_str(&format!("{blanks}</{name}>{end}"));
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

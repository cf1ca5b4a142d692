//! Tests as text: commands, a line `----`, and the output that the commands had when a human approved it.
//!
//! ```text
//! # Comments and blank lines between cases are kept.
//! place pool=1 object=foo weights=(1, 2, 3)
//! input lines, if the command takes any
//! ----
//! osd.2 osd.0
//! ```
//!
//! The output ends at the first blank line. Output that has blank lines itself stands between two lines `----` in
//! front and two behind. With `UPDATE=1` in the environment the files are rewritten with what came out; the change is
//! then read in the diff.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Between a command and its output.
const SEPARATOR: &str = "----";

/// One word of a command after its name: `key`, `key=value` or `key=(value, value)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The word, or what stands before its equals sign.
    pub key: String,
    /// What stands behind it; none for a plain word.
    pub values: Vec<String>,
}

/// One command of a text test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// `file:line`, for messages.
    pub position: String,
    /// The first word.
    pub name: String,
    /// The other words.
    pub arguments: Vec<Argument>,
    /// The lines between the command and `----`, without a line end at the end.
    pub input: String,
}

impl Command {
    /// Whether the word is there.
    pub fn has(&self, key: &str) -> bool {
        self.arguments.iter().any(|argument| argument.key == key)
    }

    /// The values of `key=…`, if it is there.
    pub fn values(&self, key: &str) -> Option<&[String]> {
        self.arguments.iter().find(|argument| argument.key == key).map(|argument| argument.values.as_slice())
    }

    /// The one value of `key=…` as a `T`, if it is there. A wrong one fails the test with its position.
    pub fn optional<T: FromStr<Err: fmt::Display>>(&self, key: &str) -> Option<T> {
        let [value] = self.values(key)? else { panic!("{}: `{key}` takes one value", self.position) };
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => panic!("{}: {key}={value}: {error}", self.position),
        }
    }

    /// The one value of `key=…` as a `T`. A missing or wrong one fails the test with its position.
    pub fn required<T: FromStr<Err: fmt::Display>>(&self, key: &str) -> T {
        self.optional(key).unwrap_or_else(|| panic!("{}: `{}` needs {key}=…", self.position, self.name))
    }
}

/// Runs every case of a file, or of each `.txt` file of a folder in order of names, through `run`; fails when an output differs.
///
/// `path` is relative to the package's folder. `run` gets a fresh state per file from `begin`.
pub fn run_text_tests<S>(path: &str, mut begin: impl FnMut() -> S, mut run: impl FnMut(&mut S, &Command) -> String) {
    let root = env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from).join(path);
    let files = files_under(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    assert!(!files.is_empty(), "{} holds no .txt file", root.display());
    let update = env::var("UPDATE").is_ok_and(|value| value == "1");
    let mut differences = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.strip_prefix(&root).ok().filter(|name| !name.as_os_str().is_empty()).unwrap_or(&file);
        let mut state = begin();
        let outcome = run_text(&name.display().to_string(), &text, |command| run(&mut state, command));
        if update && outcome.rewritten != text {
            fs::write(&file, outcome.rewritten).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        differences += &outcome.differences;
    }
    assert!(update || differences.is_empty(), "{differences}\nwith UPDATE=1 the files take the new output");
}

fn files_under(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

struct Outcome {
    rewritten: String,
    differences: String,
}

fn run_text(file: &str, text: &str, mut run: impl FnMut(&Command) -> String) -> Outcome {
    let mut outcome = Outcome { rewritten: String::new(), differences: String::new() };
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        outcome.rewritten += line;
        outcome.rewritten.push('\n');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let position = format!("{file}:{}", number + 1);
        let mut input = Vec::new();
        loop {
            let Some((_, line)) = lines.next() else { panic!("{position}: no `{SEPARATOR}` follows this command") };
            outcome.rewritten += line;
            outcome.rewritten.push('\n');
            if line == SEPARATOR {
                break;
            }
            input.push(line);
        }
        let mut expected = Vec::new();
        if lines.next_if(|(_, line)| *line == SEPARATOR).is_some() {
            loop {
                let Some((_, line)) = lines.next() else {
                    panic!("{position}: its output has no closing `{SEPARATOR}`")
                };
                if line == SEPARATOR && lines.next_if(|(_, next)| *next == SEPARATOR).is_some() {
                    break;
                }
                expected.push(line);
            }
        } else {
            while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty()) {
                expected.push(line);
            }
        }
        let (name, arguments) = parse_command(line).unwrap_or_else(|reason| panic!("{position}: {reason}"));
        let output = run(&Command { position: position.clone(), name, arguments, input: input.join("\n") });
        let output = output.trim_end_matches('\n');
        let expected = expected.join("\n");
        if output != expected {
            outcome.differences += &format!("\n{position}: {line}\nexpected:\n{expected}\ngot:\n{output}\n");
        }
        write_output(&mut outcome.rewritten, output);
    }
    outcome
}

fn write_output(text: &mut String, output: &str) {
    if output.is_empty() {
        return;
    }
    let framed = output.lines().any(|line| line.is_empty() || line == SEPARATOR);
    if framed {
        *text += &format!("{SEPARATOR}\n{output}\n{SEPARATOR}\n{SEPARATOR}\n");
    } else {
        *text += &format!("{output}\n");
    }
}

fn parse_command(line: &str) -> Result<(String, Vec<Argument>), String> {
    let mut rest = line.trim();
    let mut words = Vec::new();
    while !rest.is_empty() {
        let key_end = rest.find(|letter: char| letter.is_whitespace() || letter == '=').unwrap_or(rest.len());
        let key = rest[..key_end].to_owned();
        rest = &rest[key_end..];
        let mut values = Vec::new();
        if let Some(value) = rest.strip_prefix("=(") {
            let end = value.find(')').ok_or_else(|| format!("`{key}=(` is not closed"))?;
            values = value[..end].split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect();
            rest = &value[end + 1..];
        } else if let Some(value) = rest.strip_prefix('=') {
            let end = value.find(char::is_whitespace).unwrap_or(value.len());
            values.push(value[..end].to_owned());
            rest = &value[end..];
        }
        words.push(Argument { key, values });
        rest = rest.trim_start();
    }
    let name = words.remove(0);
    if name.values.is_empty() { Ok((name.key, words)) } else { Err(format!("`{}=…` is no command", name.key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(command: &Command) -> String {
        match command.name.as_str() {
            "echo" => command.input.clone(),
            "sum" => {
                let values = command.values("of").unwrap();
                values.iter().map(|value| value.parse::<u64>().unwrap()).sum::<u64>().to_string()
            }
            "silent" => String::new(),
            other => format!("unknown command {other}"),
        }
    }

    #[test]
    fn what_is_approved_passes_and_is_rewritten_unchanged() {
        let text = "# a comment\n\necho\none\ntwo\n----\none\ntwo\n\nsum of=(1, 2,3) plain\n----\n6\n\nsilent\n----\n\necho\na\n\nb\n----\n----\na\n\nb\n----\n----\n";
        let outcome = run_text("file", text, echo);
        assert_eq!(outcome.differences, "");
        assert_eq!(outcome.rewritten, text);
    }

    #[test]
    fn what_differs_is_shown_with_its_place_and_rewritten() {
        let outcome = run_text("file", "\nsum of=(1,2)\n----\n4\n\necho\nx\n\ny\n----\nold\n", echo);
        assert!(
            outcome.differences.contains("file:2: sum of=(1,2)\nexpected:\n4\ngot:\n3\n"),
            "{}",
            outcome.differences
        );
        assert_eq!(outcome.rewritten, "\nsum of=(1,2)\n----\n3\n\necho\nx\n\ny\n----\n----\nx\n\ny\n----\n----\n");
        assert_eq!(run_text("file", &outcome.rewritten, echo).differences, "");
    }

    #[test]
    fn arguments_are_words_values_and_lists() {
        let (name, arguments) = parse_command("place pool=1 all weights=(a, b) empty=()").unwrap();
        let command = Command { position: "here".to_owned(), name, arguments, input: String::new() };
        assert_eq!(command.required::<u32>("pool"), 1);
        assert_eq!(command.optional::<u32>("none"), None);
        assert!(command.has("all") && !command.has("some"));
        assert_eq!(command.values("weights").unwrap(), ["a", "b"]);
        assert_eq!(command.values("empty").unwrap(), [""; 0]);
        assert!(parse_command("a=1").is_err());
        assert!(parse_command("x y=(1").is_err());
    }

    #[test]
    fn files_are_found_run_and_given_a_fresh_state_each() {
        let mut begun = 0;
        run_text_tests(
            "tests/text",
            || {
                begun += 1;
                0
            },
            |count: &mut u32, command| {
                *count += 1;
                format!("{count} {}", command.name)
            },
        );
        assert_eq!(begun, 2);
    }
}

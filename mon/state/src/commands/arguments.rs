//! A request's words become typed arguments, or a sentence that says what would be right.
//!
//! Owns: Ceph's conventions of the command line: arguments by name, or by position behind the fixed words;
//! `--name value`, `--name=value`, `--yes-i-really-mean-it` anywhere. Does not know: what a command does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use map::ClusterFlags;
use types::{ClientId, Error, OsdId, PgId, Result, limits};
use wire::CommandRequest;

use super::{
    suggest::nearest,
    table::{ArgumentKind, ArgumentSpec, CommandSpec, Need},
};

/// Bytes of a command's input: a placement hierarchy of 100,000 OSDs has less than 4 MiB.
const INPUT_BYTES_MAX: usize = 16 << 20;

/// A validated argument.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Text(String),
    Integer(u64),
    Decimal(u32),
    Osds(Vec<OsdId>),
    Words(Vec<String>),
    Pg(PgId),
    Flag(ClusterFlags),
    Client(ClientId),
    Confirm,
}

/// A command's validated arguments.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    values: BTreeMap<&'static str, Argument>,
    pub input: Bytes,
}

/// Finds the command that a request means and its arguments.
pub(crate) fn parse(
    table: &'static [CommandSpec],
    request: &CommandRequest,
) -> Result<(&'static CommandSpec, Arguments)> {
    let named_bytes: usize = request.arguments.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = request.prefix.len() + named_bytes;
    if bytes > limits::COMMAND_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the command has {bytes} bytes; at most {} are taken",
            limits::COMMAND_BYTES_MAX
        )));
    }
    if request.input.len() > INPUT_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the input has {} bytes; at most {INPUT_BYTES_MAX} are taken",
            request.input.len()
        )));
    }
    let words: Vec<&str> = request.prefix.split_whitespace().collect();
    let spec = table
        .iter()
        .filter(|spec| {
            let prefix: Vec<&str> = spec.prefix.split(' ').collect();
            words.starts_with(&prefix)
        })
        .max_by_key(|spec| spec.prefix.len())
        .ok_or_else(|| unknown_command(table, &words))?;
    let rest = &words[spec.prefix.split(' ').count()..];
    let mut texts = named_words(spec, rest)?;
    for (name, value) in &request.arguments {
        let argument = find(spec, name)?;
        texts.insert(argument.name, value.clone());
    }
    let mut values = BTreeMap::new();
    for argument in spec.all_arguments() {
        match texts.get(argument.name) {
            Some(text) => {
                if let Some(value) = parse_value(spec, argument, text)? {
                    values.insert(argument.name, value);
                }
            }
            None if argument.need == Need::Required => {
                return Err(Error::invalid(format!(
                    "`{}` needs <{}>, {}: {}",
                    spec.prefix,
                    argument.name,
                    argument.kind.expectation(),
                    spec.usage()
                )));
            }
            None => {}
        }
    }
    Ok((spec, Arguments { values, input: request.input.clone() }))
}

fn unknown_command(table: &[CommandSpec], words: &[&str]) -> Error {
    if words.is_empty() {
        return Error::invalid("the command is empty; `get_command_descriptions` lists all of them");
    }
    let names = table.iter().map(|spec| spec.prefix);
    let wanted = words.join(" ");
    let head = format!("{wanted} ");
    let next: BTreeSet<&str> =
        table.iter().filter_map(|spec| spec.prefix.strip_prefix(&head)?.split(' ').next()).collect();
    if !next.is_empty() {
        let next: Vec<&str> = next.into_iter().collect();
        return Error::invalid(format!("`{wanted}` goes on with one of {}", next.join(", ")));
    }
    match nearest(&wanted, names) {
        Some(name) => Error::invalid(format!("there is no command `{wanted}`; did you mean `{name}`?")),
        None => Error::invalid(format!("there is no command `{wanted}`; `get_command_descriptions` lists all of them")),
    }
}

fn find(spec: &'static CommandSpec, name: &str) -> Result<&'static ArgumentSpec> {
    let name = name.replace('-', "_");
    spec.all_arguments()
        .find(|argument| argument.name == name)
        .ok_or_else(|| Error::invalid(format!("`{}` has no argument `{name}`: {}", spec.prefix, spec.usage())))
}

/// Gives each word behind the fixed ones to an argument.
fn named_words(spec: &'static CommandSpec, words: &[&str]) -> Result<BTreeMap<&'static str, String>> {
    let mut texts: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let argument = find(spec, name)?;
            let text = match value {
                Some(value) => value.to_owned(),
                None if argument.kind == ArgumentKind::Confirm => String::new(),
                // `--detail` for `detail`.
                None if matches!(argument.kind, ArgumentKind::Choice([only]) if *only == argument.name) => {
                    argument.name.to_owned()
                }
                None => match words.next() {
                    Some(value) => (*value).to_owned(),
                    None => {
                        return Err(Error::invalid(format!("--{name} needs a value, {}", argument.kind.expectation())));
                    }
                },
            };
            texts.insert(argument.name, text);
            continue;
        }
        let open = spec.arguments.iter().find(|argument| {
            argument.kind != ArgumentKind::Confirm
                && (argument.kind.is_repeated() || !texts.contains_key(argument.name))
        });
        let Some(argument) = open else {
            return Err(Error::invalid(format!(
                "`{}` takes no further argument `{word}`: {}",
                spec.prefix,
                spec.usage()
            )));
        };
        let text = texts.entry(argument.name).or_default();
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    Ok(texts)
}

fn parse_value(spec: &CommandSpec, argument: &ArgumentSpec, text: &str) -> Result<Option<Argument>> {
    let refuse = || {
        Error::invalid(format!(
            "`{}`: <{}> is `{text}`; it would be {}",
            spec.prefix,
            argument.name,
            argument.kind.expectation()
        ))
    };
    let value = match argument.kind {
        ArgumentKind::Text { bytes_max } => {
            (text.len() <= bytes_max && !text.is_empty()).then(|| Argument::Text(text.to_owned()))
        }
        ArgumentKind::Pool => (!text.is_empty()).then(|| Argument::Text(text.to_owned())),
        ArgumentKind::Integer { min, max } => {
            text.parse().ok().filter(|number| (min..=max).contains(number)).map(Argument::Integer)
        }
        ArgumentKind::Decimal { max } => parse_decimal(text).filter(|number| *number <= max).map(Argument::Decimal),
        ArgumentKind::Osd => parse_osd(text).map(|osd| Argument::Osds(vec![osd])),
        ArgumentKind::Osds => {
            let osds: Option<Vec<OsdId>> =
                text.split([' ', ',']).filter(|word| !word.is_empty()).map(parse_osd).collect();
            osds.filter(|osds| !osds.is_empty()).map(Argument::Osds)
        }
        ArgumentKind::Words => {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            (!words.is_empty()).then_some(Argument::Words(words))
        }
        ArgumentKind::Pg => text.parse().ok().map(Argument::Pg),
        ArgumentKind::Choice(words) => words.contains(&text).then(|| Argument::Text(text.to_owned())),
        ArgumentKind::Flag => {
            ClusterFlags::NAMES.iter().find(|(name, _)| *name == text).map(|(_, flag)| Argument::Flag(*flag))
        }
        ArgumentKind::Client => {
            let number = text.strip_prefix("client.").unwrap_or(text);
            number.parse().ok().filter(|number| *number > 0).map(|number| Argument::Client(ClientId(number)))
        }
        ArgumentKind::Confirm => match text {
            "" | "true" | "yes" => Some(Argument::Confirm),
            "false" | "no" => return Ok(None),
            _ => None,
        },
    };
    value.map(Some).ok_or_else(refuse)
}

fn parse_osd(text: &str) -> Option<OsdId> {
    let number = text.strip_prefix("osd.").unwrap_or(text);
    number.parse().ok().filter(|number| *number < limits::OSD_COUNT_MAX).map(OsdId)
}

/// A decimal number such as `0.85` in 16.16 fixed point, rounded to the nearest; without floating point.
pub(crate) fn parse_decimal(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let scale = 10u64.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u64 = fraction.parse().ok()?;
    let fixed = (whole << 16).checked_add(((fraction << 16) + scale / 2) / scale)?;
    u32::try_from(fixed).ok()
}

impl Arguments {
    /// A text that is there for sure: the table says that it is required.
    pub fn text(&self, name: &str) -> &str {
        self.text_if(name).expect("the table declares this argument as a required text")
    }

    pub fn text_if(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Argument::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn integer_if(&self, name: &str) -> Option<u64> {
        match self.values.get(name)? {
            Argument::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub fn integer(&self, name: &str) -> u64 {
        self.integer_if(name).expect("the table declares this argument as a required number")
    }

    /// A number that the table bounds below 2^32.
    pub fn small_integer_if(&self, name: &str) -> Option<u32> {
        self.integer_if(name).map(|number| u32::try_from(number).expect("the table bounds this argument to 32 bits"))
    }

    pub fn decimal(&self, name: &str) -> u32 {
        match self.values.get(name) {
            Some(Argument::Decimal(number)) => *number,
            _ => panic!("the table declares {name} as a required decimal number"),
        }
    }

    pub fn osd(&self, name: &str) -> OsdId {
        self.osds(name).first().copied().expect("parsing refuses an empty list")
    }

    pub fn osds(&self, name: &str) -> &[OsdId] {
        match self.values.get(name) {
            Some(Argument::Osds(osds)) => osds,
            _ => &[],
        }
    }

    pub fn words(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(Argument::Words(words)) => words,
            _ => &[],
        }
    }

    pub fn pg(&self, name: &str) -> PgId {
        match self.values.get(name) {
            Some(Argument::Pg(pg)) => *pg,
            _ => panic!("the table declares {name} as a required placement group"),
        }
    }

    pub fn flag(&self, name: &str) -> ClusterFlags {
        match self.values.get(name) {
            Some(Argument::Flag(flag)) => *flag,
            _ => panic!("the table declares {name} as a required flag"),
        }
    }

    pub fn client(&self, name: &str) -> ClientId {
        match self.values.get(name) {
            Some(Argument::Client(client)) => *client,
            _ => panic!("the table declares {name} as a required client"),
        }
    }

    pub fn is_confirmed(&self, name: &str) -> bool {
        self.values.get(name) == Some(&Argument::Confirm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_fixed_point_and_nonsense_nothing() {
        assert_eq!(parse_decimal("1"), Some(0x10000));
        assert_eq!(parse_decimal("0.5"), Some(0x8000));
        assert_eq!(parse_decimal("0.00002"), Some(1));
        assert_eq!(parse_decimal("65535.99999"), Some(0xffff_ffff));
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "65536", "1.0000000001", "0x1"] {
            assert_eq!(parse_decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn osds_have_two_spellings_and_a_bound() {
        assert_eq!(parse_osd("3"), Some(OsdId(3)));
        assert_eq!(parse_osd("osd.3"), Some(OsdId(3)));
        assert_eq!(parse_osd(&format!("osd.{}", limits::OSD_COUNT_MAX - 1)), Some(OsdId(limits::OSD_COUNT_MAX - 1)));
        assert_eq!(parse_osd(&format!("osd.{}", limits::OSD_COUNT_MAX)), None);
        assert_eq!(parse_osd("osd.x"), None);
    }
}

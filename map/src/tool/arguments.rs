//! The command line.

use super::{NAME, Stop, run::Run, usage::USAGE};

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Json,
    JsonPretty,
}

impl Format {
    /// Ceph: a format that is not known is JSON.
    fn of(word: &str) -> Self {
        match word {
            "" | "plain" => Self::Plain,
            "json-pretty" => Self::JsonPretty,
            _ => Self::Json,
        }
    }
}

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) file: String,
    pub(super) print: Option<Format>,
    pub(super) tree: Option<Format>,
    pub(super) create: Option<i64>,
    pub(super) with_pool: bool,
    pub(super) clobber: bool,
    pub(super) pg_bits: Option<u32>,
    pub(super) pgp_bits: Option<u32>,
    pub(super) pg_num: Option<u32>,
    pub(super) pool: Option<i64>,
    pub(super) export_crush: Option<String>,
    pub(super) import_crush: Option<String>,
    pub(super) map_pgs: bool,
    pub(super) map_pgs_dump: bool,
    pub(super) map_pgs_dump_all: bool,
    pub(super) map_pg: Option<String>,
    pub(super) map_object: Option<String>,
    pub(super) mark_up_in: bool,
    pub(super) mark_out: Option<i64>,
    pub(super) mark_up: Option<i64>,
    pub(super) mark_in: Option<i64>,
    pub(super) adjust_weights: Option<String>,
    pub(super) clear_temp: bool,
    pub(super) clean_temps: bool,
    pub(super) upmap: Option<String>,
    pub(super) upmap_cleanup: Option<String>,
    pub(super) upmap_max: Option<u32>,
    pub(super) upmap_deviation: Option<u32>,
    pub(super) upmap_pools: Vec<String>,
    pub(super) upmap_active: bool,
    pub(super) save: bool,
    pub(super) health: bool,
    pub(super) test_random: bool,
    pub(super) test_crush: bool,
    pub(super) from_configuration: bool,
    pub(super) range: (Option<i64>, Option<i64>),
}

impl Request {
    pub(super) fn maps_all_pgs(&self) -> bool {
        self.map_pgs || self.map_pgs_dump || self.map_pgs_dump_all
    }
}

/// Walks over the words.
struct Words<'a> {
    words: &'a [String],
    /// The value behind `=`, of the word at hand.
    attached: Option<&'a str>,
}

impl<'a> Words<'a> {
    /// The next word with its option's name in Ceph's spelling, if it is an option.
    fn take(&mut self) -> Option<(&'a str, Option<String>)> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (word.as_str(), None),
        };
        self.attached = attached;
        let option = name.strip_prefix("--").filter(|name| !name.is_empty()).map(|name| name.replace('_', "-"));
        Some((word, option))
    }

    fn value(&mut self) -> Option<&'a str> {
        if let Some(attached) = self.attached.take() {
            return Some(attached);
        }
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    /// The next word, if it is a format: the value of an option that needs none.
    fn format(&mut self) -> Format {
        let follows = self.words.first().is_some_and(|word| ["plain", "json", "json-pretty"].contains(&word.as_str()));
        if self.attached.is_some() || follows { Format::of(self.value().unwrap_or_default()) } else { Format::Plain }
    }
}

impl Run<'_> {
    /// Understands the words, or says what is wrong with them.
    pub(super) fn understand(&mut self, words: &[String]) -> Result<Request, Stop> {
        if words.is_empty() {
            self.output.stderr.push_str(&format!("{NAME}: -h or --help for usage\n"));
            return Err(Stop(1));
        }
        let mut request = Request::default();
        let mut files = Vec::new();
        let mut words = Words { words, attached: None };
        while let Some((word, option)) = words.take() {
            match option.as_deref() {
                None if word == "-p" => request.print = Some(Format::Plain),
                None if word == "-h" => return Err(self.usage("")),
                None => files.push(word.to_owned()),
                Some("help") => return Err(self.usage("")),
                Some(option) => {
                    if !self.understand_option(&mut request, option, &mut words)? {
                        files.push(word.to_owned());
                    }
                }
            }
        }
        match files.as_slice() {
            [] => Err(self.usage("must specify osdmap filename")),
            [file] => {
                request.file.clone_from(file);
                Ok(request)
            }
            _ => Err(self.usage("too many arguments")),
        }
    }

    /// Takes one option; whether it is known.
    fn understand_option(&mut self, request: &mut Request, option: &str, words: &mut Words<'_>) -> Result<bool, Stop> {
        let known = self.understand_flag(request, option, words);
        if known {
            return Ok(true);
        }
        match option {
            "createsimple" => request.create = Some(self.number(option, words)?),
            "pg-bits" => request.pg_bits = Some(self.number(option, words)?),
            "pgp-bits" => request.pgp_bits = Some(self.number(option, words)?),
            "pg-num" => request.pg_num = Some(self.number(option, words)?),
            "pool" => request.pool = Some(self.number(option, words)?),
            "range-first" => request.range.0 = Some(self.number(option, words)?),
            "range-last" => request.range.1 = Some(self.number(option, words)?),
            "mark-out" => request.mark_out = Some(self.number(option, words)?),
            "mark-up" => request.mark_up = Some(self.number(option, words)?),
            "mark-in" => request.mark_in = Some(self.number(option, words)?),
            "upmap-max" => request.upmap_max = Some(self.number(option, words)?),
            "upmap-deviation" => request.upmap_deviation = Some(self.number(option, words)?),
            "export-crush" => request.export_crush = Some(self.text(option, words)?),
            "import-crush" => request.import_crush = Some(self.text(option, words)?),
            "test-map-pg" => request.map_pg = Some(self.text(option, words)?),
            "test-map-object" => request.map_object = Some(self.text(option, words)?),
            "adjust-crush-weight" => request.adjust_weights = Some(self.text(option, words)?),
            "upmap" => request.upmap = Some(self.text(option, words)?),
            "upmap-cleanup" => request.upmap_cleanup = Some(self.text(option, words)?),
            "upmap-pool" => request.upmap_pools.push(self.text(option, words)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes an option that needs no value; whether it is one.
    fn understand_flag(&mut self, request: &mut Request, option: &str, words: &mut Words<'_>) -> bool {
        match option {
            "print" => request.print = Some(Format::Plain),
            "dump" => request.print = Some(words.format()),
            "tree" => request.tree = Some(words.format()),
            "with-default-pool" => request.with_pool = true,
            "clobber" => request.clobber = true,
            "test-map-pgs" => request.map_pgs = true,
            "test-map-pgs-dump" => request.map_pgs_dump = true,
            "test-map-pgs-dump-all" => request.map_pgs_dump_all = true,
            "mark-up-in" => request.mark_up_in = true,
            "clear-temp" => request.clear_temp = true,
            "clean-temps" => request.clean_temps = true,
            "save" => request.save = true,
            "upmap-active" => request.upmap_active = true,
            "health" => request.health = true,
            "test-random" => request.test_random = true,
            "test-crush" => request.test_crush = true,
            "create-from-conf" => request.from_configuration = true,
            _ => return false,
        }
        true
    }

    fn text(&mut self, option: &str, words: &mut Words<'_>) -> Result<String, Stop> {
        let Some(value) = words.value() else {
            self.output.stderr.push_str(&format!("Option --{option} requires an argument.\n"));
            return Err(Stop(1));
        };
        Ok(value.to_owned())
    }

    fn number<T: std::str::FromStr>(&mut self, option: &str, words: &mut Words<'_>) -> Result<T, Stop> {
        let Some(value) = words.value() else {
            self.output.stderr.push_str(&format!("Option --{option} requires an argument.\n\n"));
            return Err(Stop(1));
        };
        value.parse().map_err(|_| {
            self.output.stderr.push_str(&format!("The option value '{value}' is invalid\n"));
            Stop(1)
        })
    }

    /// Says what is wrong, if anything, and how the tool is used.
    pub(super) fn usage(&mut self, wrong: &str) -> Stop {
        if !wrong.is_empty() {
            self.output.stderr.push_str(&format!("{NAME}: {wrong}\n"));
        }
        self.output.stdout.push_str(USAGE);
        Stop(1)
    }
}

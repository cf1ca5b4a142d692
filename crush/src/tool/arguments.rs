//! The tool's options. `_` and `-` are the same within their names, and values follow as the next word or after `=`.

use std::collections::BTreeMap;

use super::number::{leading_float, leading_integer};

/// What the command line asks for.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) input: String,
    pub(super) output: String,
    pub(super) source: String,
    pub(super) compare_with: String,
    pub(super) compile: bool,
    pub(super) decompile: bool,
    pub(super) build: bool,
    pub(super) test: bool,
    pub(super) tree: bool,
    pub(super) bucket_tree: bool,
    pub(super) bucket_name: String,
    pub(super) dump: bool,
    pub(super) format: Option<String>,
    pub(super) check: Option<i32>,
    pub(super) show_location: Option<i32>,
    pub(super) reweight: bool,
    pub(super) rebuild_class_roots: bool,
    pub(super) reclassify: bool,
    pub(super) reclassify_bucket: BTreeMap<String, (String, String)>,
    pub(super) reclassify_root: BTreeMap<String, String>,
    pub(super) subtree_class: BTreeMap<String, String>,
    pub(super) tunables: Vec<(&'static str, i32)>,
    pub(super) add: Option<AddItem>,
    pub(super) location: BTreeMap<String, String>,
    pub(super) add_bucket: Option<(String, String)>,
    pub(super) move_item: Option<String>,
    pub(super) create_rule: Option<CreateRule>,
    pub(super) device_class: String,
    pub(super) remove_rule: Option<String>,
    pub(super) remove_item: Option<String>,
    pub(super) reweight_item: Option<(String, f32)>,
    pub(super) device_count: i32,
    pub(super) replicas: Option<i32>,
    pub(super) x: (i32, i32),
    pub(super) rules: (i32, i32),
    pub(super) ruleset: i32,
    pub(super) pool: i32,
    pub(super) device_weights: BTreeMap<i32, f32>,
    pub(super) simulate: bool,
    pub(super) show: Show,
    pub(super) csv: bool,
    pub(super) csv_name: String,
    /// What is said to standard output while the options are read.
    pub(super) said: String,
    /// Words that are no options; layers, when a map is built.
    pub(super) rest: Vec<String>,
    /// Ask for the usage, or the description of the CSV files.
    pub(super) help: bool,
    pub(super) help_output: bool,
}

/// What to show of a test.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Show {
    pub(super) utilization: bool,
    pub(super) utilization_all: bool,
    pub(super) statistics: bool,
    pub(super) mappings: bool,
    pub(super) bad_mappings: bool,
    pub(super) choose_tries: bool,
}

#[derive(Debug)]
pub(super) struct AddItem {
    pub(super) id: i32,
    pub(super) weight: f32,
    pub(super) name: String,
    pub(super) update: bool,
}

#[derive(Debug)]
pub(super) struct CreateRule {
    pub(super) name: String,
    pub(super) root: String,
    pub(super) type_name: String,
    /// `firstn` or `indep`; empty for replicated rules, which are `firstn`.
    pub(super) mode: String,
}

/// Why the command line cannot be used.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

struct Words<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }
}

/// The name of an option without its value, with `-` for `_`.
fn option_name(word: &str) -> (String, Option<&str>) {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) if word.starts_with("--") => (name, Some(value)),
        _ => (word, None),
    };
    (if name.starts_with("--") { name.replace('_', "-") } else { name.to_owned() }, value)
}

impl Arguments {
    pub(super) fn parse(words: &[String]) -> Result<Self, Refusal> {
        let mut arguments = Self { x: (-1, -1), rules: (-1, -1), ruleset: -1, pool: -1, ..Self::default() };
        let mut words = Words { words, at: 0 };
        while let Some(word) = words.next() {
            if word == "--" {
                arguments.rest.extend(words.words[words.at..].iter().cloned());
                break;
            }
            arguments.option(word, &mut words)?;
        }
        Ok(arguments)
    }

    fn option(&mut self, word: &str, words: &mut Words<'_>) -> Result<(), Refusal> {
        let (name, given) = option_name(word);
        let mut option = OptionWord { written: &name, given, words };
        match name.as_str() {
            "-h" | "--help" => self.help = true,
            "-d" | "--decompile" => {
                self.input = option.text()?;
                self.decompile = true;
            }
            "-i" | "--infn" => self.input = option.text()?,
            "-o" | "--outfn" => self.output = option.text()?,
            "-c" | "--compile" => {
                self.source = option.text()?;
                self.compile = true;
            }
            "--compare" => self.compare_with = option.text()?,
            "-v" | "--verbose" | "--enable-unsafe-tunables" => {}
            "--tree" => self.tree = true,
            "--bucket-tree" => self.bucket_tree = true,
            "-b" | "--bucket-name" => self.bucket_name = option.text()?,
            "-f" | "--format" => self.format = Some(option.text()?),
            "--dump" => self.dump = true,
            "--check" => self.check = Some(option.optional_number()),
            "-t" | "--test" => self.test = true,
            "--show-location" => self.show_location = Some(option.number()?),
            "-s" | "--simulate" => self.simulate = true,
            "--help-output" => self.help_output = true,
            "--output-csv" => self.csv = true,
            "--output-name" => {
                let name = option.several("--output-name")?;
                if name.is_empty() {
                    return Err(option.refuse("expecting additional argument to --output-name"));
                }
                self.csv_name = format!("{name}-");
            }
            "--build" => self.build = true,
            "--num-osds" => self.device_count = option.number()?,
            name if name.starts_with("--show-") => return self.show_option(name, word),
            name if name.starts_with("--set-") && name != "--set-subtree-class" => {
                return self.tunable_option(name, &mut option, word);
            }
            _ => return self.modification(word, &mut option),
        }
        Ok(())
    }

    fn show_option(&mut self, name: &str, word: &str) -> Result<(), Refusal> {
        match name {
            "--show-utilization" => self.show.utilization = true,
            "--show-utilization-all" => self.show.utilization_all = true,
            "--show-statistics" => self.show.statistics = true,
            "--show-mappings" => self.show.mappings = true,
            "--show-bad-mappings" => self.show.bad_mappings = true,
            "--show-choose-tries" => self.show.choose_tries = true,
            _ => self.rest.push(word.to_owned()),
        }
        Ok(())
    }

    fn tunable_option(&mut self, name: &str, option: &mut OptionWord<'_, '_>, word: &str) -> Result<(), Refusal> {
        let tunable = match name {
            "--set-choose-local-tries" => "choose_local_tries",
            "--set-choose-local-fallback-tries" => "choose_local_fallback_tries",
            "--set-choose-total-tries" => "choose_total_tries",
            "--set-chooseleaf-descend-once" => "chooseleaf_descend_once",
            "--set-chooseleaf-vary-r" => "chooseleaf_vary_r",
            "--set-chooseleaf-stable" => "chooseleaf_stable",
            "--set-straw-calc-version" => "straw_calc_version",
            "--set-allowed-bucket-algs" => "allowed_bucket_algs",
            _ => {
                self.rest.push(word.to_owned());
                return Ok(());
            }
        };
        let value = option.number()?;
        self.tunables.push((tunable, value));
        Ok(())
    }

    fn modification(&mut self, word: &str, option: &mut OptionWord<'_, '_>) -> Result<(), Refusal> {
        let name = option.written.to_owned();
        match name.as_str() {
            "--reweight" => self.reweight = true,
            "--rebuild-class-roots" => self.rebuild_class_roots = true,
            "--reclassify" => self.reclassify = true,
            "--reclassify-bucket" => {
                let bucket = option.text()?;
                let class = option.another("expecting additional argument")?;
                let parent = option.another("expecting additional argument")?;
                self.reclassify_bucket.insert(bucket, (class, parent));
            }
            "--reclassify-root" => {
                let root = option.text()?;
                self.reclassify_root.insert(root, option.another("expecting additional argument")?);
            }
            "--set-subtree-class" => {
                let bucket = option.text()?;
                self.subtree_class.insert(bucket, option.another("expecting additional argument")?);
            }
            "--add-item" | "--update-item" => {
                let id = option.number()?;
                let missing = format!("expecting additional argument to {name}");
                let weight = leading_float(&option.another(&missing)?);
                let item_name = option.another(&missing)?;
                self.add = Some(AddItem { id, weight, name: item_name, update: name == "--update-item" });
            }
            "--add-bucket" => {
                let bucket = option.text()?;
                self.add_bucket = Some((bucket, option.another("expecting additional argument to --add-bucket")?));
            }
            "--move" => self.move_item = Some(option.text()?),
            "--create-simple-rule" | "--create-replicated-rule" => self.create_rule_option(&name, option)?,
            "--device-class" => self.device_class = option.text()?,
            "--remove-rule" => self.remove_rule = Some(option.text()?),
            "--loc" => {
                let type_name = option.text()?;
                self.location.insert(type_name, option.another("expecting additional argument to --loc")?);
            }
            "--remove-item" => self.remove_item = Some(option.text()?),
            "--reweight-item" => {
                let item = option.text()?;
                let weight = option.another("expecting additional argument to --reweight-item")?;
                self.reweight_item = Some((item, leading_float(&weight)));
            }
            "--batches" => {
                option.number()?;
            }
            "--mark-down-ratio" | "--mark-down-bucket-ratio" => {
                option.text()?;
            }
            _ => return self.test_option(word, option),
        }
        Ok(())
    }

    fn create_rule_option(&mut self, name: &str, option: &mut OptionWord<'_, '_>) -> Result<(), Refusal> {
        let missing = format!("expecting additional argument to {name}");
        let rule = option.text()?;
        let root = option.another(&missing)?;
        let type_name = option.another(&missing)?;
        self.said.push_str(&format!("{name}: name={rule} root={root} type={type_name}"));
        let mut mode = String::new();
        if name == "--create-simple-rule" {
            mode = option.another(&missing)?;
            self.said.push_str(&format!(" mode={mode}"));
        }
        self.said.push('\n');
        self.create_rule = Some(CreateRule { name: rule, root, type_name, mode });
        Ok(())
    }

    fn test_option(&mut self, word: &str, option: &mut OptionWord<'_, '_>) -> Result<(), Refusal> {
        match option.written {
            "--num-rep" => self.replicas = Some(option.number()?),
            "--max-x" => self.x.1 = option.number()?,
            "--min-x" => self.x.0 = option.number()?,
            "--x" => {
                let x = option.number()?;
                self.x = (x, x);
            }
            "--pool-id" => self.pool = option.number()?,
            "--max-rule" => self.rules.1 = option.number()?,
            "--min-rule" => self.rules.0 = option.number()?,
            "--rule" => {
                let rule = option.number()?;
                self.rules = (rule, rule);
            }
            "--ruleset" => self.ruleset = option.number()?,
            "-w" | "--weight" => {
                let device = option.number()?;
                let weight = option.another("expecting additional argument to --weight")?;
                self.device_weights.insert(device, leading_float(&weight));
            }
            _ => self.rest.push(word.to_owned()),
        }
        Ok(())
    }
}

/// One option with the words after it.
struct OptionWord<'a, 'w> {
    written: &'a str,
    given: Option<&'a str>,
    words: &'a mut Words<'w>,
}

impl OptionWord<'_, '_> {
    fn refuse(&self, message: &str) -> Refusal {
        Refusal(format!("{message}\n"))
    }

    /// The option's value.
    fn text(&mut self) -> Result<String, Refusal> {
        match self.given.take() {
            Some(value) => Ok(value.to_owned()),
            None => {
                let value = self.words.next();
                value
                    .map(str::to_owned)
                    .ok_or_else(|| Refusal(format!("Option {} requires an argument.\n\n", self.written)))
            }
        }
    }

    /// One more word.
    fn another(&mut self, missing: &str) -> Result<String, Refusal> {
        let value = self.words.next();
        value.map(str::to_owned).ok_or_else(|| self.refuse(missing))
    }

    fn several(&mut self, name: &str) -> Result<String, Refusal> {
        let missing = format!("expecting additional argument to {name}");
        match self.given.take() {
            Some(value) => Ok(value.to_owned()),
            None => self.another(&missing),
        }
    }

    fn number(&mut self) -> Result<i32, Refusal> {
        let text = self.text()?;
        text.trim().parse().map_err(|_| self.refuse(&format!("The option value '{text}' is invalid")))
    }

    /// The next word if it is a number and there is one; 0 otherwise.
    fn optional_number(&mut self) -> i32 {
        if let Some(value) = self.given.take() {
            return leading_integer(value);
        }
        match self.words.words.get(self.words.at) {
            Some(word) if word.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) => {
                self.words.at += 1;
                leading_integer(word)
            }
            _ => 0,
        }
    }
}

//! The stages of a run, one after the other: read or build, tunables, changes, display and tests, output.

use super::arguments::{Arguments, Refusal};
use super::{Files, NAME, Output, Stop, build, usage};
use crate::error::{Error, ErrorKind};
use crate::map::{CrushMap, Profile, Tunables};

/// One run: what it has said so far, and the files.
pub(super) struct Run<'a> {
    pub(super) output: Output,
    pub(super) files: &'a mut dyn Files,
}

/// The operating system's number and words for what an error is.
pub(super) fn system_error(kind: ErrorKind) -> (u8, &'static str) {
    match kind {
        ErrorKind::NotFound => (2, "No such file or directory"),
        ErrorKind::InUse => (16, "Device or resource busy"),
        ErrorKind::Exists => (17, "File exists"),
        ErrorKind::Invalid | ErrorKind::Damaged => (22, "Invalid argument"),
        ErrorKind::Range => (34, "Numerical result out of range"),
        ErrorKind::NotEmpty => (39, "Directory not empty"),
        ErrorKind::Cycle => (40, "Too many levels of symbolic links"),
    }
}

impl Run<'_> {
    pub(super) fn say(&mut self, line: &str) {
        self.output.stdout.push_str(line);
        self.output.stdout.push('\n');
    }

    pub(super) fn complain(&mut self, line: &str) {
        self.output.stderr.push_str(line);
        self.output.stderr.push('\n');
    }

    /// Ends the run with this complaint.
    pub(super) fn fail<T>(&mut self, line: &str, code: u8) -> Result<T, Stop> {
        self.complain(line);
        Err(Stop(code))
    }

    /// Ends the run with the operating system's words, as Ceph's tool does for errors of the map.
    pub(super) fn fail_as_system<T>(&mut self, number: u8, words: &str) -> Result<T, Stop> {
        self.fail(&format!("{NAME} ({number}) {words}"), super::exit_code(number))
    }

    /// The value, or the end of the run.
    pub(super) fn check<T>(&mut self, result: Result<T, Error>) -> Result<T, Stop> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                self.complain(error.message());
                let (number, words) = system_error(error.kind());
                self.fail_as_system(number, words)
            }
        }
    }

    pub(super) fn all(&mut self, words: &[String]) -> Result<(), Stop> {
        if words.is_empty() {
            return self.fail(&format!("{NAME}: -h or --help for usage"), 1);
        }
        let mut arguments = match Arguments::parse(words) {
            Ok(arguments) => arguments,
            Err(Refusal(message)) => {
                self.output.stderr.push_str(&message);
                return Err(Stop(1));
            }
        };
        self.output.stdout.push_str(&std::mem::take(&mut arguments.said));
        if arguments.help {
            self.output.stdout.push_str(usage::USAGE);
            return Ok(());
        }
        if arguments.help_output {
            self.output.stdout.push_str(usage::CSV_FILES);
            return Ok(());
        }
        self.check_combination(&arguments)?;
        let (mut map, mut is_modified) = self.first_map(&arguments)?;
        is_modified |= set_tunables(&mut map, &arguments);
        is_modified |= self.modify(&mut map, &arguments)?;
        if is_modified {
            map.count_devices();
        }
        self.display(&map, &arguments)?;
        self.check_and_test(&map, &arguments)?;
        if is_modified {
            self.write(&map, &arguments)?;
        }
        Ok(())
    }

    fn check_combination(&mut self, arguments: &Arguments) -> Result<(), Stop> {
        if arguments.test && !arguments.csv && !arguments.show.any() {
            self.complain("WARNING: no output selected; use --output-csv or --show-X");
        }
        let sources = [arguments.decompile, arguments.compile, arguments.build];
        if sources.into_iter().filter(|is_asked| *is_asked).count() > 1 {
            return self.fail("cannot specify more than one of compile, decompile, and build", 1);
        }
        if !arguments.has_action() {
            return self.fail("no action specified; -h for help", 1);
        }
        if !arguments.build && !arguments.rest.is_empty() {
            return self.fail(&format!("unrecognized arguments: [{}]", arguments.rest.join(",")), 1);
        }
        if arguments.build && !arguments.rest.len().is_multiple_of(3) {
            self.complain(&format!("remaining args: [{}]", arguments.rest.join(",")));
            return self.fail("layers must be specified with 3-tuples of (name, buckettype, size)", 1);
        }
        Ok(())
    }

    pub(super) fn read(&mut self, path: &str) -> Result<Vec<u8>, Stop> {
        match self.files.read(path) {
            Ok(content) => Ok(content),
            Err(reason) => self.fail(&format!("{NAME}: error reading '{path}': can't open {path}: {reason}"), 1),
        }
    }

    pub(super) fn read_map(&mut self, path: &str) -> Result<CrushMap, Stop> {
        let content = self.read(path)?;
        match CrushMap::decode(&content) {
            Ok(map) => Ok(map),
            Err(_) => self.fail(&format!("{NAME}: unable to decode {path}"), 1),
        }
    }

    /// The map to begin with, and whether it is new.
    fn first_map(&mut self, arguments: &Arguments) -> Result<(CrushMap, bool), Stop> {
        if arguments.compile {
            let Ok(content) = self.files.read(&arguments.source) else {
                let line = format!("input file {} not found", arguments.source);
                return self.fail(&line, super::exit_code(2));
            };
            let text = String::from_utf8_lossy(&content);
            return match crate::text::compile(&text) {
                Ok(map) => Ok((map, true)),
                Err(error) => {
                    let line = format!("{}:{}: error: {}", arguments.source, error.line, error.message);
                    self.fail(&line, 1)
                }
            };
        }
        if arguments.build {
            if arguments.rest.is_empty() {
                return self.fail(&format!("{NAME}: must specify at least one layer"), 1);
            }
            return Ok((build::build(self, arguments)?, true));
        }
        if arguments.input.is_empty() {
            let mut map = CrushMap::new();
            map.tunables = Tunables::of_profile(Profile::Jewel);
            map.tunables.straw_calc_version = 1;
            return Ok((map, false));
        }
        Ok((self.read_map(&arguments.input)?, false))
    }

    fn write(&mut self, map: &CrushMap, arguments: &Arguments) -> Result<(), Stop> {
        if arguments.output.is_empty() {
            self.say(&format!("{NAME} successfully built or modified map.  Use '-o <file>' to write it out."));
            return Ok(());
        }
        if let Err(reason) = self.files.write(&arguments.output, &map.encode()) {
            return self.fail(&format!("{NAME}: error writing '{}': {reason}", arguments.output), 1);
        }
        Ok(())
    }
}

impl super::arguments::Show {
    fn any(self) -> bool {
        self.utilization
            || self.utilization_all
            || self.statistics
            || self.mappings
            || self.bad_mappings
            || self.choose_tries
    }
}

impl Arguments {
    /// Whether anything is to be done at all. Giving subtrees a class alone is, oddly, not enough.
    fn has_action(&self) -> bool {
        self.compile
            || self.decompile
            || self.build
            || self.test
            || self.tree
            || self.bucket_tree
            || self.dump
            || self.check.is_some()
            || self.show_location.is_some()
            || self.reweight
            || self.rebuild_class_roots
            || self.reclassify
            || !self.tunables.is_empty()
            || self.add.is_some()
            || self.add_bucket.is_some()
            || self.move_item.is_some()
            || self.create_rule.is_some()
            || self.remove_rule.is_some()
            || self.remove_item.is_some()
            || self.reweight_item.is_some()
            || !self.compare_with.is_empty()
    }
}

fn set_tunables(map: &mut CrushMap, arguments: &Arguments) -> bool {
    for (name, value) in &arguments.tunables {
        let word = value.cast_unsigned();
        // The byte-sized ones keep the lowest byte, as the format does.
        let byte = word.to_le_bytes()[0];
        let tunables = &mut map.tunables;
        match *name {
            "choose_local_tries" => tunables.choose_local_tries = word,
            "choose_local_fallback_tries" => tunables.choose_local_fallback_tries = word,
            "choose_total_tries" => tunables.choose_total_tries = word,
            "chooseleaf_descend_once" => tunables.chooseleaf_descend_once = word,
            "chooseleaf_vary_r" => tunables.chooseleaf_vary_r = byte,
            "chooseleaf_stable" => tunables.chooseleaf_stable = byte,
            "straw_calc_version" => tunables.straw_calc_version = byte,
            _ => tunables.allowed_bucket_algorithms = word,
        }
    }
    !arguments.tunables.is_empty()
}

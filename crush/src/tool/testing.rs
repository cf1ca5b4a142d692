//! `--check`, `--test` and `--compare`: what the tester sees, as lines.

use std::collections::BTreeMap;

use super::arguments::Arguments;
use super::number::general;
use super::run::Run;
use super::{NAME, Stop};
use crate::map::CrushMap;
use crate::tester::{self, Observation, Outcome, Settings};
use crate::weight;

impl Run<'_> {
    pub(super) fn check_and_test(&mut self, map: &CrushMap, arguments: &Arguments) -> Result<(), Stop> {
        if let Some(max_id) = arguments.check
            && let Some((problem, item)) = problem_of(map, max_id)
        {
            self.say(&format!("{problem}: item#{item}"));
            return Err(Stop(1));
        }
        let settings = settings(arguments);
        if arguments.test {
            self.test(map, arguments, &settings)?;
        }
        if !arguments.compare_with.is_empty() {
            self.compare(map, &arguments.compare_with, &settings)?;
        }
        Ok(())
    }

    fn test(&mut self, map: &CrushMap, arguments: &Arguments, settings: &Settings) -> Result<(), Stop> {
        let show = arguments.show;
        let statistics = show.statistics || show.utilization || show.utilization_all;
        if show.utilization_all {
            let weights: Vec<String> =
                tester::device_weights(map, settings).iter().map(|weight| format!("{weight:x}")).collect();
            self.complain(&format!("devices weights (hex): [{}]", weights.join(",")));
        }
        let mut text = String::new();
        let mut placements = String::new();
        let mut files = Vec::new();
        let tries = tester::run(map, settings, &mut |observation| match observation {
            Observation::NoRule(rule) if statistics => text.push_str(&format!("rule {rule} dne\n")),
            Observation::Rule { id, inputs, replicas } if statistics => {
                let name = map.rule_name(*id).unwrap_or_default();
                let range = format!("x = {}..{}, numrep = {}..{}", inputs.0, inputs.1, replicas.0, replicas.1);
                text.push_str(&format!("rule {id} ({name}), {range}\n"));
            }
            Observation::Mapping { rule, x, replicas, result } => {
                if show.mappings {
                    let source = if arguments.simulate { "RNG" } else { "CRUSH" };
                    text.push_str(&format!("{source} rule {rule} x {x} {}\n", listed(result)));
                }
                if show.bad_mappings && observation.is_bad_mapping() {
                    let line = format!("bad mapping rule {rule} x {x} num_rep {replicas} result {}\n", listed(result));
                    text.push_str(&line);
                }
                if arguments.csv {
                    let devices: Vec<String> = result.iter().map(i32::to_string).collect();
                    placements.push_str(&format!("{x},{}\n", devices.join(",")));
                }
            }
            Observation::Finished(outcome) => {
                if statistics {
                    text.push_str(&sizes(map, outcome));
                    text.push_str(&utilization(outcome, show.utilization, show.utilization_all));
                }
                if arguments.csv {
                    let name = map.rule_name(outcome.rule).unwrap_or_default();
                    let prefix = format!("{}{name}", arguments.csv_name);
                    files.extend(csv_files(&prefix, outcome, &std::mem::take(&mut placements)));
                }
            }
            _ => {}
        });
        self.output.stdout.push_str(&text);
        let tries = self.check(tries)?;
        for (retries, count) in tries.iter().enumerate() {
            self.say(&format!("{retries:2}: {count:9}"));
        }
        for (path, content) in files {
            if let Err(reason) = self.files.write(&path, content.as_bytes()) {
                return self.fail(&format!("{NAME}: error writing '{path}': {reason}"), 1);
            }
        }
        Ok(())
    }

    fn compare(&mut self, map: &CrushMap, path: &str, settings: &Settings) -> Result<(), Stop> {
        let other = self.read_map(path)?;
        let compared = tester::compare(map, &other, settings);
        let mut is_different = false;
        for (_, difference) in self.check(compared)? {
            let Some(difference) = difference else { continue };
            is_different |= difference.differing > 0;
            #[expect(clippy::cast_precision_loss, reason = "a ratio for humans")]
            let ratio = difference.differing as f64 / difference.total.max(1) as f64;
            self.say(&format!(
                "rule {} had {}/{} mismatched mappings ({})",
                difference.rule,
                difference.differing,
                difference.total,
                general(ratio, 6)
            ));
        }
        if is_different {
            return self.fail("warning: maps are NOT equivalent", 1);
        }
        self.say("maps appear equivalent");
        Ok(())
    }
}

fn settings(arguments: &Arguments) -> Settings {
    let range = |(first, last): (i32, i32)| (first >= 0 && last >= 0).then_some((first, last));
    let device_weights: BTreeMap<i32, u32> = arguments
        .device_weights
        .iter()
        .map(|(device, number)| {
            // Weights of a test are between 0 and 1.
            (*device, weight::from_float(number.clamp(0.0, 1.0)).expect("a number between 0 and 1 is a weight"))
        })
        .collect();
    Settings {
        rules: range(arguments.rules).map(|(first, last)| (first.cast_unsigned(), last.cast_unsigned())),
        ruleset: u8::try_from(arguments.ruleset).ok(),
        inputs: range(arguments.x),
        replicas: arguments.replicas.filter(|count| *count >= 0).map(|count| (count, count)),
        pool: (arguments.pool != -1).then(|| arguments.pool.cast_unsigned()),
        device_weights,
        simulate: arguments.simulate,
        count_tries: arguments.show.choose_tries,
    }
}

fn listed(result: &[i32]) -> String {
    let devices: Vec<String> = result.iter().map(i32::to_string).collect();
    format!("[{}]", devices.join(","))
}

fn sizes(map: &CrushMap, outcome: &Outcome) -> String {
    let name = map.rule_name(outcome.rule).unwrap_or_default();
    let line = |(size, count): (&usize, &u64)| {
        let Outcome { rule, replicas, inputs, .. } = outcome;
        format!("rule {rule} ({name}) num_rep {replicas} result size == {size}:\t{count}/{inputs}\n")
    };
    outcome.sizes.iter().map(line).collect()
}

fn utilization(outcome: &Outcome, of_used: bool, of_all: bool) -> String {
    let mut text = String::new();
    for (device, (stored, expected)) in outcome.stored.iter().zip(&outcome.expected).enumerate() {
        if if of_used { *stored > 0 && *expected > 0.0 } else { of_all } {
            let expected = general(f64::from(*expected), 6);
            text.push_str(&format!("  device {device}:\t\t stored : {stored}\t expected : {expected}\n"));
        }
    }
    text
}

/// The files that `--output-csv` leaves, with their content.
fn csv_files(prefix: &str, outcome: &Outcome, placements: &str) -> Vec<(String, String)> {
    let number = |float: f32| general(f64::from(float), 6);
    let per_device = |header: &str, with_all: bool, line: &dyn Fn(usize) -> String| {
        let devices = (0..outcome.weights.len()).filter(|device| with_all || outcome.weights[*device] > 0);
        let lines: String = devices.map(|device| format!("{device},{}\n", line(device))).collect();
        format!("{header}\n{lines}")
    };
    let used = |device: usize| format!("{},{}", outcome.stored[device], number(outcome.expected[device]));
    let share = |device: usize| number(outcome.proportions[device]);
    let absolute = |device: usize| number(weight::to_float(outcome.weights[device]));
    let used_header = "Device ID, Number of Objects Stored, Number of Objects Expected";
    let columns: String = (0..outcome.replicas.max(0)).map(|place| format!(", OSD{place}")).collect();
    [
        ("absolute_weights", per_device("Device ID, Absolute Weight", true, &absolute)),
        ("device_utilization", per_device(used_header, false, &used)),
        ("device_utilization_all", per_device(used_header, true, &used)),
        ("placement_information", format!("Input{columns}\n{placements}")),
        ("proportional_weights", per_device("Device ID, Proportional Weight", false, &share)),
        ("proportional_weights_all", per_device("Device ID, Proportional Weight", true, &share)),
    ]
    .into_iter()
    .map(|(name, content)| (format!("{prefix}-{name}.csv"), content))
    .collect()
}

/// The first item of the tree without name or type, or whose id is not below `max_id` (if that is above 0).
fn problem_of(map: &CrushMap, max_id: i32) -> Option<(&'static str, i32)> {
    // Device 0 is looked at in any case, because listings show devices that are in no bucket.
    let items = map.tree(false).into_iter().map(|row| row.item).chain([0]);
    for item in items {
        let type_id = if item < 0 {
            if map.name(item).is_none() {
                return Some(("unknown item name", item));
            }
            map.item_type(item).unwrap_or(-1)
        } else {
            if max_id > 0 && item >= max_id {
                return Some(("item id too large", item));
            }
            0
        };
        if map.type_name(type_id).is_none() {
            return Some(("unknown type name", item));
        }
    }
    None
}

//! Random text maps and random command lines, as varied as operators' maps are in sum.

use std::fmt::Write as _;

use types::SeededRandom;

/// The words of a random `--build`.
pub fn build(random: &mut SeededRandom) -> Vec<String> {
    let mut words: Vec<String> = ["--build", "--num_osds"].map(str::to_owned).to_vec();
    words.push((1 + random.below(60)).to_string());
    let count = 1 + random.below(3);
    for layer in 0..count {
        let size = if layer + 1 == count && !one_in(random, 4) { 0 } else { 1 + random.below(6) };
        let algorithm = *pick(random, &["straw2", "straw2", "straw", "list", "uniform"]);
        words.extend([(*pick(random, &["host", "rack", "room", "row"])).to_owned() + &layer.to_string()]);
        words.extend([algorithm.to_owned(), size.to_string()]);
    }
    words
}

/// What a random map was made of, as far as commands need to know.
pub struct RandomMap {
    pub text: String,
    pub devices: u32,
    pub buckets: Vec<String>,
    pub types: Vec<&'static str>,
    pub rules: Vec<String>,
}

const TYPES: [&str; 12] =
    ["osd", "host", "chassis", "rack", "row", "pdu", "pod", "room", "datacenter", "zone", "region", "root"];
pub const FORMATS: [&str; 8] = ["json", "json-pretty", "xml", "xml-pretty", "html", "html-pretty", "table", "table-kv"];
const CLASSES: [&str; 3] = ["hdd", "ssd", "nvme"];

pub fn pick<'a, T>(random: &mut SeededRandom, from: &'a [T]) -> &'a T {
    &from[usize::try_from(random.below(from.len() as u64)).unwrap()]
}

fn one_in(random: &mut SeededRandom, chances: u64) -> bool {
    random.below(chances) == 0
}

pub fn weight(random: &mut SeededRandom) -> String {
    match random.below(8) {
        0 => "0".to_owned(),
        1 => format!("0.0{:02}", random.below(100)),
        2..=4 => (*pick(random, &["1.000", "1.819", "3.638", "7.277", "10.914"])).to_owned(),
        _ => format!("{}.{:03}", random.below(12), random.below(1000)),
    }
}

struct Maker<'a> {
    random: &'a mut SeededRandom,
    text: String,
    /// Name, weight in thousandths, size.
    made: Vec<(String, f64, usize)>,
    algorithms: Vec<&'static str>,
    with_classes: bool,
}

impl RandomMap {
    pub fn new(random: &mut SeededRandom) -> Self {
        let all = ["straw2", "straw", "list", "tree", "uniform"];
        let algorithms = match random.below(4) {
            0 | 1 => vec!["straw2"],
            2 => vec![*pick(random, &all)],
            _ => all.to_vec(),
        };
        // Ceph cannot make shadows of uniform buckets that weigh something.
        let with_classes = !algorithms.contains(&"uniform") && one_in(random, 3);
        let mut maker = Maker { random, text: String::new(), made: Vec::new(), algorithms, with_classes };
        maker.tunables();
        let devices = maker.devices();
        maker.text.push_str("# types\n");
        for (id, name) in TYPES.iter().enumerate() {
            writeln!(maker.text, "type {id} {name}").unwrap();
        }
        let (levels, roots) = maker.tree(devices);
        let rules = maker.rules(&levels, &roots);
        if maker.algorithms == ["straw2"] && one_in(maker.random, 3) {
            maker.choose_args();
        }
        let buckets = maker.made.into_iter().map(|(name, ..)| name).collect();
        Self { text: maker.text, devices, buckets, types: TYPES.to_vec(), rules }
    }
}

impl Maker<'_> {
    fn tunables(&mut self) {
        match self.random.below(4) {
            0 => {}
            1 => {
                for (name, below) in [
                    ("choose_local_tries", 8),
                    ("choose_local_fallback_tries", 12),
                    ("choose_total_tries", 200),
                    ("chooseleaf_descend_once", 2),
                    ("chooseleaf_vary_r", 4),
                    ("chooseleaf_stable", 2),
                    ("straw_calc_version", 2),
                ] {
                    if one_in(self.random, 2) {
                        writeln!(self.text, "tunable {name} {}", self.random.below(below)).unwrap();
                    }
                }
            }
            _ => {
                for (name, value) in [
                    ("choose_local_tries", 0),
                    ("choose_local_fallback_tries", 0),
                    ("choose_total_tries", 50),
                    ("chooseleaf_descend_once", 1),
                    ("chooseleaf_vary_r", 1),
                    ("chooseleaf_stable", 1),
                    ("straw_calc_version", 1),
                    ("allowed_bucket_algs", 54),
                ] {
                    writeln!(self.text, "tunable {name} {value}").unwrap();
                }
            }
        }
    }

    fn devices(&mut self) -> u32 {
        let count = u32::try_from(1 + self.random.below(40)).unwrap();
        for id in 0..count {
            write!(self.text, "device {id} osd.{id}").unwrap();
            if self.with_classes && !one_in(self.random, 4) {
                write!(self.text, " class {}", pick(self.random, &CLASSES)).unwrap();
            }
            self.text.push('\n');
        }
        count
    }

    fn bucket(&mut self, type_name: &str, name: &str, items: &[(String, String)]) {
        let mut algorithm = *pick(self.random, &self.algorithms);
        if algorithm == "tree" && items.len() > 60 {
            algorithm = "straw2";
        }
        writeln!(self.text, "{type_name} {name} {{\n\talg {algorithm}\n\thash 0").unwrap();
        let mut sum = 0.0;
        for (item, weight) in items {
            let weight = if algorithm == "uniform" { &items[0].1 } else { weight };
            sum += weight.parse::<f64>().unwrap();
            writeln!(self.text, "\titem {item} weight {weight}").unwrap();
        }
        self.text.push_str("}\n");
        self.made.push((name.to_owned(), sum, items.len()));
    }

    /// Buckets over the devices, level by level; returns the types of the levels, and the roots.
    fn tree(&mut self, devices: u32) -> (Vec<&'static str>, Vec<String>) {
        let mut lower = Vec::new();
        for id in 0..devices {
            if !one_in(self.random, 30) {
                lower.push((format!("osd.{id}"), weight(self.random)));
            }
        }
        let mut levels = Vec::new();
        for (type_id, type_name) in TYPES.iter().enumerate().take(11).skip(1) {
            if lower.len() < 2 || !one_in(self.random, if type_id == 1 { 1 } else { 4 }) {
                continue;
            }
            if type_id == 1 && one_in(self.random, 6) {
                continue;
            }
            levels.push(*type_name);
            let mut upper = Vec::new();
            while !lower.is_empty() {
                let size = usize::try_from(1 + self.random.below(6)).unwrap().min(lower.len());
                let items: Vec<_> = lower.drain(..size).collect();
                let name = format!("{type_name}{}", upper.len());
                self.bucket(type_name, &name, &items);
                let real = self.made.last().unwrap().1;
                let shown = if one_in(self.random, 10) { weight(self.random) } else { format!("{real:.3}") };
                upper.push((name, shown));
            }
            lower = upper;
        }
        let mut roots = vec!["default".to_owned()];
        self.bucket("root", "default", &lower);
        if lower.len() > 1 && one_in(self.random, 5) {
            let half = lower[..lower.len() / 2].to_vec();
            self.bucket("root", "second", &half);
            roots.push("second".to_owned());
        }
        (levels, roots)
    }

    fn take(&mut self, roots: &[String]) {
        write!(self.text, "\tstep take {}", pick(self.random, roots)).unwrap();
        if self.with_classes && one_in(self.random, 2) {
            // Only classes that some device has exist.
            let known: Vec<&str> =
                CLASSES.into_iter().filter(|class| self.text.contains(&format!(" class {class}\n"))).collect();
            if !known.is_empty() {
                write!(self.text, " class {}", pick(self.random, &known)).unwrap();
            }
        }
        self.text.push('\n');
    }

    fn rules(&mut self, levels: &[&str], roots: &[String]) -> Vec<String> {
        let count = 1 + self.random.below(4);
        let mut names = Vec::new();
        for id in 0..count {
            let name = format!("rule-{id}");
            let how = *pick(self.random, &["firstn", "indep"]);
            let kind = if how == "firstn" { "replicated" } else { "erasure" };
            writeln!(self.text, "rule {name} {{\n\tid {id}\n\ttype {kind}\n\tmin_size 1\n\tmax_size 10").unwrap();
            for setting in ["choose_tries", "chooseleaf_tries", "chooseleaf_vary_r", "chooseleaf_stable"] {
                if one_in(self.random, 5) {
                    writeln!(self.text, "\tstep set_{setting} {}", self.random.below(8)).unwrap();
                }
            }
            for setting in ["choose_local_tries", "choose_local_fallback_tries"] {
                if one_in(self.random, 10) {
                    writeln!(self.text, "\tstep set_{setting} {}", self.random.below(4)).unwrap();
                }
            }
            self.take(roots);
            let domain = levels.last().filter(|_| !one_in(self.random, 3)).copied();
            match (self.random.below(4), domain) {
                (0, Some(_)) => {
                    for level in levels.iter().rev() {
                        let wanted = self.random.below(4);
                        writeln!(self.text, "\tstep choose {how} {wanted} type {level}").unwrap();
                    }
                    writeln!(self.text, "\tstep choose {how} {} type osd", self.random.below(3)).unwrap();
                }
                (1, Some(domain)) => {
                    writeln!(self.text, "\tstep chooseleaf {how} 1 type {domain}\n\tstep emit").unwrap();
                    self.take(roots);
                    let lowest = levels[0];
                    writeln!(self.text, "\tstep chooseleaf {how} -1 type {lowest}").unwrap();
                }
                (_, Some(domain)) => {
                    writeln!(self.text, "\tstep chooseleaf {how} 0 type {domain}").unwrap();
                }
                (1, None) => writeln!(self.text, "\tstep chooseleaf {how} 0 type osd").unwrap(),
                (_, None) => writeln!(self.text, "\tstep choose {how} 0 type osd").unwrap(),
            }
            self.text.push_str("\tstep emit\n}\n");
            names.push(name);
        }
        names
    }

    fn choose_args(&mut self) {
        // Buckets were given the ids -1, -2, … in the order in which they were made.
        let sizes: Vec<usize> = self.made.iter().map(|(.., size)| *size).collect();
        for set in [0, 5].into_iter().take(1 + usize::from(one_in(self.random, 2))) {
            let positions = 1 + self.random.below(3);
            writeln!(self.text, "choose_args {set} {{").unwrap();
            for (slot, size) in sizes.iter().enumerate() {
                if one_in(self.random, 3) {
                    continue;
                }
                writeln!(self.text, "  {{\n    bucket_id -{}\n    weight_set [", slot + 1).unwrap();
                for _ in 0..positions {
                    let weights: Vec<String> = (0..*size).map(|_| weight(self.random)).collect();
                    writeln!(self.text, "      [ {} ]", weights.join(" ")).unwrap();
                }
                self.text.push_str("    ]\n");
                if one_in(self.random, 3) {
                    let ids: Vec<String> = (0..*size).map(|_| self.random.below(500).to_string()).collect();
                    writeln!(self.text, "    ids [ {} ]", ids.join(" ")).unwrap();
                }
                self.text.push_str("  }\n");
            }
            self.text.push_str("}\n");
        }
    }
}

impl RandomMap {
    fn any_device(&self, random: &mut SeededRandom) -> u64 {
        random.below(u64::from(self.devices) + 2)
    }

    fn any_bucket(&self, random: &mut SeededRandom) -> String {
        if one_in(random, 8) { format!("new{}", random.below(3)) } else { pick(random, &self.buckets).clone() }
    }

    fn location(&self, random: &mut SeededRandom) -> Vec<String> {
        let mut words = Vec::new();
        for _ in 0..=random.below(2) {
            let bucket = self.any_bucket(random);
            let type_name = if one_in(random, 6) {
                (*pick(random, &self.types)).to_owned()
            } else if bucket == "default" || bucket == "second" {
                "root".to_owned()
            } else if bucket.starts_with("new") {
                "rack".to_owned()
            } else {
                bucket.trim_end_matches(|character: char| character.is_ascii_digit()).to_owned()
            };
            words.extend(["--loc".to_owned(), type_name, bucket]);
        }
        words
    }

    /// A command that changes the map, or fails to.
    pub fn change(&self, random: &mut SeededRandom) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        let device = self.any_device(random);
        let name = format!("osd.{device}");
        match random.below(13) {
            11 => {
                let class = *pick(random, &CLASSES);
                words(&["--reclassify", "--reclassify-root", pick::<String>(random, &self.buckets), class])
            }
            12 => {
                let class = *pick(random, &CLASSES);
                let pattern = *pick(random, &["host%", "%1", "rack%", "row0", "%0"]);
                // With a parent that is itself matched, Ceph's tool makes maps that it cannot use any more.
                words(&["--reclassify", "--reclassify-bucket", pattern, class, "default"])
            }
            0 | 1 => {
                let option = *pick(random, &["--add-item", "--update-item"]);
                let mut command = words(&[option, &device.to_string(), &weight(random), &name]);
                command.extend(self.location(random));
                command
            }
            2 => words(&["--remove-item", &if one_in(random, 3) { self.any_bucket(random) } else { name }]),
            3 => words(&[
                "--reweight-item",
                &if one_in(random, 3) { self.any_bucket(random) } else { name },
                &weight(random),
            ]),
            4 => {
                let mut command = words(&["--add-bucket", &self.any_bucket(random), *pick(random, &self.types)]);
                if one_in(random, 2) {
                    command.extend(self.location(random));
                }
                command
            }
            5 => {
                let item = if one_in(random, 3) { name } else { self.any_bucket(random) };
                let mut command = words(&["--move", &item]);
                command.extend(self.location(random));
                command
            }
            6 => words(&["--reweight"]),
            7 => {
                let mode = *pick(random, &["firstn", "indep"]);
                let domain = *pick(random, &self.types);
                words(&["--create-simple-rule", &format!("made{}", random.below(2)), "default", domain, mode])
            }
            8 => words(&["--remove-rule", pick(random, &self.rules).as_str()]),
            9 => {
                let class = *pick(random, &CLASSES);
                words(&["--set-subtree-class", &self.any_bucket(random), class, "--reclassify"])
            }
            _ => words(&["--rebuild-class-roots"]),
        }
    }

    /// A command that shows or tries the map; most often the latter. `@` before a word means a file.
    pub fn show(&self, random: &mut SeededRandom, current: &str) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        match random.below(16) {
            0 => words(&["--dump", "-f", pick::<&str>(random, &FORMATS)]),
            1 => words(&["--tree"]),
            2 => words(&["--show-location", &self.any_device(random).to_string()]),
            3 => words(&["--check", &self.any_device(random).to_string()]),
            4 => words(&["--bucket-tree", "--bucket-name", &self.any_bucket(random)]),
            5 => words(&["--compare", if current == "@map0" { current } else { "@map0" }, "--num-rep", "3"]),
            6 => words(&["-d", current]),
            _ => self.test(random),
        }
    }

    /// A command that tries the map.
    fn test(&self, random: &mut SeededRandom) -> Vec<String> {
        let mut command: Vec<String> = ["--test", "--show-mappings", "--show-bad-mappings"].map(str::to_owned).to_vec();
        command.push(
            (*pick(
                random,
                &["--show-statistics", "--show-utilization", "--show-utilization-all", "--show-choose-tries"],
            ))
            .to_owned(),
        );
        let first = random.below(1 << 20);
        for (option, value) in [
            ("--num-rep", if one_in(random, 10) { 1 + random.below(300) } else { 1 + random.below(8) }),
            ("--min-x", first),
            ("--max-x", first + 63),
        ] {
            command.extend([option.to_owned(), value.to_string()]);
        }
        if one_in(random, 4) {
            command.extend(["--pool-id".to_owned(), random.below(100).to_string()]);
        }
        for _ in 0..random.below(4) {
            let device = self.any_device(random).to_string();
            let weight = (*pick(random, &["0", "0.25", "0.5", "0.9", "1"])).to_owned();
            command.extend(["--weight".to_owned(), device, weight]);
        }
        command
    }
}

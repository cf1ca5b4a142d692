//! The golden data made with Ceph 16.2.15: hashes, binary and text maps, over a million mappings and command lines, all bit
//! for bit. `tests/vectors/README.md` describes the files.

use std::io::{BufRead, BufReader};
use std::path::Path;

use base64::Engine as _;
use crush::{CompiledMap, CrushMap, ITEM_NONE, Workspace, hash};
use serde_json::Value;

/// The JSON objects of one of the files, in order.
fn vectors(name: &str) -> impl Iterator<Item = Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("open {}: {error}", path.display()));
    BufReader::new(flate2::read::GzDecoder::new(file))
        .lines()
        .map(|line| serde_json::from_str(&line.expect("the file is whole")).expect("each line is JSON"))
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn word(value: &Value) -> u32 {
    u32::try_from(number(value)).expect("an unsigned 32-bit number")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list"))
}

fn binary_map(value: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text(value)).expect("base64")
}

/// A weight between 0 and 1 as `crushtool --weight` reads it.
fn in_weight(text: &str) -> u32 {
    let weight: f32 = text.parse().expect("a number");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the tool truncates, too")]
    let fixed_point = (weight * 65_536.0) as u32;
    fixed_point
}

#[test]
fn hashes_are_those_of_ceph() {
    let all: Vec<Value> = vectors("hash.jsonl.gz").collect();
    let mut seen = 0;
    for case in list(&all[0]["crush_hash32"]) {
        let arguments: Vec<u32> = list(&case[0]).iter().map(word).collect();
        assert_eq!(hash::hash32(&arguments), Some(word(&case[1])), "hash32 of {arguments:?}");
        seen += 1;
    }
    for case in list(&all[0]["str_hash"]) {
        let digits = text(&case[0]).as_bytes();
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).expect("hex digits"))
            .collect();
        assert_eq!(hash::string_hash_rjenkins(&bytes), word(&case[1]), "rjenkins of {bytes:?}");
        assert_eq!(hash::string_hash_linux(&bytes), word(&case[2]), "linux of {bytes:?}");
        seen += 1;
    }
    assert!(seen > 100, "only {seen} hashes in the vectors");
}

#[test]
fn binary_maps_are_written_as_they_were_read() {
    let mut seen = 0;
    for case in vectors("maps.jsonl.gz") {
        let bytes = binary_map(&case["map_b64"]);
        let map = CrushMap::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        assert!(map.encode() == bytes, "{} is encoded differently", case["name"]);
        seen += 1;
    }
    assert_eq!(seen, 74);
}

#[test]
fn text_maps_compile_to_the_same_bytes_and_decompile_to_the_same_lines() {
    for case in vectors("maps.jsonl.gz") {
        let name = text(&case["name"]);
        let map = crush::text::compile(text(&case["text"])).unwrap_or_else(|error| panic!("{name}: {error}"));
        let golden = CrushMap::decode(&binary_map(&case["map_b64"])).expect("decoded by the test above");
        assert_eq!(map, golden, "{name} compiles to another map");
        assert!(map.encode() == binary_map(&case["map_b64"]), "{name} compiles to other bytes");
        let expected = text(&case["decompiled"]);
        let decompiled = crush::text::decompile(&map);
        for (number, (have, want)) in decompiled.lines().zip(expected.lines()).enumerate() {
            assert_eq!(have, want, "{name} decompiles differently in line {}", number + 1);
        }
        assert_eq!(decompiled.trim_end(), expected.trim_end(), "{name} decompiles differently");
        let again = crush::text::compile(&decompiled).unwrap_or_else(|error| panic!("{name}, second time: {error}"));
        // Weights lose bits in three decimals, but the shape and the names stay.
        assert_eq!(again.names(), map.names(), "{name} after decompiling and compiling again");
        assert_eq!(crush::text::decompile(&again).lines().count(), decompiled.lines().count());
    }
}

#[test]
fn every_mapping_is_that_of_ceph() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    let mut workspace = Workspace::new();
    let mut result = Vec::new();
    for case in vectors("maps.jsonl.gz") {
        let map = CrushMap::decode(&binary_map(&case["map_b64"])).expect("decoded by the test above");
        let compiled = CompiledMap::new(&map).unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        for (index, test) in list(&case["tests"]).iter().enumerate() {
            let mut weights = vec![0x1_0000; usize::try_from(map.max_devices()).unwrap()];
            for (device, weight) in test["weights"].as_object().expect("weights by device") {
                let device: usize = device.parse().expect("a device id");
                if let Some(slot) = weights.get_mut(device) {
                    *slot = in_weight(text(weight));
                }
            }
            let wanted = usize::try_from(number(&test["num_rep"])).unwrap();
            let pool = test.get("pool").map(word);
            for (x, row) in (word(&test["x0"])..).zip(list(&test["rows"])) {
                let real_x = pool.map_or(x, |pool| hash::hash32_2(x, pool));
                compiled.map_rule(word(&test["rule"]), real_x, wanted, &weights, Some(0), &mut workspace, &mut result);
                let expected: Vec<i32> = list(row)
                    .iter()
                    .map(|device| i32::try_from(number(device)).unwrap())
                    .map(|device| if device == -1 { ITEM_NONE } else { device })
                    .collect();
                seen += 1;
                if result != expected {
                    wrong.push(format!("{} test {index} x {x}: {result:?}, not {expected:?}", case["name"]));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {seen} mappings differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
    assert_eq!(seen, 1_017_600);
}

/// Files in memory.
#[derive(Default)]
pub struct MemoryFiles(pub std::collections::BTreeMap<String, Vec<u8>>);

impl crush::tool::Files for MemoryFiles {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "(2) No such file or directory".to_owned())
    }

    fn write(&mut self, path: &str, content: &[u8]) -> Result<(), String> {
        self.0.insert(path.to_owned(), content.to_vec());
        Ok(())
    }
}

#[test]
fn the_tool_says_and_does_what_crushtool_does() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for case in vectors("cli.jsonl.gz") {
        let name = text(&case["name"]);
        let mut files = MemoryFiles::default();
        let mut current = "map.0".to_owned();
        files.0.insert(current.clone(), binary_map(&case["map_b64"]));
        for (index, step) in list(&case["steps"]).iter().enumerate() {
            let next = format!("map.{}", index + 1);
            let arguments: Vec<String> = list(&step["argv"])
                .iter()
                .map(|word| text(word).replace("@IN", &current).replace("@OUT", &next))
                .collect();
            let output = crush::tool::crush_tool(&arguments, &mut files);
            if i64::from(output.code) != number(&step["rc"])
                || output.stdout != text(&step["stdout"])
                || output.stderr != text(&step["stderr"])
            {
                wrong.push(format!(
                    "{name}: {arguments:?}\n  code {} not {}\n  said {:?}\n   not {:?}\n  complained {:?}\n         not {:?}",
                    output.code, step["rc"], output.stdout, text(&step["stdout"]), output.stderr, text(&step["stderr"])
                ));
            }
            if files.0.contains_key(&next) {
                current = next;
            }
        }
        if let Some(expected) = case.get("decompiled") {
            let map = CrushMap::decode(&files.0[&current]).expect("the tool writes maps");
            let decompiled = crush::text::decompile(&map);
            if decompiled.trim_end() != text(expected).trim_end() {
                let first = decompiled.lines().zip(text(expected).lines()).find(|(have, want)| have != want);
                wrong.push(format!("{name}: the map differs: {first:?}"));
            }
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{} of {seen} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(seen, 106);
}

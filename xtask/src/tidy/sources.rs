//! Sources: names of files, what opens them, what `lib.rs` may hold, and what pure crates must not reach for.

use super::{
    Findings,
    source_text::{first_words, item_length, paths, without_comments_and_strings, without_tests},
    workspace::{Member, Source},
};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "misc", "base", "manager"];

/// Paths that pure and foundation crates must not name outside tests, and what to use instead.
const IMPURE_PATHS: &[(&str, &str)] = &[
    ("std::fs", "bytes come in events or arguments; the shell opens files"),
    ("std::net::TcpStream", "messages are actions; the shell owns sockets"),
    ("std::net::TcpListener", "messages are actions; the shell owns sockets"),
    ("std::net::UdpSocket", "messages are actions; the shell owns sockets"),
    ("std::net::ToSocketAddrs", "it may ask a name server; take a `SocketAddr`"),
    ("std::thread", "a machine runs on its caller's thread"),
    ("std::process", "only shells know processes"),
    ("std::env", "settings are arguments"),
    ("std::time::Instant", "take `ika_types::Time` as an argument"),
    ("std::time::SystemTime", "wall time comes in events"),
    ("std::sync::Mutex", "state has one owner"),
    ("std::sync::RwLock", "state has one owner"),
    ("std::collections::HashMap", "use BTreeMap: the order of iteration must be the same on every machine"),
    ("std::collections::HashSet", "use BTreeSet: the order of iteration must be the same on every machine"),
];

/// Words that pure and foundation crates must not name outside tests, however they were imported.
const IMPURE_WORDS: &[(&str, &str)] = &[
    ("std::net", "import the address types alone; sockets are the shell's"),
    ("Instant::now", "take `ika_types::Time` as an argument"),
    ("SystemTime::now", "wall time comes in events"),
    ("Mutex::new", "state has one owner"),
    ("RwLock::new", "state has one owner"),
];

/// Lines after which a file probably has two ideas.
const LINES_WARNED: usize = 900;

/// Items that `lib.rs` and `mod.rs` may hold.
const LIBRARY_ITEMS: [&str; 4] = ["mod", "use", "extern", "macro_rules"];

pub(super) fn check(member: &Member, source: &Source, findings: &mut Findings) {
    check_name(source, findings);
    if !source.text.trim_start().starts_with("//!") {
        let advice = "open the file with a `//!` doc: what it owns, what it does not know, its invariants";
        findings.refuse_line(&source.path, 1, "module doc", advice);
    }
    let lines = source.text.lines().count();
    if lines > LINES_WARNED {
        findings.warn(&source.path, "length", format!("{lines} lines: does it have two ideas?"));
    }
    let code = without_comments_and_strings(&source.text);
    for (number, line) in code.lines().enumerate() {
        if line.contains("todo!(") || line.contains("unimplemented!(") {
            findings.refuse_line(
                &source.path,
                number + 1,
                "todo",
                "finish it, or return an error that says what is missing",
            );
        }
    }
    if is_library_file(&source.path) {
        check_library_file(source, &code, findings);
    }
    if matches!(member.layer(), "foundation" | "pure") && !is_test_file(member, source) {
        check_purity(member, source, &without_tests(&code), findings);
    }
}

/// A machine that hears events must be able to assert its invariants.
pub(super) fn check_machine(member: &Member, findings: &mut Findings) {
    let holds = |wanted: &str| member.sources.iter().any(|source| source.text.contains(wanted));
    if member.layer() == "pure" && holds("pub fn handle(") && !holds("fn assert_invariants(") {
        let advice = "a machine has `fn assert_invariants(&self)`, called after each event when checks are on";
        findings.refuse(&member.path, "machine", advice);
    }
}

fn check_name(source: &Source, findings: &mut Findings) {
    for part in source.path.split('/') {
        let name = part.strip_suffix(".rs").unwrap_or(part);
        let is_version = name.rsplit_once("_v").is_some_and(|(_, version)| version.parse::<u32>().is_ok());
        if EMPTY_NAMES.contains(&name) || is_version {
            let advice = format!("`{name}` says nothing; name the noun of the domain or the operation");
            findings.refuse(&source.path, "file name", advice);
        }
    }
}

fn is_library_file(path: &str) -> bool {
    path.ends_with("src/lib.rs") || path.ends_with("/mod.rs")
}

fn is_test_file(member: &Member, source: &Source) -> bool {
    let inside = &source.path[member.path.len() + 1..];
    inside.starts_with("tests/")
        || inside.starts_with("benches/")
        || inside.split('/').any(|part| part == "tests.rs" || part == "tests")
}

fn check_library_file(source: &Source, code: &str, findings: &mut Findings) {
    let mut rest = code;
    while !rest.trim().is_empty() {
        let length = item_length(rest);
        let (item, words) = (&rest[..length], first_words(&rest[..length]));
        let line = 1 + lines_before(code, rest) + item.len().min(leading_lines(item));
        let is_inline_module =
            words.first() == Some(&"mod") && item.trim_end().ends_with('}') && !item.contains("include");
        let is_listed = words.first().is_none_or(|word| LIBRARY_ITEMS.contains(word));
        if !is_listed || is_inline_module {
            let advice =
                "lib.rs and mod.rs hold docs, `mod` lines and re-exports; this item belongs in a file of its own";
            findings.refuse_line(&source.path, line, "library file", advice);
        }
        if words.first() == Some(&"use") && item.contains('*') && item.contains("pub ") {
            findings.refuse_line(&source.path, line, "wildcard", "name each re-export");
        }
        rest = &rest[length..];
    }
}

fn lines_before(code: &str, rest: &str) -> usize {
    code[..code.len() - rest.len()].matches('\n').count()
}

fn leading_lines(item: &str) -> usize {
    item[..item.len() - item.trim_start().len()].matches('\n').count()
}

fn check_purity(member: &Member, source: &Source, code: &str, findings: &mut Findings) {
    for (line, path) in paths(code) {
        let named =
            |wanted: &str| path == wanted || path.strip_prefix(wanted).is_some_and(|rest| rest.starts_with("::"));
        for (impure, instead) in IMPURE_PATHS {
            if named(impure) {
                findings.refuse_line(&source.path, line, "purity", format!("{path}: {instead}"));
            }
        }
        for (impure, instead) in IMPURE_WORDS {
            if path == *impure {
                findings.refuse_line(&source.path, line, "purity", format!("{path}: {instead}"));
            }
        }
        if member.layer() == "pure" && matches!(path.as_str(), "f32" | "f64") {
            let advice = format!("{path}: machines must agree to the last bit; use integers in a small unit");
            findings.refuse_line(&source.path, line, "purity", advice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(layer: &str, path: &str, text: &str) -> Vec<String> {
        let manifest = format!("package.name = \"ika-osd-pg\"\npackage.metadata.house.layer = \"{layer}\"");
        let member = Member::planted("osd/pg", &manifest);
        let source = Source { path: format!("osd/pg/{path}"), text: text.to_owned() };
        let mut findings = Findings::default();
        check(&member, &source, &mut findings);
        findings.violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_library_file_holds_docs_modules_and_re_exports() {
        let good = "//! Doc.\n#![no_std]\nmod a;\n#[macro_use]\npub mod b;\n/// Doc.\npub use a::{\n    One,\n    two as three,\n};\nmacro_rules! x { () => {} }\nmod proto { include!(\"x\"); }\n#[cfg(test)]\nmod tests;\n";
        assert_eq!(violations("pure", "src/lib.rs", good), [""; 0]);
        for (bad, line) in [("//! D\n\nfn f() {}", 3), ("//! D\npub struct S;", 2), ("//! D\nmod a { fn f() {} }", 2)] {
            let found = violations("engine", "src/lib.rs", bad);
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
            assert!(found[0].starts_with(&format!("osd/pg/src/lib.rs:{line}: [library file]")), "{found:?}");
        }
        assert!(violations("engine", "src/x/mod.rs", "//! D\npub use a::*;")[0].contains("[wildcard]"));
        assert_eq!(violations("engine", "src/pg.rs", "//! D\nfn f() {}"), [""; 0]);
    }

    #[test]
    fn pure_crates_reach_for_nothing_outside_their_tests() {
        for bad in [
            "use std::fs;",
            "use std::{collections::BTreeMap, net::TcpStream};",
            "use std::net;",
            "fn f() { std::thread::spawn(g); }",
            "use std::time::Instant;",
            "use std::collections::{BTreeMap, HashMap};",
            "use tracing::x; fn f() { Instant::now(); }",
            "static X: std::sync::Mutex<u8> = y();",
            "fn f(x: f64) {}",
        ] {
            let found = violations("pure", "src/pg.rs", &format!("//! D\n{bad}"));
            assert!(!found.is_empty() && found.iter().all(|one| one.contains(":2: [purity]")), "{bad}: {found:?}");
            assert_eq!(violations("shell", "src/pg.rs", &format!("//! D\n{bad}")), [""; 0]);
            assert_eq!(violations("pure", "src/pg/tests.rs", &format!("//! D\n{bad}")), [""; 0]);
            assert_eq!(violations("pure", "src/pg.rs", &format!("//! D\n#[cfg(test)]\nmod t {{ {bad} }}")), [""; 0]);
            assert_eq!(violations("pure", "src/pg.rs", &format!("//! D\n// {bad}")), [""; 0]);
        }
        assert_eq!(
            violations(
                "foundation",
                "src/pg.rs",
                "//! D\nuse std::net::{IpAddr, SocketAddr};\nfn f(x: f64) -> std::time::Duration;"
            ),
            [""; 0]
        );
    }

    #[test]
    fn files_have_a_doc_and_a_name() {
        assert!(violations("shell", "src/pg.rs", "use a::b;")[0].contains("[module doc]"));
        for bad in ["src/utils.rs", "src/common/x.rs", "src/journal_v2.rs"] {
            assert!(violations("shell", bad, "//! D")[0].contains("[file name]"), "{bad}");
        }
        assert_eq!(violations("shell", "src/map_view.rs", "//! D"), [""; 0]);
    }

    #[test]
    fn unfinished_code_is_refused() {
        assert!(violations("shell", "src/pg.rs", "//! D\nfn f() { todo!() }")[0].contains(":2: [todo]"));
        assert_eq!(violations("shell", "src/pg.rs", "//! D\n// todo!() in words"), [""; 0]);
    }

    #[test]
    fn a_machine_asserts_its_invariants() {
        let manifest = "package.name = \"ika-osd-pg\"\npackage.metadata.house.layer = \"pure\"";
        let mut member = Member::planted("osd/pg", manifest);
        member.sources.push(Source { path: "osd/pg/src/pg.rs".to_owned(), text: "pub fn handle(".to_owned() });
        let mut findings = Findings::default();
        check_machine(&member, &mut findings);
        assert_eq!(findings.violations.len(), 1);
        member.sources[0].text += "fn assert_invariants(";
        findings.violations.clear();
        check_machine(&member, &mut findings);
        assert!(findings.violations.is_empty());
    }
}

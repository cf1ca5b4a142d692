//! Documents: the code map names every folder, and decision pages have the same four parts.

use std::fs;

use super::{
    Findings,
    workspace::{Workspace, relative},
};

/// Lines of ARCHITECTURE.md: what a newcomer reads in one sitting.
const ARCHITECTURE_LINES_MAX: usize = 400;

/// The parts of a decision page.
const DECISION_PARTS: [&str; 4] = ["## Problem", "## Choice", "## Alternatives", "## Cost"];

pub(super) fn check(workspace: &Workspace, findings: &mut Findings) {
    check_architecture(workspace, findings);
    check_decisions(workspace, findings);
}

fn check_architecture(workspace: &Workspace, findings: &mut Findings) {
    const FILE: &str = "ARCHITECTURE.md";
    let Ok(text) = fs::read_to_string(workspace.root.join(FILE)) else {
        return findings.refuse(FILE, "code map", "write it: bird's eye, code map, invariants, walks");
    };
    if text.lines().count() > ARCHITECTURE_LINES_MAX {
        findings.refuse(FILE, "code map", format!("more than {ARCHITECTURE_LINES_MAX} lines; details belong in docs/"));
    }
    for folder in top_level_folders(workspace) {
        if !mentions(&text, &folder) {
            findings.refuse(FILE, "code map", format!("say what lies in `{folder}/`"));
        }
    }
    for member in &workspace.members {
        if !mentions(&text, &member.path) {
            findings.refuse(FILE, "code map", format!("say what the crate `{}/` is for", member.path));
        }
    }
    for file in named_sources(&text) {
        if !workspace.root.join(file).is_file() {
            findings.refuse(FILE, "code map", format!("`{file}` is not there (any more); say where its task lies now"));
        }
    }
}

/// Rust files that the text names as code.
fn named_sources(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs") && code.contains('/') && !code.contains(' '))
}

fn mentions(text: &str, folder: &str) -> bool {
    text.contains(&format!("`{folder}/`"))
}

/// Folders at the root, without hidden ones and those that git ignores there.
fn top_level_folders(workspace: &Workspace) -> Vec<String> {
    let ignored = fs::read_to_string(workspace.root.join(".gitignore")).unwrap_or_default();
    let is_ignored = |name: &str| ignored.lines().any(|line| line.trim_matches('/') == name);
    let entries = fs::read_dir(&workspace.root).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir()).map(|entry| relative(&workspace.root, &entry.path()));
    folders.filter(|name| !name.starts_with('.') && !is_ignored(name)).collect()
}

fn check_decisions(workspace: &Workspace, findings: &mut Findings) {
    for entry in fs::read_dir(workspace.root.join("docs/decisions")).into_iter().flatten().flatten() {
        let file = relative(&workspace.root, &entry.path());
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        check_decision(&file, &text, findings);
    }
}

fn check_decision(file: &str, text: &str, findings: &mut Findings) {
    let name = file.rsplit('/').next().unwrap_or(file);
    let is_numbered =
        name.split_once('-').is_some_and(|(number, _)| number.len() == 4 && number.parse::<u32>().is_ok());
    if !is_numbered || !name.ends_with(".md") {
        findings.refuse(file, "decision page", "its name is NNNN-what-was-decided.md");
    }
    for part in DECISION_PARTS {
        if !text.lines().any(|line| line == part) {
            findings.refuse(file, "decision page", format!("it has no part `{part}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_page_has_a_number_and_four_parts() {
        let mut findings = Findings::default();
        let text = "# T\n## Problem\na\n## Choice\nb\n## Alternatives\nc\n## Cost\nd\n";
        check_decision("docs/decisions/0007-x.md", text, &mut findings);
        assert!(findings.violations.is_empty());
        check_decision("docs/decisions/x.md", "# T\n## Problem\n## Choice\n## Alternatives\n", &mut findings);
        let lines: Vec<String> = findings.violations.iter().map(ToString::to_string).collect();
        assert!(lines[0].contains("NNNN") && lines[1].contains("## Cost"), "{lines:?}");
    }

    #[test]
    fn named_files_are_found() {
        let text =
            "see `osd/pg/src/pg.rs` and `Event::Tick`, not x/y.rs; `lib.rs`\n```\ncode\n```\nand `map/src/pool.rs`";
        assert_eq!(named_sources(text).collect::<Vec<_>>(), ["osd/pg/src/pg.rs", "map/src/pool.rs"]);
    }

    #[test]
    fn a_folder_is_mentioned_as_code_with_its_slash() {
        assert!(mentions("| `osd/pg/` | one group |", "osd/pg"));
        assert!(!mentions("the folder osd/pg", "osd/pg"));
    }
}

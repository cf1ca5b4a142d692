//! The house rules that a machine can check: who may import whom, what pure crates must not reach for, how manifests,
//! files and documents look.
//!
//! Owns: the rules. Each file here is one family of them; each rule has a test that plants a violation. Does not know:
//! types or meaning; it reads manifests as TOML and sources as text without comments and strings.
//!
//! A new crate gets its row in `layers.rs`; a new outside package of a pure crate its word in `manifests.rs`.

mod documents;
mod layers;
mod manifests;
mod source_text;
mod sources;
mod workspace;

use std::{fmt, path::Path};

use anyhow::{Result, bail};
use workspace::Workspace;

/// One place that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Relative to the workspace.
    file: String,
    /// Counted from one, where the rule is about a line.
    line: Option<usize>,
    /// The rule's name.
    rule: &'static str,
    /// What is wrong and what to do.
    advice: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(f, "{}{line}: [{}] {}", self.file, self.rule, self.advice)
    }
}

/// What was found: violations fail, warnings are listed.
#[derive(Debug, Default)]
struct Findings {
    violations: Vec<Violation>,
    warnings: Vec<Violation>,
}

impl Findings {
    fn refuse(&mut self, file: &str, rule: &'static str, advice: impl Into<String>) {
        self.violations.push(Violation { file: file.to_owned(), line: None, rule, advice: advice.into() });
    }

    fn refuse_line(&mut self, file: &str, line: usize, rule: &'static str, advice: impl Into<String>) {
        self.violations.push(Violation { file: file.to_owned(), line: Some(line), rule, advice: advice.into() });
    }

    fn warn(&mut self, file: &str, rule: &'static str, advice: impl Into<String>) {
        self.warnings.push(Violation { file: file.to_owned(), line: None, rule, advice: advice.into() });
    }
}

/// Checks all rules and prints what breaks them.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut findings = look(root)?;
    findings.warnings.sort();
    for warning in &findings.warnings {
        eprintln!("warning: {warning}");
    }
    findings.violations.sort();
    for violation in &findings.violations {
        eprintln!("{violation}");
    }
    match findings.violations.len() {
        0 => Ok(()),
        1 => bail!("tidy: one place breaks a house rule"),
        count => bail!("tidy: {count} places break house rules"),
    }
}

fn look(root: &Path) -> Result<Findings> {
    let workspace = Workspace::load(root)?;
    let mut findings = Findings::default();
    manifests::check_root(&workspace, &mut findings);
    for member in &workspace.members {
        manifests::check(member, &mut findings);
        layers::check(member, &mut findings);
        for source in &member.sources {
            sources::check(member, source, &mut findings);
        }
        sources::check_machine(member, &mut findings);
    }
    documents::check(&workspace, &mut findings);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_tree_keeps_the_house_rules() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let findings = look(root).unwrap();
        let lines: Vec<String> = findings.violations.iter().map(Violation::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}

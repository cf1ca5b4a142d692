//! Manifests: names, the one place of versions, lints, and which outside packages a crate may use.

use toml::{Table, Value};

use super::{
    Findings,
    workspace::{DependencyKind, Member, Workspace},
};

/// What crates of the layers foundation and pure may use. None of it does I/O, reads a clock or starts a thread.
const PURE_PACKAGES: &[&str] = &[
    "bytes",
    "crc-fast",
    "crc32fast",
    "postcard",
    "prost",
    "serde",
    "serde_json",
    "sha2",
    "smallvec",
    "thiserror",
    "tracing",
    "twox-hash",
];

/// Packages that belong to some crates alone: (package, who may use it). A name ending in `*` is a prefix.
const BOUND_PACKAGES: &[(&str, &[&str])] = &[
    ("prost*", &["ika-map", "ika-wire", "ika-store", "ika-mon", "ika-net"]),
    ("tonic*", &["ika-net"]),
    ("protox", &["ika-net"]),
    ("rocksdb", &["ika-store", "ika-mon"]),
    ("openraft", &["ika-mon"]),
    ("io-uring", &["ika-store"]),
    ("clap*", &["ika", "ika-cli", "ika-xtask"]),
    ("comfy-table", &["ika-cli"]),
    ("indicatif", &["ika-cli"]),
    ("prometheus-client", &["ika-telemetry"]),
    ("tracing-subscriber", &["ika-telemetry"]),
];

/// Fields that every member takes from the workspace.
const INHERITED_FIELDS: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// Folders deeper than this hold no crate: an actor's or a face's folder, and its parts.
const DEPTH_MAX: usize = 2;

pub(super) fn check_root(workspace: &Workspace, findings: &mut Findings) {
    if workspace.manifest.contains_key("package") {
        findings.refuse("Cargo.toml", "virtual root", "the root manifest has no package of its own");
    }
    if workspace.root.join("src").exists() {
        findings.refuse("src", "virtual root", "sources lie in members, not at the root");
    }
}

pub(super) fn check(member: &Member, findings: &mut Findings) {
    let file = member.manifest_path();
    check_names(member, &file, findings);
    if member.manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&Value::Boolean(true)) {
        findings.refuse(&file, "lints", "add `[lints] workspace = true`");
    }
    for field in INHERITED_FIELDS {
        let value = member.manifest.get("package").and_then(|package| package.get(field));
        if value.and_then(|value| value.get("workspace")) != Some(&Value::Boolean(true)) {
            findings.refuse(&file, "inherited fields", format!("write `{field}.workspace = true`"));
        }
    }
    let is_pure = matches!(member.layer(), "foundation" | "pure");
    for dependency in member.dependencies() {
        let package = dependency.package;
        check_version(package, dependency.value, &file, findings);
        let is_dev = dependency.kind == DependencyKind::Dev;
        let is_ours = package == "ika" || package.starts_with("ika-");
        if is_pure && !is_dev && !is_ours && !PURE_PACKAGES.contains(&package) {
            let advice =
                format!("a {} crate must not use {package}; it may use: {}", member.layer(), PURE_PACKAGES.join(", "));
            findings.refuse(&file, "purity", advice);
        }
        for (pattern, users) in BOUND_PACKAGES {
            let matches = pattern.strip_suffix('*').map_or(package == *pattern, |prefix| package.starts_with(prefix));
            if matches && !is_dev && !users.contains(&member.name()) {
                findings.refuse(&file, "bound packages", format!("{package} belongs to {} alone", users.join(", ")));
            }
        }
    }
}

fn check_names(member: &Member, file: &str, findings: &mut Findings) {
    let path = &member.path;
    if path.split('/').count() > DEPTH_MAX {
        findings.refuse(file, "depth", format!("crates lie at most {DEPTH_MAX} folders deep"));
    }
    let expected = if path == "ika" { path.clone() } else { format!("ika-{}", path.replace('/', "-")) };
    if member.name() != expected {
        findings.refuse(
            file,
            "package name",
            format!("the package in {path} is `{expected}`, not `{}`", member.name()),
        );
    }
    let has_library = member.sources.iter().any(|source| source.path == format!("{path}/src/lib.rs"));
    let library = path.replace('/', "_");
    if has_library && member.text(&["lib", "name"]) != library {
        findings.refuse(file, "library name", format!("write `[lib] name = \"{library}\"`"));
    }
}

fn check_version(package: &str, value: &Value, file: &str, findings: &mut Findings) {
    let inherits = value.get("workspace") == Some(&Value::Boolean(true));
    let own = |table: &Table| ["version", "git", "path", "registry"].iter().any(|key| table.contains_key(*key));
    if !inherits || value.as_table().is_some_and(own) {
        let advice = format!("write `{package}.workspace = true`; versions stand in the root manifest alone");
        findings.refuse(file, "one version", advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::Source;

    const GOOD: &str = "
        [package]
        name = \"ika-osd-pg\"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        publish.workspace = true
        metadata.house.layer = \"pure\"
        [lib]
        name = \"osd_pg\"
        [lints]
        workspace = true
        [dependencies]
        tracing.workspace = true
    ";

    fn violations(path: &str, manifest: &str) -> Vec<String> {
        let mut member = Member::planted(path, manifest);
        member.sources.push(Source { path: format!("{path}/src/lib.rs"), text: String::new() });
        let mut findings = Findings::default();
        check(&member, &mut findings);
        findings.violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_manifest_passes() {
        assert_eq!(violations("osd/pg", GOOD), [""; 0]);
    }

    #[test]
    fn each_rule_refuses_its_violation() {
        let cases = [
            ("osd/pg", "name = \"ika-osd-pg\"", "name = \"pg\"", "[package name]"),
            ("osd/pg", "name = \"osd_pg\"", "name = \"pg\"", "[library name]"),
            ("osd/pg", "edition.workspace = true", "edition = \"2024\"", "[inherited fields]"),
            ("osd/pg", "[lints]\n        workspace = true", "", "[lints]"),
            ("osd/pg", "tracing.workspace = true", "tracing = \"0.1\"", "[one version]"),
            ("osd/pg", "tracing.workspace = true", "tracing = { workspace = true, path = \"x\" }", "[one version]"),
            ("osd/pg", "tracing.workspace = true", "tokio.workspace = true", "[purity]"),
            ("osd/pg", "tracing.workspace = true", "prost.workspace = true", "[bound packages]"),
            ("osd/pg/log", "ika-osd-pg", "ika-osd-pg-log", "[depth]"),
        ];
        for (path, from, to, rule) in cases {
            assert!(GOOD.contains(from), "{from}");
            let found = violations(path, &GOOD.replace(from, to));
            assert!(found.iter().any(|violation| violation.contains(rule)), "{rule}: {found:?}");
        }
    }

    #[test]
    fn tests_of_pure_crates_may_use_more() {
        let manifest = format!("{GOOD}[dev-dependencies]\nproptest.workspace = true\nclap.workspace = true");
        assert_eq!(violations("osd/pg", &manifest), [""; 0]);
    }
}

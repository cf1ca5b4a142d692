//! Who may import whom: the table of ARCHITECTURE.md, as data.
//!
//! Arrows only go down: face → shell → engine and machine → foundation. Two daemons never import each other; they
//! meet in `wire`. The table binds normal and build dependencies. Development dependencies may reach across it, up to
//! `ika-tests-kit`, the one part of the rig that tests inside crates use.

use super::{
    Findings,
    workspace::{DependencyKind, Member},
};

/// A crate's layer and the crates of ours that it may import directly.
struct Row {
    package: &'static str,
    layer: &'static str,
    may_import: &'static [&'static str],
}

const fn row(package: &'static str, layer: &'static str, may_import: &'static [&'static str]) -> Row {
    Row { package, layer, may_import }
}

const TABLE: &[Row] = &[
    row("ika-types", "foundation", &[]),
    row("ika-crush", "foundation", &[]),
    row("ika-map", "foundation", &["ika-types", "ika-crush"]),
    row("ika-wire", "foundation", &["ika-types", "ika-map"]),
    row("ika-mon-state", "pure", &["ika-types", "ika-crush", "ika-map", "ika-wire"]),
    row("ika-osd-classes", "pure", &["ika-types"]),
    row("ika-osd-pg", "pure", &["ika-types", "ika-map", "ika-wire", "ika-osd-classes"]),
    row("ika-osd-state", "pure", &["ika-types", "ika-map", "ika-wire", "ika-osd-pg"]),
    row("ika-client-ops", "pure", &["ika-types", "ika-map", "ika-wire"]),
    row("ika-store", "engine", &["ika-types"]),
    row("ika-net", "engine", &["ika-types", "ika-wire"]),
    row("ika-telemetry", "engine", &["ika-types"]),
    row("ika-mon", "shell", &["ika-types", "ika-map", "ika-wire", "ika-mon-state", "ika-net", "ika-telemetry"]),
    row(
        "ika-osd",
        "shell",
        &["ika-types", "ika-map", "ika-wire", "ika-osd-pg", "ika-osd-state", "ika-store", "ika-net", "ika-telemetry"],
    ),
    row(
        "ika-client",
        "shell",
        &["ika-types", "ika-map", "ika-wire", "ika-osd-classes", "ika-client-ops", "ika-net", "ika-telemetry"],
    ),
    row("ika-mgr", "shell", &["ika-types", "ika-map", "ika-wire", "ika-net", "ika-client", "ika-telemetry"]),
    row("ika-local", "face", &["ika-types", "ika-client", "ika-telemetry"]),
    row("ika-s3", "face", &["ika-types", "ika-client", "ika-telemetry"]),
    row(
        "ika-cli",
        "face",
        &["ika-types", "ika-crush", "ika-map", "ika-client", "ika-telemetry", "ika-local", "ika-s3"],
    ),
];

/// Layers whose crates may import everything below them: the binary, and the rig that nobody imports.
const OPEN_LAYERS: [&str; 2] = ["binary", "rig"];

/// The one part of the rig that tests inside crates may use.
const KIT: &str = "ika-tests-kit";

pub(super) fn check(member: &Member, findings: &mut Findings) {
    let file = member.manifest_path();
    let (name, layer) = (member.name(), member.layer());
    let expected = match TABLE.iter().find(|row| row.package == name) {
        Some(row) => row.layer,
        None if name == "ika" => "binary",
        None if name == "ika-xtask" || member.path.starts_with("tests/") || OPEN_LAYERS.contains(&layer) => "rig",
        None => {
            return findings.refuse(&file, "layers", format!("{name} has no row in xtask/src/tidy/layers.rs; add it"));
        }
    };
    if layer != expected {
        let advice = format!("{name} is `{layer}`; [package.metadata.house] must say layer = \"{expected}\"");
        findings.refuse(&file, "layers", advice);
    }
    for dependency in member.dependencies() {
        let imported = dependency.package;
        if !is_ours(imported) {
            continue;
        }
        let row = TABLE.iter().find(|row| row.package == name);
        let has_row = |package| TABLE.iter().any(|row| row.package == package);
        let allowed = match row {
            _ if dependency.kind == DependencyKind::Dev && expected != "rig" => imported == KIT || has_row(imported),
            Some(row) => row.may_import.contains(&imported),
            None if expected == "binary" => has_row(imported),
            None => true,
        };
        if !allowed {
            let may = row.map_or("everything but the rig".to_owned(), |row| row.may_import.join(", "));
            let advice = format!("{name} must not import {imported}; it may import: {may}");
            findings.refuse(&file, "layers", advice);
        }
    }
}

fn is_ours(package: &str) -> bool {
    package == "ika" || package.starts_with("ika-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, name: &str, layer: &str, dependencies: &str) -> Vec<String> {
        let manifest = format!("package.name = \"{name}\"\npackage.metadata.house.layer = \"{layer}\"\n{dependencies}");
        let mut findings = Findings::default();
        check(&Member::planted(path, &manifest), &mut findings);
        findings.violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_arrow_upwards_is_refused() {
        let clean =
            violations("store", "ika-store", "engine", "[dependencies]\nika-types.workspace = true\ntokio = \"1\"");
        assert_eq!(clean, [""; 0]);
        let found = violations("store", "ika-store", "engine", "[dependencies]\nika-map.workspace = true");
        assert_eq!(found, ["store/Cargo.toml: [layers] ika-store must not import ika-map; it may import: ika-types"]);
    }

    #[test]
    fn build_target_and_renamed_dependencies_are_seen() {
        for table in ["[build-dependencies]", "[target.'cfg(unix)'.dependencies]"] {
            let found = violations("net", "ika-net", "engine", &format!("{table}\nx = {{ package = \"ika-osd\" }}"));
            assert_eq!(found.len(), 1, "{table} {found:?}");
        }
    }

    #[test]
    fn tests_may_reach_across_the_table_up_to_the_kit() {
        let store = "[dev-dependencies]\nika-store.workspace = true";
        assert_eq!(violations("osd/pg", "ika-osd-pg", "pure", store), [""; 0]);
        let daemons = "[dev-dependencies]\nika-tests-daemons.workspace = true";
        assert_eq!(violations("osd/pg", "ika-osd-pg", "pure", daemons).len(), 1);
        let dev = "[dev-dependencies]\nika-tests-kit.workspace = true";
        assert_eq!(violations("crush", "ika-crush", "foundation", dev), [""; 0]);
        let normal = "[dependencies]\nika-tests-kit.workspace = true";
        assert_eq!(violations("crush", "ika-crush", "foundation", normal).len(), 1);
        assert_eq!(violations("ika", "ika", "binary", normal).len(), 1);
        assert_eq!(violations("tests/machines", "ika-tests-machines", "rig", normal), [""; 0]);
    }

    #[test]
    fn a_wrong_layer_and_an_unknown_crate_are_refused() {
        assert!(violations("store", "ika-store", "pure", "")[0].contains("must say layer = \"engine\""));
        assert!(violations("fs", "ika-fs", "face", "")[0].contains("has no row"));
    }
}

//! The tree as the rules see it: members with their manifests and sources, and the root's documents.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use toml::{Table, Value};

/// Everything that is read, once.
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    pub(super) manifest: Table,
    pub(super) members: Vec<Member>,
}

/// One crate.
pub(super) struct Member {
    /// Relative to the workspace, with `/`.
    pub(super) path: String,
    pub(super) manifest: Table,
    pub(super) sources: Vec<Source>,
}

/// One Rust file.
pub(super) struct Source {
    /// Relative to the workspace, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// Why a package is in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DependencyKind {
    Normal,
    Build,
    Dev,
}

/// One entry of a dependency table.
pub(super) struct Dependency<'a> {
    /// The package's name, whatever the crate calls it.
    pub(super) package: &'a str,
    pub(super) kind: DependencyKind,
    pub(super) value: &'a Value,
}

impl Workspace {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let manifest = read_manifest(&root.join("Cargo.toml"))?;
        let names = manifest.get("workspace").and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
        let names = names.context("the root manifest names no members")?;
        let mut members = Vec::new();
        for path in names.iter().filter_map(Value::as_str) {
            let folder = root.join(path);
            let mut sources = Vec::new();
            collect_sources(root, &folder, &mut sources)?;
            sources.sort_by(|left, right| left.path.cmp(&right.path));
            members.push(Member {
                path: path.to_owned(),
                manifest: read_manifest(&folder.join("Cargo.toml"))?,
                sources,
            });
        }
        Ok(Self { root: root.to_owned(), manifest, members })
    }
}

impl Member {
    pub(super) fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.path)
    }

    /// A string of the manifest, by the keys that lead to it; empty when it is not there.
    pub(super) fn text(&self, keys: &[&str]) -> &str {
        let (first, rest) = keys.split_first().expect("a path into the manifest has a key");
        let value = rest.iter().try_fold(self.manifest.get(*first), |value, key| Some(value?.get(key)));
        value.flatten().and_then(Value::as_str).unwrap_or("")
    }

    pub(super) fn name(&self) -> &str {
        self.text(&["package", "name"])
    }

    pub(super) fn layer(&self) -> &str {
        self.text(&["package", "metadata", "house", "layer"])
    }

    /// All dependency tables of the manifest, those for some targets included.
    pub(super) fn dependencies(&self) -> Vec<Dependency<'_>> {
        let mut found = dependencies_of(&self.manifest);
        for target in self.manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values) {
            found.append(&mut target.as_table().map(dependencies_of).unwrap_or_default());
        }
        found
    }
}

fn dependencies_of(table: &Table) -> Vec<Dependency<'_>> {
    let tables = [
        ("dependencies", DependencyKind::Normal),
        ("build-dependencies", DependencyKind::Build),
        ("dev-dependencies", DependencyKind::Dev),
    ];
    let entries = tables.into_iter().filter_map(|(key, kind)| Some((table.get(key)?.as_table()?, kind)));
    entries
        .flat_map(|(entries, kind)| {
            entries.iter().map(move |(name, value)| {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
                Dependency { package, kind, value }
            })
        })
        .collect()
}

fn read_manifest(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.parse().with_context(|| format!("parse {}", path.display()))
}

/// The Rust files under a member's folder, without those of members that lie in it.
fn collect_sources(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read folder {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.join("Cargo.toml").exists() {
                collect_sources(root, &path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            sources.push(Source { path: relative(root, &path), text });
        }
    }
    Ok(())
}

pub(super) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
impl Member {
    /// A member from the text of its manifest, for the rules' tests.
    pub(super) fn planted(path: &str, manifest: &str) -> Self {
        Self { path: path.to_owned(), manifest: manifest.parse().unwrap(), sources: Vec::new() }
    }
}

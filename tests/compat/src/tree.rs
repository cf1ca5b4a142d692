//! Trees of files to carry there and back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use types::{Seed, SeededRandom};

/// Makes a tree of so many files of 0 to `bytes_max` bytes, some in nested folders, some with names that need care.
pub fn make_tree(root: &Path, files: u64, bytes_max: u64, seed: Seed) -> Result<()> {
    let mut random = SeededRandom::new(seed);
    for number in 0..files {
        let folder = root.join(match number % 4 {
            0 => String::new(),
            1 => format!("d{}", number % 7),
            2 => format!("d{}/e{}", number % 5, number % 11),
            _ => "with blank/ü".to_owned(),
        });
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let name = if number % 13 == 0 { format!("file +&{number}") } else { format!("file{number}") };
        let path = folder.join(name);
        let length = random.below(bytes_max + 1);
        let bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.draw().to_le_bytes()).collect();
        let length = usize::try_from(length).context("a file's length")?;
        fs::write(&path, &bytes[..length]).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Refuses trees of which one has what the other has not.
pub fn assert_equal_trees(one: &Path, other: &Path) -> Result<()> {
    let (left, right) = (files_of(one)?, files_of(other)?);
    ensure!(!left.is_empty(), "{} is empty", one.display());
    ensure!(
        left.keys().eq(right.keys()),
        "{} has {} files, {} has {}",
        one.display(),
        left.len(),
        other.display(),
        right.len()
    );
    for (name, path) in &left {
        let read = |path: &PathBuf| fs::read(path).with_context(|| format!("read {}", path.display()));
        ensure!(read(path)? == read(&right[name])?, "{} differs", name.display());
    }
    Ok(())
}

fn files_of(root: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).context("a file below the root")?.to_owned();
                found.insert(name, path);
            }
        }
    }
    Ok(found)
}

//! All files of a folder as objects `NAME/PATH`, and back.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use client::{Error, Pool, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::{
    is_piece,
    source::Source,
    transfer::{self, Form},
};
use crate::{
    console::Console,
    progress::{Progress, Unit},
};

/// Files under way at once.
const FILES_AT_ONCE: usize = 16;

/// Stores every regular file below the folder.
pub(super) async fn put(pool: &Pool, name: &str, folder: &Path, form: Form, console: Console) -> Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut progress = Progress::new(Unit::Things("files"), Some(files.len() as u64));
    let mut puts = stream::iter(files)
        .map(|path| async move {
            let below = path.strip_prefix(folder).expect("what was found below the folder begins with it");
            let below = below.to_str().ok_or_else(|| Error::invalid(format!("{} is not UTF-8", path.display())))?;
            let mut bytes = 0;
            let mut source = Source::open(&path).await?;
            transfer::put_from(pool, &format!("{name}/{below}"), &mut source, form, &mut |more| bytes += more).await?;
            Ok::<u64, Error>(bytes)
        })
        .buffer_unordered(FILES_AT_ONCE);
    let mut sum = Sum::default();
    while let Some(bytes) = puts.try_next().await? {
        sum.add(bytes);
        progress.add(1);
    }
    drop(progress);
    sum.tell(console, "stored")
}

/// Fetches every object whose name begins with `name/`.
pub(super) async fn get(pool: &Pool, name: &str, folder: &Path, console: Console) -> Result<()> {
    let prefix = format!("{name}/");
    let mut names = Vec::new();
    let mut listing = pool.list();
    while let Some(object) = listing.try_next().await? {
        if object.name.starts_with(prefix.as_bytes()) && !is_piece(&object.name) {
            let text = String::from_utf8(object.name)
                .map_err(|error| Error::invalid(format!("`{}` is not UTF-8", error.as_bytes().escape_ascii())))?;
            names.push(text);
        }
    }
    if names.is_empty() {
        return Err(Error::not_found(format!("no object's name begins with `{prefix}`")));
    }
    let mut progress = Progress::new(Unit::Things("files"), Some(names.len() as u64));
    let mut gets = stream::iter(names)
        .map(|object| {
            let prefix = &prefix;
            async move {
                let path = path_below(folder, &object[prefix.len()..])?;
                if let Some(parent) = path.parent() {
                    let made = tokio::fs::create_dir_all(parent).await;
                    made.map_err(|error| Error::invalid(format!("make folder {}: {error}", parent.display())))?;
                }
                let mut bytes = 0;
                transfer::get_to(pool, &object, &path, &mut |more, _| bytes += more).await?;
                Ok::<u64, Error>(bytes)
            }
        })
        .buffer_unordered(FILES_AT_ONCE);
    let mut sum = Sum::default();
    while let Some(bytes) = gets.try_next().await? {
        sum.add(bytes);
        progress.add(1);
    }
    drop(progress);
    sum.tell(console, "fetched")
}

#[derive(Debug, Default)]
struct Sum {
    files: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    fn tell(&self, console: Console, verb: &str) -> Result<()> {
        if console.format.is_json() {
            return console.json(&json!({ "files": self.files, "bytes": self.bytes }));
        }
        console.remark(&format!("{} files, {} {verb}", self.files, crate::figures::bytes(self.bytes)));
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |error: std::io::Error| Error::invalid(format!("read folder {}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        } else {
            tracing::warn!(path = %entry.path().display(), "neither a file nor a folder; left out");
        }
    }
    Ok(())
}

/// The file for an object's name; names that would lead out of the folder are refused.
fn path_below(folder: &Path, name: &str) -> Result<PathBuf> {
    let below = Path::new(name);
    let stays = !name.is_empty() && below.components().all(|part| matches!(part, Component::Normal(_)));
    if stays && !name.ends_with('/') {
        return Ok(folder.join(below));
    }
    Err(Error::invalid(format!("the object `{name}` has no file's name that stays within the folder")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_the_folder() {
        assert_eq!(path_below(Path::new("out"), "a/b").unwrap(), Path::new("out/a/b"));
        for wrong in ["../x", "a/../../x", "/etc/passwd", "", "a/", "."] {
            assert!(path_below(Path::new("out"), wrong).is_err(), "{wrong}");
        }
    }
}

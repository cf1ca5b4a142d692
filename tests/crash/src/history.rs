//! Everything that was done to the files, in one order, and what a loss of power in between would leave.

use std::{collections::BTreeMap, ffi::OsString, sync::Arc};

use types::SeededRandom;

use crate::files::{Files, Inode, Node};

/// The piece of a write that is never torn.
const SECTOR_BYTES: usize = 512;

/// One thing that was done.
#[derive(Debug, Clone)]
pub enum Event {
    /// A file was made, with a name.
    MakeFile {
        /// In which folder.
        folder: u64,
        /// Its name.
        name: OsString,
        /// Its number.
        inode: u64,
    },
    /// A folder was made, with a name.
    MakeFolder {
        /// In which folder.
        folder: u64,
        /// Its name.
        name: OsString,
        /// Its number.
        inode: u64,
    },
    /// A name was taken away.
    Unlink {
        /// In which folder.
        folder: u64,
        /// The name.
        name: OsString,
    },
    /// A name within a folder became another one, replacing what had that.
    Rename {
        /// In which folder.
        folder: u64,
        /// The name before.
        from: OsString,
        /// The name after.
        to: OsString,
    },
    /// Bytes were written.
    Write {
        /// To which file.
        inode: u64,
        /// Where.
        offset: usize,
        /// Which.
        data: Arc<[u8]>,
    },
    /// A file was cut or grown.
    Resize {
        /// Which file.
        inode: u64,
        /// Its size now.
        size: usize,
    },
    /// A file's content was made durable.
    Sync(u64),
    /// A folder's entries were made durable.
    SyncFolder(u64),
    /// The test's own mark, such as "transaction 7 was acknowledged".
    Mark(u64),
}

/// What is left of that which was not made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    All,
    /// Nothing of it.
    Nothing,
    /// Each write for itself: all of it, nothing, or some sectors; of each folder's entries any prefix.
    Any,
}

/// A beginning, all of it durable, and what was done since.
#[derive(Debug, Clone)]
pub struct History {
    pub(crate) beginning: Files,
    pub(crate) events: Vec<Event>,
}

impl History {
    /// What was done, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The marks among the first `end` events.
    pub fn marks(&self, end: usize) -> impl Iterator<Item = u64> + '_ {
        self.events[..end].iter().filter_map(|event| if let Event::Mark(mark) = event { Some(*mark) } else { None })
    }

    /// The files as a loss of power after the first `end` events could leave them.
    pub fn image(&self, end: usize, kept: Kept, random: &mut SeededRandom) -> Files {
        let events = &self.events[..end];
        let mut files = self.beginning.clone();
        let mut synced: BTreeMap<Inode, usize> = BTreeMap::new();
        let mut unsynced_entries: BTreeMap<Inode, u64> = BTreeMap::new();
        for (index, event) in events.iter().enumerate() {
            match event {
                Event::Sync(inode) => _ = synced.insert(*inode, index),
                Event::SyncFolder(folder) => {
                    synced.insert(*folder, index);
                    unsynced_entries.remove(folder);
                }
                _ => {
                    if let Some(folder) = folder_of(event) {
                        *unsynced_entries.entry(folder).or_default() += 1;
                    }
                }
            }
        }
        // How many of each folder's last changes are left.
        let mut entries_left: BTreeMap<Inode, u64> = unsynced_entries
            .into_iter()
            .map(|(folder, count)| match kept {
                Kept::All => (folder, count),
                Kept::Nothing => (folder, 0),
                Kept::Any => (folder, random.below(count + 1)),
            })
            .collect();
        for (index, event) in events.iter().enumerate() {
            let is_synced = |inode: &Inode| synced.get(inode).is_some_and(|at| index < *at);
            match event {
                Event::Write { inode, offset, data } if is_synced(inode) || kept == Kept::All => {
                    files.write(*inode, *offset, data);
                }
                Event::Write { inode, offset, data } if kept == Kept::Any => match random.below(3) {
                    0 => {}
                    1 => files.write(*inode, *offset, data),
                    _ => {
                        for (sector, part) in data.chunks(SECTOR_BYTES).enumerate() {
                            if random.chance(1, 2) {
                                files.write(*inode, *offset + sector * SECTOR_BYTES, part);
                            }
                        }
                    }
                },
                Event::Resize { inode, size }
                    if is_synced(inode) || kept == Kept::All || (kept == Kept::Any && random.chance(1, 2)) =>
                {
                    files.resize(*inode, *size);
                }
                Event::MakeFile { inode, .. } | Event::MakeFolder { inode, .. } => {
                    let is_file = matches!(event, Event::MakeFile { .. });
                    files.insert(*inode, if is_file { Node::File(Vec::new()) } else { Node::Folder(BTreeMap::new()) });
                }
                _ => {}
            }
            let Some(folder) = folder_of(event) else { continue };
            if !is_synced(&folder) {
                match entries_left.get_mut(&folder) {
                    Some(left) if *left > 0 => *left -= 1,
                    _ => continue,
                }
            }
            change_entries(&mut files, event);
        }
        files
    }
}

/// The folder whose entries it changes.
fn folder_of(event: &Event) -> Option<Inode> {
    match event {
        Event::MakeFile { folder, .. }
        | Event::MakeFolder { folder, .. }
        | Event::Unlink { folder, .. }
        | Event::Rename { folder, .. } => Some(*folder),
        _ => None,
    }
}

/// Carries out what an event does to names.
pub(crate) fn change_entries(files: &mut Files, event: &Event) {
    match event {
        Event::MakeFile { folder, name, inode } | Event::MakeFolder { folder, name, inode } => {
            files.link(*folder, name, *inode);
        }
        Event::Unlink { folder, name } => _ = files.unlink(*folder, name),
        Event::Rename { folder, from, to } => {
            if let Some(inode) = files.unlink(*folder, from) {
                files.link(*folder, to, inode);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use types::Seed;

    use super::*;
    use crate::files::ROOT;

    fn name(text: &str) -> OsString {
        OsString::from(text)
    }

    /// A file is written beside the old one, made durable, and put in its place, as careful programs do.
    fn replaced_carefully() -> History {
        let mut beginning = Files::new();
        beginning.insert(2, Node::File(b"old".to_vec()));
        beginning.link(ROOT, &name("file"), 2);
        let events = vec![
            Event::MakeFile { folder: ROOT, name: name("new"), inode: 3 },
            Event::Write { inode: 3, offset: 0, data: Arc::from(&b"newer"[..]) },
            Event::Sync(3),
            Event::Rename { folder: ROOT, from: name("new"), to: name("file") },
            Event::SyncFolder(ROOT),
        ];
        History { beginning, events }
    }

    fn content(files: &Files, path: &str) -> Option<Vec<u8>> {
        match files.node(files.find(ROOT, &name(path))?)? {
            Node::File(content) => Some(content.clone()),
            Node::Folder(_) => None,
        }
    }

    #[test]
    fn a_careful_replacement_leaves_old_or_new_and_a_careless_one_may_leave_neither() {
        let mut random = SeededRandom::new(Seed(1));
        let careful = replaced_carefully();
        let mut careless = careful.clone();
        careless.events.remove(2);
        let mut spoiled = 0;
        for _ in 0..200 {
            for end in 0..=careful.events.len() {
                let found = content(&careful.image(end, Kept::Any, &mut random), "file").expect("it is there");
                assert!(found == b"old" || found == b"newer", "{end}: {found:?}");
            }
            let end = careless.events.len();
            spoiled +=
                u64::from(content(&careless.image(end, Kept::Any, &mut random), "file") != Some(b"newer".into()));
        }
        assert!(spoiled > 20, "the model would not notice a missing fsync");
        let all = careful.image(5, Kept::Nothing, &mut random);
        assert_eq!((content(&all, "file"), content(&all, "new")), (Some(b"newer".to_vec()), None));
        let before = careful.image(4, Kept::Nothing, &mut random);
        assert_eq!((content(&before, "file"), content(&before, "new")), (Some(b"old".to_vec()), None));
    }
}

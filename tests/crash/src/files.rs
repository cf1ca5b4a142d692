//! Files and folders in memory.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    path::Path,
};

/// The number of a file or folder.
pub(crate) type Inode = u64;

/// The top folder; FUSE fixes its number.
pub(crate) const ROOT: Inode = 1;

#[derive(Debug, Clone)]
pub(crate) enum Node {
    File(Vec<u8>),
    Folder(BTreeMap<OsString, Inode>),
}

/// A tree of files.
#[derive(Debug, Clone)]
pub struct Files {
    nodes: BTreeMap<Inode, Node>,
}

impl Files {
    /// An empty top folder.
    pub(crate) fn new() -> Self {
        Self { nodes: BTreeMap::from([(ROOT, Node::Folder(BTreeMap::new()))]) }
    }

    pub(crate) fn node(&self, inode: Inode) -> Option<&Node> {
        self.nodes.get(&inode)
    }

    pub(crate) fn entries(&self, folder: Inode) -> Option<&BTreeMap<OsString, Inode>> {
        match self.nodes.get(&folder)? {
            Node::Folder(entries) => Some(entries),
            Node::File(_) => None,
        }
    }

    pub(crate) fn find(&self, folder: Inode, name: &OsStr) -> Option<Inode> {
        self.entries(folder)?.get(name).copied()
    }

    /// Makes a file or folder that has no name yet.
    pub(crate) fn insert(&mut self, inode: Inode, node: Node) {
        self.nodes.entry(inode).or_insert(node);
    }

    /// Gives it a name, taking that from whatever had it.
    pub(crate) fn link(&mut self, folder: Inode, name: &OsStr, inode: Inode) {
        if let Some(Node::Folder(entries)) = self.nodes.get_mut(&folder) {
            entries.insert(name.to_owned(), inode);
        }
    }

    pub(crate) fn unlink(&mut self, folder: Inode, name: &OsStr) -> Option<Inode> {
        match self.nodes.get_mut(&folder)? {
            Node::Folder(entries) => entries.remove(name),
            Node::File(_) => None,
        }
    }

    pub(crate) fn write(&mut self, inode: Inode, offset: usize, data: &[u8]) {
        if let Some(Node::File(content)) = self.nodes.get_mut(&inode) {
            let end = offset + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[offset..end].copy_from_slice(data);
        }
    }

    pub(crate) fn resize(&mut self, inode: Inode, size: usize) {
        if let Some(Node::File(content)) = self.nodes.get_mut(&inode) {
            content.resize(size, 0);
        }
    }

    /// Writes the whole tree into a folder of a real file system.
    pub fn copy_to(&self, folder: &Path) -> io::Result<()> {
        self.copy_entries(ROOT, folder)
    }

    fn copy_entries(&self, from: Inode, to: &Path) -> io::Result<()> {
        for (name, inode) in self.entries(from).into_iter().flatten() {
            let path = to.join(name);
            match self.node(*inode) {
                Some(Node::File(content)) => fs::write(path, content)?,
                Some(Node::Folder(_)) => {
                    fs::create_dir(&path)?;
                    self.copy_entries(*inode, &path)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

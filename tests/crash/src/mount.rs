//! The recording file system, mounted.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::{
    files::{Files, Inode, Node},
    history::{Event, History, change_entries},
};

/// Attributes and names are asked for every time: the kernel must not answer from memory of its own.
const NO_CACHE: Duration = Duration::ZERO;
/// What the file system says it could hold: 1 TiB in blocks of 4 KiB.
const BLOCKS: u64 = 1 << 28;

struct State {
    files: Files,
    next_inode: Inode,
    recorded: Option<History>,
}

impl State {
    fn record(&mut self, event: Event) {
        if let Some(history) = &mut self.recorded {
            history.events.push(event);
        }
    }

    fn make(&mut self, folder: Inode, name: &OsStr, node: Node) -> Inode {
        let inode = self.next_inode;
        self.next_inode += 1;
        let name = name.to_owned();
        let event = match &node {
            Node::File(_) => Event::MakeFile { folder, name, inode },
            Node::Folder(_) => Event::MakeFolder { folder, name, inode },
        };
        self.files.insert(inode, node);
        change_entries(&mut self.files, &event);
        self.record(event);
        inode
    }

    fn resize(&mut self, inode: Inode, size: usize) {
        self.files.resize(inode, size);
        self.record(Event::Resize { inode, size });
    }

    fn attributes(&self, inode: Inode) -> Option<FileAttr> {
        let (kind, size) = match self.files.node(inode)? {
            Node::File(content) => (FileType::RegularFile, content.len() as u64),
            Node::Folder(_) => (FileType::Directory, 4096),
        };
        Some(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o777,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

/// What the kernel and the test share.
#[derive(Clone)]
struct Recorder(Arc<Mutex<State>>);

impl Recorder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// A file system in memory, mounted for as long as this lives.
pub struct RecordingMount {
    recorder: Recorder,
    session: Option<BackgroundSession>,
}

impl RecordingMount {
    /// Mounts an empty one over a folder. Fails where the kernel or the user's rights do not allow it.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        let state = State { files: Files::new(), next_inode: 2, recorded: None };
        let recorder = Recorder(Arc::new(Mutex::new(state)));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("ika-crash".to_owned())];
        let session = fuser::spawn_mount(recorder.clone(), folder, &config)?;
        Ok(Self { recorder, session: Some(session) })
    }

    /// From here on everything is recorded; what is there now counts as durable.
    pub fn record(&self) {
        let mut state = self.recorder.state();
        state.recorded = Some(History { beginning: state.files.clone(), events: Vec::new() });
    }

    /// A way to put marks between the events, for other threads.
    pub fn marker(&self) -> impl Fn(u64) + Clone + Send + 'static {
        let recorder = self.recorder.clone();
        move |mark| recorder.state().record(Event::Mark(mark))
    }

    /// How many events there are.
    pub fn length(&self) -> usize {
        self.recorder.state().recorded.as_ref().map_or(0, |history| history.events.len())
    }

    /// Unmounts, and gives what was recorded. Nothing may be open in it any more.
    pub fn end(mut self) -> io::Result<Option<History>> {
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        Ok(self.recorder.state().recorded.take())
    }
}

/// Offsets and sizes are of files in memory.
fn position(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a file in memory is smaller than memory")
}

impl Filesystem for Recorder {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.state();
        match state.files.find(parent.0, name).and_then(|inode| state.attributes(inode)) {
            Some(attributes) => reply.entry(&NO_CACHE, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.state().attributes(inode.0) {
            Some(attributes) => reply.attr(&NO_CACHE, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        if let Some(size) = size {
            state.resize(inode.0, position(size));
        }
        match state.attributes(inode.0) {
            Some(attributes) => reply.attr(&NO_CACHE, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        let mut state = self.state();
        let inode = state.make(parent.0, name, Node::Folder(BTreeMap::new()));
        let attributes = state.attributes(inode).expect("it was just made");
        reply.entry(&NO_CACHE, &attributes, Generation(0));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut state = self.state();
        let inode = state.make(parent.0, name, Node::File(Vec::new()));
        let attributes = state.attributes(inode).expect("it was just made");
        reply.created(&NO_CACHE, &attributes, Generation(0), FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        if state.files.find(parent.0, name).is_none() {
            return reply.error(Errno::ENOENT);
        }
        let event = Event::Unlink { folder: parent.0, name: name.to_owned() };
        change_entries(&mut state.files, &event);
        state.record(event);
        reply.ok();
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.unlink(request, parent, name, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        if parent != new_parent {
            // The crash model knows renames within a folder only.
            return reply.error(Errno::EXDEV);
        }
        if state.files.find(parent.0, name).is_none() {
            return reply.error(Errno::ENOENT);
        }
        let event = Event::Rename { folder: parent.0, from: name.to_owned(), to: new_name.to_owned() };
        change_entries(&mut state.files, &event);
        state.record(event);
        reply.ok();
    }

    fn open(&self, _: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // Past the kernel's page cache: every write comes here before it returns to the writer.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.state().files.node(inode.0) {
            Some(Node::File(content)) => {
                let begin = position(offset).min(content.len());
                let end = (begin + size as usize).min(content.len());
                reply.data(&content[begin..end]);
            }
            Some(Node::Folder(_)) | None => reply.error(Errno::ENOENT),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        let offset = position(offset);
        state.files.write(inode.0, offset, data);
        state.record(Event::Write { inode: inode.0, offset, data: Arc::from(data) });
        reply.written(u32::try_from(data.len()).expect("the kernel bounds a write"));
    }

    fn flush(&self, _: &Request, _inode: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.state().record(Event::Sync(inode.0));
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.state().record(Event::SyncFolder(inode.0));
        reply.ok();
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let state = self.state();
        let entries = state.files.entries(inode.0).into_iter().flatten();
        for (index, (name, child)) in (1u64..).zip(entries).skip(position(offset)) {
            let kind = match state.files.node(*child) {
                Some(Node::Folder(_)) => FileType::Directory,
                Some(Node::File(_)) | None => FileType::RegularFile,
            };
            if reply.add(INodeNo(*child), index, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, 4096, 255, 4096);
    }

    fn fallocate(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let mut state = self.state();
        let size = match state.files.node(inode.0) {
            Some(Node::File(content)) => content.len(),
            Some(Node::Folder(_)) | None => return reply.error(Errno::ENOENT),
        };
        state.resize(inode.0, size.max(position(offset + length)));
        reply.ok();
    }
}

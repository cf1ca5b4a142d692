//! Putting an archive into a store.
//!
//! The whole archive is verified before anything changes. An import that was cut short is told by a mark in the omap of
//! its first object (which for a placement group is the one that holds its account), and begins anew: so importing is
//! idempotent, and whoever opens the store in between sees by the mark that the objects are not whole.

use std::{
    io::{Read, Seek, SeekFrom},
    sync::mpsc,
};

use bytes::Bytes;
use types::{ClusterId, Error, ObjectId, ObjectMeta, Result, StoreOp, StoreRead, StoreReadResult, Transaction};

use super::{
    ArchiveContents, ArchiveHeader, ArchiveSummary, export,
    export::for_each_object,
    format::{ArchiveReader, Record},
};
use crate::{disk::Identity, object_store::ObjectStore};

/// Bytes of data in transactions that are not yet durable: enough to keep a disk busy.
const IN_FLIGHT_BYTES_MAX: usize = 16 << 20;
/// Transactions that are not yet durable: enough for a journal to group.
const IN_FLIGHT_MAX: usize = 64;
/// Bytes of omap entries in one transaction: fits a record of the smallest journal ring.
const OMAP_BYTES_MAX: usize = 32 << 10;
/// Objects removed with one transaction.
const REMOVED_TOGETHER: usize = 16;

/// What happens to objects that are in the range already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// The import is refused, unless they are equal to the archive's or the rest of an import that was cut short.
    Keep,
    /// They are removed first.
    Replace,
}

/// How an archive is put into a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSettings {
    /// What happens to objects that are there.
    pub mode: ImportMode,
    /// The cluster whose archives are taken: the store's own, or the one that was named on purpose.
    pub cluster: ClusterId,
    /// The omap key that marks the first object while the import is not at its end.
    pub unfinished_mark: Vec<u8>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The objects are in the store now.
    Imported(ArchiveSummary),
    /// They were there already, equal to the archive's.
    AlreadyThere(ArchiveSummary),
}

/// What the archive says in front of its objects.
pub fn read_header(input: &mut dyn Read) -> Result<ArchiveHeader> {
    ArchiveReader::begin(input).map(|reader| reader.header)
}

/// Puts an archive into a store. `hear` is told the counts so far.
pub fn import<Input: Read + Seek>(
    store: &dyn ObjectStore,
    identity: Identity,
    input: &mut Input,
    settings: &ImportSettings,
    hear: &mut dyn FnMut(&ArchiveSummary),
) -> Result<ImportOutcome> {
    let archive = verify(input)?;
    let cluster = archive.header.identity.cluster;
    if cluster != settings.cluster {
        return Err(Error::invalid(format!(
            "the archive comes from cluster {cluster}, the store belongs to cluster {}; name the archive's cluster if \
             that is what you want",
            identity.cluster
        )));
    }
    if let Some(outcome) = make_room(store, identity, &archive, settings)? {
        return Ok(outcome);
    }
    rewind(input)?;
    let mut reader = ArchiveReader::begin(input)?;
    let mut writer = Writer::new(store, settings);
    let mut summary = ArchiveSummary { digest: archive.summary.digest, ..ArchiveSummary::default() };
    loop {
        match reader.take()? {
            Record::Object { object, meta } => {
                summary.objects += 1;
                writer.begin_object(object, meta)?;
            }
            Record::Data { offset, data } => {
                summary.bytes += data.len() as u64;
                writer.write(offset, data)?;
            }
            Record::Omap(entries) => writer.set_omap(entries)?,
            Record::Config { key, value } => writer.set_config(key, value)?,
            Record::End { .. } => break,
        }
        hear(&summary);
    }
    writer.finish()?;
    Ok(ImportOutcome::Imported(summary))
}

/// An archive that was read to its end.
struct Verified {
    header: ArchiveHeader,
    summary: ArchiveSummary,
    config_keys: Vec<Vec<u8>>,
}

fn rewind(input: &mut impl Seek) -> Result<()> {
    input.seek(SeekFrom::Start(0)).map(drop).map_err(|error| Error::invalid(format!("go back in the archive: {error}")))
}

fn verify<Input: Read + Seek>(input: &mut Input) -> Result<Verified> {
    rewind(input)?;
    let mut reader = ArchiveReader::begin(input)?;
    let range = reader.header.range;
    let mut config_keys = Vec::new();
    let mut last: Option<ObjectId> = None;
    let mut found = ArchiveSummary::default();
    loop {
        match reader.take()? {
            Record::Object { object, .. } => {
                let inside = object.pool == range.pool
                    && (range.first_reversed_hash..=range.last_reversed_hash).contains(&object.hash.reverse_bits());
                if !inside || last.as_ref().is_some_and(|last| *last >= object) {
                    return Err(Error::damaged(format!("object {object} is out of place in the archive")));
                }
                last = Some(object);
                found.objects += 1;
            }
            Record::Config { key, .. } => config_keys.push(key),
            Record::Data { .. } | Record::Omap(_) if last.is_none() => {
                return Err(Error::damaged("the archive has content in front of its first object"));
            }
            Record::Data { data, .. } => found.bytes += data.len() as u64,
            Record::Omap(_) => {}
            Record::End { objects, bytes, digest } => {
                if (objects, bytes) != (found.objects, found.bytes) {
                    return Err(Error::damaged("the archive does not hold as much as its end tells"));
                }
                let summary = ArchiveSummary { digest, ..found };
                return Ok(Verified { header: reader.header, summary, config_keys });
            }
        }
    }
}

/// Decides about what is in the range, and removes it where that is right.
fn make_room(
    store: &dyn ObjectStore,
    identity: Identity,
    archive: &Verified,
    settings: &ImportSettings,
) -> Result<Option<ImportOutcome>> {
    let range = archive.header.range;
    let mut first = None;
    let mut count = 0u64;
    for_each_object(store, range, &mut |object| {
        first.get_or_insert_with(|| object.clone());
        count += 1;
        Ok(())
    })?;
    let Some(first) = first else { return Ok(None) };
    let mark = settings.unfinished_mark.clone();
    let read = StoreRead::OmapKeys { object: first.clone(), keys: vec![mark.clone()] };
    let is_unfinished = matches!(store.read(&read)?, StoreReadResult::Omap(page) if !page.entries.is_empty());
    if !is_unfinished {
        let contents = ArchiveContents { range, config_keys: archive.config_keys.clone(), subject: Vec::new() };
        let equal = match export(store, identity, &contents, &mut std::io::sink(), &mut |_| {}) {
            Ok(there) => there.digest == archive.summary.digest,
            // Damaged objects, or values that are not there: not equal, then.
            Err(error) if matches!(error.kind, types::ErrorKind::Damaged | types::ErrorKind::NotFound) => false,
            Err(error) => return Err(error),
        };
        if equal {
            return Ok(Some(ImportOutcome::AlreadyThere(archive.summary)));
        }
        if settings.mode == ImportMode::Keep {
            return Err(Error::exists(format!(
                "the store has {count} objects in the archive's range, and they are not equal to the archive's; say \
                 that they shall be replaced if nobody needs them"
            )));
        }
    }
    let mut writer = Writer::new(store, settings);
    writer.submit(vec![StoreOp::OmapSet { object: first.clone(), entries: [(mark, Bytes::new())].into() }], 0)?;
    writer.wait_for_all()?;
    let mut doomed = Vec::new();
    let mut remove = |doomed: &mut Vec<ObjectId>| {
        writer.submit(doomed.drain(..).map(|object| StoreOp::Remove { object }).collect(), 0)
    };
    for_each_object(store, range, &mut |object| {
        // The one with the mark goes last.
        if *object != first {
            doomed.push(object.clone());
        }
        if doomed.len() == REMOVED_TOGETHER { remove(&mut doomed) } else { Ok(()) }
    })?;
    remove(&mut doomed)?;
    writer.wait_for_all()?;
    writer.submit(vec![StoreOp::Remove { object: first }], 0)?;
    writer.wait_for_all()?;
    Ok(None)
}

/// Writes objects with bounded bytes in flight.
struct Writer<'a> {
    store: &'a dyn ObjectStore,
    mark: Vec<u8>,
    /// Told how many bytes became durable.
    sender: mpsc::SyncSender<Result<usize>>,
    durable: mpsc::Receiver<Result<usize>>,
    open: usize,
    in_flight_bytes: usize,
    first: Option<ObjectId>,
    object: Option<(ObjectId, u64)>,
}

impl<'a> Writer<'a> {
    fn new(store: &'a dyn ObjectStore, settings: &ImportSettings) -> Self {
        let (sender, durable) = mpsc::sync_channel(IN_FLIGHT_MAX);
        let mark = settings.unfinished_mark.clone();
        Self { store, mark, sender, durable, open: 0, in_flight_bytes: 0, first: None, object: None }
    }

    fn submit(&mut self, ops: Vec<StoreOp>, bytes: usize) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        let sender = self.sender()?;
        self.in_flight_bytes += bytes;
        self.store.submit(Transaction { ops }, Box::new(move |result| drop(sender.send(result.map(|()| bytes)))));
        while self.in_flight_bytes > IN_FLIGHT_BYTES_MAX {
            self.wait_for_one()?;
        }
        Ok(())
    }

    /// For one more answer. There is room for all of them, so the store never waits; and the receiver lives until the
    /// last, unless the writer has failed and nobody needs to know.
    fn sender(&mut self) -> Result<mpsc::SyncSender<Result<usize>>> {
        while self.open == IN_FLIGHT_MAX {
            self.wait_for_one()?;
        }
        self.open += 1;
        Ok(self.sender.clone())
    }

    fn wait_for_one(&mut self) -> Result<()> {
        let bytes = self.durable.recv().map_err(|_| Error::internal("a transaction was never answered"))??;
        self.open -= 1;
        self.in_flight_bytes -= bytes;
        Ok(())
    }

    fn wait_for_all(&mut self) -> Result<()> {
        while self.open > 0 {
            self.wait_for_one()?;
        }
        Ok(())
    }

    fn begin_object(&mut self, object: ObjectId, meta: ObjectMeta) -> Result<()> {
        self.end_object()?;
        let mut ops = vec![StoreOp::Touch { object: object.clone() }];
        if self.first.is_none() {
            self.first = Some(object.clone());
            let entries = [(self.mark.clone(), Bytes::new())].into();
            ops.push(StoreOp::OmapSet { object: object.clone(), entries });
        }
        if !meta.xattrs.is_empty() {
            ops.push(StoreOp::SetXattrs { object: object.clone(), xattrs: meta.xattrs });
        }
        if !meta.omap_header.is_empty() {
            ops.push(StoreOp::OmapSetHeader { object: object.clone(), header: meta.omap_header });
        }
        self.object = Some((object, meta.size));
        self.submit(ops, 0)
    }

    fn object(&self) -> Result<ObjectId> {
        let object = self.object.as_ref().map(|(object, _)| object.clone());
        object.ok_or_else(|| Error::damaged("the archive has content in front of its first object"))
    }

    fn end_object(&mut self) -> Result<()> {
        let Some((object, size)) = self.object.take() else { return Ok(()) };
        self.submit(vec![StoreOp::Truncate { object, size }], 0)
    }

    fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        let bytes = data.len();
        let object = self.object()?;
        self.submit(vec![StoreOp::Write { object, offset, data }], bytes)
    }

    fn set_omap(&mut self, entries: Vec<(Vec<u8>, Bytes)>) -> Result<()> {
        let object = self.object()?;
        let mut part = std::collections::BTreeMap::new();
        let mut bytes = 0;
        for (key, value) in entries {
            bytes += key.len() + value.len();
            part.insert(key, value);
            if bytes >= OMAP_BYTES_MAX {
                let entries = std::mem::take(&mut part);
                self.submit(vec![StoreOp::OmapSet { object: object.clone(), entries }], std::mem::take(&mut bytes))?;
            }
        }
        if part.is_empty() { Ok(()) } else { self.submit(vec![StoreOp::OmapSet { object, entries: part }], bytes) }
    }

    fn set_config(&mut self, key: Vec<u8>, value: Bytes) -> Result<()> {
        let sender = self.sender()?;
        let done = move |result: Result<()>| drop(sender.send(result.map(|()| 0)));
        self.store.submit_config(vec![(key, Some(value))], Box::new(done));
        Ok(())
    }

    /// Everything is durable, and then the mark goes.
    fn finish(mut self) -> Result<()> {
        self.end_object()?;
        self.wait_for_all()?;
        if let Some(object) = self.first.take() {
            self.submit(vec![StoreOp::OmapRemove { object, keys: vec![self.mark.clone()] }], 0)?;
        }
        self.wait_for_all()
    }
}

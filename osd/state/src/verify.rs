//! Digests of what this OSD stores of a placement group, for `ika osd verify` (FOUNDATIONS 24).
//!
//! One page is read object by object, each in bounded parts, so that a page costs the memory of one part. The asker
//! compares the pages of all members; while writes go on it asks again where versions differ.

use std::collections::{BTreeMap, VecDeque};

use crc32fast::Hasher;
use osd_pg::{OBJECT_INFO_XATTR, SessionId, Ticket};
use types::{
    Cursor, Error, Extent, GENERATION_NONE, LogVersion, ObjectId, ObjectMeta, PgRange, Result, StoreRead,
    StoreReadResult, limits,
};
use wire::{ObjectDigest, VerifyPage, VerifyRequest, decode_object_info};

/// Bytes of an object read at once.
const PART_BYTES: u64 = 4 << 20;
/// A page ends early after so many bytes, so that the asker hears something within seconds.
const PAGE_BYTES_MAX: u64 = 256 << 20;
/// Pages in the making at once. An asker has one page in flight per OSD; what is beyond this is dropped and asked
/// again.
const JOBS_MAX: usize = 16;

/// What a job wants next.
#[derive(Debug)]
pub(crate) enum Step {
    /// These questions answered.
    Read(Vec<StoreRead>),
    /// The page sent.
    Finished(SessionId, VerifyPage),
}

/// Pages in the making.
#[derive(Debug, Default)]
pub(crate) struct Verifies {
    jobs: BTreeMap<Ticket, Job>,
    ticket_next: u64,
}

#[derive(Debug)]
struct Job {
    session: SessionId,
    page: VerifyPage,
    listed: bool,
    end: Cursor,
    objects: VecDeque<ObjectId>,
    next_page: Cursor,
    current: Option<Digesting>,
    bytes: u64,
}

#[derive(Debug)]
struct Digesting {
    digest: ObjectDigest,
    data: Hasher,
    data_offset: u64,
    omap: Hasher,
    omap_after: Vec<u8>,
    omap_done: bool,
}

impl Verifies {
    /// Begins a page over `range`. `None` when too many are in the making.
    pub fn begin(
        &mut self,
        session: SessionId,
        request: &VerifyRequest,
        last_update: LogVersion,
        range: PgRange,
    ) -> Option<(Ticket, Vec<StoreRead>)> {
        if self.jobs.len() >= JOBS_MAX {
            return None;
        }
        let begin = request.begin.clone().max(range.begin());
        let objects_max =
            usize::try_from(request.objects_max).unwrap_or(usize::MAX).clamp(1, limits::SCAN_PAGE_OBJECTS);
        let job = Job {
            session,
            page: VerifyPage {
                sequence: request.sequence,
                last_update,
                present: true,
                objects: Vec::new(),
                next: None,
            },
            listed: false,
            end: range.end(),
            objects: VecDeque::new(),
            next_page: Cursor::End,
            current: None,
            bytes: 0,
        };
        let reads = vec![StoreRead::List { begin, end: range.end(), objects_max }];
        self.ticket_next += 1;
        let ticket = Ticket(self.ticket_next);
        self.jobs.insert(ticket, job);
        Some((ticket, reads))
    }

    /// The answers to a job's last questions.
    pub fn answered(&mut self, ticket: Ticket, results: Vec<Result<StoreReadResult>>) -> Option<Step> {
        let job = self.jobs.get_mut(&ticket)?;
        let step = job.step(results);
        if matches!(step, Step::Finished(..)) {
            self.jobs.remove(&ticket);
        }
        Some(step)
    }

    /// Nobody waits for these any more.
    pub fn forget_session(&mut self, session: SessionId) {
        self.jobs.retain(|_, job| job.session != session);
    }
}

impl Job {
    fn step(&mut self, results: Vec<Result<StoreReadResult>>) -> Step {
        for result in results {
            self.take(result);
        }
        if let Some(current) = &self.current {
            return Step::Read(current.questions());
        }
        if self.bytes >= PAGE_BYTES_MAX
            && let Some(first_left) = self.objects.pop_front()
        {
            self.next_page = Cursor::Before(first_left);
            self.objects.clear();
        }
        match self.objects.pop_front() {
            Some(object) => {
                let questions = vec![StoreRead::Meta { object: object.clone() }];
                self.current = Some(Digesting::new(object));
                Step::Read(questions)
            }
            None => {
                let done = self.next_page >= self.end;
                self.page.next = (!done).then(|| self.next_page.clone());
                let empty = VerifyPage { objects: Vec::new(), ..self.page.clone() };
                Step::Finished(self.session, std::mem::replace(&mut self.page, empty))
            }
        }
    }

    fn take(&mut self, result: Result<StoreReadResult>) {
        if !self.listed {
            self.listed = true;
            match result {
                Ok(StoreReadResult::List { objects, next }) => {
                    let is_content = |object: &ObjectId| !object.is_pg_meta() && object.generation == GENERATION_NONE;
                    self.objects = objects.into_iter().filter(is_content).collect();
                    self.next_page = next;
                }
                Ok(other) => panic!("a listing is answered by a listing, not by {other:?}"),
                Err(_) => self.page.present = false,
            }
            return;
        }
        let Some(current) = &mut self.current else { return };
        let taken = result.and_then(|result| current.take(result, &mut self.bytes));
        let finished = match taken {
            Ok(Progress::More) => false,
            Ok(Progress::Finished) => true,
            Ok(Progress::Gone) => {
                self.current = None;
                return;
            }
            Err(error) => {
                current.digest.damage = Some(error.message);
                true
            }
        };
        if finished && let Some(current) = self.current.take() {
            self.page.objects.push(current.finish());
        }
    }
}

enum Progress {
    More,
    Finished,
    /// Removed since it was listed.
    Gone,
}

impl Digesting {
    fn new(object: ObjectId) -> Self {
        Self {
            digest: ObjectDigest {
                object,
                version: LogVersion::ZERO,
                size: 0,
                data_crc: 0,
                xattrs_crc: 0,
                omap_crc: 0,
                damage: None,
            },
            data: Hasher::new(),
            data_offset: 0,
            omap: Hasher::new(),
            omap_after: Vec::new(),
            omap_done: false,
        }
    }

    fn questions(&self) -> Vec<StoreRead> {
        let object = self.digest.object.clone();
        if self.data_offset < self.digest.size {
            let length = PART_BYTES.min(self.digest.size - self.data_offset);
            return vec![StoreRead::Data { object, extent: Extent { offset: self.data_offset, length } }];
        }
        let (after, keys_max) = (self.omap_after.clone(), limits::PAGE_KEYS_MAX);
        vec![StoreRead::Omap { object, after, prefix: Vec::new(), keys_max }]
    }

    fn take(&mut self, result: StoreReadResult, bytes: &mut u64) -> Result<Progress> {
        match result {
            StoreReadResult::Meta(None) => return Ok(Progress::Gone),
            StoreReadResult::Meta(Some(meta)) => self.take_meta(&meta)?,
            StoreReadResult::Data(data) => {
                if data.is_empty() {
                    // The object was cut while it was read; the versions of the members' digests will tell.
                    self.data_offset = self.digest.size;
                }
                self.data.update(&data);
                let length = u64::try_from(data.len()).expect("a length fits 64 bits");
                self.data_offset += length;
                *bytes += length;
            }
            StoreReadResult::Omap(page) => {
                for (key, value) in &page.entries {
                    hash_entry(&mut self.omap, key, value);
                }
                self.omap_after = page.entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
                self.omap_done = !page.more;
            }
            other => panic!("no such question was asked: {other:?}"),
        }
        Ok(if self.omap_done { Progress::Finished } else { Progress::More })
    }

    fn take_meta(&mut self, meta: &ObjectMeta) -> Result<()> {
        self.digest.size = meta.size;
        let mut xattrs = Hasher::new();
        for (name, value) in &meta.xattrs {
            hash_entry(&mut xattrs, name, value);
        }
        self.digest.xattrs_crc = xattrs.finalize();
        hash_entry(&mut self.omap, b"", &meta.omap_header);
        let info = meta.xattrs.get(OBJECT_INFO_XATTR).ok_or_else(|| Error::damaged("the object has no info"))?;
        self.digest.version = decode_object_info(info)?.version;
        Ok(())
    }

    fn finish(self) -> ObjectDigest {
        let Self { mut digest, data, omap, .. } = self;
        digest.data_crc = data.finalize();
        digest.omap_crc = omap.finalize();
        digest
    }
}

fn hash_entry(hasher: &mut Hasher, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        hasher.update(&u64::try_from(part.len()).expect("a length fits 64 bits").to_le_bytes());
        hasher.update(part);
    }
}

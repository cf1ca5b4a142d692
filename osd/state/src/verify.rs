//! Digests of what this OSD stores of a placement group, for `ika osd verify` (FOUNDATIONS 24).
//!
//! One page is read object by object, each in bounded parts, so that a page costs the memory of one part. The asker
//! compares the pages of all members; while writes go on it asks again where versions differ.

use std::collections::{BTreeMap, VecDeque};

use osd_pg::{Digesting, Progress, SessionId, Ticket};
use types::{Cursor, GENERATION_NONE, LogVersion, ObjectId, PgRange, Result, StoreRead, StoreReadResult, limits};
use wire::{ScrubDepth, VerifyPage, VerifyRequest};

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
                let digesting = Digesting::new(object, ScrubDepth::Data);
                let questions = digesting.questions();
                self.current = Some(digesting);
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
        match current.take(result, &mut self.bytes) {
            Progress::More => {}
            Progress::Finished => self.page.objects.extend(self.current.take().map(Digesting::finish)),
            Progress::Gone => self.current = None,
        }
    }
}

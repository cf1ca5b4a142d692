//! The digests of one chunk, made here: for the primary itself, or for the primary that asked.

use std::collections::VecDeque;

use types::{Cursor, GENERATION_NONE, ObjectId, OsdId, Result, StoreRead, StoreReadResult, limits};
use wire::{ObjectDigest, PgBody, ScrubDepth};

use super::{Digesting, Digests, Progress};
use crate::{
    pg::{Pending, Pg},
    turn::Turn,
};

/// A page in the making.
#[derive(Debug)]
pub(super) struct DigestJob {
    pub number: u64,
    /// Who asked; nobody did when it is the primary's own.
    pub to: Option<OsdId>,
    depth: ScrubDepth,
    end: Cursor,
    is_listed: bool,
    objects: VecDeque<ObjectId>,
    current: Option<Digesting>,
    digests: Vec<ObjectDigest>,
    bytes: u64,
}

impl DigestJob {
    fn take(&mut self, result: Result<StoreReadResult>) -> Result<()> {
        if !self.is_listed {
            let StoreReadResult::List { objects, next } = result? else {
                return Err(types::Error::internal("the store answered another question than it was asked"));
            };
            self.is_listed = true;
            self.objects = objects.into_iter().filter(is_content).collect();
            self.end = self.end.clone().min(next);
            return Ok(());
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        match current.take(result, &mut self.bytes) {
            Progress::More => {}
            Progress::Finished => self.digests.extend(self.current.take().map(Digesting::finish)),
            Progress::Gone => self.current = None,
        }
        Ok(())
    }

    /// What is read next; `None` when the page is done.
    fn questions(&mut self) -> Option<Vec<StoreRead>> {
        if self.current.is_none() {
            self.current = Some(Digesting::new(self.objects.pop_front()?, self.depth));
        }
        self.current.as_ref().map(Digesting::questions)
    }
}

/// Whether members compare the object: neither metadata of the group nor a half-received copy.
pub(super) fn is_content(object: &ObjectId) -> bool {
    !object.is_pg_meta() && object.generation == GENERATION_NONE
}

impl Pg {
    /// Begins a page; one that is being made for an earlier chunk is dropped.
    pub(super) fn begin_digests(
        &mut self,
        number: u64,
        to: Option<OsdId>,
        begin: &Cursor,
        end: &Cursor,
        depth: ScrubDepth,
        turn: &mut Turn<'_>,
    ) {
        let range = self.range();
        let (begin, end) = (begin.clone().max(range.begin()), end.clone().min(range.end()));
        let job = DigestJob {
            number,
            to,
            depth,
            end: end.clone(),
            is_listed: false,
            objects: VecDeque::new(),
            current: None,
            digests: Vec::new(),
            bytes: 0,
        };
        self.scrub.job = Some(job);
        let read = StoreRead::List { begin, end, objects_max: limits::SCAN_PAGE_OBJECTS };
        self.read(vec![read], Pending::ScrubDigest(number), turn);
    }

    /// The store has answered.
    pub(crate) fn continue_digests(&mut self, number: u64, results: Vec<Result<StoreReadResult>>, turn: &mut Turn<'_>) {
        let Some(job) = self.scrub.job.as_mut().filter(|job| job.number == number) else { return };
        for result in results {
            if let Err(error) = job.take(result) {
                // Whoever waits for the page asks again.
                tracing::warn!(pg = %self.pg, %error, "cannot list the objects of a scrub");
                self.scrub.job = None;
                return;
            }
        }
        if let Some(reads) = job.questions() {
            self.read(reads, Pending::ScrubDigest(number), turn);
            return;
        }
        let Some(job) = self.scrub.job.take() else { return };
        match job.to {
            Some(to) => {
                let body = PgBody::ScrubDigests { number, end: job.end, objects: job.digests };
                self.send(to, body, turn);
            }
            None => self.take_own_digests(number, Digests::new(job.end, job.digests), job.bytes),
        }
    }
}

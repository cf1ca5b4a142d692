//! What operators ask of a placement group's primary: scrub, list what was found, tell where it stands.

use types::limits;
use wire::{OpFailure, OpSuccess, ScrubOrder, SubOp, SubOpResult};

use crate::{pg::Pg, turn::Turn, write::OpenOp};

/// Whether an order asks for more than another.
fn weight(order: ScrubOrder) -> u32 {
    match order {
        ScrubOrder::Scrub => 0,
        ScrubOrder::DeepScrub => 1,
        ScrubOrder::Repair => 2,
    }
}

impl Pg {
    /// Answers what needs neither a lease nor a PG that serves. Gives the operation back when it is none of these.
    pub(crate) fn answer_order(&mut self, open: OpenOp, turn: &mut Turn<'_>) -> Option<OpenOp> {
        let [step] = open.op.ops.as_slice() else { return Some(open) };
        let result = match step {
            SubOp::ScrubPg(order) => {
                let known = self.scrub.ordered.filter(|known| weight(*known) > weight(*order));
                self.scrub.ordered = Some(known.unwrap_or(*order));
                self.scrub.put_off_until = turn.now;
                Ok(SubOpResult::Done)
            }
            SubOp::ListInconsistent { skip, objects_max } => Ok(self.inconsistent_page(*skip, *objects_max)),
            SubOp::QueryPg => self.query().map(SubOpResult::Data),
            _ => return Some(open),
        };
        let outcome = match result {
            Ok(result) => {
                let (version, user_version) = (self.log.head(), self.info.last_user_version);
                Ok(OpSuccess { version, user_version, results: vec![result] })
            }
            Err(error) => Err(OpFailure { error, step: None }),
        };
        self.reply(&open, outcome, turn);
        None
    }

    fn inconsistent_page(&self, skip: u32, objects_max: u32) -> SubOpResult {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let most = usize::try_from(objects_max).unwrap_or(usize::MAX).min(limits::INCONSISTENT_PAGE_OBJECTS);
        SubOpResult::Inconsistents {
            stamp_ms: self.scrub.record.scrub_stamp_ms.max(self.scrub.record.deep_stamp_ms),
            total: self.scrub.record.errors,
            objects: self.scrub.found.iter().skip(skip).take(most).cloned().collect(),
        }
    }
}

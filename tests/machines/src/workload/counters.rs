//! Objects that count by a class's method: each answer says how often the call has taken effect.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{ObjectName, Time};
use wire::{SubOp, SubOpResult};

use super::{Draw, Kind, Operation, Outcome, refused, unknown};

/// One counter of each client, so that the next answer is known beforehand.
pub(super) struct Counters {
    clients: u64,
    counted: BTreeMap<u64, u64>,
    doing: BTreeMap<u64, u64>,
}

impl Counters {
    pub fn new(clients: u32) -> Self {
        Self { clients: u64::from(clients), counted: BTreeMap::new(), doing: BTreeMap::new() }
    }

    fn count(&mut self, number: u64, client: u64) -> Operation {
        let counted = self.counted.entry(client).or_default();
        *counted += 1;
        self.doing.insert(number, *counted);
        let (class, method) = ("numeric".to_owned(), "add".to_owned());
        let input = Bytes::from_static(br#"{"key": "n", "value": "1"}"#);
        let object = ObjectName::new(format!("counter-of-client-{client}"));
        Operation { object, ops: vec![SubOp::Call { class, method, input }] }
    }
}

impl Kind for Counters {
    fn begin(&mut self, draw: &mut Draw<'_>) -> Operation {
        self.count(draw.number, draw.client)
    }

    fn begin_last(&mut self, draw: &mut Draw<'_>, turn: usize) -> Option<Operation> {
        let client = turn as u64;
        (client < self.clients).then(|| self.count(draw.number, client))
    }

    fn finish(&mut self, _: Time, number: u64, outcome: Outcome) -> Result<(), String> {
        let expected = self.doing.remove(&number).ok_or_else(|| unknown(number))?;
        let success = outcome.map_err(|failure| refused("a call", &failure))?;
        // Also when the answer is a repeat: the output is remembered with the request.
        if success.results == [SubOpResult::Data(Bytes::from(expected.to_string()))] {
            return Ok(());
        }
        Err(format!("a call (operation {number}) counted to {:?} instead of {expected}", success.results))
    }

    fn judge(&self) -> Result<(), String> {
        if self.doing.is_empty() { Ok(()) } else { Err(format!("calls without an answer: {:?}", self.doing)) }
    }
}

//! What clients do, and how one knows that the answers were right.
//!
//! Each kind of workload is one file that draws operations, hears their answers and judges the whole. To add an
//! operation: give it to the kind whose judge can follow it, or write a file with a new [`Kind`] and list it in
//! [`Workload::new`]. Values are unique over the run, so that whatever is read says which operation wrote it.

mod attributes;
mod counters;
mod logs;
mod owned;
mod registers;
mod swaps;

use bytes::Bytes;
use types::{ErrorKind, ObjectName, SeededRandom, Time};
use wire::{OpFailure, OpSuccess, SubOp, SubOpResult};

/// What an operation came to.
pub(crate) type Outcome = Result<OpSuccess, OpFailure>;

/// One operation of a client.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub object: ObjectName,
    pub ops: Vec<SubOp>,
}

/// What an operation is drawn from.
pub(crate) struct Draw<'a> {
    pub random: &'a mut SeededRandom,
    pub now: Time,
    pub client: u64,
    /// The operation's own number: the kind hears of it again with the answer, and may use it as a value.
    pub number: u64,
}

impl Draw<'_> {
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.random.below(u64::from(bound))).expect("below a small bound")
    }
}

/// One kind of workload with its model.
pub(crate) trait Kind {
    /// The next operation of a client.
    fn begin(&mut self, draw: &mut Draw<'_>) -> Operation;
    /// A look at everything, once all has settled; `None` when there is nothing more to look at.
    fn begin_last(&mut self, draw: &mut Draw<'_>, turn: usize) -> Option<Operation>;
    /// The answer. An error says what was wrong with it.
    fn finish(&mut self, at: Time, number: u64, outcome: Outcome) -> Result<(), String>;
    /// Whether everything that was answered has one explanation.
    fn judge(&self) -> Result<(), String>;
}

/// All kinds, and which one each operation in flight belongs to.
pub(crate) struct Workload {
    kinds: Vec<(u64, Box<dyn Kind>)>,
    number_next: u64,
    last: Vec<usize>,
}

impl Workload {
    pub fn new(clients: u32) -> Self {
        let kinds: Vec<(u64, Box<dyn Kind>)> = vec![
            (5, Box::new(registers::Registers::new())),
            (3, Box::new(attributes::Attributes::new())),
            (4, Box::new(logs::Logs::new(clients))),
            (3, Box::new(swaps::Swaps::new())),
            (4, Box::new(owned::Owned::new(clients))),
            (2, Box::new(counters::Counters::new(clients))),
        ];
        let last = vec![0; kinds.len()];
        Self { kinds, number_next: 0, last }
    }

    /// Draws a client's next operation. Says its number and its kind.
    pub fn begin(&mut self, random: &mut SeededRandom, now: Time, client: u32) -> (u64, usize, Operation) {
        self.number_next += 1;
        let sum: u64 = self.kinds.iter().map(|(weight, _)| weight).sum();
        let mut drawn = random.below(sum);
        let mut kind = 0;
        while drawn >= self.kinds[kind].0 {
            drawn -= self.kinds[kind].0;
            kind += 1;
        }
        let mut draw = Draw { random, now, client: u64::from(client), number: self.number_next };
        let operation = self.kinds[kind].1.begin(&mut draw);
        (self.number_next, kind, operation)
    }

    /// The next look at what there is in the end.
    pub fn begin_last(&mut self, random: &mut SeededRandom, now: Time) -> Option<(u64, usize, Operation)> {
        for (kind, (_, workload)) in self.kinds.iter_mut().enumerate() {
            let mut draw = Draw { random: &mut *random, now, client: 0, number: self.number_next + 1 };
            if let Some(operation) = workload.begin_last(&mut draw, self.last[kind]) {
                self.last[kind] += 1;
                self.number_next += 1;
                return Some((self.number_next, kind, operation));
            }
        }
        None
    }

    pub fn finish(&mut self, at: Time, number: u64, kind: usize, outcome: Outcome) -> Result<(), String> {
        self.kinds[kind].1.finish(at, number, outcome)
    }

    pub fn judge(&self) -> Result<(), String> {
        self.kinds.iter().try_for_each(|(_, kind)| kind.judge())
    }
}

/// A value as an object's content: the same eight bytes again and again, so that a mixture of two values shows.
pub(crate) fn words(value: u64, count: u32) -> Bytes {
    (0..count).flat_map(|_| value.to_le_bytes()).collect::<Vec<u8>>().into()
}

/// The value that such a content says.
pub(crate) fn value_of(bytes: &[u8]) -> Result<u64, String> {
    let values = words_of(bytes)?;
    match values.first() {
        Some(first) if values.iter().all(|value| value == first) => Ok(*first),
        _ => Err(format!("an object holds a mixture: {values:?}")),
    }
}

/// Content as eight-byte words.
pub(crate) fn words_of(bytes: &[u8]) -> Result<Vec<u64>, String> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        Ok(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect())
    } else {
        Err(format!("an object holds {} bytes, which no whole number of writes makes", bytes.len()))
    }
}

/// The data that a one-step read brought; `None` when there is no object.
pub(crate) fn data_of(outcome: Outcome) -> Result<Option<Bytes>, String> {
    match outcome {
        Ok(success) => match success.results.as_slice() {
            [SubOpResult::Data(bytes)] => Ok(Some(bytes.clone())),
            other => Err(format!("a read was answered with {other:?}")),
        },
        Err(failure) if failure.error.kind == ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(refused("a read", &failure)),
    }
}

/// An answer that no operation of a workload may get.
pub(crate) fn refused(what: &str, failure: &OpFailure) -> String {
    format!("{what} failed: {} ({})", failure.error, failure.error.kind)
}

/// An operation that was answered twice, or never begun.
pub(crate) fn unknown(number: u64) -> String {
    format!("operation {number} was answered to its caller and is not in flight")
}

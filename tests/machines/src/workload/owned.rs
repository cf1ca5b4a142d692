//! Objects that one client alone changes, in every way: so the exact answer to each operation is known beforehand.
//!
//! Operations of one client on one object take effect in the order sent, so the model runs ahead of the cluster, and
//! an operation that is carried out twice, or not at all, or out of order shows in the next answer.
//!
//! A read leaves no trace, so one whose answer was lost is carried out again, and may then see what the client changed
//! while it waited. Until it is answered, each such change adds to what it may say (decision 0063).

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{ErrorKind, Extent, ObjectName, Time};
use wire::{SubOp, SubOpResult};

use super::{Draw, Kind, Operation, Outcome, refused, unknown, words};

/// Objects of each client.
const OBJECTS: u64 = 2;
/// The largest content, in bytes.
const BYTES_MAX: u32 = 300;

/// The one operation that changes nothing.
const READ: &str = "a read";

/// What must be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    Done,
    Bytes(Bytes),
    Refused(ErrorKind),
}

pub(super) struct Owned {
    clients: u64,
    content: BTreeMap<(u64, u64), Vec<u8>>,
    /// What is under way, and what may be answered; a read has as many right answers as there were changes since.
    doing: BTreeMap<u64, (ObjectName, &'static str, Vec<Expected>)>,
}

impl Owned {
    pub fn new(clients: u32) -> Self {
        Self { clients: u64::from(clients), content: BTreeMap::new(), doing: BTreeMap::new() }
    }

    fn read(&mut self, draw: &Draw<'_>, key: (u64, u64)) -> Operation {
        let expected = self.readable(key);
        let everything = SubOp::Read(Extent { offset: 0, length: u64::from(BYTES_MAX) * 4 });
        self.note(draw.number, key, READ, expected, vec![everything])
    }

    fn readable(&self, key: (u64, u64)) -> Expected {
        match self.content.get(&key) {
            Some(content) => Expected::Bytes(Bytes::copy_from_slice(content)),
            None => Expected::Refused(ErrorKind::NotFound),
        }
    }

    fn note(
        &mut self,
        number: u64,
        key: (u64, u64),
        what: &'static str,
        expected: Expected,
        ops: Vec<SubOp>,
    ) -> Operation {
        let object = ObjectName::new(format!("object-{}-of-client-{}", key.1, key.0));
        let now = self.readable(key);
        for (waiting, what, may_be) in self.doing.values_mut() {
            if *what == READ && *waiting == object && !may_be.contains(&now) {
                may_be.push(now.clone());
            }
        }
        self.doing.insert(number, (object.clone(), what, vec![expected]));
        Operation { object, ops }
    }
}

impl Kind for Owned {
    fn begin(&mut self, draw: &mut Draw<'_>) -> Operation {
        let key = (draw.client, draw.random.below(OBJECTS));
        let exists = self.content.contains_key(&key);
        let missing = if exists { Expected::Done } else { Expected::Refused(ErrorKind::NotFound) };
        let data = words(draw.number, 1 + draw.below(4));
        let offset = draw.below(BYTES_MAX);
        let place = u64::from(offset);
        match draw.below(100) {
            0..25 => self.read(draw, key),
            25..40 => {
                self.content.insert(key, data.to_vec());
                self.note(draw.number, key, "a whole write", Expected::Done, vec![SubOp::WriteFull(data)])
            }
            40..60 => {
                let content = self.content.entry(key).or_default();
                let (from, until) = (offset as usize, offset as usize + data.len());
                content.resize(content.len().max(until), 0);
                content[from..until].copy_from_slice(&data);
                let write = SubOp::Write { offset: place, data };
                self.note(draw.number, key, "a write", Expected::Done, vec![write])
            }
            60..70 => {
                self.content.entry(key).or_default().resize(offset as usize, 0);
                self.note(draw.number, key, "a truncation", Expected::Done, vec![SubOp::Truncate(place)])
            }
            70..80 => {
                let content = self.content.entry(key).or_default();
                let until = content.len().min(offset as usize + 16);
                if let Some(range) = content.get_mut(offset as usize..until) {
                    range.fill(0);
                }
                let zero = SubOp::Zero(Extent { offset: place, length: 16 });
                self.note(draw.number, key, "zeroes", Expected::Done, vec![zero])
            }
            80..88 => {
                let expected = if exists { Expected::Refused(ErrorKind::Exists) } else { Expected::Done };
                self.content.entry(key).or_insert_with(|| data.to_vec());
                let ops = vec![SubOp::Create { exclusive: true }, SubOp::WriteFull(data)];
                self.note(draw.number, key, "an exclusive creation", expected, ops)
            }
            _ => {
                self.content.remove(&key);
                self.note(draw.number, key, "a removal", missing, vec![SubOp::Remove])
            }
        }
    }

    fn begin_last(&mut self, draw: &mut Draw<'_>, turn: usize) -> Option<Operation> {
        let turn = turn as u64;
        let key = (turn / OBJECTS, turn % OBJECTS);
        (key.0 < self.clients).then(|| self.read(draw, key))
    }

    fn finish(&mut self, _: Time, number: u64, outcome: Outcome) -> Result<(), String> {
        let (object, what, expected) = self.doing.remove(&number).ok_or_else(|| unknown(number))?;
        let answered = match outcome {
            Ok(success) => match success.results.as_slice() {
                [SubOpResult::Data(bytes)] => Expected::Bytes(bytes.clone()),
                _ => Expected::Done,
            },
            Err(failure) if matches!(failure.error.kind, ErrorKind::NotFound | ErrorKind::Exists) => {
                Expected::Refused(failure.error.kind)
            }
            Err(failure) => return Err(refused(what, &failure)),
        };
        if expected.contains(&answered) {
            return Ok(());
        }
        Err(format!("{what} (operation {number}) of {object} was answered with {answered:?} instead of {expected:?}"))
    }

    fn judge(&self) -> Result<(), String> {
        match self.doing.first_key_value() {
            None => Ok(()),
            Some((number, (object, what, _))) => Err(format!("{what} of {object} (operation {number}) has no answer")),
        }
    }
}

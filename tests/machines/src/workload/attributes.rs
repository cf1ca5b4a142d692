//! Objects whose attribute and omap keys are set together: whoever reads them sees one value in all of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use tests_kit::{OperationKey, RegisterHistory};
use types::{ErrorKind, ObjectName, Time};
use wire::{SubOp, SubOpResult};

use super::{Draw, Kind, Operation, Outcome, refused, unknown, value_of, words};

const OBJECTS: u32 = 4;
const ATTRIBUTE: &[u8] = b"value";
const KEYS: [&[u8]; 3] = [b"a", b"b", b"c"];

#[derive(Debug, Clone, Copy)]
enum Doing {
    Read(OperationKey),
    Write(OperationKey),
}

pub(super) struct Attributes {
    history: RegisterHistory<u32, u64>,
    doing: BTreeMap<u64, Doing>,
}

impl Attributes {
    pub fn new() -> Self {
        Self { history: RegisterHistory::new(0), doing: BTreeMap::new() }
    }

    fn read(&mut self, draw: &mut Draw<'_>, object: u32) -> Operation {
        let key = self.history.begin_read(draw.now, draw.client, object);
        self.doing.insert(draw.number, Doing::Read(key));
        let keys = KEYS.iter().map(|key| key.to_vec()).collect();
        Operation { object: name(object), ops: vec![SubOp::GetXattr(ATTRIBUTE.to_vec()), SubOp::OmapGetKeys(keys)] }
    }
}

impl Kind for Attributes {
    fn begin(&mut self, draw: &mut Draw<'_>) -> Operation {
        let object = draw.below(OBJECTS);
        if draw.below(100) < 50 {
            return self.read(draw, object);
        }
        let key = self.history.begin_write(draw.now, draw.client, object, draw.number);
        self.doing.insert(draw.number, Doing::Write(key));
        let value = words(draw.number, 1);
        let entries = KEYS.iter().map(|key| (key.to_vec(), value.clone())).collect();
        let set = SubOp::SetXattr { name: ATTRIBUTE.to_vec(), value };
        Operation { object: name(object), ops: vec![set, SubOp::OmapSet(entries)] }
    }

    fn begin_last(&mut self, draw: &mut Draw<'_>, turn: usize) -> Option<Operation> {
        let object = u32::try_from(turn).ok().filter(|object| *object < OBJECTS)?;
        Some(self.read(draw, object))
    }

    fn finish(&mut self, at: Time, number: u64, outcome: Outcome) -> Result<(), String> {
        match self.doing.remove(&number).ok_or_else(|| unknown(number))? {
            Doing::Read(key) => {
                let value = match outcome {
                    Ok(success) => one_value(&success.results)?,
                    Err(failure) if failure.error.kind == ErrorKind::NotFound => 0,
                    Err(failure) => return Err(refused("a read of attributes", &failure)),
                };
                self.history.finish_read(at, key, value);
            }
            Doing::Write(key) => {
                outcome.map_err(|failure| refused("a write of attributes", &failure))?;
                self.history.acknowledge_write(at, key);
            }
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), String> {
        self.history.check().map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}

/// The value that the attribute and every key hold.
fn one_value(results: &[SubOpResult]) -> Result<u64, String> {
    let [SubOpResult::Data(attribute), SubOpResult::Omap(page)] = results else {
        return Err(format!("a read of attributes was answered with {results:?}"));
    };
    let values: Vec<&Bytes> = page.entries.iter().map(|(_, value)| value).collect();
    if values.len() == KEYS.len() && values.iter().all(|value| *value == attribute) {
        return value_of(attribute);
    }
    Err(format!("an object's attribute {attribute:?} and omap {:?} are of different writes", page.entries))
}

fn name(object: u32) -> ObjectName {
    ObjectName::new(format!("attributes-{object}"))
}

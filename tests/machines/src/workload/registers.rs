//! Objects that are written whole and read whole by everybody.

use std::collections::BTreeMap;

use tests_kit::{OperationKey, RegisterHistory};
use types::{Extent, ObjectName, Time};
use wire::SubOp;

use super::{Draw, Kind, Operation, Outcome, data_of, refused, unknown, value_of, words};

/// Few, so that clients meet.
const REGISTERS: u32 = 6;
/// The largest content, in words: more than some worlds copy in one part.
const WORDS_MAX: u32 = 40;

#[derive(Debug, Clone, Copy)]
enum Doing {
    Read(OperationKey),
    Write(OperationKey),
}

pub(super) struct Registers {
    history: RegisterHistory<u32, u64>,
    doing: BTreeMap<u64, Doing>,
}

impl Registers {
    pub fn new() -> Self {
        Self { history: RegisterHistory::new(0), doing: BTreeMap::new() }
    }

    fn read(&mut self, draw: &mut Draw<'_>, register: u32) -> Operation {
        let key = self.history.begin_read(draw.now, draw.client, register);
        self.doing.insert(draw.number, Doing::Read(key));
        let everything = Extent { offset: 0, length: u64::from(WORDS_MAX) * 8 };
        Operation { object: name(register), ops: vec![SubOp::Read(everything)] }
    }
}

impl Kind for Registers {
    fn begin(&mut self, draw: &mut Draw<'_>) -> Operation {
        let register = draw.below(REGISTERS);
        if draw.below(100) < 55 {
            return self.read(draw, register);
        }
        let key = self.history.begin_write(draw.now, draw.client, register, draw.number);
        self.doing.insert(draw.number, Doing::Write(key));
        let content = words(draw.number, 1 + draw.below(WORDS_MAX));
        Operation { object: name(register), ops: vec![SubOp::WriteFull(content)] }
    }

    fn begin_last(&mut self, draw: &mut Draw<'_>, turn: usize) -> Option<Operation> {
        let register = u32::try_from(turn).ok().filter(|register| *register < REGISTERS)?;
        Some(self.read(draw, register))
    }

    fn finish(&mut self, at: Time, number: u64, outcome: Outcome) -> Result<(), String> {
        match self.doing.remove(&number).ok_or_else(|| unknown(number))? {
            Doing::Read(key) => {
                let value = data_of(outcome)?.map_or(Ok(0), |bytes| value_of(&bytes))?;
                self.history.finish_read(at, key, value);
            }
            Doing::Write(key) => {
                outcome.map_err(|failure| refused("a write", &failure))?;
                self.history.acknowledge_write(at, key);
            }
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), String> {
        self.history.check().map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}

fn name(register: u32) -> ObjectName {
    ObjectName::new(format!("register-{register}"))
}

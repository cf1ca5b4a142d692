//! Objects that change by compare-and-swap alone: each value names the one before it.

use std::collections::BTreeMap;

use bytes::Bytes;
use tests_kit::{ChainHistory, ChainKey};
use types::{ErrorKind, Extent, ObjectName, Time};
use wire::SubOp;

use super::{Draw, Kind, Operation, Outcome, data_of, refused, unknown, value_of, words};

const OBJECTS: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Doing {
    Swap { object: usize, key: ChainKey, old: u64, new: u64 },
    Look { object: usize, key: ChainKey },
}

#[derive(Debug)]
struct Object {
    history: ChainHistory<u64>,
    /// By value: what it replaced. Of every swap that was acknowledged, or was seen.
    before: BTreeMap<u64, u64>,
    /// Swaps whose answer has not come; they may have taken effect.
    open: BTreeMap<u64, u64>,
    /// What each client believes.
    known: BTreeMap<u64, u64>,
    last: Option<u64>,
}

pub(super) struct Swaps {
    objects: Vec<Object>,
    doing: BTreeMap<u64, (u64, Doing)>,
}

impl Swaps {
    pub fn new() -> Self {
        let object = || Object {
            history: ChainHistory::new(),
            before: BTreeMap::new(),
            open: BTreeMap::new(),
            known: BTreeMap::new(),
            last: None,
        };
        Self { objects: (0..OBJECTS).map(|_| object()).collect(), doing: BTreeMap::new() }
    }

    fn look(&mut self, draw: &mut Draw<'_>, object: usize) -> Operation {
        let key = self.objects[object].history.begin_look(draw.client);
        self.doing.insert(draw.number, (draw.client, Doing::Look { object, key }));
        Operation { object: name(object), ops: vec![SubOp::Read(Extent { offset: 0, length: 8 })] }
    }
}

impl Kind for Swaps {
    fn begin(&mut self, draw: &mut Draw<'_>) -> Operation {
        let object = draw.below(OBJECTS) as usize;
        if draw.below(100) < 30 {
            return self.look(draw, object);
        }
        let state = &mut self.objects[object];
        let (old, new) = (state.known.get(&draw.client).copied().unwrap_or(0), draw.number);
        let key = state.history.begin_step(draw.client, new);
        state.open.insert(new, old);
        self.doing.insert(draw.number, (draw.client, Doing::Swap { object, key, old, new }));
        let guard = if old == 0 {
            SubOp::Create { exclusive: true }
        } else {
            SubOp::CompareExtent { offset: 0, data: words(old, 1) }
        };
        Operation { object: name(object), ops: vec![guard, SubOp::WriteFull(words(new, 1))] }
    }

    fn begin_last(&mut self, draw: &mut Draw<'_>, turn: usize) -> Option<Operation> {
        (turn < OBJECTS as usize).then(|| self.look(draw, turn))
    }

    fn finish(&mut self, _: Time, number: u64, outcome: Outcome) -> Result<(), String> {
        let (client, doing) = self.doing.remove(&number).ok_or_else(|| unknown(number))?;
        match doing {
            Doing::Swap { object, key, old, new } => {
                let state = &mut self.objects[object];
                state.open.remove(&new);
                match outcome {
                    Ok(_) => {
                        state.before.insert(new, old);
                        state.known.insert(client, new);
                        state.history.acknowledge(key);
                    }
                    Err(failure) if matches!(failure.error.kind, ErrorKind::Exists | ErrorKind::NotFound) => {
                        state.history.refused_after(key, (old != 0).then_some(old));
                    }
                    Err(failure) => return Err(refused("a compare-and-swap", &failure)),
                }
            }
            Doing::Look { object, key } => {
                let value = data_of(outcome)?.map_or(Ok(0), |bytes: Bytes| value_of(&bytes))?;
                let state = &mut self.objects[object];
                state.known.insert(client, value);
                state.last = Some(value);
                state.history.saw(key, (value != 0).then_some(value));
            }
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), String> {
        for (index, object) in self.objects.iter().enumerate() {
            let wrong = |reason: String| format!("{}: {reason}", name(index));
            let mut chain = Vec::new();
            let mut value = object.last.ok_or_else(|| wrong("nobody looked at the end".to_owned()))?;
            while value != 0 {
                chain.push(value);
                value = *object
                    .before
                    .get(&value)
                    .or_else(|| object.open.get(&value))
                    .ok_or_else(|| wrong(format!("nobody's swap made {value}")))?;
                if chain.len() > object.before.len() + object.open.len() {
                    return Err(wrong(format!("swaps follow each other in a circle: {chain:?}")));
                }
            }
            chain.reverse();
            object.history.check(&chain).map_err(wrong)?;
        }
        Ok(())
    }
}

fn name(object: usize) -> ObjectName {
    ObjectName::new(format!("swap-{object}"))
}

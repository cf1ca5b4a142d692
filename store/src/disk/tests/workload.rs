//! Random transactions, an order of steps, and the comparison with the model.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{
    Cursor, Extent, ObjectId, ObjectName, PoolId, Result, SeededRandom, StoreOp, StoreRead, StoreReadResult,
    Transaction,
};

use super::super::{checkpoint::Scope, engine::Engine};
use crate::{memory::MemoryStore, object_store::ObjectStore};

/// Objects that a workload uses; few, so that they meet all kinds of changes.
const OBJECTS: u64 = 8;
/// Largest object.
const OBJECT_BYTES: u64 = 600 << 10;

pub fn object(number: u64) -> ObjectId {
    let hash = (number as u32).wrapping_mul(0x9e37_79b1);
    ObjectId::head(PoolId(1 + number % 2), hash, ObjectName::new(format!("object-{number}")))
}

fn any_object(random: &mut SeededRandom) -> ObjectId {
    object(random.below(OBJECTS))
}

fn offset(random: &mut SeededRandom) -> u64 {
    let offset = random.below(OBJECT_BYTES);
    match random.below(3) {
        0 => offset / 4096 * 4096,
        1 => random.below(3) * 4096,
        _ => offset,
    }
}

fn length(random: &mut SeededRandom) -> u64 {
    match random.below(8) {
        0 => random.below(100),
        1 | 2 => 4096,
        3 => random.below(20_000),
        4 => 4096 * (1 + random.below(6)),
        5 => 4096 * (8 + random.below(8)),
        6 => 40_000 + random.below(30_000),
        _ => 1 + random.below(9000),
    }
}

fn bytes(random: &mut SeededRandom, length: u64) -> Bytes {
    let seed = random.draw();
    let mut bytes = Vec::with_capacity(length as usize);
    let mut draws = SeededRandom::new(types::Seed(seed));
    while (bytes.len() as u64) < length {
        bytes.extend_from_slice(&draws.draw().to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes.into()
}

fn key(random: &mut SeededRandom) -> Vec<u8> {
    format!("key-{}", random.below(40)).into_bytes()
}

fn op(random: &mut SeededRandom) -> StoreOp {
    let object = any_object(random);
    match random.below(24) {
        0 => StoreOp::Touch { object },
        1..=8 => {
            let (offset, length) = (offset(random), length(random));
            StoreOp::Write { object, offset, data: bytes(random, length) }
        }
        9 | 10 => StoreOp::Zero { object, extent: Extent { offset: offset(random), length: length(random) * 2 } },
        11 | 12 => StoreOp::Truncate { object, size: offset(random) },
        13 => StoreOp::Remove { object },
        14 | 15 => StoreOp::Clone { source: any_object(random), target: object },
        16 => StoreOp::SetXattrs { object, xattrs: BTreeMap::from([(key(random), bytes(random, 30))]) },
        17 => StoreOp::RemoveXattr { object, name: key(random) },
        18 | 19 => {
            let entries = (0..random.below(8)).map(|_| (key(random), bytes(random, 20))).collect();
            StoreOp::OmapSet { object, entries }
        }
        20 => StoreOp::OmapRemove { object, keys: (0..random.below(5)).map(|_| key(random)).collect() },
        21 => StoreOp::OmapRemoveRange { object, begin: key(random), end: key(random) },
        22 => StoreOp::OmapSetHeader { object, header: bytes(random, 10) },
        _ if random.chance(1, 4) => StoreOp::OmapClear { object },
        _ => StoreOp::Touch { object },
    }
}

/// A transaction of one to five changes.
pub fn transaction(random: &mut SeededRandom) -> Transaction {
    Transaction { ops: (0..1 + random.below(5)).map(|_| op(random)).collect() }
}

/// Moves the engine on by a random piece.
pub fn random_step(engine: &Engine, random: &mut SeededRandom) {
    match random.below(12) {
        0..=2 => _ = engine.step_prepare(),
        3..=5 => _ = engine.step_journal(),
        6 | 7 => _ = engine.step_apply(),
        8 => _ = engine.step_certain(),
        9 => engine.step_checkpoint(Scope::WriteBack),
        10 if random.chance(1, 3) => engine.step_checkpoint(Scope::Trim),
        _ => {}
    }
}

/// Brings everything submitted to its end.
pub fn settle(engine: &Engine) {
    while engine.step_prepare() {}
    while engine.step_journal() {}
    while engine.step_apply() {}
}

/// A random read.
pub fn read(random: &mut SeededRandom) -> StoreRead {
    let object = any_object(random);
    match random.below(8) {
        0 => StoreRead::Meta { object },
        1..=3 => StoreRead::Data { object, extent: Extent { offset: offset(random), length: length(random) * 3 } },
        4 => StoreRead::Extents { object, extent: Extent { offset: offset(random), length: length(random) * 3 } },
        5 => {
            let after = if random.chance(1, 2) { key(random) } else { Vec::new() };
            let prefix = if random.chance(1, 3) { b"key-1".to_vec() } else { Vec::new() };
            StoreRead::Omap { object, after, prefix, keys_max: random.below(12) as usize }
        }
        6 => StoreRead::OmapKeys { object, keys: (0..random.below(6)).map(|_| key(random)).collect() },
        _ => {
            let cursor = |random: &mut SeededRandom| match random.below(3) {
                0 => Cursor::Start,
                1 => Cursor::Before(any_object(random)),
                _ => Cursor::End,
            };
            StoreRead::List { begin: cursor(random), end: cursor(random), objects_max: random.below(5) as usize }
        }
    }
}

/// The first difference between a store and the model, if there is one. Reads of data that say `Damaged` are counted
/// in `damaged`, if it is given, and otherwise are a difference.
pub fn difference(
    store: &dyn Fn(&StoreRead) -> Result<StoreReadResult>,
    model: &MemoryStore,
    mut damaged: Option<&mut u64>,
) -> Option<String> {
    let all = StoreRead::List { begin: Cursor::Start, end: Cursor::End, objects_max: 1000 };
    let expected = model.read(&all);
    let found = store(&all);
    if found != expected {
        return Some(format!("lists {found:?} and not {expected:?}"));
    }
    let Ok(StoreReadResult::List { objects, .. }) = expected else { panic!("the model lists") };
    for object in objects {
        let whole = Extent { offset: 0, length: 1 << 40 };
        for read in [
            StoreRead::Meta { object: object.clone() },
            StoreRead::Extents { object: object.clone(), extent: whole },
            StoreRead::Omap { object: object.clone(), after: Vec::new(), prefix: Vec::new(), keys_max: 1000 },
            StoreRead::Data { object: object.clone(), extent: whole },
        ] {
            let (found, expected) = (store(&read), model.read(&read));
            if let (Some(damaged), StoreRead::Data { .. }, Err(error)) = (&mut damaged, &read, &found)
                && error.kind == types::ErrorKind::Damaged
            {
                **damaged += 1;
                continue;
            }
            if found != expected {
                return Some(format!("{object} differs in {}", detail(&read, &found, &expected)));
            }
        }
    }
    None
}

/// Compares everything there is.
pub fn compare(store: &dyn Fn(&StoreRead) -> Result<StoreReadResult>, model: &MemoryStore, context: &str) {
    if let Some(difference) = difference(store, model, None) {
        panic!("{context}: {difference}");
    }
}

fn detail(read: &StoreRead, found: &Result<StoreReadResult>, expected: &Result<StoreReadResult>) -> String {
    match (found, expected) {
        (Ok(StoreReadResult::Data(found)), Ok(StoreReadResult::Data(expected))) => {
            let at = found.iter().zip(expected).position(|(found, expected)| found != expected);
            format!("data: lengths {} and {}, first difference at {at:?}", found.len(), expected.len())
        }
        (Ok(StoreReadResult::Data(_)), Err(error)) | (Err(error), Ok(StoreReadResult::Data(_))) => {
            format!("data: {error}")
        }
        _ => format!("{read:?}: {found:?} and not {expected:?}"),
    }
}

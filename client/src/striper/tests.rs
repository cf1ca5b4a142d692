//! The striper against a pool in memory that can stop at any operation, compared with a flat model.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use futures::TryStreamExt;
use types::{Error, ErrorKind, Extent, LogVersion, Result, Seed, SeededRandom, XattrMap};
use wire::{Comparison, OpFailure, OpSuccess, SubOp, SubOpResult};

use super::{PieceStore, StripeLayout, Striper};
use crate::OpBuilder;

#[derive(Debug, Clone, Default)]
struct ToyObject {
    data: Vec<u8>,
    xattrs: XattrMap,
    version: u64,
}

#[derive(Debug, Default)]
struct ToyState {
    objects: BTreeMap<Vec<u8>, ToyObject>,
    version: u64,
    words: u64,
    /// Operations until the client dies.
    left: Option<u64>,
}

/// A pool in memory. Operations are atomic.
#[derive(Debug, Clone, Default)]
struct ToyPool {
    state: Arc<Mutex<ToyState>>,
}

impl ToyPool {
    fn state(&self) -> MutexGuard<'_, ToyState> {
        self.state.lock().unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.state().objects.keys().map(|name| String::from_utf8(name.clone()).unwrap()).collect()
    }
}

fn guard(holds: bool) -> Result<SubOpResult> {
    if holds { Ok(SubOpResult::Done) } else { Err(Error::exists("a guard did not hold")) }
}

fn existing(object: &Option<ToyObject>) -> Result<&ToyObject> {
    object.as_ref().ok_or_else(|| Error::not_found("no such object"))
}

fn apply(object: &mut Option<ToyObject>, op: &SubOp) -> Result<SubOpResult> {
    match op {
        SubOp::Read(Extent { offset, length }) => {
            let data = &existing(object)?.data;
            let begin = usize::try_from(*offset).unwrap().min(data.len());
            let end = (begin + usize::try_from(*length).unwrap()).min(data.len());
            Ok(SubOpResult::Data(Bytes::copy_from_slice(&data[begin..end])))
        }
        SubOp::Stat => Ok(SubOpResult::Stat { size: existing(object)?.data.len() as u64, modified_ms: 5 }),
        SubOp::GetXattrs => Ok(SubOpResult::Xattrs(existing(object)?.xattrs.clone())),
        SubOp::AssertExists => existing(object).map(|_| SubOpResult::Done),
        SubOp::AssertVersion(version) => guard(existing(object)?.version == *version),
        SubOp::CompareXattr { name, comparison: Comparison::Equal, value } => {
            guard(existing(object)?.xattrs.get(name).cloned().unwrap_or_default() == *value)
        }
        SubOp::Remove => object.take().map(|_| SubOpResult::Done).ok_or_else(|| Error::not_found("no such object")),
        _ => {
            let object = object.get_or_insert_default();
            match op {
                SubOp::Create { exclusive: false } => {}
                SubOp::Write { offset, data } => {
                    let begin = usize::try_from(*offset).unwrap();
                    let end = begin + data.len();
                    object.data.resize(object.data.len().max(end), 0);
                    object.data[begin..end].copy_from_slice(data);
                }
                SubOp::Truncate(size) => object.data.resize(usize::try_from(*size).unwrap(), 0),
                SubOp::SetXattr { name, value } => drop(object.xattrs.insert(name.clone(), value.clone())),
                SubOp::RemoveXattr(name) => drop(object.xattrs.remove(name)),
                other => panic!("the striper has no use for {other:?}"),
            }
            Ok(SubOpResult::Done)
        }
    }
}

impl PieceStore for ToyPool {
    async fn operate(&self, name: Vec<u8>, operation: OpBuilder) -> Result<OpSuccess, OpFailure> {
        tokio::task::yield_now().await;
        let mut state = self.state();
        if let Some(left) = &mut state.left {
            if *left == 0 {
                return Err(OpFailure { error: Error::closed("the client died"), step: None });
            }
            *left -= 1;
        }
        let mut object = state.objects.get(&name).cloned();
        let mut results = Vec::new();
        for (step, op) in operation.ops.iter().enumerate() {
            let step = u32::try_from(step).ok();
            results.push(apply(&mut object, op).map_err(|error| OpFailure { error, step })?);
        }
        if operation.ops.iter().any(SubOp::is_write) {
            state.version += 1;
            let version = state.version;
            match object {
                Some(mut object) => {
                    object.version = version;
                    state.objects.insert(name.clone(), object);
                }
                None => drop(state.objects.remove(&name)),
            }
        }
        let user_version = state.objects.get(&name).map_or(0, |object| object.version);
        Ok(OpSuccess { version: LogVersion::ZERO, user_version, results })
    }

    fn unique(&self) -> String {
        let mut state = self.state();
        state.words += 1;
        format!("7-{}", state.words)
    }
}

fn some_bytes(random: &mut SeededRandom, length: u64) -> Bytes {
    (0..length).map(|_| random.draw().to_le_bytes()[0] | 1).collect()
}

fn some_layout(random: &mut SeededRandom) -> StripeLayout {
    let stripe_unit = 1 + random.below(20);
    StripeLayout { stripe_unit, stripe_count: 1 + random.below(4), object_size: stripe_unit * (1 + random.below(4)) }
}

#[tokio::test]
async fn reads_back_what_a_flat_model_holds() {
    for seed in 0..40 {
        let mut random = SeededRandom::new(Seed(seed));
        let pool = ToyPool::default();
        let mut model: Option<Vec<u8>> = None;
        for _ in 0..30 {
            // Another layout each time: existing objects say theirs themselves.
            let striper = Striper::new(pool.clone(), some_layout(&mut random));
            match random.below(5) {
                0 => {
                    let length = random.below(400);
                    let data = some_bytes(&mut random, length);
                    let stat = striper.write_full("x", data.clone()).await.unwrap();
                    assert_eq!(stat.size, data.len() as u64);
                    model = Some(data.to_vec());
                }
                1 | 2 => {
                    let (offset, length) = (random.below(500), random.below(100));
                    let data = some_bytes(&mut random, length);
                    striper.write_at("x", offset, data.clone()).await.unwrap();
                    let model = model.get_or_insert_default();
                    let (begin, end) = (usize::try_from(offset).unwrap(), usize::try_from(offset + length).unwrap());
                    model.resize(model.len().max(end), 0);
                    model[begin..end].copy_from_slice(&data);
                }
                3 if random.chance(1, 3) => {
                    let removed = striper.remove("x").await;
                    assert_eq!(removed.is_ok(), model.take().is_some(), "seed {seed}: {removed:?}");
                    assert_eq!(pool.names(), Vec::<String>::new(), "seed {seed}: nothing is left");
                }
                _ => {
                    let begin = random.below(600);
                    let end = begin + random.below(600);
                    match (&model, striper.read("x", begin..end).await) {
                        (None, read) => assert_eq!(read.unwrap_err().kind, ErrorKind::NotFound),
                        (Some(model), read) => {
                            let [begin, end] = [begin, end].map(|at| usize::try_from(at).unwrap().min(model.len()));
                            assert_eq!(read.unwrap(), model[begin..end], "seed {seed}: {begin}..{end}");
                            assert_eq!(striper.stat("x").await.unwrap().size, model.len() as u64);
                        }
                    }
                }
            }
        }
    }
}

/// What a new client finds of `x`.
async fn content(striper: &Striper<ToyPool>) -> Option<Bytes> {
    match striper.read("x", 0..u64::MAX / 2).await {
        Ok(data) => Some(data),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
            None
        }
    }
}

#[tokio::test]
async fn a_client_that_dies_at_any_operation_leaves_the_old_or_the_new_and_nothing_that_remove_misses() {
    let layout = StripeLayout { stripe_unit: 8, stripe_count: 2, object_size: 16 };
    let (old, new) = (Bytes::from(vec![1; 100]), Bytes::from(vec![2; 150]));
    for existed in [false, true] {
        for is_put in [false, true] {
            let mut finished = false;
            for operations in 0.. {
                let pool = ToyPool::default();
                let striper = Striper::new(pool.clone(), layout);
                if existed {
                    striper.write_full("x", old.clone()).await.unwrap();
                }
                pool.state().left = Some(operations);
                let outcome = match is_put {
                    true => striper.write_full("x", new.clone()).await.map(drop),
                    false => striper.remove("x").await,
                };
                pool.state().left = None;
                let found = content(&striper).await;
                let before = existed.then(|| old.clone());
                let after = is_put.then(|| new.clone());
                match &outcome {
                    Ok(()) => assert_eq!(found, after, "after {operations} operations"),
                    Err(error) if error.kind == ErrorKind::NotFound => assert!(!existed && !is_put),
                    Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Closed);
                        assert!(found == before || found == after, "after {operations} operations: {found:?}");
                    }
                }
                let removed = striper.remove("x").await;
                assert_eq!(removed.is_ok(), found.is_some(), "after {operations} operations: {removed:?}");
                assert_eq!(pool.names(), Vec::<String>::new(), "after {operations} operations");
                if !matches!(&outcome, Err(error) if error.kind == ErrorKind::Closed) {
                    finished = true;
                    break;
                }
            }
            assert!(finished);
        }
    }
}

#[tokio::test]
async fn readers_of_a_replaced_generation_are_told_and_uploads_do_not_disturb_each_other() {
    let pool = ToyPool::default();
    let striper = Striper::new(pool.clone(), StripeLayout { stripe_unit: 4, stripe_count: 1, object_size: 4 });
    striper.write_full("x", Bytes::from_static(b"the first one")).await.unwrap();
    let overtaken = striper.stream("x", 0..100).await.unwrap();

    let mut slow = striper.writer("x").unwrap();
    slow.write(Bytes::from_static(b"the slow one")).await.unwrap();
    striper.write_full("x", Bytes::from_static(b"the quick one")).await.unwrap();
    let read: Result<Vec<Bytes>> = overtaken.try_collect().await;
    assert_eq!(read.unwrap_err().kind, ErrorKind::Retry);
    assert_eq!(striper.read("x", 4..9).await.unwrap(), "quick");

    slow.finish().await.unwrap();
    assert_eq!(striper.read("x", 0..100).await.unwrap(), "the slow one");

    let mut removed = striper.writer("x").unwrap();
    removed.write(Bytes::from_static(&[7; 100])).await.unwrap();
    removed.reserve(1).await.unwrap();
    let mut aborted = striper.writer("y").unwrap();
    aborted.write(Bytes::from(vec![7; 5 << 20])).await.unwrap();
    striper.remove("x").await.unwrap();
    assert_eq!(removed.finish().await.unwrap_err().kind, ErrorKind::Retry);
    aborted.abort().await.unwrap();
    let left = pool.names();
    assert!(left.iter().all(|name| name.starts_with("x")), "{left:?}");
    striper.remove("x").await.unwrap_err();
    assert_eq!(pool.names(), Vec::<String>::new());
}

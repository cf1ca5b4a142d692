//! What a view shows is what the object would be, for random changes in random order.

use std::{cell::RefCell, collections::BTreeMap};

use types::{ObjectName, PoolId, Seed, SeededRandom};

use super::*;

/// An object in full, as the store would keep it.
#[derive(Debug, Clone, Default)]
struct Model {
    exists: bool,
    bytes: Vec<u8>,
    omap: BTreeMap<Vec<u8>, Bytes>,
}

impl Model {
    fn apply(&mut self, effect: &Effect) {
        self.exists = true;
        match effect {
            Effect::Write { offset, data } => {
                let from = usize::try_from(*offset).expect("small");
                if !data.is_empty() {
                    self.bytes.resize(self.bytes.len().max(from + data.len()), 0);
                    self.bytes[from..from + data.len()].copy_from_slice(data);
                }
            }
            Effect::Zero(extent) => {
                let range =
                    usize::try_from(extent.offset).expect("small")..usize::try_from(extent.end()).expect("small");
                for (at, byte) in self.bytes.iter_mut().enumerate() {
                    if range.contains(&at) {
                        *byte = 0;
                    }
                }
            }
            Effect::Truncate(size) => self.bytes.resize(usize::try_from(*size).expect("small"), 0),
            Effect::Remove => *self = Self::default(),
            Effect::OmapSet(entries) => self.omap.extend(entries.clone()),
            Effect::OmapRemove(keys) => keys.iter().for_each(|key| drop(self.omap.remove(key))),
            Effect::OmapRemoveRange(begin, end) => self.omap.retain(|key, _| key < begin || key >= end),
            Effect::OmapClear => self.omap.clear(),
            Effect::Create | Effect::SetXattr { .. } | Effect::RemoveXattr(_) | Effect::OmapSetHeader(_) => {}
        }
    }

    fn meta(&self) -> Option<ObjectMeta> {
        self.exists.then(|| ObjectMeta { size: self.bytes.len() as u64, ..ObjectMeta::default() })
    }

    fn page(&self, after: &[u8], prefix: &[u8], keys_max: usize) -> OmapPage {
        let after = |key: &[u8]| after.is_empty() || key > after;
        let seen = self.omap.iter().filter(|(key, _)| after(key) && key.starts_with(prefix));
        let mut entries: Vec<_> = seen.map(|(key, value)| (key.clone(), value.clone())).collect();
        let more = entries.len() > keys_max;
        entries.truncate(keys_max);
        OmapPage { entries, more }
    }

    fn answer(&self, read: &StoreRead) -> StoreReadResult {
        match read {
            StoreRead::Data { extent, .. } => {
                let end = extent.end().min(self.bytes.len() as u64);
                let range =
                    usize::try_from(extent.offset.min(end)).expect("small")..usize::try_from(end).expect("small");
                StoreReadResult::Data(Bytes::copy_from_slice(&self.bytes[range]))
            }
            StoreRead::Omap { after, prefix, keys_max, .. } => {
                StoreReadResult::Omap(self.page(after, prefix, *keys_max))
            }
            StoreRead::OmapKeys { keys, .. } => {
                let found = keys.iter().filter_map(|key| Some((key.clone(), self.omap.get(key)?.clone())));
                StoreReadResult::Omap(OmapPage { entries: found.collect(), more: false })
            }
            other => panic!("a view does not ask {other:?}"),
        }
    }
}

fn random_key(random: &mut SeededRandom) -> Vec<u8> {
    let letter = |number: u64| b'a' + u8::try_from(number).expect("small");
    vec![letter(random.below(2)), letter(random.below(5))]
}

fn random_effect(random: &mut SeededRandom) -> Effect {
    let extent = Extent { offset: random.below(30), length: random.below(20) };
    match random.below(13) {
        0 => Effect::Create,
        1..=4 => {
            let byte = u8::try_from(random.below(255)).expect("a byte") + 1;
            Effect::Write {
                offset: extent.offset,
                data: Bytes::from(vec![byte; usize::try_from(extent.length).expect("small")]),
            }
        }
        5 => Effect::Zero(extent),
        6 => Effect::Truncate(random.below(40)),
        7 if random.chance(1, 4) => Effect::Remove,
        7..=9 => {
            let value = Bytes::from(random.below(1000).to_string());
            Effect::OmapSet([(random_key(random), value)].into())
        }
        10 => Effect::OmapRemove(vec![random_key(random)]),
        11 => Effect::OmapRemoveRange(random_key(random), random_key(random)),
        _ if random.chance(1, 4) => Effect::OmapClear,
        _ => Effect::OmapSetHeader(Bytes::from_static(b"h")),
    }
}

#[test]
fn a_view_shows_what_the_object_would_be() {
    for seed in 0..400 {
        let mut random = SeededRandom::new(Seed(seed));
        let mut model = Model::default();
        for _ in 0..random.below(12) {
            model.apply(&random_effect(&mut random));
        }
        let stored = model.clone();
        let asked = RefCell::new(0);
        let source = |read: &StoreRead| {
            *asked.borrow_mut() += 1;
            Ok(stored.answer(read))
        };
        let object = ObjectId::head(PoolId(1), 7, ObjectName::new("o"));
        let mut view = ObjectView::new(object, stored.meta(), &source);
        for step in 0..12 {
            let told = format!("seed {seed} step {step}");
            assert_eq!(view.meta().map(|meta| meta.size), model.meta().map(|meta| meta.size), "{told}");
            let extent = Extent { offset: random.below(45), length: random.below(45) };
            let read = StoreRead::Data { object: view.object.clone(), extent };
            let StoreReadResult::Data(expected) = model.answer(&read) else { unreachable!("bytes") };
            assert_eq!(view.read(extent).expect("reads"), expected, "{told}");
            let key = random_key(&mut random);
            assert_eq!(view.omap_value(&key).expect("reads"), model.omap.get(&key).cloned(), "{told}");
            let after = if random.chance(1, 2) { Vec::new() } else { random_key(&mut random) };
            let prefix: &[u8] = if random.chance(1, 2) { b"" } else { b"b" };
            let keys_max = 1 + usize::try_from(random.below(5)).expect("small");
            // A page may end early, but pages together are all there is, in order.
            let (mut from, mut entries) = (after.clone(), Vec::new());
            loop {
                let page = view.omap_page(&from, prefix, keys_max).expect("reads");
                assert!(page.entries.len() <= keys_max, "{told}");
                entries.extend(page.entries);
                match entries.last() {
                    Some((last, _)) if page.more => from = last.clone(),
                    _ => break,
                }
            }
            assert_eq!(entries, model.page(&after, prefix, usize::MAX).entries, "{told}");
            let effect = random_effect(&mut random);
            view.apply(&effect);
            model.apply(&effect);
        }
        assert!(*asked.borrow() > 0 || !stored.exists, "seed {seed}: the stored object is asked");
    }
}

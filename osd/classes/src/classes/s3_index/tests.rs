//! The class against a map in memory: each change, every refusal, listings against the plain rule, and what a random
//! life leaves.

use std::{collections::BTreeSet, ops::Bound};

use types::{Seed, SeededRandom};

use super::*;

/// A shard in memory.
#[derive(Debug, Clone, Default)]
struct Memory {
    omap: BTreeMap<Vec<u8>, Bytes>,
    pages: usize,
}

impl ShardView for Memory {
    fn value(&mut self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.omap.get(key).cloned())
    }

    fn page(&mut self, after: &[u8], prefix: &[u8], keys_max: usize) -> Result<OmapPage> {
        self.pages += 1;
        let from = if after >= prefix { Bound::Excluded(after.to_vec()) } else { Bound::Included(prefix.to_vec()) };
        let mut found = self.omap.range((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        let entries = found.by_ref().take(keys_max).map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(OmapPage { entries, more: found.next().is_some() })
    }
}

impl Memory {
    fn made() -> Self {
        let mut memory = Self::default();
        assert_eq!(memory.change(Change::Make), [Outcome::Done]);
        memory
    }

    fn change(&mut self, change: Change) -> Vec<Outcome> {
        let (outcomes, effects) = super::change(self, change).expect("the shard exists");
        for key in effects.remove {
            assert!(!effects.set.contains_key(&key));
            self.omap.remove(&key);
        }
        self.omap.extend(effects.set);
        self.assert_invariants();
        outcomes
    }

    fn all<T: DeserializeOwned>(&self, prefix: &[u8]) -> Vec<T> {
        let found = self.omap.iter().filter(|(key, _)| key.starts_with(prefix));
        found.map(|(_, value)| decode(value).unwrap()).collect()
    }

    fn shard(&self) -> Shard {
        decode(&self.omap[SHARD_KEY]).unwrap()
    }

    /// Everything that names data, in a list: nothing may be in it twice.
    fn named(&self) -> Vec<Data> {
        let entries = self.all::<Content>(b"o").into_iter().map(|entry| entry.data);
        let garbage: Vec<Data> = self.all::<Garbage>(GARBAGE_PREFIX).into_iter().flat_map(|one| one.data).collect();
        // Parts of completed uploads are reached through their entries.
        let parts = self.all::<Content>(b"p").into_iter().map(|part| part.data);
        entries.chain(garbage).chain(parts).filter(|data| *data != Data::Nothing).collect()
    }

    fn assert_invariants(&self) {
        let (shard, entries) = (self.shard(), self.all::<Content>(b"o"));
        assert_eq!(shard.objects, entries.len() as u64);
        assert_eq!(shard.bytes, entries.iter().map(|entry| entry.size).sum::<u64>());
        if shard.closed.is_some() {
            assert!(entries.is_empty() && self.all::<Upload>(UPLOAD_PREFIX).is_empty());
        }
        let mut seen = BTreeSet::new();
        for data in self.named() {
            assert!(seen.insert(format!("{data:?}")), "{data:?} is named twice");
        }
    }

    fn list(&mut self, prefix: &str, delimiter: &str, after: &str, items_max: u32) -> (Vec<String>, bool) {
        let query = ListQuery { prefix: prefix.into(), delimiter: delimiter.into(), after: after.into(), items_max };
        let page = list(self, &query).unwrap();
        let shown = page.items.iter().map(|item| String::from_utf8(item.name().to_vec()).unwrap());
        (shown.collect(), page.more)
    }
}

fn tag(sequence: u64) -> Tag {
    Tag { writer: 7, sequence }
}

fn blob(sequence: u64) -> Data {
    Data::Blob(Blob { tag: tag(sequence), size: sequence, piece_bytes: 4 })
}

fn content(sequence: u64) -> Content {
    Content {
        data: blob(sequence),
        size: sequence,
        etag: format!("e{sequence}"),
        modified_ms: sequence,
        attributes: Vec::new(),
    }
}

fn put(key: &str, sequence: u64) -> Change {
    Change::Put { key: key.into(), entry: content(sequence), condition: Condition::default() }
}

fn upload(key: &str, id: u64) -> Upload {
    Upload { key: key.into(), id: tag(id), started_ms: 0, revision: 0, attributes: Vec::new() }
}

#[test]
fn what_is_replaced_or_deleted_becomes_garbage() {
    let mut shard = Memory::made();
    shard.change(put("a", 1));
    shard.change(put("a", 2));
    shard.change(put("b", 3));
    let gone = Change::Delete { keys: ["a", "a", "none"].map(|key| (key.into(), Condition::default())).into() };
    assert_eq!(shard.change(gone), [Outcome::Done, Outcome::Done, Outcome::Done]);
    let garbage: Vec<Data> = shard.all::<Garbage>(GARBAGE_PREFIX).into_iter().flat_map(|one| one.data).collect();
    assert_eq!(garbage, [blob(1), blob(2)]);
    assert_eq!((shard.shard().objects, shard.shard().bytes), (1, 3));
    // The same data with other attributes is no garbage.
    let mut other = content(3);
    other.attributes = vec![1];
    let condition = Condition { same_data: Some(blob(3)), ..Condition::default() };
    let change = Change::Put { key: b"b".to_vec(), entry: other, condition };
    assert_eq!(shard.change(change.clone()), [Outcome::Done]);
    assert_eq!(shard.all::<Garbage>(GARBAGE_PREFIX).len(), 2);
    shard.change(put("b", 4));
    assert_eq!(shard.change(change), [Outcome::Changed]);
}

#[test]
fn conditions_are_looked_at_where_the_change_is_made() {
    let mut shard = Memory::made();
    let with = |matches: Option<&str>, none: Option<&str>, sequence| {
        let condition =
            Condition { matches: matches.map(str::to_owned), none_matches: none.map(str::to_owned), same_data: None };
        Change::Put { key: b"k".to_vec(), entry: content(sequence), condition }
    };
    assert_eq!(shard.change(with(Some(""), None, 1)), [Outcome::Missing]);
    assert_eq!(shard.change(with(None, Some(""), 1)), [Outcome::Done]);
    assert_eq!(shard.change(with(None, Some(""), 2)), [Outcome::ConditionFailed]);
    assert_eq!(shard.change(with(Some("e2"), None, 2)), [Outcome::ConditionFailed]);
    assert_eq!(shard.change(with(Some("e1"), None, 2)), [Outcome::Done]);
    assert_eq!(shard.all::<Content>(b"o"), [content(2)]);
}

#[test]
fn keys_have_bounds() {
    let mut shard = Memory::made();
    assert_eq!(shard.change(put(&"k".repeat(KEY_BYTES_MAX), 1)), [Outcome::Done]);
    assert!(change(&mut shard, put(&"k".repeat(KEY_BYTES_MAX + 1), 2)).is_err());
    assert!(change(&mut shard, put("", 2)).is_err());
    let keys = vec![(b"x".to_vec(), Condition::default()); DELETE_KEYS_MAX];
    assert_eq!(shard.change(Change::Delete { keys: keys.clone() }).len(), DELETE_KEYS_MAX);
    let over = [keys, vec![(b"x".to_vec(), Condition::default())]].concat();
    assert!(change(&mut shard, Change::Delete { keys: over }).is_err());
    assert!(change(&mut Memory::default(), put("k", 1)).is_err(), "there is no shard");
}

#[test]
fn uploads_end_as_objects_or_as_garbage() {
    let mut shard = Memory::made();
    shard.change(Change::Begin(upload("k", 10)));
    let put_part =
        |number, sequence| Change::PutPart { key: b"k".to_vec(), upload: tag(10), number, part: content(sequence) };
    for (number, sequence) in [(1, 1), (2, 2), (2, 3), (5, 4)] {
        assert_eq!(shard.change(put_part(number, sequence)), [Outcome::Done]);
    }
    let whole = Content { data: Data::Parts { upload: tag(10), count: 2 }, ..content(9) };
    let complete = |revision| Change::Complete {
        key: b"k".to_vec(),
        upload: tag(10),
        revision,
        unused: vec![5],
        entry: whole.clone(),
        condition: Condition::default(),
    };
    assert_eq!(shard.change(complete(3)), [Outcome::Changed], "a part came in between");
    assert_eq!(shard.change(complete(4)), [Outcome::Done]);
    assert_eq!(shard.change(complete(4)), [Outcome::NoUpload]);
    assert_eq!(shard.change(put_part(1, 6)), [Outcome::NoUpload]);
    let garbage: Vec<Data> = shard.all::<Garbage>(GARBAGE_PREFIX).into_iter().flat_map(|one| one.data).collect();
    assert_eq!(garbage, [blob(2), blob(4)], "the part that was replaced, and the one that was not used");
    assert_eq!(shard.all::<Content>(&part_prefix(tag(10))), [content(1), content(3)]);
    shard.change(Change::Begin(upload("k", 11)));
    let abort = |id| Change::Abort { key: b"k".to_vec(), upload: tag(id) };
    assert_eq!(shard.change(abort(11)), [Outcome::Done]);
    assert_eq!(shard.change(abort(11)), [Outcome::NoUpload]);
    shard.change(put("k", 20));
    assert!(shard.named().contains(&whole.data), "its parts are garbage now");
}

#[test]
fn only_an_empty_shard_is_closed_and_only_its_closer_opens_it() {
    let mut shard = Memory::made();
    shard.change(put("a", 1));
    assert_eq!(shard.change(Change::Close(tag(1))), [Outcome::NotEmpty]);
    shard.change(Change::Delete { keys: vec![(b"a".to_vec(), Condition::default())] });
    shard.change(Change::Begin(upload("k", 10)));
    assert_eq!(shard.change(Change::Close(tag(1))), [Outcome::NotEmpty]);
    shard.change(Change::Abort { key: b"k".to_vec(), upload: tag(10) });
    assert_eq!(shard.change(Change::Close(tag(1))), [Outcome::Done]);
    assert_eq!(shard.change(put("a", 2)), [Outcome::Closed(tag(1))]);
    assert_eq!(shard.change(Change::Begin(upload("k", 12))), [Outcome::Closed(tag(1))]);
    assert_eq!(shard.change(Change::Close(tag(2))), [Outcome::Done]);
    shard.change(Change::Open(tag(1)));
    assert_eq!(shard.change(put("a", 2)), [Outcome::Closed(tag(2))], "another removal closed it since");
    shard.change(Change::Open(tag(2)));
    assert_eq!(shard.change(put("a", 2)), [Outcome::Done]);
}

#[test]
fn a_subtree_costs_one_look() {
    let mut shard = Memory::made();
    for number in 0..3000 {
        shard.change(put(&format!("big/{number:05}"), number));
    }
    shard.change(put("a", 1_000_001));
    shard.change(put("z", 1_000_002));
    shard.pages = 0;
    let expected = ["a", "big/", "z"].map(str::to_owned).to_vec();
    assert_eq!(shard.list("", "/", "", 1000), (expected, false));
    assert!(shard.pages <= 3, "{} looks", shard.pages);
}

#[test]
fn pages_of_listings_are_the_plain_rule() {
    let seed = Seed(7);
    let mut random = SeededRandom::new(seed);
    let mut shard = Memory::made();
    let mut keys = BTreeSet::new();
    for sequence in 1..400 {
        let letters = ["a", "b", "/", "//", "ü", "~"];
        let length = random.below(6) + 1;
        let key: String = (0..length).map(|_| letters[usize::try_from(random.below(6)).unwrap()]).collect();
        shard.change(put(&key, sequence));
        keys.insert(key);
    }
    for (prefix, delimiter) in [("", ""), ("", "/"), ("a", "/"), ("a/", "/"), ("", "//"), ("ü", "b"), ("none", "/")] {
        let mut plain: Vec<String> = Vec::new();
        for key in keys.iter().filter(|key| key.starts_with(prefix)) {
            let rest = &key[prefix.len()..];
            let shown = match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
                Some(at) => key[..prefix.len() + at + delimiter.len()].to_owned(),
                None => key.clone(),
            };
            if plain.last() != Some(&shown) {
                plain.push(shown);
            }
        }
        for size in [1, 2, 7, 1000] {
            let (mut listed, mut after) = (Vec::new(), Vec::new());
            loop {
                let query = ListQuery { prefix: prefix.into(), delimiter: delimiter.into(), after, items_max: size };
                let page = list(&mut shard, &query).unwrap();
                assert!(page.items.len() <= size as usize);
                listed.extend(page.items.iter().map(|item| String::from_utf8(item.name().to_vec()).unwrap()));
                match page.items.last() {
                    Some(last) if page.more => after = last.position(),
                    _ => break,
                }
            }
            assert_eq!(listed, plain, "prefix {prefix:?} delimiter {delimiter:?} pages of {size}, seed {seed}");
        }
    }
}

#[test]
fn records_say_their_version() {
    let bytes = encode(&content(5));
    assert_eq!(decode::<Content>(&bytes).unwrap(), content(5));
    assert_eq!(bytes[0], 1);
    let newer = [&[2], &bytes[1..]].concat();
    assert!(decode::<Content>(&newer).unwrap_err().message.contains("version 2"));
    assert!(decode::<Content>(b"").is_err());
    assert_eq!("1f-2a".parse::<Tag>().unwrap(), Tag { writer: 0x1f, sequence: 0x2a });
    assert!("1f".parse::<Tag>().is_err() && "1f-zz".parse::<Tag>().is_err());
}

//! The class `s3_index`: one shard of a bucket's index, as it lives in the omap of one object.
//!
//! Owns: what stands under which key, and every change to it as a pure function of the shard and the input. Does not
//! know: how many shards a bucket has, where the data lies, users, HTTP.
//!
//! ```text
//! h                               Shard     open or closed, the count of garbage, objects and bytes
//! o<key>                          Content   a listed object; omap order is the order of listings
//! u<key>00<upload, 16 bytes>      Upload    an upload that is neither completed nor aborted
//! p<upload, 16 bytes><number>     Content   one of its parts; once completed, the object's list of parts
//! g<sequence, 8 bytes>            Garbage   data that nobody can reach any more, until it is removed
//! ```
//! Every value begins with the version of its encoding, then postcard. Numbers in keys are big-endian, so that they
//! sort.
//!
//! Invariants
//! 1. Data is named by exactly one of: an entry, a part, garbage. What an entry stops naming becomes garbage in the
//!    same transaction.
//! 2. A closed shard has no entries and no uploads and gets none.
//! 3. `Shard.objects` and `Shard.bytes` count the entries.

use std::{collections::BTreeMap, fmt, str::FromStr};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use types::{Error, OmapPage, Result};

use crate::{Call, Method, ObjectClass, unknown_method};

/// The name by which the class is called.
pub const CLASS: &str = "s3_index";

/// The method that carries a [`Change`] out; answers a list of [`Outcome`]s.
pub const CHANGE: &str = "change";
/// The method that answers a [`ListQuery`] with a [`ListPage`].
pub const LIST: &str = "list";

/// The version of the encoding of all values.
const VERSION: u8 = 1;
/// Bytes in a key that S3 allows.
pub const KEY_BYTES_MAX: usize = 1024;
/// Listed things in one page: S3's own bound.
pub const PAGE_ITEMS_MAX: u32 = 1000;
/// Keys that are read first after a subtree was skipped; doubled while no further one is met. Whole pages would be
/// read in vain where subtrees are small.
const KEYS_AFTER_SKIP: usize = 32;
/// Keys removed by one call: their outcomes are remembered with the request, which has a bound.
pub const DELETE_KEYS_MAX: usize = 500;

/// A word that is used once: a gateway's client number and its count. Names data and uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// The client number that the monitors gave the gateway.
    pub writer: u64,
    /// Its count.
    pub sequence: u64,
}

impl Tag {
    /// For keys: sorts as the tag does.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.writer.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sequence.to_be_bytes());
        bytes
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.writer, self.sequence)
    }
}

impl FromStr for Tag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::invalid(format!("`{text}` is no tag; it would be like 1f-2a"));
        let (writer, sequence) = text.split_once('-').ok_or_else(refuse)?;
        let number = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| refuse());
        Ok(Self { writer: number(writer)?, sequence: number(sequence)? })
    }
}

/// Bytes in objects of the data pool: pieces of equal size but the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Names the pieces.
    pub tag: Tag,
    /// Bytes in all.
    pub size: u64,
    /// Bytes in each piece but the last.
    pub piece_bytes: u32,
}

/// Where an object's or a part's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// There are none: size zero.
    Nothing,
    /// In one blob.
    Blob(Blob),
    /// In the parts of a completed upload, in the order of their numbers.
    Parts {
        /// Which upload.
        upload: Tag,
        /// How many.
        count: u16,
    },
}

/// What was put under a key, or as a part of an upload: where its bytes are, and what is said of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Where its bytes are.
    pub data: Data,
    /// How many.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// The gateway's clock at the write, in milliseconds since 1970.
    pub modified_ms: u64,
    /// What only the gateway understands.
    pub attributes: Vec<u8>,
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Of which object.
    pub key: Vec<u8>,
    /// Its id.
    pub id: Tag,
    /// The gateway's clock when it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// Counts the changes to its parts.
    pub revision: u64,
    /// What only the gateway understands.
    pub attributes: Vec<u8>,
}

/// What a shard knows about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// By which removal of the bucket it was closed.
    pub closed: Option<Tag>,
    /// The number of the next garbage.
    pub garbage_next: u64,
    /// Entries.
    pub objects: u64,
    /// Bytes of all entries.
    pub bytes: u64,
}

/// Data to be removed once nobody can be reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Garbage {
    /// What.
    pub data: Vec<Data>,
}

/// What must hold of the object that a change replaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Condition {
    /// There is one, with this ETag; an empty one means any.
    pub matches: Option<String>,
    /// There is none with this ETag; an empty one means that there is none at all.
    pub none_matches: Option<String>,
    /// Its data is this very data.
    pub same_data: Option<Data>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    Done,
    /// The condition asks for an object, and there is none.
    Missing,
    /// The condition does not hold.
    ConditionFailed,
    /// There is no such upload, any more or at all.
    NoUpload,
    /// The upload's parts were changed meanwhile; look again.
    Changed,
    /// The shard is closed by this removal of its bucket.
    Closed(Tag),
    /// It cannot be closed: it holds objects or uploads.
    NotEmpty,
}

/// A call that may change the shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Makes a shard, open and empty. Nothing happens to one that exists.
    Make,
    /// Lists an object in place of what the key named.
    Put {
        /// Which object.
        key: Vec<u8>,
        /// What it is from now on.
        entry: Content,
        /// What must hold.
        condition: Condition,
    },
    /// Takes objects off the list. Answers one outcome for each.
    Delete {
        /// Which objects, and what must hold of each.
        keys: Vec<(Vec<u8>, Condition)>,
    },
    /// Begins an upload.
    Begin(Upload),
    /// Adds or replaces a part.
    PutPart {
        /// Of which object.
        key: Vec<u8>,
        /// Of which upload.
        upload: Tag,
        /// Its number.
        number: u16,
        /// What it is.
        part: Content,
    },
    /// Makes an object of an upload's parts.
    Complete {
        /// Which object.
        key: Vec<u8>,
        /// Which upload.
        upload: Tag,
        /// The revision of which the rest speaks.
        revision: u64,
        /// Parts that are not in the object.
        unused: Vec<u16>,
        /// What the object is from now on.
        entry: Content,
        /// What must hold.
        condition: Condition,
    },
    /// Gives an upload up.
    Abort {
        /// Of which object.
        key: Vec<u8>,
        /// Which upload.
        upload: Tag,
    },
    /// Lets nothing in any more, if nothing is there. A shard closed by another removal is closed by this one now.
    Close(Tag),
    /// Undoes what this removal closed; nothing happens to a shard that it did not close.
    Open(Tag),
}

/// What a listing asks one shard for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Keys that go on with this behind the prefix are listed as one; empty means none are.
    pub delimiter: Vec<u8>,
    /// Only what sorts behind this.
    pub after: Vec<u8>,
    /// Most things, at most [`PAGE_ITEMS_MAX`].
    pub items_max: u32,
}

/// One thing in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listed {
    /// An object.
    Object {
        /// Its key.
        key: Vec<u8>,
        /// Its bytes.
        size: u64,
        /// Without quotes.
        etag: String,
        /// In milliseconds since 1970.
        modified_ms: u64,
    },
    /// All keys that begin with this.
    Prefix(Vec<u8>),
}

impl Listed {
    /// What it sorts by.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Object { key, .. } => key,
            Self::Prefix(prefix) => prefix,
        }
    }

    /// Where a listing goes on behind it. No key has the byte 0xff: keys are UTF-8.
    pub fn position(&self) -> Vec<u8> {
        match self {
            Self::Object { key, .. } => key.clone(),
            Self::Prefix(prefix) => behind_all(prefix),
        }
    }
}

/// Sorts behind everything that begins with `prefix`, and before everything else that sorts behind it.
pub fn behind_all(prefix: &[u8]) -> Vec<u8> {
    let mut position = prefix.to_vec();
    position.push(0xff);
    position
}

/// A page of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// In order.
    pub items: Vec<Listed>,
    /// Whether something follows the last one.
    pub more: bool,
    /// By which removal the shard is closed.
    pub closed: Option<Tag>,
}

/// The omap key of the shard's own record.
pub const SHARD_KEY: &[u8] = b"h";
/// Under this lie the uploads.
pub const UPLOAD_PREFIX: &[u8] = b"u";
/// Under this lies garbage.
pub const GARBAGE_PREFIX: &[u8] = b"g";

/// The omap key of an object's entry.
pub fn entry_key(key: &[u8]) -> Vec<u8> {
    [b"o", key].concat()
}

/// The omap key of an upload.
pub fn upload_key(key: &[u8], upload: Tag) -> Vec<u8> {
    [UPLOAD_PREFIX, key, b"\0", &upload.to_bytes()].concat()
}

/// What the omap keys of an upload's parts begin with.
pub fn part_prefix(upload: Tag) -> Vec<u8> {
    [b"p", upload.to_bytes().as_slice()].concat()
}

/// The omap key of a part.
pub fn part_key(upload: Tag, number: u16) -> Vec<u8> {
    [part_prefix(upload).as_slice(), &number.to_be_bytes()].concat()
}

/// The number of the part under this omap key.
pub fn part_number(omap_key: &[u8]) -> Result<u16> {
    let number = omap_key.last_chunk().ok_or_else(|| Error::damaged("a part's omap key is too short"))?;
    Ok(u16::from_be_bytes(*number))
}

fn garbage_key(sequence: u64) -> Vec<u8> {
    [GARBAGE_PREFIX, &sequence.to_be_bytes()].concat()
}

/// A value as it is stored.
pub fn encode<T: Serialize>(value: &T) -> Bytes {
    let bytes = postcard::to_extend(value, vec![VERSION]).expect("these values are plain data");
    bytes.into()
}

/// A stored value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let Some((version, rest)) = bytes.split_first() else {
        return Err(Error::damaged("a record of a bucket's index is empty"));
    };
    if *version != VERSION {
        let sentence = format!("a record of a bucket's index has version {version}; this release knows {VERSION}");
        return Err(Error::invalid(sentence));
    }
    postcard::from_bytes(rest).map_err(|error| Error::damaged(format!("read a record of a bucket's index: {error}")))
}

/// How the class sees its object: so little that a map in memory can stand for it in tests.
trait ShardView {
    /// One omap value.
    fn value(&mut self, key: &[u8]) -> Result<Option<Bytes>>;
    /// A page of omap entries: keys greater than `after` that begin with `prefix`, at most `keys_max`.
    fn page(&mut self, after: &[u8], prefix: &[u8], keys_max: usize) -> Result<OmapPage>;
}

impl ShardView for Call<'_, '_> {
    fn value(&mut self, key: &[u8]) -> Result<Option<Bytes>> {
        self.omap_value(key)
    }

    fn page(&mut self, after: &[u8], prefix: &[u8], keys_max: usize) -> Result<OmapPage> {
        self.omap_page(after, prefix, keys_max)
    }
}

/// The class.
#[derive(Debug)]
pub struct S3Index;

impl ObjectClass for S3Index {
    fn name(&self) -> &'static str {
        CLASS
    }

    fn methods(&self) -> &'static [Method] {
        const METHODS: &[Method] = &[Method::write(CHANGE), Method::read(LIST)];
        METHODS
    }

    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes> {
        match method {
            CHANGE => {
                let (outcomes, effects) = change(call, decode(input)?)?;
                if !effects.set.is_empty() {
                    call.omap_set(effects.set)?;
                }
                if !effects.remove.is_empty() {
                    call.omap_remove(effects.remove)?;
                }
                Ok(encode(&outcomes))
            }
            LIST => Ok(encode(&list(call, &decode(input)?)?)),
            _ => Err(unknown_method(self, method)),
        }
    }
}

/// What a call does to the omap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Effects {
    /// Keys that get a value.
    set: BTreeMap<Vec<u8>, Bytes>,
    /// Keys that go; none of them is in `set`.
    remove: Vec<Vec<u8>>,
}

/// Carries out a change: outcomes (one, or one for each key of a `Delete`) and effects.
///
/// # Errors
/// `NotFound` when the shard was never made or is gone; `Invalid` for input beyond its bounds.
fn change(view: &mut dyn ShardView, change: Change) -> Result<(Vec<Outcome>, Effects)> {
    let stored = view.value(SHARD_KEY)?;
    if change == Change::Make {
        let mut effects = Effects::default();
        if stored.is_none() {
            let shard = Shard { closed: None, garbage_next: 0, objects: 0, bytes: 0 };
            effects.set.insert(SHARD_KEY.to_vec(), encode(&shard));
        }
        return Ok((vec![Outcome::Done], effects));
    }
    let stored = stored.ok_or_else(|| Error::not_found("there is no such shard of a bucket's index"))?;
    let mut work = Work { view, shard: decode(&stored)?, effects: Effects::default() };
    let outcomes = work.carry_out(change)?;
    let Work { shard, mut effects, .. } = work;
    let shard = encode(&shard);
    if shard != stored {
        effects.set.insert(SHARD_KEY.to_vec(), shard);
    }
    Ok((outcomes, effects))
}

/// A change under way.
struct Work<'a> {
    view: &'a mut dyn ShardView,
    shard: Shard,
    effects: Effects,
}

impl Work<'_> {
    fn carry_out(&mut self, change: Change) -> Result<Vec<Outcome>> {
        if let Change::Open(removal) = change {
            if self.shard.closed == Some(removal) {
                self.shard.closed = None;
            }
            return Ok(vec![Outcome::Done]);
        }
        if let Change::Close(removal) = change {
            return self.close(removal).map(|outcome| vec![outcome]);
        }
        if let Some(removal) = self.shard.closed {
            return Ok(vec![Outcome::Closed(removal)]);
        }
        let outcome = match change {
            Change::Put { key, entry, condition } => self.put(&key, &entry, &condition),
            Change::Delete { keys } => return self.delete(keys),
            Change::Begin(upload) => self.begin(&upload),
            Change::PutPart { key, upload, number, part } => self.put_part(&key, upload, number, &part),
            Change::Complete { key, upload, revision, unused, entry, condition } => {
                self.complete(&key, upload, revision, &unused, &entry, &condition)
            }
            Change::Abort { key, upload } => self.abort(&key, upload),
            Change::Make | Change::Open(_) | Change::Close(_) => Ok(Outcome::Done),
        };
        outcome.map(|outcome| vec![outcome])
    }

    fn close(&mut self, removal: Tag) -> Result<Outcome> {
        for prefix in [b"o".as_slice(), UPLOAD_PREFIX] {
            if !self.view.page(b"", prefix, 1)?.entries.is_empty() {
                return Ok(Outcome::NotEmpty);
            }
        }
        self.shard.closed = Some(removal);
        Ok(Outcome::Done)
    }

    fn entry(&mut self, key: &[u8]) -> Result<Option<Content>> {
        self.view.value(&entry_key(key))?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Replaces or removes an entry; what it named becomes garbage unless the new one names it too.
    fn replace(&mut self, key: &[u8], old: Option<&Content>, new: Option<&Content>) {
        if let Some(old) = old {
            self.shard.objects = self.shard.objects.saturating_sub(1);
            self.shard.bytes = self.shard.bytes.saturating_sub(old.size);
            if new.is_none_or(|new| new.data != old.data) {
                self.discard(vec![old.data]);
            }
        }
        match new {
            Some(new) => {
                self.shard.objects += 1;
                self.shard.bytes = self.shard.bytes.saturating_add(new.size);
                self.effects.set.insert(entry_key(key), encode(new));
            }
            None => self.effects.remove.push(entry_key(key)),
        }
    }

    fn discard(&mut self, mut data: Vec<Data>) {
        data.retain(|data| *data != Data::Nothing);
        if !data.is_empty() {
            self.effects.set.insert(garbage_key(self.shard.garbage_next), encode(&Garbage { data }));
            self.shard.garbage_next += 1;
        }
    }

    fn put(&mut self, key: &[u8], entry: &Content, condition: &Condition) -> Result<Outcome> {
        check_key(key)?;
        let old = self.entry(key)?;
        if let Some(refused) = refusal(old.as_ref(), condition) {
            return Ok(refused);
        }
        self.replace(key, old.as_ref(), Some(entry));
        Ok(Outcome::Done)
    }

    fn delete(&mut self, mut keys: Vec<(Vec<u8>, Condition)>) -> Result<Vec<Outcome>> {
        if keys.len() > DELETE_KEYS_MAX {
            let sentence = format!("{} keys in one deletion; the limit is {DELETE_KEYS_MAX}", keys.len());
            return Err(Error::invalid(sentence));
        }
        // A key that is named twice is gone the second time.
        let mut gone: Vec<Vec<u8>> = Vec::new();
        let mut outcomes = Vec::with_capacity(keys.len());
        for (key, condition) in keys.drain(..) {
            let old = if gone.contains(&key) { None } else { self.entry(&key)? };
            let refused = refusal(old.as_ref(), &condition);
            if refused.is_none() && old.is_some() {
                self.replace(&key, old.as_ref(), None);
                gone.push(key);
            }
            outcomes.push(refused.unwrap_or(Outcome::Done));
        }
        Ok(outcomes)
    }

    fn upload(&mut self, key: &[u8], upload: Tag) -> Result<Option<Upload>> {
        self.view.value(&upload_key(key, upload))?.map(|bytes| decode(&bytes)).transpose()
    }

    fn begin(&mut self, upload: &Upload) -> Result<Outcome> {
        check_key(&upload.key)?;
        self.effects.set.insert(upload_key(&upload.key, upload.id), encode(upload));
        Ok(Outcome::Done)
    }

    fn part(&mut self, upload: Tag, number: u16) -> Result<Option<Content>> {
        self.view.value(&part_key(upload, number))?.map(|bytes| decode(&bytes)).transpose()
    }

    fn put_part(&mut self, key: &[u8], id: Tag, number: u16, part: &Content) -> Result<Outcome> {
        let Some(mut upload) = self.upload(key, id)? else { return Ok(Outcome::NoUpload) };
        if let Some(old) = self.part(id, number)?.filter(|old| old.data != part.data) {
            self.discard(vec![old.data]);
        }
        upload.revision += 1;
        self.effects.set.insert(upload_key(key, id), encode(&upload));
        self.effects.set.insert(part_key(id, number), encode(part));
        Ok(Outcome::Done)
    }

    fn complete(
        &mut self,
        key: &[u8],
        id: Tag,
        revision: u64,
        unused: &[u16],
        entry: &Content,
        condition: &Condition,
    ) -> Result<Outcome> {
        let Some(upload) = self.upload(key, id)? else { return Ok(Outcome::NoUpload) };
        if upload.revision != revision {
            return Ok(Outcome::Changed);
        }
        let old = self.entry(key)?;
        if let Some(refused) = refusal(old.as_ref(), condition) {
            return Ok(refused);
        }
        let mut discarded = Vec::with_capacity(unused.len());
        for number in unused {
            if let Some(part) = self.part(id, *number)? {
                discarded.push(part.data);
                self.effects.remove.push(part_key(id, *number));
            }
        }
        self.discard(discarded);
        self.effects.remove.push(upload_key(key, id));
        self.replace(key, old.as_ref(), Some(entry));
        Ok(Outcome::Done)
    }

    fn abort(&mut self, key: &[u8], id: Tag) -> Result<Outcome> {
        if self.upload(key, id)?.is_none() {
            return Ok(Outcome::NoUpload);
        }
        self.effects.remove.push(upload_key(key, id));
        self.discard(vec![Data::Parts { upload: id, count: 0 }]);
        Ok(Outcome::Done)
    }
}

fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::invalid(format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {}", key.len())));
    }
    Ok(())
}

fn refusal(old: Option<&Content>, condition: &Condition) -> Option<Outcome> {
    let same = |entry: &Content, etag: &String| etag.is_empty() || entry.etag == *etag;
    if let Some(etag) = &condition.matches {
        match old {
            None => return Some(Outcome::Missing),
            Some(old) if !same(old, etag) => return Some(Outcome::ConditionFailed),
            Some(_) => {}
        }
    }
    if let Some(etag) = &condition.none_matches
        && old.is_some_and(|old| same(old, etag))
    {
        return Some(Outcome::ConditionFailed);
    }
    if let Some(data) = &condition.same_data
        && old.is_none_or(|old| old.data != *data)
    {
        return Some(Outcome::Changed);
    }
    None
}

/// A page of the shard's listing. A subtree behind a delimiter costs one look, however much is in it.
///
/// # Errors
/// `NotFound` when the shard was never made or is gone.
fn list(view: &mut dyn ShardView, query: &ListQuery) -> Result<ListPage> {
    let stored = view.value(SHARD_KEY)?;
    let stored = stored.ok_or_else(|| Error::not_found("there is no such shard of a bucket's index"))?;
    let shard: Shard = decode(&stored)?;
    let mut page = ListPage { items: Vec::new(), more: false, closed: shard.closed };
    let items_max = usize::try_from(query.items_max.min(PAGE_ITEMS_MAX)).expect("a page's items fit usize");
    let prefix = entry_key(&query.prefix);
    let mut after = entry_key(&query.after);
    let mut keys_max = if query.delimiter.is_empty() { items_max + 1 } else { KEYS_AFTER_SKIP };
    loop {
        let read = view.page(&after, &prefix, keys_max.min(types::limits::PAGE_KEYS_MAX))?;
        keys_max = keys_max.saturating_mul(2);
        let mut skipped = false;
        for (omap_key, value) in &read.entries {
            if page.items.len() == items_max {
                page.more = true;
                return Ok(page);
            }
            let key = &omap_key[1..];
            after.clone_from(omap_key);
            match subtree(key, query) {
                Some(subtree) => {
                    after = entry_key(&behind_all(subtree));
                    page.items.push(Listed::Prefix(subtree.to_vec()));
                    keys_max = KEYS_AFTER_SKIP;
                    skipped = true;
                    break;
                }
                None => {
                    let entry: Content = decode(value)?;
                    let Content { size, etag, modified_ms, .. } = entry;
                    page.items.push(Listed::Object { key: key.to_vec(), size, etag, modified_ms });
                }
            }
        }
        if !skipped && !read.more {
            return Ok(page);
        }
        if page.items.len() == items_max {
            // One more look tells whether anything follows.
            keys_max = 1;
        }
    }
}

/// The part of the key up to and with the first delimiter behind the prefix.
fn subtree<'a>(key: &'a [u8], query: &ListQuery) -> Option<&'a [u8]> {
    let delimiter = query.delimiter.as_slice();
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.get(query.prefix.len()..)?;
    let at = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
    Some(&key[..query.prefix.len() + at + delimiter.len()])
}

#[cfg(test)]
mod tests;

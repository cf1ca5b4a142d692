//! Each built-in class on an object in memory: what succeeds, each refusal, both sides of bounds.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use types::{
    ClientId, ErrorKind, Extent, ObjectId, ObjectMeta, ObjectName, OmapPage, PoolId, RequestId, Result, StoreRead,
    StoreReadResult, limits,
};

use crate::{Access, Call, Circumstances, Effect, Method, ObjectClass, ObjectView, Outcome, Registry, unknown_method};

/// An object that calls are carried out on, one after the other.
#[derive(Debug, Default)]
struct Bench {
    meta: Option<ObjectMeta>,
    bytes: Bytes,
    omap: BTreeMap<Vec<u8>, Bytes>,
    now_ms: u64,
    client: u64,
}

fn object() -> ObjectId {
    ObjectId::head(PoolId(1), 7, ObjectName::new("o"))
}

impl Bench {
    fn call(&mut self, class: &str, method: &str, input: &[u8]) -> Result<Bytes> {
        let (bytes, omap) = (self.bytes.clone(), self.omap.clone());
        let source = |read: &StoreRead| {
            Ok(match read {
                StoreRead::Data { extent, .. } => {
                    let at = |place: u64| usize::try_from(place).expect("small").min(bytes.len());
                    StoreReadResult::Data(bytes.slice(at(extent.offset)..at(extent.end())))
                }
                StoreRead::Omap { after, prefix, .. } => {
                    let seen = omap.iter().filter(|(key, _)| *key > after && key.starts_with(prefix));
                    let entries = seen.map(|(key, value)| (key.clone(), value.clone())).collect();
                    StoreReadResult::Omap(OmapPage { entries, more: false })
                }
                StoreRead::OmapKeys { keys, .. } => {
                    let found = keys.iter().filter_map(|key| Some((key.clone(), omap.get(key)?.clone())));
                    StoreReadResult::Omap(OmapPage { entries: found.collect(), more: false })
                }
                other => panic!("a view does not ask {other:?}"),
            })
        };
        let mut view = ObjectView::new(object(), self.meta.clone(), &source);
        let request = RequestId { client: ClientId(self.client), sequence: 1 };
        let circumstances = Circumstances { now_ms: self.now_ms, request, user_version: 0 };
        let budget = limits::CALL_EFFECT_BYTES_MAX;
        let outcome = Registry::built_in().call((class, method), &mut view, circumstances, input, budget)?;
        let size = view.meta().map_or(0, |meta| meta.size);
        let after = view.read(Extent { offset: 0, length: size })?;
        let entries = view.omap_page(b"", b"", 1000)?.entries;
        self.meta = view.meta().cloned();
        self.bytes = after;
        self.omap = entries.into_iter().collect();
        let Outcome { output, effects } = outcome;
        if Registry::built_in().access(class, method) == Some(Access::Read) {
            assert!(effects.is_empty(), "a method that looks has no effects");
        }
        Ok(output)
    }

    fn json(&mut self, class: &str, method: &str, input: Value) -> Result<Value> {
        let output = self.call(class, method, input.to_string().as_bytes())?;
        Ok(if output.is_empty() { Value::Null } else { serde_json::from_slice(&output).expect("is JSON") })
    }

    fn refusal(&mut self, class: &str, method: &str, input: Value) -> ErrorKind {
        self.json(class, method, input).expect_err("is refused").kind
    }

    fn written(&mut self) {
        self.meta = Some(ObjectMeta { size: 3, ..ObjectMeta::default() });
        self.bytes = Bytes::from_static(b"abc");
    }
}

#[test]
fn unknown_names_are_refused_with_what_there_is() {
    let mut bench = Bench::default();
    let error = bench.call("nothing", "say_hello", b"").expect_err("no such class");
    assert_eq!(error.kind, ErrorKind::Invalid);
    let error = bench.call("hello", "nothing", b"").expect_err("no such method");
    assert!(error.message.contains("say_hello"), "{error}");
    assert_eq!(Registry::built_in().access("hello", "say_hello"), Some(Access::Read));
    assert_eq!(Registry::built_in().access("hello", "record_hello"), Some(Access::Write));
    assert_eq!(Registry::built_in().access("hello", "nothing"), None);
}

#[test]
fn every_method_of_every_class_is_carried_out() {
    for class in Registry::built_in().classes() {
        for method in class.methods() {
            // Nonsense is refused as input, never as an unknown method.
            if let Err(error) = Bench::default().call(class.name(), method.name, b"\xff") {
                assert!(!error.message.contains("has no method"), "{}.{}: {error}", class.name(), method.name);
                assert!(
                    matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound),
                    "{}.{}: {} {error}",
                    class.name(),
                    method.name,
                    error.kind
                );
            }
        }
    }
}

#[test]
fn hello_is_recorded_once_and_replayed() {
    let mut bench = Bench::default();
    assert_eq!(bench.call("hello", "say_hello", b"").expect("greets"), "Hello, world!");
    assert_eq!(bench.call("hello", "say_hello", &[b'x'; 100]).expect("just inside").len(), 108);
    assert_eq!(bench.call("hello", "say_hello", &[b'x'; 101]).expect_err("just outside").kind, ErrorKind::Invalid);
    assert_eq!(bench.call("hello", "replay", b"").expect_err("nothing there").kind, ErrorKind::NotFound);
    assert_eq!(bench.call("hello", "record_hello", b"Ika").expect("records"), "Hello, Ika!");
    assert_eq!(bench.call("hello", "record_hello", b"Ika").expect_err("is there").kind, ErrorKind::Exists);
    bench.call("hello", "turn_it_to_11", b"").expect("shouts");
    assert_eq!(bench.call("hello", "replay", b"").expect("replays"), "HELLO, IKA!");
}

#[test]
fn numbers_are_added_and_multiplied_and_never_wrap() {
    let mut bench = Bench::default();
    let operand = |value: &str| json!({"key": "n", "value": value});
    assert_eq!(bench.json("numeric", "add", operand("5")).expect("adds"), json!(5));
    assert_eq!(bench.json("numeric", "mul", operand("-3")).expect("multiplies"), json!(-15));
    assert_eq!(bench.omap[&b"n".to_vec()], "-15");
    assert_eq!(bench.refusal("numeric", "add", operand("1.5")), ErrorKind::Invalid);
    assert_eq!(bench.refusal("numeric", "add", json!({"key": "", "value": "1"})), ErrorKind::Invalid);
    bench.omap.insert(b"n".to_vec(), Bytes::from(i128::MAX.to_string()));
    bench.json("numeric", "add", operand("0")).expect("just inside");
    assert_eq!(bench.refusal("numeric", "add", operand("1")), ErrorKind::Invalid);
    bench.omap.insert(b"n".to_vec(), Bytes::from_static(b"word"));
    assert_eq!(bench.refusal("numeric", "mul", operand("1")), ErrorKind::Invalid);
    assert_eq!(bench.omap[&b"n".to_vec()], "word");
}

#[test]
fn versions_guard_what_follows_them() {
    let mut bench = Bench::default();
    let condition = |relation: &str, number: u64, tag: &str| json!({"conditions": [{"relation": relation, "version": {"number": number, "tag": tag}}]});
    assert_eq!(bench.refusal("version", "get", json!({})), ErrorKind::NotFound);
    bench.json("version", "check", condition("equal", 0, "")).expect("an absent object has version zero");
    bench.json("version", "set", json!({"version": {"number": 7, "tag": "t"}})).expect("sets");
    assert_eq!(bench.json("version", "increment", json!({})).expect("counts"), json!({"number": 8, "tag": "t"}));
    for (relation, number, tag, holds) in [
        ("equal", 8, "t", true),
        ("equal", 8, "u", false),
        ("equal", 7, "t", false),
        ("greater", 7, "", true),
        ("greater", 8, "", false),
        ("greater_or_equal", 8, "", true),
        ("greater_or_equal", 9, "", false),
        ("less", 9, "", true),
        ("less", 8, "", false),
        ("less_or_equal", 8, "", true),
        ("less_or_equal", 7, "", false),
        ("tag_equal", 0, "t", true),
        ("tag_equal", 0, "u", false),
        ("tag_not_equal", 0, "u", true),
        ("tag_not_equal", 0, "t", false),
    ] {
        let checked = bench.json("version", "check", condition(relation, number, tag));
        assert_eq!(checked.is_ok(), holds, "{relation} {number} {tag}");
    }
    assert_eq!(bench.refusal("version", "increment", condition("less", 8, "")), ErrorKind::Exists);
    assert_eq!(bench.json("version", "get", json!({})).expect("reads"), json!({"number": 8, "tag": "t"}));
    bench.json("version", "set", json!({"version": {"number": u64::MAX}})).expect("the last");
    assert_eq!(bench.refusal("version", "increment", json!({})), ErrorKind::Invalid);
}

#[test]
fn the_last_reference_takes_the_object_with_it() {
    let mut bench = Bench::default();
    let reference = |tag: &str| json!({"tag": tag});
    assert_eq!(bench.refusal("refcount", "put", reference("a")), ErrorKind::NotFound);
    bench.written();
    bench.json("refcount", "get", reference("a")).expect("refers");
    bench.json("refcount", "get", reference("a")).expect("once more is once");
    bench.json("refcount", "get", reference("b")).expect("refers");
    assert_eq!(bench.json("refcount", "read", json!({})).expect("reads"), json!({"tags": ["a", "b"]}));
    bench.json("refcount", "put", reference("c")).expect("what is not held is not given back");
    bench.json("refcount", "put", reference("a")).expect("gives back");
    assert!(bench.meta.is_some());
    bench.json("refcount", "put", reference("b")).expect("gives back");
    assert!(bench.meta.is_none() && bench.bytes.is_empty(), "the object is gone");

    bench.written();
    bench.json("refcount", "get", json!({"tag": "a", "implicit": true})).expect("refers");
    bench.json("refcount", "put", json!({"tag": "a", "implicit": true})).expect("gives back");
    assert!(bench.meta.is_some(), "the unnamed reference is left");
    bench.json("refcount", "put", json!({"tag": "z", "implicit": true})).expect("gives back the unnamed one");
    assert!(bench.meta.is_none());

    bench.written();
    bench.json("refcount", "set", json!({"tags": ["x"]})).expect("sets");
    assert_eq!(bench.refusal("refcount", "get", reference("")), ErrorKind::Invalid);
    bench.json("refcount", "get", reference(&"t".repeat(200))).expect("just inside");
    assert_eq!(bench.refusal("refcount", "get", reference(&"t".repeat(201))), ErrorKind::Invalid);
    for number in 2..250 {
        bench.json("refcount", "get", reference(&number.to_string())).expect("up to the bound");
    }
    assert_eq!(bench.refusal("refcount", "get", reference("one more")), ErrorKind::Full);
    bench.json("refcount", "set", json!({"tags": []})).expect("sets to nothing");
    assert!(bench.meta.is_none());
}

fn lock(kind: &str, cookie: &str, more: Value) -> Value {
    let mut request = json!({"name": "l", "kind": kind, "cookie": cookie});
    request.as_object_mut().expect("is one").extend(more.as_object().expect("is one").clone());
    request
}

#[test]
fn an_exclusive_lock_has_one_holder() {
    let mut bench = Bench { client: 1, ..Bench::default() };
    bench.json("lock", "lock", lock("exclusive", "c", json!({"description": "me"}))).expect("locks");
    assert_eq!(bench.refusal("lock", "lock", lock("exclusive", "c", json!({}))), ErrorKind::Exists);
    assert_eq!(bench.refusal("lock", "lock", lock("exclusive", "d", json!({}))), ErrorKind::Exists);
    bench.json("lock", "lock", lock("exclusive", "c", json!({"renewal": "allowed"}))).expect("renews");
    bench.json("lock", "assert_locked", lock("exclusive", "c", json!({}))).expect("holds it");
    assert_eq!(bench.refusal("lock", "assert_locked", lock("shared", "c", json!({}))), ErrorKind::Exists);
    bench.client = 2;
    assert_eq!(bench.refusal("lock", "lock", lock("exclusive", "c", json!({}))), ErrorKind::Exists);
    assert_eq!(bench.refusal("lock", "lock", lock("shared", "c", json!({}))), ErrorKind::Exists);
    assert_eq!(bench.refusal("lock", "assert_locked", lock("exclusive", "c", json!({}))), ErrorKind::Exists);
    assert_eq!(bench.refusal("lock", "unlock", json!({"name": "l", "cookie": "c"})), ErrorKind::NotFound);
    let info = bench.json("lock", "get_info", json!({"name": "l"})).expect("tells");
    assert_eq!(info["holders"][0]["client"], 1);
    assert_eq!(bench.json("lock", "list_locks", json!({})).expect("lists"), json!(["l"]));
    bench.json("lock", "break_lock", json!({"name": "l", "client": 1, "cookie": "c"})).expect("breaks");
    assert_eq!(bench.json("lock", "list_locks", json!({})).expect("lists"), json!([]));
    assert_eq!(bench.refusal("lock", "get_info", json!({"name": "l"})), ErrorKind::NotFound);
    bench.json("lock", "lock", lock("exclusive", "c", json!({}))).expect("locks");
    bench.json("lock", "unlock", json!({"name": "l", "cookie": "c"})).expect("unlocks");
}

#[test]
fn a_shared_lock_has_holders_of_one_tag() {
    let mut bench = Bench { client: 1, ..Bench::default() };
    let tagged = |tag: &str| lock("shared", "c", json!({"tag": tag}));
    bench.json("lock", "lock", tagged("t")).expect("locks");
    bench.client = 2;
    assert_eq!(bench.refusal("lock", "lock", tagged("u")), ErrorKind::Exists);
    assert_eq!(bench.refusal("lock", "lock", lock("exclusive", "c", json!({}))), ErrorKind::Exists);
    bench.json("lock", "lock", tagged("t")).expect("locks too");
    for client in 3..=100 {
        bench.client = client;
        bench.json("lock", "lock", tagged("t")).expect("up to the bound");
    }
    bench.client = 101;
    assert_eq!(bench.refusal("lock", "lock", tagged("t")), ErrorKind::Full);
    assert_eq!(bench.refusal("lock", "lock", lock("shared", &"c".repeat(257), json!({}))), ErrorKind::Invalid);
    assert_eq!(bench.refusal("lock", "lock", json!({"name": "", "kind": "shared"})), ErrorKind::Invalid);
    assert_eq!(bench.refusal("lock", "lock", json!({"name": "n".repeat(129), "kind": "shared"})), ErrorKind::Invalid);
    bench.json("lock", "lock", json!({"name": "n".repeat(128), "kind": "shared"})).expect("just inside");
}

#[test]
fn a_lock_runs_out_by_the_clock_of_the_call() {
    let mut bench = Bench { client: 1, now_ms: 1000, ..Bench::default() };
    bench.json("lock", "lock", lock("exclusive", "", json!({"duration_ms": 50}))).expect("locks");
    bench.client = 2;
    bench.now_ms = 1049;
    assert_eq!(bench.refusal("lock", "lock", lock("exclusive", "", json!({}))), ErrorKind::Exists);
    bench.now_ms = 1050;
    bench.json("lock", "lock", lock("exclusive", "", json!({}))).expect("it ran out");
    bench.client = 1;
    assert_eq!(
        bench.refusal("lock", "lock", lock("exclusive", "", json!({"renewal": "required"}))),
        ErrorKind::NotFound
    );
    assert_eq!(bench.refusal("lock", "unlock", json!({"name": "l"})), ErrorKind::NotFound);
}

/// A class that breaks the rules, to see them held.
#[derive(Debug)]
struct Rogue;

impl ObjectClass for Rogue {
    fn name(&self) -> &'static str {
        "rogue"
    }

    fn methods(&self) -> &'static [Method] {
        const { &[Method::read("write"), Method::write("talk"), Method::write("fill"), Method::write("many")] }
    }

    fn call(&self, method: &str, call: &mut Call<'_, '_>, input: &[u8]) -> Result<Bytes> {
        let count: usize = std::str::from_utf8(input).expect("text").parse().expect("a number");
        match method {
            "write" => call.create().map(|()| Bytes::new()),
            "talk" => Ok(Bytes::from(vec![0; count])),
            "fill" => call.write(0, vec![0; count]).map(|()| Bytes::new()),
            "many" => (0..count).try_for_each(|_| call.create()).map(|()| Bytes::new()),
            _ => Err(unknown_method(self, method)),
        }
    }
}

#[test]
fn both_sides_of_the_bounds_of_a_call() {
    let mut registry = Registry::default();
    registry.add(Box::new(Rogue));
    let source = |_: &StoreRead| panic!("nothing is asked");
    let request = RequestId { client: ClientId(1), sequence: 1 };
    let circumstances = Circumstances { now_ms: 0, request, user_version: 0 };
    let call = |method: &str, count: usize| {
        let mut view = ObjectView::new(object(), None, &source);
        let budget = limits::CALL_EFFECT_BYTES_MAX;
        let input = count.to_string();
        let outcome = registry.call(("rogue", method), &mut view, circumstances, input.as_bytes(), budget);
        outcome.map_err(|error| error.kind)
    };
    assert_eq!(call("write", 0), Err(ErrorKind::Internal));
    assert!(call("talk", limits::CALL_OUTPUTS_REMEMBERED_BYTES_MAX).is_ok());
    assert_eq!(call("talk", limits::CALL_OUTPUTS_REMEMBERED_BYTES_MAX + 1), Err(ErrorKind::Invalid));
    assert!(call("fill", limits::CALL_EFFECT_BYTES_MAX).is_ok());
    assert_eq!(call("fill", limits::CALL_EFFECT_BYTES_MAX + 1), Err(ErrorKind::Invalid));
    let many = call("many", limits::CALL_EFFECTS_MAX).expect("just inside");
    assert_eq!(many.effects, vec![Effect::Create; limits::CALL_EFFECTS_MAX]);
    assert_eq!(call("many", limits::CALL_EFFECTS_MAX + 1), Err(ErrorKind::Invalid));
}

//! Placement maps: Ceph's text and Ceph's binary form, and placing by what they say.

use crush::{CompiledMap, CrushMap, Step, WEIGHT_ONE, Workspace};

/// Attempts per choice up to which a map is used to place. More are legal, and bounded, but too slow for a fuzzer.
const TRIES_USED_MAX: u32 = 100;

/// Devices that are in when a map is used; the others are out, which is legal for any map.
const DEVICES_IN_MAX: usize = 4096;

/// A text: compiled, or refused with a line and a column that are in it.
pub(crate) fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match crush::text::compile(&text) {
        Ok(map) => use_map(&map),
        Err(error) => {
            let line = error.line.checked_sub(1).expect("lines count from 1");
            let content = text.lines().nth(line).unwrap_or("");
            assert!(line <= text.lines().count(), "{error}: there are {} lines", text.lines().count());
            assert!((1..=content.len() + 1).contains(&error.column), "{error}: line `{content}`");
            assert!(!error.message.is_empty());
        }
    }
}

/// A binary map: decoded, or refused with the offset.
pub(crate) fn binary(bytes: &[u8]) {
    match CrushMap::decode(bytes) {
        Ok(map) => use_map(&map),
        Err(error) => assert!(error.message().contains("at byte "), "{error}: says no offset"),
    }
}

/// Does with a stranger's map what monitors and tools do with it.
pub(crate) fn use_map(map: &CrushMap) {
    let bytes = map.encode();
    let again = CrushMap::decode(&bytes).unwrap_or_else(|error| panic!("what was encoded is refused: {error}"));
    // The first reading drops choose arguments that nothing draws by, as Ceph's does; from then on nothing changes.
    assert_eq!(CrushMap::decode(&again.encode()).as_ref(), Ok(&again), "a map that was read is written as another one");
    let decompiled = crush::text::decompile(map);
    assert!(!decompiled.is_empty());
    assert!(map.tree(true).len() >= map.tree(false).len());
    let Ok(compiled) = CompiledMap::new(map) else { return };
    let tunables = map.tunables();
    let tries = tunables.choose_total_tries.max(tunables.choose_local_tries).max(tunables.choose_local_fallback_tries);
    let is_modest =
        |step: &Step| step.to_stored().1.unsigned_abs() <= TRIES_USED_MAX || matches!(step, Step::Take { .. });
    let devices = usize::try_from(map.max_devices()).expect("not negative");
    let weights = vec![WEIGHT_ONE; devices.min(DEVICES_IN_MAX)];
    let (mut workspace, mut result) = (Workspace::new(), Vec::new());
    for (id, rule) in map.rules().filter(|(_, rule)| rule.steps.len() < 32 && rule.steps.iter().all(is_modest)).take(8)
    {
        let arguments = map.choose_args().keys().next().copied();
        for x in 0..3 {
            if tries > TRIES_USED_MAX {
                break;
            }
            compiled.map_rule(id, x, 4, &weights, arguments, &mut workspace, &mut result);
            assert!(result.len() <= 4, "rule {:?} chose {result:?}", rule.steps);
            // A rule that ends at buckets places on buckets, as in Ceph; whoever looks for devices skips them.
            let is_known =
                |item: &i32| *item == crush::ITEM_NONE || *item < map.max_devices() && map.item_type(*item).is_some();
            assert!(result.iter().all(is_known), "rule {id} chose {result:?} of {} devices", map.max_devices());
        }
    }
}

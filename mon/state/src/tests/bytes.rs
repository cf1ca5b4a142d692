//! Damaged, cut and foreign bytes are refused with a reason, and nothing panics.

use types::{EntityName, ErrorKind, OsdId, Seed, SeededRandom};

use super::rig::{Rig, boot};
use crate::{MapStep, Outcome, State, decode_entry, encode_entry};

fn busy_rig() -> Rig {
    let mut rig = Rig::new();
    for osd in 0..3 {
        rig.ask(EntityName::osd(OsdId(osd)), boot(osd, "a", 1, u64::from(osd), 1 << 40));
    }
    rig.command("osd pool create demo 8");
    rig.command("config-key set a/b hello");
    rig
}

fn an_entry(rig: &Rig) -> crate::Entry {
    let base = rig.states[0].map().unwrap();
    let changes = vec![map::Change::Flags(map::ClusterFlags::NOOUT)];
    crate::Entry {
        sequence: rig.states[0].sequence() + 1,
        base: base.epoch(),
        time_ms: 5,
        map: MapStep::Increment(map::Increment::new(base.map(), 5, changes).unwrap()),
        answers: vec![(wire::CommandId { asker: 3, sequence: 4 }, wire::CommandAnswer::default())],
        keys: vec![("k".to_owned(), None)],
        log: Vec::new(),
        forget_through: None,
    }
}

#[test]
fn damaged_entries_are_refused_or_differ_and_never_panic() {
    let rig = busy_rig();
    let entry = an_entry(&rig);
    let good = encode_entry(&entry);
    assert_eq!(decode_entry(&good).unwrap(), entry);
    for length in 0..good.len() {
        assert!(decode_entry(&good[..length]).is_err(), "cut at {length}");
    }
    let mut random = SeededRandom::new(Seed(11));
    for _ in 0..2000 {
        let mut bytes = good.to_vec();
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
        if let Ok(other) = decode_entry(&bytes) {
            assert!(other != entry || bytes[0] != good[0], "a changed byte changes the entry");
        }
        let noise: Vec<u8> = (0..random.below(200)).map(|_| (random.draw() & 0xff) as u8).collect();
        let _refused_or_not = decode_entry(&noise);
    }
    let mut long = good.to_vec();
    long.push(0);
    assert_eq!(decode_entry(&long).unwrap_err().kind, ErrorKind::Damaged);
    let mut foreign = good.to_vec();
    foreign[1] = 9;
    let refused = decode_entry(&foreign).unwrap_err();
    assert_eq!(refused.message, "decode log entry: it needs a program that reads format 9, this one reads up to 1");
}

#[test]
fn damaged_snapshots_are_refused() {
    let rig = busy_rig();
    let good = rig.states[0].snapshot();
    for length in (0..good.len()).step_by(7) {
        assert_eq!(State::restore(&good[..length]).unwrap_err().kind, ErrorKind::Damaged, "cut at {length}");
    }
    let mut random = SeededRandom::new(Seed(12));
    for _ in 0..500 {
        let mut bytes = good.to_vec();
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
        assert!(State::restore(&bytes).is_err(), "a flipped bit at {at} is found");
    }
}

#[test]
fn an_entry_planned_on_another_state_does_nothing() {
    let mut rig = busy_rig();
    let stale = an_entry(&rig);
    rig.command("osd set noup");
    let before = rig.states[0].snapshot();
    assert_eq!(rig.apply(&stale).outcome, Outcome::Retry);
    let mut of_the_future = stale.clone();
    of_the_future.sequence = rig.states[0].sequence() + 2;
    assert_eq!(rig.apply(&of_the_future).outcome, Outcome::Retry);
    assert_eq!(rig.states[0].snapshot(), before);
}

#[test]
fn an_increment_that_leads_elsewhere_stops_the_monitor() {
    let mut rig = busy_rig();
    let mut entry = an_entry(&rig);
    let MapStep::Increment(increment) = &mut entry.map else { panic!("an increment") };
    increment.result_checksum ^= 1;
    let before = rig.states[0].snapshot();
    let refused = rig.states[0].apply(&entry).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Internal);
    assert_eq!(rig.states[0].snapshot(), before);
}

#[test]
fn subscribers_get_increments_while_they_reach_back_and_a_full_map_otherwise() {
    let mut rig = busy_rig();
    let newest = rig.states[0].epoch();
    let share = rig.states[0].share(types::Epoch(2));
    assert_eq!(share.full, None);
    assert_eq!(share.increments.first().unwrap().0, types::Epoch(3));
    assert_eq!(share.increments.last().unwrap().0, newest);
    assert_eq!(rig.states[0].share(types::Epoch::ZERO).full.unwrap().0, newest);
    assert!(rig.states[0].share(newest).increments.is_empty());
    for round in 0..crate::INCREMENTS_KEPT_MIN + 10 {
        rig.command(if round % 2 == 0 { "osd set noout" } else { "osd unset noout" });
    }
    let usage = types::StoreUsage { total_bytes: 1 << 40, used_bytes: 0, metadata_bytes: 0 };
    for osd in 0..3 {
        let epoch = rig.states[0].epoch();
        let request = wire::ControlRequest::Beacon {
            osd: OsdId(osd),
            nonce: types::BootNonce(1),
            epoch,
            lowest_needed: epoch,
            usage,
        };
        rig.ask(EntityName::osd(OsdId(osd)), request);
    }
    rig.command("osd set nobackfill");
    assert!(rig.states[0].history_base() > types::Epoch(2), "what nobody needs was forgotten");
    assert!(rig.states[0].share(types::Epoch(2)).full.is_some());
    let base = rig.states[0].history_base();
    let share = rig.states[0].share(base);
    assert_eq!(share.increments.first().unwrap().0, base.next());
    assert_eq!(share.increments.len(), types::limits::MAP_INCREMENTS_PER_MESSAGE_MAX);
}

//! What operators chose for this OSD, followed from map to map.
//!
//! Owns: which settings are in force. Does not know: what options there are for others, or who chose them.

use std::sync::Arc;

use map::{ConfigOption, Configuration, EffectiveSettings, PublishedMap};
use osd_pg::Event as PgEvent;
use types::{PgId, Time};

use crate::{Action, osd::Osd};

/// The settings in force, and what they were computed from.
#[derive(Debug, Default)]
pub(crate) struct SettingsFollowed {
    chosen: Configuration,
    effective: EffectiveSettings,
}

impl Osd {
    /// Takes over what the map says. Masks speak of places, so a new hierarchy may change the settings, too; while
    /// nothing is set for anybody, no map costs more than one comparison.
    pub(crate) fn follow_settings(&mut self, now: Time, map: &Arc<PublishedMap>, actions: &mut Vec<Action>) {
        let configuration = &map.map().configuration;
        if configuration.is_empty() && self.settings.chosen.is_empty() {
            return;
        }
        let effective = configuration.effective(&map.map().config_subject(self.config.whoami));
        self.settings.chosen.clone_from(configuration);
        if effective == self.settings.effective {
            return;
        }
        self.settings.effective.clone_from(&effective);
        self.config.grace = effective.duration(ConfigOption::OsdHeartbeatGrace);
        self.config.reservations_max = effective.places(ConfigOption::OsdMaxBackfills);
        self.config.scrubs_max = effective.places(ConfigOption::OsdMaxScrubs);
        self.scrub_places.set_places(self.config.scrubs_max);
        self.config.pg.follow(&effective);
        self.heartbeats.set_grace(self.config.grace);
        self.reservations.set_places(self.config.reservations_max);
        let effective = Arc::new(effective);
        let pgs: Vec<PgId> = self.groups.keys().copied().collect();
        for pg in pgs {
            self.deliver(now, pg, PgEvent::Settings(effective.clone()), actions);
        }
        actions.push(Action::Settings(effective));
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use map::{Change, ClusterMap, ConfigTarget, Increment, encode_increment, encode_map};
    use osd_pg::PgConfig;
    use types::{BootNonce, ClusterId, Epoch, OsdId, OsdUuid, Uuid};
    use wire::MapShare;

    use super::*;
    use crate::{Event, OsdConfig, StoredOsd};

    /// The next map, in which an option was set or forgotten for everybody.
    fn configured(map: &ClusterMap, option: ConfigOption, value: Option<&str>) -> (ClusterMap, Event) {
        let (option, value) = (option.spec().name.to_owned(), value.map(str::to_owned));
        let change = Change::Configuration { option, target: ConfigTarget::GLOBAL, value };
        let increment = Increment::new(map, map.modified_ms, vec![change]).unwrap();
        let next = map.apply(&increment).unwrap();
        let increments = vec![(next.epoch, encode_increment(&increment))];
        (next.clone(), Event::Maps(MapShare { newest: next.epoch, full: None, increments }))
    }

    #[test]
    fn what_operators_choose_is_in_force_with_the_map_that_brings_it_and_gone_with_the_one_that_takes_it_back() {
        let whoami = OsdId(0);
        let address = "127.0.0.1:6800".parse().unwrap();
        let uuid = OsdUuid(Uuid([1; 16]));
        let config =
            OsdConfig::new(whoami, uuid, BootNonce(7), "a".to_owned(), address, 1 << 30, PgConfig::new(whoami));
        let mut actions = Vec::new();
        let now = Time::from_milliseconds(1000);
        let mut osd = Osd::open(config, StoredOsd::default(), now, &mut actions).unwrap();
        let map = ClusterMap::first(ClusterId(Uuid([2; 16])), BTreeMap::new(), 1).unwrap();
        let full = Some((Epoch(1), encode_map(&map)));
        osd.handle(now, Event::Maps(MapShare { newest: Epoch(1), full, increments: Vec::new() }), &mut actions);
        assert_eq!(osd.config.grace, Duration::from_secs(4));

        let announced = |actions: &mut Vec<Action>| {
            actions.drain(..).filter(|action| matches!(action, Action::Settings(_))).count()
        };
        assert_eq!(announced(&mut actions), 0, "nothing was chosen yet");
        let (map, event) = configured(&map, ConfigOption::OsdHeartbeatGrace, Some("20s"));
        osd.handle(now, event, &mut actions);
        assert_eq!((osd.config.grace, announced(&mut actions)), (Duration::from_secs(20), 1));
        let (map, event) = configured(&map, ConfigOption::OsdMaxBackfills, Some("9"));
        osd.handle(now, event, &mut actions);
        assert_eq!((osd.config.reservations_max, announced(&mut actions)), (9, 1));
        let (map, event) = configured(&map, ConfigOption::OsdHeartbeatGrace, None);
        osd.handle(now, event, &mut actions);
        let (_, event) = configured(&map, ConfigOption::OsdMaxBackfills, None);
        osd.handle(now, event, &mut actions);
        assert_eq!((osd.config.grace, osd.config.reservations_max), (Duration::from_secs(4), 4));
        assert_eq!(announced(&mut actions), 2);
    }
}

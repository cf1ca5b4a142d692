//! One run: what is asked for, in Ceph's order.

use std::sync::Arc;

use crush::{
    CrushMap,
    tool::{Files, Output},
};
use types::{Epoch, Error, OsdId};

use super::{
    MINUS_ONE, NAME, Stop,
    arguments::{Format, Request},
    create::{add_default_pool, device_count, mark_in, mark_up, simple_map},
    health,
    number::general,
};
use crate::{
    Change, ClusterMap, Pool, PublishedMap, Weight, check, conversion::from_crush, decode_map, encode_map,
    stale_exceptions, views,
};

pub(super) struct Run<'a> {
    pub(super) output: Output,
    pub(super) files: &'a mut dyn Files,
    pub(super) now_ms: u64,
}

impl Run<'_> {
    pub(super) fn all(&mut self, words: &[String]) -> Result<(), Stop> {
        let request = self.understand(words)?;
        if request.from_configuration {
            self.error(
                "--create-from-conf needs a file of daemons, which does not exist here; --createsimple makes a map",
            );
            return Err(Stop(1));
        }
        if let (Some(first), Some(last)) = request.range {
            return self.read_range(&request.file, first, last);
        }
        self.error(&format!("osdmap file '{}'", request.file));
        let mut map = self.open(&request)?;
        let mut modified = request.create.is_some();
        self.mark(&request, &mut map)?;
        modified |= self.adjust_weights(&request, &mut map)?;
        self.clean_temporary_sets(&request, &mut map)?;
        if self.plan_upmap(&request, &mut map)? {
            map.epoch = map.epoch.next();
            modified = true;
        }
        modified |= self.exchange_hierarchy(&request, &mut map)?;
        if let Some(pg_num) = request.pg_num.filter(|_| request.maps_all_pgs()) {
            let mut tried = map.clone();
            for pool in tried.pools.values_mut() {
                set_pg_num(Arc::make_mut(pool), pg_num);
            }
            tried.forget_pgs_beyond();
            self.report(&request, &tried)?;
        } else {
            self.report(&request, &map)?;
        }
        let asked = request.print.is_some()
            || request.tree.is_some()
            || request.export_crush.is_some()
            || request.map_pg.is_some()
            || request.map_object.is_some()
            || request.maps_all_pgs()
            || request.test_crush
            || request.health
            || request.adjust_weights.is_some()
            || request.upmap.is_some()
            || request.upmap_cleanup.is_some();
        if request.health {
            let text = json_text(&health::checks(&map), Format::JsonPretty);
            self.output.stdout.push_str(&text);
        }
        if !asked && !modified {
            return Err(self.usage("no action specified?"));
        }
        if modified {
            map.epoch = map.epoch.next();
        }
        self.show(&request, &map);
        if modified { self.save(&request.file, &map) } else { Ok(()) }
    }

    /// Says something in the tool's name on standard error.
    fn error(&mut self, sentence: &str) {
        self.output.stderr.push_str(&format!("{NAME}: {sentence}\n"));
    }

    fn say(&mut self, sentence: &str) {
        self.output.stdout.push_str(sentence);
        self.output.stdout.push('\n');
    }

    pub(super) fn refuse(&mut self, error: &Error) -> Stop {
        self.error(&error.message);
        Stop(1)
    }

    /// The map as one that places.
    pub(super) fn published(&mut self, map: &ClusterMap) -> Result<Arc<PublishedMap>, Stop> {
        let mut map = map.clone();
        // A map that was just made has no epoch yet.
        map.epoch = map.epoch.max(Epoch(1));
        PublishedMap::new(map).map_err(|error| self.refuse(&error))
    }

    fn read_range(&mut self, folder: &str, first: i64, last: i64) -> Result<(), Stop> {
        for epoch in first..=last {
            let file = format!("{folder}/{epoch}");
            let bytes = self.files.read(&file).map_err(|reason| {
                self.output.stderr.push_str(&format!("unable to read {file}: {reason}\n"));
                Stop(1)
            })?;
            self.say(&format!("{file} got {} bytes", bytes.len()));
            decode_map(&bytes).map_err(|error| self.refuse(&error))?;
        }
        Ok(())
    }

    fn open(&mut self, request: &Request) -> Result<ClusterMap, Stop> {
        let file = &request.file;
        if let Some(count) = request.create {
            if !request.clobber && self.files.read(file).is_ok() {
                self.error(&format!("{file} exists, --clobber to overwrite"));
                return Err(MINUS_ONE);
            }
            let Some(count) = u32::try_from(count).ok().filter(|count| *count > 0) else {
                self.error("osd count must be > 0");
                return Err(Stop(1));
            };
            let mut map = simple_map(count, self.now_ms).map_err(|error| self.refuse(&error))?;
            if request.with_pool {
                add_default_pool(&mut map, count, request.pg_bits, request.pgp_bits);
            }
            return Ok(map);
        }
        let bytes = self.files.read(file).map_err(|reason| {
            self.error(&format!("couldn't open {file}: can't open {file}: {reason}"));
            MINUS_ONE
        })?;
        decode_map(&bytes).map_err(|error| {
            self.error(&format!("error decoding osdmap '{file}': {error}"));
            MINUS_ONE
        })
    }

    fn mark(&mut self, request: &Request, map: &mut ClusterMap) -> Result<(), Stop> {
        if request.mark_up_in {
            self.say("marking all OSDs up and in");
            let mut hierarchy = CrushMap::clone(&map.crush);
            for osd in (0..device_count(map)).map(OsdId) {
                mark_in(map, osd);
                mark_up(map, osd);
                let device = i32::try_from(osd.0).expect("the limit on OSDs fits");
                // Ceph: one without weight would not be tried at all.
                if weight_of(&hierarchy, device) == Some(0) {
                    self.reweight(&mut hierarchy, device, crush::WEIGHT_ONE)?;
                }
            }
            if hierarchy != *map.crush {
                map.crush = Arc::new(hierarchy);
            }
        }
        let known = |map: &ClusterMap, number: Option<i64>| {
            number.and_then(|number| u32::try_from(number).ok()).filter(|osd| *osd < device_count(map)).map(OsdId)
        };
        if let Some(osd) = known(map, request.mark_out) {
            self.say(&format!("marking OSD@{osd} as out"));
            mark_up(map, osd);
            if let Some(state) = map.osds.get_mut(&osd) {
                state.weight = Weight::ZERO;
            }
        }
        if let Some(osd) = known(map, request.mark_up) {
            self.say(&format!("marking OSD@{osd} as up"));
            mark_up(map, osd);
        }
        if let Some(osd) = known(map, request.mark_in) {
            // Ceph's tool says `up` here as well.
            self.say(&format!("marking OSD@{osd} as up"));
            mark_in(map, osd);
        }
        Ok(())
    }

    fn reweight(&mut self, hierarchy: &mut CrushMap, device: i32, weight: u32) -> Result<(), Stop> {
        hierarchy.reweight(device, weight).map_err(|error| self.refuse(&from_crush(error)))
    }

    /// `--adjust-crush-weight`; whether it is to be kept.
    fn adjust_weights(&mut self, request: &Request, map: &mut ClusterMap) -> Result<bool, Stop> {
        let Some(list) = &request.adjust_weights else { return Ok(false) };
        let mut hierarchy = CrushMap::clone(&map.crush);
        for pair in list.split(',').filter(|pair| !pair.is_empty()) {
            let Some((device, weight)) = pair.split_once(':') else {
                return Err(self.usage("use ':' as separator of osd id and its weight"));
            };
            let (Ok(device), Ok(weight)) = (device.parse::<i32>(), weight.parse::<f32>()) else {
                self.output.stderr.push_str(&format!("The option value '{pair}' is invalid\n"));
                return Err(Stop(1));
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "what does not fit is cut to fit"
            )]
            let fixed = (f64::from(weight) * 65_536.0) as u32;
            if weight_of(&hierarchy, device).is_some() {
                self.reweight(&mut hierarchy, device, fixed)?;
            }
            self.say(&format!("Adjusted osd.{device} CRUSH weight to {}", general(f64::from(weight))));
        }
        map.crush = Arc::new(hierarchy);
        if request.save {
            map.epoch = map.epoch.next();
        }
        Ok(request.save)
    }

    fn clean_temporary_sets(&mut self, request: &Request, map: &mut ClusterMap) -> Result<(), Stop> {
        if request.clear_temp {
            self.say("clearing pg/primary temp");
            map.pg_temp.clear();
            map.primary_temp.clear();
        }
        if request.clean_temps {
            self.say("cleaning pg temps");
            for change in stale_exceptions(&*self.published(map)?) {
                match change {
                    Change::PgTemp(pg, None) => drop(map.pg_temp.remove(&pg)),
                    Change::PrimaryTemp(pg, None) => {
                        map.primary_temp.remove(&pg);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// `--import-crush` and `--export-crush`; whether the map is another one.
    fn exchange_hierarchy(&mut self, request: &Request, map: &mut ClusterMap) -> Result<bool, Stop> {
        let mut modified = false;
        if let Some(file) = &request.import_crush {
            let bytes = self.files.read(file).map_err(|reason| {
                self.error(&format!("error reading crush map from {file}: can't open {file}: {reason}"));
                Stop(1)
            })?;
            let hierarchy = CrushMap::decode(&bytes).map_err(|error| {
                self.error(&format!("error decoding crush map from {file}: {error}"));
                Stop(1)
            })?;
            map.crush = Arc::new(hierarchy);
            map.epoch = map.epoch.next();
            self.say(&format!("{NAME}: imported {} byte crush map from {file}", bytes.len()));
            modified = true;
        }
        if let Some(file) = &request.export_crush {
            self.files.write(file, &map.crush.encode()).map_err(|reason| {
                self.error(&format!("error writing crush map to {file}: {reason}"));
                Stop(1)
            })?;
            self.say(&format!("{NAME}: exported crush map to {file}"));
        }
        Ok(modified)
    }

    fn show(&mut self, request: &Request, map: &ClusterMap) {
        match request.print {
            Some(Format::Plain) => self.output.stdout.push_str(&views::osd_dump_text(map)),
            Some(format) => self.output.stdout.push_str(&json_text(&views::osd_dump(map), format)),
            None => {}
        }
        match request.tree {
            Some(Format::Plain) => self.output.stdout.push_str(&views::osd_tree_text(map)),
            Some(format) => self.say(&json_text(&views::osd_tree(map), format)),
            None => {}
        }
    }

    fn save(&mut self, file: &str, map: &ClusterMap) -> Result<(), Stop> {
        check(map).map_err(|error| self.refuse(&error))?;
        self.say(&format!("{NAME}: writing epoch {} to {file}", map.epoch));
        self.files.write(file, &encode_map(map)).map_err(|reason| {
            self.error(&format!("error writing to '{file}': {reason}"));
            MINUS_ONE
        })
    }
}

fn json_text(view: &impl serde::Serialize, format: Format) -> String {
    let mut bytes = Vec::new();
    let written = if format == Format::JsonPretty {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let written = view.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter));
        // Ceph ends this form, and only this one, with a line of its own.
        bytes.push(b'\n');
        written
    } else {
        view.serialize(&mut serde_json::Serializer::new(&mut bytes))
    };
    written.expect("views have text keys and are written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// The weight of a device in the hierarchy, if it stands there.
fn weight_of(hierarchy: &CrushMap, device: i32) -> Option<u32> {
    let bucket = hierarchy.bucket(hierarchy.parent_of(device)?)?;
    Some(bucket.item_weight(bucket.items().iter().position(|item| *item == device)?))
}

/// Tries another number of placement groups. Ceph's tool leaves `pgp_num`; what is beyond the groups plays no part.
fn set_pg_num(pool: &mut Pool, pg_num: u32) {
    pool.pg_num = pg_num;
    pool.pgp_num = pool.pgp_num.min(pg_num);
}

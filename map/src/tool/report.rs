//! How placement groups spread over OSDs, and where single ones live.

use types::{ObjectName, OsdId, PgId, PoolId};

use super::{NAME, Stop, arguments::Request, create::device_count, number::general, run::Run};
use crate::{ClusterMap, HOLE, PublishedMap};

/// How often `--test-crush` places a group.
const ATTEMPTS: u32 = 100;

/// How often an OSD is a member, the first, the primary.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    member: u64,
    first: u64,
    primary: u64,
}

/// A set as Ceph's tools print it.
fn set_text(members: &[Option<OsdId>]) -> String {
    let numbers: Vec<String> = members.iter().map(|member| member.unwrap_or(HOLE).to_string()).collect();
    format!("[{}]", numbers.join(","))
}

fn primary_text(primary: Option<OsdId>) -> String {
    primary.map_or_else(|| "-1".to_owned(), |osd| osd.to_string())
}

/// Different OSDs by chance, as many as the group has members or as there are.
fn chance_members(pg: PgId, size: u32, devices: u32, seed: u64) -> Vec<Option<OsdId>> {
    let (high, low) =
        (u32::try_from(seed >> 32).expect("32 bits"), u32::try_from(seed & 0xffff_ffff).expect("32 bits"));
    let pool = u32::try_from(pg.pool.0 & 0xffff_ffff).expect("32 bits");
    let mut members: Vec<Option<OsdId>> = Vec::new();
    for member in 0..size.min(devices) {
        // Among those that are left, by counting over those that are taken.
        let chance = crush::hash::hash32(&[low, high, pool, pg.seed, member]).expect("five words");
        let mut osd = chance % (devices - member);
        let mut taken: Vec<u32> = members.iter().flatten().map(|osd| osd.0).collect();
        taken.sort_unstable();
        taken.into_iter().for_each(|taken| osd += u32::from(taken <= osd));
        members.push(Some(OsdId(osd)));
    }
    members
}

/// All sets of a group, in one line.
fn sets_text(map: &PublishedMap, pg: PgId) -> String {
    let place = map.place(pg);
    let raw_primary = place.raw.iter().flatten().next().copied();
    format!(
        "{pg} raw ({}, p{}) up ({}, p{}) acting ({}, p{})",
        set_text(&place.raw),
        primary_text(raw_primary),
        set_text(&place.up),
        primary_text(place.up_primary),
        set_text(&place.acting),
        primary_text(place.acting_primary)
    )
}

impl Run<'_> {
    /// `--test-map-object`, `--test-map-pg` and `--test-map-pgs…`, as far as they are asked for.
    pub(super) fn report(&mut self, request: &Request, map: &ClusterMap) -> Result<(), Stop> {
        let one = request.map_object.is_some() || request.map_pg.is_some();
        if !one && !request.maps_all_pgs() && !request.test_crush {
            return Ok(());
        }
        let map = self.published(map)?;
        let mut pool = request.pool;
        if let Some(object) = &request.map_object {
            let id = *pool.get_or_insert_with(|| {
                self.output.stdout.push_str(&format!("{NAME}: assuming pool 1 (use --pool to override)\n"));
                1
            });
            let id = self.existing_pool(&map, id)?;
            let (pg, _) = map.object_pg(id, &ObjectName::new(object)).map_err(|error| self.refuse(&error))?;
            let acting = set_text(&map.place(pg).acting);
            self.output.stdout.push_str(&format!(" object '{object}' -> {pg} -> {acting}\n"));
        }
        if let Some(text) = &request.map_pg {
            let Ok(pg) = text.parse::<PgId>() else {
                return Err(self.usage(&format!("failed to parse pg '{text}")));
            };
            let sets = sets_text(&map, pg);
            self.output.stdout.push_str(&format!(" parsed '{text}' -> {pg}\n{sets}\n"));
        }
        if request.maps_all_pgs() {
            let only = pool.map(|pool| self.existing_pool(&map, pool)).transpose()?;
            self.spread(request, &map, only);
        }
        if request.test_crush {
            self.try_again_and_again(&map)?;
        }
        Ok(())
    }

    /// Places every group many times over, with what is kept from group to group and without.
    fn try_again_and_again(&mut self, map: &PublishedMap) -> Result<(), Stop> {
        self.output.stdout.push_str("pass 1\n");
        let mut placer = map.placer();
        for pg in map.pgs() {
            let expected = map.place(pg).acting;
            for attempt in 0..ATTEMPTS {
                self.output.stdout.push_str(&format!("{pg} attempt {attempt}\n"));
                let found = placer.place(pg).acting;
                if found != expected {
                    let (found, expected) = (set_text(&found), set_text(&expected));
                    self.output.stderr.push_str(&format!("{NAME}: {pg} moved from {expected} to {found}\n"));
                    return Err(Stop(1));
                }
            }
        }
        Ok(())
    }

    fn existing_pool(&mut self, map: &ClusterMap, number: i64) -> Result<PoolId, Stop> {
        let id = u64::try_from(number).ok().map(PoolId).filter(|id| map.pools.contains_key(id));
        id.ok_or_else(|| {
            self.output.stderr.push_str(&format!("There is no pool {number}\n"));
            Stop(1)
        })
    }

    fn spread(&mut self, request: &Request, map: &PublishedMap, only: Option<PoolId>) {
        let mut counts = vec![Counts::default(); device_count(map) as usize];
        let mut sizes: Vec<u64> = Vec::new();
        let out = &mut self.output.stdout;
        let mut placer = map.placer();
        let devices = device_count(map);
        for pool in map.pools.values().filter(|pool| only.is_none_or(|only| only == pool.id)) {
            out.push_str(&format!("pool {} pg_num {}\n", pool.id, pool.pg_num));
            for pg in pool.pgs() {
                let mut place = placer.place(pg);
                if request.test_random {
                    place.acting = chance_members(pg, pool.size, devices, self.now_ms);
                    place.acting_primary = place.acting.first().copied().flatten();
                }
                if request.map_pgs_dump || (request.map_pgs_dump_all && request.test_random) {
                    let primary = primary_text(place.acting_primary);
                    out.push_str(&format!("{pg}\t{}\t{primary}\n", set_text(&place.acting)));
                } else if request.map_pgs_dump_all {
                    out.push_str(&sets_text(map, pg));
                    out.push('\n');
                }
                count(&mut counts, &place.acting, place.acting_primary);
                if sizes.len() <= place.acting.len() {
                    sizes.resize(place.acting.len() + 1, 0);
                }
                sizes[place.acting.len()] += 1;
            }
        }
        out.push_str(&summary(map, &counts));
        for (size, groups) in sizes.iter().enumerate().filter(|(_, groups)| **groups > 0) {
            out.push_str(&format!("size {size}\t{groups}\n"));
        }
    }
}

fn count(counts: &mut [Counts], acting: &[Option<OsdId>], primary: Option<OsdId>) {
    let mut at = |osd: Option<OsdId>, add: fn(&mut Counts)| {
        if let Some(counts) = osd.and_then(|osd| counts.get_mut(osd.0 as usize)) {
            add(counts);
        }
    };
    acting.iter().for_each(|member| at(*member, |counts| counts.member += 1));
    at(acting.first().copied().flatten(), |counts| counts.first += 1);
    at(primary, |counts| counts.primary += 1);
}

/// The weight of a device in the first bucket that holds it.
fn hierarchy_weight(map: &ClusterMap, device: i32) -> u32 {
    let bucket = map.crush.parent_of(device).and_then(|parent| map.crush.bucket(parent));
    let index = bucket.and_then(|bucket| Some((bucket, bucket.items().iter().position(|item| *item == device)?)));
    index.map_or(0, |(bucket, index)| bucket.item_weight(index))
}

/// A line per OSD that is in and has weight, and the statistics over them.
#[expect(clippy::cast_precision_loss, reason = "counts of placement groups are far below 2^53")]
fn summary(map: &ClusterMap, counts: &[Counts]) -> String {
    let mut text = "#osd\tcount\tfirst\tprimary\tc wt\twt\n".to_owned();
    let mut listed: Vec<(OsdId, u64)> = Vec::new();
    for (osd, state) in map.in_osds() {
        let weight = i32::try_from(osd.0).map_or(0, |device| hierarchy_weight(map, device));
        let Some(counts) = counts.get(osd.0 as usize).filter(|_| weight > 0) else { continue };
        listed.push((osd, counts.member));
        text.push_str(&format!(
            "osd.{osd}\t{}\t{}\t{}\t{}\t{}\n",
            counts.member,
            counts.first,
            counts.primary,
            general(f64::from(weight) / 65_536.0),
            general(state.weight.as_fraction())
        ));
    }
    let total: u64 = listed.iter().map(|(_, members)| members).sum();
    let count = listed.len() as f64;
    // Ceph rounds the average down before it takes differences from it.
    let average = (total.checked_div(listed.len() as u64).unwrap_or(0)) as f64;
    let squares: f64 = listed.iter().map(|(_, members)| (average - *members as f64).powi(2)).sum();
    let deviation = (squares / count).sqrt();
    let expected = (total as f64 / count * (1.0 - 1.0 / count)).sqrt();
    text.push_str(&format!(" in {}\n", listed.len()));
    text.push_str(&format!(
        " avg {} stddev {} ({}x) (expected {} {}x))\n",
        general(average),
        general(deviation),
        general(deviation / average),
        general(expected),
        general(expected / average)
    ));
    // Among equals the first one counts.
    let least = listed.iter().filter(|(_, members)| *members > 0).min_by_key(|(_, members)| *members);
    let most = listed.iter().filter(|(_, members)| *members > 0).rev().max_by_key(|(_, members)| *members);
    for (word, extreme) in [("min", least), ("max", most)] {
        if let Some((osd, members)) = extreme {
            text.push_str(&format!(" {word} osd.{osd} {members}\n"));
        }
    }
    text
}

//! `--upmap` and `--upmap-cleanup`: commands that an operator would give.

use std::collections::BTreeMap;

use types::{OsdId, PgId};

use super::{Stop, arguments::Request, run::Run};
use crate::{Change, ClusterMap, Increment, Mapping, UpmapGoal, balance, copies_by_osd, stale_exceptions};

/// Ceph's defaults.
const CHANGES_MAX: u32 = 10;
const DEVIATION_MAX: u32 = 5;

/// How often `--upmap-active` plans: more than any cluster needs, each round having moved a copy to where it is needed more.
const ROUNDS_MAX: u32 = 1 << 16;

impl Run<'_> {
    /// Prints what is asked for, and brings the map there. Whether that is to be kept.
    pub(super) fn plan_upmap(&mut self, request: &Request, map: &mut ClusterMap) -> Result<bool, Stop> {
        let Some(file) = request.upmap.as_ref().or(request.upmap_cleanup.as_ref()) else { return Ok(false) };
        if file != "-" {
            self.output.stdout.push_str(&format!("writing upmap command output to: {file}\n"));
        }
        self.output.stdout.push_str("checking for upmap cleanups\n");
        let mut commands = String::new();
        let stale: Vec<Change> = stale_exceptions(&*self.published(map)?).into_iter().filter(is_upmap).collect();
        self.change(map, &mut commands, stale)?;
        let mut keep = false;
        if request.upmap.is_some() {
            let goal = UpmapGoal {
                changes_max: request.upmap_max.unwrap_or(CHANGES_MAX),
                deviation_max: request.upmap_deviation.unwrap_or(DEVIATION_MAX),
                pools: self.upmap_pools(request, map)?,
            };
            let names = goal.pools.iter().filter_map(|pool| Some(map.pools.get(pool)?.name.clone()));
            let names = names.collect::<Vec<_>>().join(" ");
            self.output
                .stdout
                .push_str(&format!("upmap, max-count {}, max deviation {}\n", goal.changes_max, goal.deviation_max));
            let mut rounds = 0;
            while self.plan_round(&goal, &names, map, &mut commands)? {
                rounds += 1;
                keep = request.save;
                if !request.upmap_active || rounds == ROUNDS_MAX {
                    break;
                }
            }
            if request.upmap_active {
                self.show_balance(&goal, map, rounds)?;
            }
        }
        if file == "-" {
            self.output.stdout.push_str(&commands);
        } else {
            let written = self.files.write(file, commands.as_bytes());
            written.map_err(|reason| {
                self.output.stderr.push_str(&format!("error opening {file}: {reason}\n"));
                Stop(1)
            })?;
        }
        Ok(keep)
    }

    /// Plans once, and brings the map there; whether there was anything to do.
    fn plan_round(
        &mut self,
        goal: &UpmapGoal,
        names: &str,
        map: &mut ClusterMap,
        commands: &mut String,
    ) -> Result<bool, Stop> {
        let changes = balance(&Mapping::of(&self.published(map)?), goal);
        self.output.stdout.push_str(&format!(
            "pools {names} \nprepared {}/{} changes\n",
            changes.len(),
            goal.changes_max
        ));
        if changes.is_empty() {
            let sentence = "Unable to find further optimization, or distribution is already perfect\n";
            self.output.stdout.push_str(sentence);
            return Ok(false);
        }
        self.change(map, commands, changes)?;
        Ok(true)
    }

    /// How many copies every OSD has in the end.
    fn show_balance(&mut self, goal: &UpmapGoal, map: &ClusterMap, rounds: u32) -> Result<(), Stop> {
        let mut counts: BTreeMap<OsdId, u64> = BTreeMap::new();
        for (pool, copies) in copies_by_osd(&Mapping::of(&self.published(map)?)) {
            if goal.pools.contains(&pool) {
                copies.into_iter().for_each(|(osd, copies)| *counts.entry(osd).or_default() += copies);
            }
        }
        let lines: String = counts.iter().map(|(osd, copies)| format!("osd.{osd} pgs {copies}\n")).collect();
        self.output.stdout.push_str(&format!("{lines}{rounds} rounds\n"));
        Ok(())
    }

    fn upmap_pools(&mut self, request: &Request, map: &ClusterMap) -> Result<Vec<types::PoolId>, Stop> {
        if request.upmap_pools.is_empty() {
            return Ok(map.pools.keys().copied().collect());
        }
        let mut pools = Vec::new();
        for name in &request.upmap_pools {
            let Some(pool) = map.pool_by_name(name) else {
                self.output.stderr.push_str(&format!(" pool {name} does not exist\n"));
                return Err(Stop(1));
            };
            pools.push(pool.id);
        }
        Ok(pools)
    }

    /// Makes the changes, and adds the commands for them.
    fn change(&mut self, map: &mut ClusterMap, commands: &mut String, changes: Vec<Change>) -> Result<(), Stop> {
        if changes.is_empty() {
            return Ok(());
        }
        for change in &changes {
            commands.push_str(&command(change));
        }
        let epoch = map.epoch;
        let increment = Increment::new(map, map.modified_ms, changes).map_err(|error| self.refuse(&error))?;
        *map = map.apply(&increment).map_err(|error| self.refuse(&error))?;
        // What is only tried has no epoch of its own.
        map.epoch = epoch;
        Ok(())
    }
}

fn is_upmap(change: &Change) -> bool {
    matches!(change, Change::PgUpmap(..) | Change::PgUpmapItems(..) | Change::PgUpmapPrimary(..))
}

/// The command that makes a change of an exception.
fn command(change: &Change) -> String {
    let line = |verb: &str, pg: &PgId, osds: Vec<OsdId>| {
        let osds: String = osds.iter().map(|osd| format!(" {osd}")).collect();
        format!("ceph osd {verb} {pg}{osds}\n")
    };
    match change {
        Change::PgUpmap(pg, None) => line("rm-pg-upmap", pg, Vec::new()),
        Change::PgUpmap(pg, Some(osds)) => line("pg-upmap", pg, osds.clone()),
        Change::PgUpmapItems(pg, None) => line("rm-pg-upmap-items", pg, Vec::new()),
        Change::PgUpmapItems(pg, Some(pairs)) => {
            line("pg-upmap-items", pg, pairs.iter().flat_map(|(from, to)| [*from, *to]).collect())
        }
        Change::PgUpmapPrimary(pg, None) => line("rm-pg-upmap-primary", pg, Vec::new()),
        Change::PgUpmapPrimary(pg, Some(osd)) => line("pg-upmap-primary", pg, vec![*osd]),
        _ => String::new(),
    }
}

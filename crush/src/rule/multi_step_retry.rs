//! Multi-step-retry rules (MSR): when a device is out, the whole way down is tried anew, not just its last step.
//!
//! A block of such a rule is `take`, some `choosemsr COUNT type T`, `emit`. The counts span a tree of groups: with
//! `choosemsr 4 type host` and `choosemsr 2 type osd` places 0 and 1 are the first group of hosts, 2 and 3 the second, and so
//! on. Every place descends on its own. On each level it draws with the number of its group, so places of one group draw the
//! same item; an item that another group holds is a collision and is drawn again. A device that is out or taken fails the
//! descent, and the next one draws differently from the top: so the place can leave a host that has no device left, while the
//! other places of its group stay.
//!
//! Ceph has these rules since 19 (Squid). The behaviour here follows its documentation; it has not been compared with Ceph's
//! tool, so mappings of such rules need not be the same.

use super::{Mapping, Scratch, Workspace};
use crate::compiled::{DEPTH_MAX, Node};
use crate::map::{ITEM_NONE, Rule, RuleType, Step};

/// How many levels a block may have; more than any tree is deep.
const LEVELS_MAX: usize = DEPTH_MAX;

/// One `choosemsr` step of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    count: usize,
    type_id: i32,
    /// How many places one group of this level spans.
    span: usize,
}

/// What one block of the rule is about.
struct Block<'a> {
    root: &'a Node,
    levels: &'a [Level],
    descents: u32,
    collision_tries: u32,
}

impl Mapping<'_> {
    pub(super) fn run_multi_step(
        &self,
        rule: &Rule,
        result_max: usize,
        workspace: &mut Workspace,
        result: &mut Vec<i32>,
    ) {
        let tunables = &self.map.tunables;
        let (mut descents, mut collision_tries) = (tunables.msr_descents, tunables.msr_collision_tries);
        let mut root = None;
        let mut levels = [Level::default(); LEVELS_MAX];
        let mut count = 0;
        for step in &rule.steps {
            match *step {
                Step::SetMsrDescents(value) => super::override_above_zero(&mut descents, value),
                Step::SetMsrCollisionTries(value) => super::override_above_zero(&mut collision_tries, value),
                Step::Take { item } => (root, count) = (self.map.node(item), 0),
                Step::ChooseMsr { count: wanted, type_id } if count < LEVELS_MAX => {
                    levels[count] = Level { count: usize::try_from(wanted).unwrap_or(0), type_id, span: 0 };
                    count += 1;
                }
                Step::Emit => {
                    if let Some(root) = root.take() {
                        let levels = &mut levels[..count];
                        measure(levels, result_max - result.len());
                        let block = Block { root, levels, descents, collision_tries };
                        self.run_block(&block, result_max, workspace, result);
                    }
                }
                _ => {}
            }
        }
        if rule.rule_type == RuleType::MSR_FIRSTN {
            result.retain(|item| *item != ITEM_NONE);
        }
    }

    fn run_block(&self, block: &Block<'_>, result_max: usize, workspace: &mut Workspace, result: &mut Vec<i32>) {
        let first = result.len();
        let places = block.levels.first().map_or(0, |level| level.count.saturating_mul(level.span));
        let places = places.min(result_max - first);
        // The ways down of all places, one after the other, `ITEM_NONE` where there is none.
        let depth = block.levels.len();
        workspace.ways.clear();
        workspace.ways.resize(places * depth, ITEM_NONE);
        let mut scratch = Scratch {
            permutations: &mut workspace.permutations,
            foresight: &mut workspace.foresight,
            tries: workspace.tries.as_mut(),
        };
        for place in 0..places {
            let mut found = None;
            for descent in 0..block.descents {
                if self.descend_whole_way(block, &mut scratch, &mut workspace.ways, place, descent) {
                    found = Some(descent);
                    break;
                }
                workspace.ways[place * depth..(place + 1) * depth].fill(ITEM_NONE);
            }
            scratch.count_tries(found.unwrap_or(block.descents));
            let device = workspace.ways[(place + 1) * depth - 1];
            // A device that an earlier block has emitted is not taken again.
            result.push(if result[..first].contains(&device) { ITEM_NONE } else { device });
        }
    }

    /// Draws an item on every level for this place. Whether a device was found.
    fn descend_whole_way(
        &self,
        block: &Block<'_>,
        scratch: &mut Scratch<'_>,
        ways: &mut [i32],
        place: usize,
        descent: u32,
    ) -> bool {
        let depth = block.levels.len();
        let mut node = block.root;
        for (index, level) in block.levels.iter().enumerate() {
            let Some(item) = self.draw(block, scratch, ways, place, index, node, descent) else { return false };
            ways[place * depth + index] = item;
            match self.map.node(item) {
                Some(child) => node = child,
                None => return index + 1 == depth && level.type_id == 0 && !self.is_out(item),
            }
        }
        false
    }

    /// An item of the level's type below the node that no other group holds.
    #[expect(clippy::too_many_arguments, reason = "one draw of the descent above, with all it sees")]
    fn draw(
        &self,
        block: &Block<'_>,
        scratch: &mut Scratch<'_>,
        ways: &[i32],
        place: usize,
        index: usize,
        from: &Node,
        descent: u32,
    ) -> Option<i32> {
        let depth = block.levels.len();
        let level = block.levels[index];
        let group = place / level.span;
        let group_number = u32::try_from(group).expect("results are small");
        let stride = u32::try_from(level.count).expect("results are small");
        for attempt in 0..block.collision_tries.max(1) {
            let round = descent.wrapping_mul(block.collision_tries.max(1)).wrapping_add(attempt);
            let r = group_number.wrapping_add(stride.wrapping_mul(round));
            let mut node = from;
            let item = loop {
                if node.size() == 0 {
                    return None;
                }
                let item = self.map.pick(node, self.replacements, scratch.permutations, self.x, r, place);
                if item >= self.map.max_devices {
                    return None;
                }
                if self.map.item_type(item) == level.type_id {
                    break item;
                }
                node = self.map.node(item)?;
            };
            if !scratch.permutations.spend(ways.len()) {
                return None;
            }
            let collides = ways
                .chunks_exact(depth)
                .enumerate()
                .any(|(other, way)| other / level.span != group && way[index] == item);
            if !collides {
                return Some(item);
            }
        }
        None
    }
}

/// Computes how many places each group spans. A count of 0 (it can stand once) takes what the others leave of the result.
fn measure(levels: &mut [Level], places: usize) {
    let others: usize = levels.iter().map(|level| level.count.max(1)).fold(1, usize::saturating_mul);
    for level in levels.iter_mut() {
        if level.count == 0 {
            level.count = places.div_ceil(others).max(1);
        }
        level.count = level.count.min(places.max(1));
    }
    let mut span = 1usize;
    for level in levels.iter_mut().rev() {
        level.span = span;
        span = span.saturating_mul(level.count);
    }
}

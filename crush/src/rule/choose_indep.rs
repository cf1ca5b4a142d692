//! `indep`: every place keeps its own; what fails leaves a hole, and no other place moves.
//!
//! All places are tried in rounds: in each round every place that is still open descends once, with an attempt number that
//! depends on the place and the round only. So a device that goes out changes its own place, and erasure-coded shards stay
//! where they are.

use std::ops::Range;

use super::{ITEM_UNDEFINED, Mapping, Scratch};
use crate::compiled::Node;
use crate::map::ITEM_NONE;

/// What to choose.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) node: &'a Node,
    pub(super) type_id: i32,
    /// How many are wanted by the rule, which may be more than there are places; the stride between rounds.
    pub(super) wanted: u32,
    /// How many rounds.
    pub(super) tries: u32,
    /// How many rounds to find a device below an item.
    pub(super) leaf_tries: u32,
    /// Added to every attempt number: the outer one's, when this looks for a device below its item.
    pub(super) parent_r: u32,
}

/// What one descent did to its place.
enum Descent {
    Found(i32),
    /// The tree has nothing of the type on that way: the place stays empty for good.
    DeadEnd,
    Again,
}

impl Mapping<'_> {
    /// Fills these places of `out`. With `leaves`, the device below each item goes there at the same place.
    pub(super) fn choose_indep(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        out: &mut [i32],
        places: Range<usize>,
        mut leaves: Option<&mut [i32]>,
    ) {
        let mut open = places.len();
        out[places.clone()].fill(ITEM_UNDEFINED);
        if let Some(leaves) = leaves.as_deref_mut() {
            leaves[places.clone()].fill(ITEM_UNDEFINED);
        }
        let mut round = 0;
        while open > 0 && round < request.tries {
            for place in places.clone() {
                if out[place] != ITEM_UNDEFINED {
                    continue;
                }
                let decided =
                    match self.descend(request, scratch, round, place, out, places.clone(), leaves.as_deref_mut()) {
                        Descent::Again => continue,
                        Descent::Found(item) => item,
                        Descent::DeadEnd => {
                            if let Some(leaves) = leaves.as_deref_mut() {
                                leaves[place] = ITEM_NONE;
                            }
                            ITEM_NONE
                        }
                    };
                out[place] = decided;
                open -= 1;
            }
            round += 1;
        }
        let close = |list: &mut [i32]| {
            for item in list {
                if *item == ITEM_UNDEFINED {
                    *item = ITEM_NONE;
                }
            }
        };
        close(&mut out[places.clone()]);
        if let Some(leaves) = leaves {
            close(&mut leaves[places]);
        }
        scratch.count_tries(round);
    }

    #[expect(clippy::too_many_arguments, reason = "one descent of the loop above, with all it sees")]
    fn descend(
        &self,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        round: u32,
        place: usize,
        out: &[i32],
        places: Range<usize>,
        mut leaves: Option<&mut [i32]>,
    ) -> Descent {
        let mut node = request.node;
        loop {
            let size = u32::try_from(node.size()).expect("buckets have at most a million items");
            if size == 0 {
                return Descent::Again;
            }
            // A uniform bucket's permutation repeats with its size; a stride that its size divides would try the same again.
            let stride = if node.is_uniform() && size.is_multiple_of(request.wanted) {
                request.wanted.wrapping_add(1)
            } else {
                request.wanted
            };
            let place_number = u32::try_from(place).expect("results are small");
            let r = place_number.wrapping_add(request.parent_r).wrapping_add(stride.wrapping_mul(round));
            // Choose arguments go by the first place of the search, not by this place.
            let item = self.map.pick(node, self.replacements, scratch.permutations, self.x, r, places.start);
            if item >= self.map.max_devices {
                return Descent::DeadEnd;
            }
            let type_id = self.map.item_type(item);
            if type_id != request.type_id {
                match self.map.node(item) {
                    None => return Descent::DeadEnd,
                    Some(child) => node = child,
                }
                continue;
            }
            if !scratch.permutations.spend(places.len()) {
                return Descent::DeadEnd;
            }
            if out[places.clone()].contains(&item) {
                return Descent::Again;
            }
            if let Some(leaves) = leaves.as_deref_mut() {
                match self.map.node(item) {
                    None => leaves[place] = item,
                    Some(child) => {
                        let below = Request {
                            node: child,
                            type_id: 0,
                            tries: request.leaf_tries,
                            leaf_tries: 0,
                            parent_r: r,
                            ..*request
                        };
                        self.choose_indep(&below, scratch, leaves, place..place + 1, None);
                        if leaves[place] == ITEM_NONE {
                            return Descent::Again;
                        }
                    }
                }
            }
            if type_id == 0 && self.is_out(item) {
                return Descent::Again;
            }
            return Descent::Found(item);
        }
    }
}

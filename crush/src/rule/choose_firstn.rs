//! `firstn`: fill the places one after the other; what fails is left out, and the rest moves up.
//!
//! Each place is an independent search: descend from the given bucket, drawing at each level with an attempt number `r`, until
//! an item of the wanted type is drawn. It fails on a collision with an earlier place, when no device can be found below it
//! (with `to_leaf`), or when it is a device that is out. Then it is tried again: in the same bucket while the local tries
//! last, else from the top with the next `r`.

use super::{Mapping, Scratch, Settings};
use crate::compiled::Node;

/// What to choose.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) node: &'a Node,
    pub(super) type_id: i32,
    /// Up to which place to try, counted from the first.
    pub(super) wanted: u32,
    /// How many may be placed.
    pub(super) room: usize,
    /// How often one place is tried from the top.
    pub(super) tries: u32,
    /// Added to every attempt number: the outer search's, when this one looks for a device below its item.
    pub(super) parent_r: u32,
}

/// How the search for one place ended.
enum Attempt {
    Found { item: i32, retries: u32 },
    GaveUp,
}

impl Mapping<'_> {
    /// Fills `out` from place `filled` on; returns how many places are filled then. With `leaves`, the device below each item
    /// goes there at the same place.
    pub(super) fn choose_firstn(
        &self,
        settings: &Settings,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        out: &mut [i32],
        mut filled: usize,
        mut leaves: Option<&mut [i32]>,
    ) -> usize {
        let mut room = request.room;
        let first = if settings.stable { 0 } else { u32::try_from(filled).expect("results are small") };
        for place in first..request.wanted {
            if room == 0 {
                break;
            }
            match self.search(settings, request, scratch, place, &out[..filled], room, leaves.as_deref_mut()) {
                Attempt::GaveUp => {}
                Attempt::Found { item, retries } => {
                    out[filled] = item;
                    filled += 1;
                    room -= 1;
                    scratch.count_tries(retries);
                }
            }
        }
        filled
    }

    #[expect(clippy::too_many_arguments, reason = "one search of the loop above, with all it sees")]
    fn search(
        &self,
        settings: &Settings,
        request: &Request<'_>,
        scratch: &mut Scratch<'_>,
        place: u32,
        placed: &[i32],
        room: usize,
        mut leaves: Option<&mut [i32]>,
    ) -> Attempt {
        let mut retries = 0u32;
        'descent: loop {
            let mut node = request.node;
            let mut local_retries = 0u32;
            loop {
                let size = u32::try_from(node.size()).expect("buckets have at most a million items");
                let mut collides = false;
                if size != 0 {
                    let r = place.wrapping_add(request.parent_r).wrapping_add(retries);
                    let by_permutation = settings.local_fallback_tries > 0
                        && local_retries >= size >> 1
                        && local_retries > settings.local_fallback_tries;
                    let item = if by_permutation {
                        self.map.pick_by_permutation(node, scratch.permutations, self.x, r)
                    } else if let Some(item) = scratch.foresight.recall(node.id, r) {
                        item
                    } else {
                        self.map.pick(node, self.replacements, scratch.permutations, self.x, r, placed.len())
                    };
                    if item >= self.map.max_devices {
                        return Attempt::GaveUp;
                    }
                    let type_id = self.map.item_type(item);
                    if type_id != request.type_id {
                        match self.map.node(item) {
                            None => return Attempt::GaveUp,
                            Some(child) => node = child,
                        }
                        continue;
                    }
                    if !scratch.permutations.spend(placed.len()) {
                        return Attempt::GaveUp;
                    }
                    collides = placed.contains(&item);
                    let is_good = !collides
                        && self.find_leaf(settings, scratch, item, r, placed.len(), room, leaves.as_deref_mut())
                        && !(type_id == 0 && self.is_out(item));
                    if is_good {
                        return Attempt::Found { item, retries };
                    }
                }
                retries += 1;
                local_retries += 1;
                let again_here = (collides && local_retries <= settings.local_tries)
                    || (settings.local_fallback_tries > 0
                        && local_retries <= size.saturating_add(settings.local_fallback_tries));
                if again_here {
                    continue;
                }
                if retries < request.tries {
                    continue 'descent;
                }
                return Attempt::GaveUp;
            }
        }
    }

    /// Whether there is a device below the item (always, when none is asked for); it goes to `leaves`, at place `filled`.
    #[expect(clippy::too_many_arguments, reason = "the nested search needs what the outer one sees")]
    fn find_leaf(
        &self,
        settings: &Settings,
        scratch: &mut Scratch<'_>,
        item: i32,
        r: u32,
        filled: usize,
        room: usize,
        leaves: Option<&mut [i32]>,
    ) -> bool {
        let Some(leaves) = leaves else { return true };
        let Some(node) = self.map.node(item) else {
            leaves[filled] = item;
            return true;
        };
        let wanted = if settings.stable { 1 } else { u32::try_from(filled).expect("results are small") + 1 };
        let parent_r = if settings.vary_r == 0 { 0 } else { r.checked_shr(settings.vary_r - 1).unwrap_or(0) };
        let request = Request { node, type_id: 0, wanted, room, tries: settings.leaf_tries, parent_r };
        self.choose_firstn(settings, &request, scratch, leaves, filled, None) > filled
    }
}

//! Which old increments nobody needs any more (FOUNDATIONS 13: maps are kept down to the lowest last-clean epoch).

use types::Epoch;

use crate::{draft::Draft, memory::Memory, state::State};

/// Lets increments go that lie below what every OSD of the map said it needs. Says nothing while one that is in was
/// not heard: it may need any of them.
pub(crate) fn plan_forget(state: &State, memory: &Memory, draft: &mut Draft) {
    let mut lowest = draft.base().epoch();
    for (id, osd) in &draft.map().osds {
        match memory.osds.get(id).and_then(|heard| heard.said) {
            Some(said) if osd.up => lowest = lowest.min(said.lowest_needed),
            _ if osd.is_in() => return,
            _ => {}
        }
    }
    let through = lowest.previous();
    if through > state.history_base() && through > Epoch::ZERO {
        draft.forget_through = Some(through);
    }
}

//! Numbers for clients, and fences that expire.
//!
//! A leader reserves numbers in blocks through the log and gives them from its memory: what it holds nobody else ever
//! gives, even when it is a leader no more, so a number needs no entry of its own.

use map::{BlocklistEntry, Change};
use types::{ClientId, Result};

use crate::{
    draft::Draft,
    memory::{CLIENT_BLOCK, ClientBlock},
};

/// Reserves a block; it may be given out once the draft's entry has taken effect.
pub(crate) fn plan_client_block(draft: &mut Draft) -> Result<ClientBlock> {
    let next = draft.map().client_next.0;
    let end = next.saturating_add(CLIENT_BLOCK);
    draft.change(Change::ClientNext(ClientId(end)))?;
    Ok(ClientBlock { next, end })
}

/// Lifts fences whose time is over.
pub(crate) fn plan_blocklist(draft: &mut Draft) -> Result<()> {
    let now_ms = draft.time_ms;
    let over: Vec<BlocklistEntry> =
        draft.map().blocklist.iter().filter(|(_, until_ms)| **until_ms <= now_ms).map(|(entry, _)| *entry).collect();
    for entry in over {
        draft.change(Change::Blocklist(entry, None))?;
    }
    Ok(())
}

//! Streams of maps to subscribers.
//!
//! Owns: the pace of each subscriber. A subscriber that does not keep up is cut and subscribes again with what it has; so
//! is everybody when this monitor loses touch with the others, because its map may then be old for long.
//!
//! Invariant: a subscriber gets every epoch behind the one it has, or a full map and every epoch behind that.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};
use types::{EntityName, Epoch};
use wire::MapShare;

use crate::consensus::{SharedState, Standing};

/// Messages on their way to one subscriber; each holds at most a hundred increments or one map.
const SHARES_MAX: usize = 8;
/// A subscriber that takes nothing for so long is cut. As long as a session may be silent.
const SLOW_AFTER: Duration = Duration::from_secs(5);
/// Without a leader for so long, subscribers are sent elsewhere. Longer than two elections.
const ADRIFT_AFTER: Duration = Duration::from_secs(6);

/// Begins a stream of what comes behind `have`.
pub(crate) fn subscribe(
    shared: Arc<SharedState>,
    standing: watch::Receiver<Standing>,
    peer: EntityName,
    have: Epoch,
) -> mpsc::Receiver<MapShare> {
    let (sender, receiver) = mpsc::channel(SHARES_MAX);
    tokio::spawn(async move {
        let why = serve(&shared, standing, &sender, have).await;
        tracing::debug!(%peer, why, "a subscription ends");
    });
    receiver
}

async fn serve(
    shared: &SharedState,
    mut standing: watch::Receiver<Standing>,
    sender: &mpsc::Sender<MapShare>,
    have: Epoch,
) -> &'static str {
    let mut epochs = shared.epoch();
    let mut sent = have;
    loop {
        epochs.borrow_and_update();
        loop {
            let share = shared.read().share(sent);
            let reached =
                share.increments.last().map(|(epoch, _)| *epoch).or(share.full.as_ref().map(|(epoch, _)| *epoch));
            let Some(reached) = reached else { break };
            match timeout(SLOW_AFTER, sender.send(share)).await {
                Ok(Ok(())) => sent = reached,
                Ok(Err(_)) => return "the subscriber left",
                Err(_) => return "the subscriber does not keep up",
            }
        }
        tokio::select! {
            changed = epochs.changed() => {
                if changed.is_err() {
                    return "the monitor stops";
                }
            }
            () = sender.closed() => return "the subscriber left",
            why = adrift(&mut standing) => return why,
        }
    }
}

/// Resolves when this monitor knew no leader for long.
async fn adrift(standing: &mut watch::Receiver<Standing>) -> &'static str {
    loop {
        if standing.wait_for(|known| known.leader.is_none()).await.is_err() {
            return "the monitor stops";
        }
        let deadline = Instant::now() + ADRIFT_AFTER;
        match timeout_at(deadline, standing.wait_for(|known| known.leader.is_some())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return "the monitor stops",
            Err(_) => return "the monitor lost touch with the others",
        }
    }
}

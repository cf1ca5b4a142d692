//! Asking monitors until one answers, and following the maps that they publish.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use map::PublishedMap;
use net::{Identity, control::ControlClient};
use telemetry::clock::{boot_clock_now, instant_of};
use tokio::sync::{Notify, mpsc, watch};
use types::{Epoch, Error, ErrorKind, Result, Time};
use wire::{ControlReply, ControlRequest, MapShare};

/// Between two tries when no monitor answers: an election takes one to two seconds.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one round of tries may take; a caller without a deadline begins another one.
const ROUND: Duration = Duration::from_secs(5);
/// When a caller who waits for the monitors is told so; again after twice the time, and so on.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// A newer map is wanted than the subscription has brought.
#[derive(Debug, Default)]
pub(crate) struct MapWanted {
    pub changed: Notify,
    /// A whole map, because increments did not fit.
    pub whole: AtomicBool,
}

/// The monitors, whichever of them answers.
pub(crate) struct Monitors {
    control: ControlClient,
}

impl std::fmt::Debug for Monitors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Monitors").field(&self.control.addresses()).finish()
    }
}

impl Monitors {
    pub fn new(identity: Identity, addresses: Vec<SocketAddr>) -> Self {
        Self { control: ControlClient::new(identity, addresses) }
    }

    /// Asks until there is an answer that is not `Retry`, or until the deadline.
    pub async fn ask(&self, request: ControlRequest, deadline: Option<Time>) -> Result<ControlReply> {
        let begun = boot_clock_now();
        let mut warn_at = begun + WARN_AFTER;
        loop {
            let last = match self.ask_once(&request, deadline).await {
                Ok(reply) => return Ok(reply),
                Err(error) if matches!(error.kind, ErrorKind::Retry | ErrorKind::Closed) => error,
                Err(error) => return Err(error),
            };
            let now = boot_clock_now();
            if deadline.is_some_and(|deadline| now + PAUSE >= deadline) {
                let seconds = now.since(begun).as_secs();
                let unknown = match request {
                    ControlRequest::Command(_) => ", so the command may or may not have taken effect",
                    _ => "",
                };
                return Err(Error::retry(format!(
                    "no monitor answered for {seconds} s{unknown}; the last try: {last}"
                )));
            }
            if now >= warn_at {
                let waited = now.since(begun);
                warn_at = now + waited;
                tracing::warn!(
                    seconds = waited.as_secs(),
                    monitors = ?self.control.addresses(),
                    reason = %last,
                    "no monitor answers; still trying"
                );
            }
            tokio::time::sleep_until(instant_of(now + PAUSE).into()).await;
        }
    }

    async fn ask_once(&self, request: &ControlRequest, deadline: Option<Time>) -> Result<ControlReply> {
        let left = deadline.map_or(ROUND, |deadline| deadline.since(boot_clock_now()));
        let reply = self.control.call(request.clone(), left.min(ROUND)).await?;
        match reply {
            ControlReply::Failed(error) => Err(error),
            reply => Ok(reply),
        }
    }
}

/// Brings every new map to the driver, for ever: by subscription, and by asking when one is wanted.
pub(crate) async fn follow_maps(
    monitors: Arc<Monitors>,
    maps: watch::Receiver<Arc<PublishedMap>>,
    shares: mpsc::Sender<MapShare>,
    wanted: Arc<MapWanted>,
) {
    let subscribe = async {
        loop {
            let have = maps.borrow().epoch();
            match monitors.control.subscribe(have).await {
                Ok(mut stream) => {
                    while let Some(share) = stream.next().await {
                        if shares.send(share).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "subscribe to maps"),
            }
            tokio::time::sleep_until(instant_of(boot_clock_now() + PAUSE).into()).await;
        }
    };
    let fetch = async {
        loop {
            wanted.changed.notified().await;
            let whole = wanted.whole.swap(false, Ordering::Relaxed);
            let have = if whole { Epoch::ZERO } else { maps.borrow().epoch() };
            match monitors.ask(ControlRequest::GetMaps { have }, None).await {
                Ok(ControlReply::Maps(share)) => {
                    if shares.send(share).await.is_err() {
                        return;
                    }
                }
                Ok(_) => tracing::warn!("a monitor answers a question for maps with something else"),
                Err(error) => tracing::warn!(%error, "ask a monitor for maps"),
            }
        }
    };
    tokio::join!(subscribe, fetch);
}

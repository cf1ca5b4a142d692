//! Asking monitors and the manager, and hearing of new maps.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use net::control::ControlClient;
use osd_state::Event;
use tokio::sync::{Semaphore, mpsc};
use types::Epoch;
use wire::{ControlReply, ControlRequest, StatisticsReport};

use crate::shard::ShardEvent;

/// Questions to monitors in flight. What finds no place is dropped: the machine asks again for all it still wants.
const QUESTIONS_MAX: usize = 64;
/// How long the monitors have for an answer; about two elections.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// How long to wait before subscribing again after a subscription broke.
const SUBSCRIBE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The OSD's side of the control plane.
#[derive(Clone)]
pub(crate) struct Monitors {
    client: ControlClient,
    questions: Arc<Semaphore>,
    events: mpsc::Sender<ShardEvent>,
    epoch: Arc<AtomicU32>,
}

impl Monitors {
    pub fn new(client: ControlClient, events: mpsc::Sender<ShardEvent>) -> Self {
        Self { client, questions: Arc::new(Semaphore::new(QUESTIONS_MAX)), events, epoch: Arc::default() }
    }

    /// Remembers which maps the shard has, for the next subscription.
    pub fn note_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Relaxed);
    }

    /// Asks; the answer becomes an event.
    pub fn ask(&self, request: ControlRequest) {
        let Ok(permit) = self.questions.clone().try_acquire_owned() else {
            tracing::debug!(?request, "too many questions to monitors in flight; this one will be asked again");
            return;
        };
        let this = self.clone();
        tokio::task::spawn_local(async move {
            match this.client.call(request, ANSWER_DEADLINE).await {
                Ok(ControlReply::Failed(error)) => tracing::debug!(%error, "monitors refused"),
                Ok(reply) => {
                    let event = ShardEvent::Machine(Event::MonitorsAnswered(Box::new(reply)));
                    // A closed queue is a shard that has ended: nobody is left to hear the answer.
                    drop(this.events.send(event).await);
                }
                Err(error) => tracing::debug!(%error, "monitors did not answer"),
            }
            drop(permit);
        });
    }

    /// Says farewell and waits until the map shows it, or the deadline has come.
    pub async fn farewell(&self, request: ControlRequest) {
        match self.client.call(request, ANSWER_DEADLINE).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "no monitor heard the farewell; peers will find out"),
        }
    }

    /// Reports to the active manager.
    pub fn report(&self, manager: SocketAddr, report: StatisticsReport) {
        let Ok(permit) = self.questions.clone().try_acquire_owned() else { return };
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let request = ControlRequest::Statistics(Box::new(report));
            if let Err(error) = this.client.call_at(manager, request, ANSWER_DEADLINE).await {
                tracing::debug!(%error, %manager, "the manager did not take statistics");
            }
            drop(permit);
        });
    }

    /// Hears of every new map for as long as the shard lives.
    pub async fn subscribe(self) {
        loop {
            let have = Epoch(self.epoch.load(Ordering::Relaxed));
            match self.client.subscribe(have).await {
                Ok(mut maps) => {
                    while let Some(share) = maps.next().await {
                        if self.events.send(ShardEvent::Machine(Event::Maps(share))).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "no monitor takes a subscription yet"),
            }
            if self.events.is_closed() {
                return;
            }
            let again = telemetry::clock::instant_of(telemetry::clock::boot_clock_now() + SUBSCRIBE_AGAIN_AFTER);
            tokio::time::sleep_until(again.into()).await;
        }
    }
}

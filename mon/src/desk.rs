//! The one task that owns the leader's machine.
//!
//! Owns: the machine while this monitor leads, and whom each answer goes to. Does not know: what a request means, or
//! where it came from. It hears requests, outcomes and time, and carries out actions; it decides nothing.
//!
//! Invariants
//! 1. The machine exists only after this monitor confirmed its lead and applied all that earlier leaders had agreed on,
//!    and never longer than its term.
//! 2. Each inquiry is answered once or its sender is dropped, which means: ask the next leader.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use map::ClusterMap;
use mon_state::{Action, Applied, Checks, Event, Leader, Quorum, Token, encode_entry};
use telemetry::clock::{boot_clock_now, instant_of, wall_clock_milliseconds};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use types::{EntityName, Error, ErrorKind, MonId, Result};
use wire::{ControlReply, ControlRequest};

use crate::consensus::{Consensus, SharedState, Standing};

/// Inquiries on their way to the desk. The machine has its own, larger queue; this only decouples the tasks.
pub(crate) const INQUIRIES_MAX: usize = 1024;
/// Askers that wait for an answer. Twice what the machine queues; the rest waits for a confirmation of the lead.
const WAITING_MAX: usize = 2 * mon_state::QUEUE_MAX;
/// Outcomes on their way back: one proposal, one confirmation and one beginning at a time, of at most two terms.
const OUTCOMES_MAX: usize = 16;

/// Before the lead is tried to be confirmed once more; less than a heartbeat.
const BEGIN_PAUSE: Duration = Duration::from_millis(100);

/// A request for the leader. When the sender of the answer is dropped, this monitor does not lead (any more).
pub(crate) struct Inquiry {
    pub asker: EntityName,
    pub request: ControlRequest,
    pub answer: oneshot::Sender<ControlReply>,
}

/// Which machine a task works for. One term may see several: a leader that was cut off for a while begins anew, and what
/// its former machine proposed must not be taken for the new one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reign(u64);

/// What a task that the desk started comes to.
enum Outcome {
    /// The lead of this term is confirmed.
    Begun(u64),
    /// The lead of this term could not be confirmed yet.
    NotBegun(u64),
    /// The proposal of this machine.
    Proposed(Reign, Result<Applied>),
    /// A quorum confirmed this machine's lead, or not.
    Confirmed(Reign, Result<()>),
}

type Answers = Vec<(oneshot::Sender<ControlReply>, ControlReply)>;

/// What exists while this monitor leads.
struct Leading {
    reign: Reign,
    term: u64,
    machine: Leader,
    waiting: BTreeMap<Token, oneshot::Sender<ControlReply>>,
    /// Answers for the next confirmation, and those of the one under way.
    unconfirmed: Answers,
    confirming: Option<Answers>,
    quorum: BTreeSet<MonId>,
}

/// The desk.
pub(crate) struct Desk {
    id: MonId,
    first: ClusterMap,
    consensus: Arc<dyn Consensus>,
    shared: Arc<SharedState>,
    inquiries: mpsc::Receiver<Inquiry>,
    outcomes: mpsc::Receiver<Outcome>,
    outcome_sender: mpsc::Sender<Outcome>,
    leading: Option<Leading>,
    /// The term whose lead is being confirmed.
    beginning: Option<u64>,
    token_next: u64,
    reign_next: u64,
}

impl Desk {
    pub fn new(
        id: MonId,
        first: ClusterMap,
        consensus: Arc<dyn Consensus>,
        shared: Arc<SharedState>,
        inquiries: mpsc::Receiver<Inquiry>,
    ) -> Self {
        let (outcome_sender, outcomes) = mpsc::channel(OUTCOMES_MAX);
        Self {
            id,
            first,
            consensus,
            shared,
            inquiries,
            outcomes,
            outcome_sender,
            leading: None,
            beginning: None,
            token_next: 0,
            reign_next: 0,
        }
    }

    /// Works until nobody can ask any more.
    pub async fn run(mut self) {
        let mut standing = self.consensus.standing();
        loop {
            let known = *standing.borrow_and_update();
            self.follow_standing(known);
            let deadline = self.leading.as_ref().map(|leading| instant_of(leading.machine.deadline()));
            let tick = async {
                match deadline {
                    Some(deadline) => time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = standing.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                inquiry = self.inquiries.recv() => match inquiry {
                    Some(inquiry) => self.hear_inquiry(inquiry),
                    None => return,
                },
                Some(outcome) = self.outcomes.recv() => self.hear_outcome(outcome),
                () = tick => self.hear_tick(),
            }
        }
    }

    /// Begins or ends to lead.
    fn follow_standing(&mut self, standing: Standing) {
        let leads = standing.leader == Some(self.id);
        if let Some(leading) = self.leading.take_if(|leading| !leads || leading.term != standing.term) {
            tracing::info!(term = leading.term, "this monitor leads no more");
            // Dropping the senders tells everybody who waits to ask the next leader.
        }
        if leads && self.leading.is_none() && self.beginning != Some(standing.term) {
            self.begin(standing.term);
        }
    }

    fn begin(&mut self, term: u64) {
        self.beginning = Some(term);
        let (consensus, outcomes) = (Arc::clone(&self.consensus), self.outcome_sender.clone());
        tokio::spawn(async move {
            let outcome = match consensus.read_index().await {
                Ok(()) => Outcome::Begun(term),
                Err(error) => {
                    tracing::debug!(%error, term, "the lead is not confirmed yet");
                    time::sleep_until(time::Instant::now() + BEGIN_PAUSE).await;
                    Outcome::NotBegun(term)
                }
            };
            // The desk may be gone at shutdown; then nobody waits for this.
            let _ = outcomes.send(outcome).await;
        });
    }

    fn hear_inquiry(&mut self, inquiry: Inquiry) {
        let Some(leading) = &mut self.leading else { return };
        let confirming = leading.confirming.as_ref().map_or(0, Vec::len);
        if leading.waiting.len() + leading.unconfirmed.len() + confirming >= WAITING_MAX {
            let busy = Error::retry(format!("{WAITING_MAX} requests wait for an answer already; try again"));
            let _ = inquiry.answer.send(ControlReply::Failed(busy));
            return;
        }
        self.token_next += 1;
        let token = Token(self.token_next);
        leading.waiting.insert(token, inquiry.answer);
        self.hear(Event::Request { token, asker: inquiry.asker, request: inquiry.request });
    }

    fn hear_tick(&mut self) {
        let members = self.consensus.followers();
        if let Some(leading) = &mut self.leading
            && leading.quorum != members
        {
            leading.quorum.clone_from(&members);
            let quorum = Quorum { leader: Some(self.id), members, term: leading.term };
            self.hear(Event::Quorum(quorum));
        }
        self.hear(Event::Tick);
    }

    fn hear_outcome(&mut self, outcome: Outcome) {
        let reigns = |reign: Reign, leading: &Option<Leading>| leading.as_ref().is_some_and(|now| now.reign == reign);
        match outcome {
            Outcome::NotBegun(term) => {
                // The next look at the standing begins again, if this monitor still leads.
                self.beginning.take_if(|beginning| *beginning == term);
            }
            Outcome::Begun(term) => {
                if self.beginning.take_if(|beginning| *beginning == term).is_some() {
                    self.lead(term);
                }
            }
            Outcome::Proposed(reign, outcome) if reigns(reign, &self.leading) => match outcome {
                Ok(applied) => self.hear(Event::Applied(applied)),
                Err(error) => {
                    tracing::warn!(%error, "a proposal is lost");
                    self.hear(Event::ProposalLost);
                }
            },
            Outcome::Confirmed(reign, outcome) if reigns(reign, &self.leading) => self.answer_confirmed(outcome),
            Outcome::Proposed(..) | Outcome::Confirmed(..) => {}
        }
    }

    fn lead(&mut self, term: u64) {
        tracing::info!(term, "this monitor leads");
        let machine = Leader::new(boot_clock_now(), Some(self.first.clone()), Checks::Off);
        self.reign_next += 1;
        self.leading = Some(Leading {
            reign: Reign(self.reign_next),
            term,
            machine,
            waiting: BTreeMap::new(),
            unconfirmed: Vec::new(),
            confirming: None,
            quorum: BTreeSet::new(),
        });
        self.hear_tick();
    }

    /// Tells the machine and does what it says.
    fn hear(&mut self, event: Event) {
        let Some(leading) = &mut self.leading else { return };
        let lost = match &event {
            Event::ProposalLost => true,
            Event::Applied(applied) => applied.outcome == mon_state::Outcome::Retry,
            _ => false,
        };
        let mut actions = Vec::new();
        let state = self.shared.read();
        leading.machine.handle(boot_clock_now(), wall_clock_milliseconds(), &state, event, &mut actions);
        drop(state);
        for action in actions {
            match action {
                Action::Propose(entry) => {
                    let (consensus, outcomes) = (Arc::clone(&self.consensus), self.outcome_sender.clone());
                    let (reign, bytes) = (leading.reign, encode_entry(&entry));
                    tokio::spawn(async move {
                        let outcome = Outcome::Proposed(reign, consensus.propose(bytes).await);
                        let _ = outcomes.send(outcome).await;
                    });
                }
                Action::Answer { token, reply } => {
                    let waiting = leading.waiting.remove(&token);
                    // What was lost with the lead is asked again of the next leader: the sender is dropped.
                    let ask_again = lost && is_retry(&reply);
                    if let Some(waiting) = waiting.filter(|_| !ask_again) {
                        // Whoever asked may have given up; then nobody needs the answer.
                        let _ = waiting.send(reply);
                    }
                }
                Action::AnswerIfLeading { token, reply } => {
                    leading.unconfirmed.extend(leading.waiting.remove(&token).map(|waiting| (waiting, reply)));
                }
            }
        }
        self.confirm();
    }

    /// Has the lead confirmed for the answers that wait for it; many share one confirmation.
    fn confirm(&mut self) {
        let Some(leading) = &mut self.leading else { return };
        if leading.confirming.is_some() || leading.unconfirmed.is_empty() {
            return;
        }
        leading.confirming = Some(std::mem::take(&mut leading.unconfirmed));
        let (consensus, outcomes, reign) = (Arc::clone(&self.consensus), self.outcome_sender.clone(), leading.reign);
        tokio::spawn(async move {
            let outcome = Outcome::Confirmed(reign, consensus.read_index().await);
            let _ = outcomes.send(outcome).await;
        });
    }

    fn answer_confirmed(&mut self, outcome: Result<()>) {
        let Some(leading) = &mut self.leading else { return };
        let answers = leading.confirming.take().unwrap_or_default();
        if outcome.is_ok() {
            for (waiting, reply) in answers {
                let _ = waiting.send(reply);
            }
        }
        self.confirm();
    }
}

fn is_retry(reply: &ControlReply) -> bool {
    matches!(reply, ControlReply::Failed(error) if error.kind == ErrorKind::Retry)
}

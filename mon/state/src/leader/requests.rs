//! What happens to a request at once: refused, answered from memory, noted, or queued for the next plan.
//!
//! Owns: that choice. Invariant: only what changes the replicated state is queued.

use types::{EntityKind, EntityName, Error, Result, Time};
use wire::{CommandRequest, ControlReply, ControlRequest};

use super::{Action, Leader, QUEUE_MAX, Token, Work};
use crate::{
    answers::Known,
    commands::{self, Handler, TABLE, view::View},
    memory::{Heard, Said},
    services::{failure, managers},
    settings::Settings,
    state::State,
};

/// What a request comes to without a plan.
enum Verdict {
    /// Answer at once.
    Now(ControlReply),
    /// Answer when leadership is confirmed.
    IfLeading(ControlReply),
    /// It needs a plan.
    Queue,
}

impl Leader {
    pub(super) fn handle_request(&mut self, now: Time, state: &State, work: Work, actions: &mut Vec<Action>) {
        let token = work.token;
        match self.judge(now, state, &work) {
            Ok(Verdict::Now(reply)) => actions.push(Action::Answer { token, reply }),
            Ok(Verdict::IfLeading(reply)) => actions.push(Action::AnswerIfLeading { token, reply }),
            Ok(Verdict::Queue) if self.queue.len() >= QUEUE_MAX => {
                refuse(token, Error::retry(format!("{QUEUE_MAX} requests wait already; try again")), actions);
            }
            Ok(Verdict::Queue) => self.queue.push_back(work),
            Err(error) => refuse(token, error, actions),
        }
    }

    fn judge(&mut self, now: Time, state: &State, work: &Work) -> Result<Verdict> {
        check_identity(&work.asker, &work.request)?;
        let Some(map) = state.map() else {
            return Err(Error::retry("the cluster is being founded; try again in a moment"));
        };
        let memory = &mut self.memory;
        match &work.request {
            ControlRequest::Command(command) => self.judge_command(now, state, work, command),
            ControlRequest::NewClient(_) => Ok(match memory.clients.take() {
                Some(id) => Verdict::Now(ControlReply::Client(id)),
                None => Verdict::Queue,
            }),
            ControlRequest::GetMaps { have } => Ok(Verdict::Now(ControlReply::Maps(state.share(*have)))),
            ControlRequest::Beacon { osd, nonce, epoch: _, lowest_needed, usage } => {
                let known = map.map().osds.get(osd).filter(|known| known.up && known.nonce == *nonce);
                if known.is_none() {
                    return Err(Error::refresh_map(format!(
                        "osd.{osd} is not up as this process in map {}",
                        map.epoch()
                    )));
                }
                let said = Some(Said { lowest_needed: *lowest_needed, usage: *usage });
                memory.osds.insert(*osd, Heard { at: now, nonce: *nonce, said });
                Ok(Verdict::Now(ControlReply::Done))
            }
            ControlRequest::Failure(report) => {
                failure::note_report(now, memory, map.map(), report);
                self.attention = true;
                Ok(Verdict::Now(ControlReply::Done))
            }
            ControlRequest::ManagerBeacon { name, address, nonce, digest } => {
                let active = map.map().managers.active.as_ref();
                managers::note_beacon(now, memory, active, (name.clone(), *address, *nonce), digest.clone())?;
                let heard = memory.managers.get(name).map(|heard| &heard.entry);
                let published = active.filter(|active| active.name == *name);
                if published.or_else(|| map.map().managers.standbys.get(name)) != heard {
                    self.attention = true;
                }
                Ok(Verdict::Now(ControlReply::Done))
            }
            ControlRequest::Boot(_)
            | ControlRequest::Farewell { .. }
            | ControlRequest::UpThru { .. }
            | ControlRequest::PgTemp { .. }
            | ControlRequest::PgCreated { .. } => Ok(Verdict::Queue),
            ControlRequest::Statistics(_) => Err(Error::invalid("statistics go to the active manager")),
            ControlRequest::Consensus { .. } | ControlRequest::Forwarded { .. } => {
                Err(Error::invalid("this passes between monitors only"))
            }
        }
    }

    fn judge_command(&self, now: Time, state: &State, work: &Work, command: &CommandRequest) -> Result<Verdict> {
        let map = state.map().ok_or_else(|| Error::retry("the cluster is being founded; try again in a moment"))?;
        match state.known(command.id) {
            Known::New => {}
            Known::Answered(answer) => return Ok(Verdict::IfLeading(ControlReply::Answer(answer))),
            Known::Forgotten => {
                return Err(Error::invalid(format!(
                    "command {} of this asker is older than every answer kept; its outcome is not known any more",
                    command.id.sequence
                )));
            }
        }
        let (spec, arguments) = commands::parse(TABLE, command)?;
        let Handler::Look(look) = spec.handler else { return Ok(Verdict::Queue) };
        let settings = Settings::of(map, self.memory.quorum.leader);
        let view = View { now, asker: &work.asker, state, map, memory: &self.memory, settings: &settings };
        // A refusal speaks of the state, too, and so is only true while this monitor leads.
        Ok(Verdict::IfLeading(match look(&view, &arguments) {
            Ok(answer) => ControlReply::Answer(answer),
            Err(error) => ControlReply::Failed(error),
        }))
    }
}

fn refuse(token: Token, error: Error, actions: &mut Vec<Action>) {
    actions.push(Action::Answer { token, reply: ControlReply::Failed(error) });
}

/// A daemon speaks for itself alone.
fn check_identity(asker: &EntityName, request: &ControlRequest) -> Result<()> {
    let speaker = match request {
        ControlRequest::Boot(boot) => EntityName::osd(boot.osd),
        ControlRequest::Failure(failure) => EntityName::osd(failure.reporter),
        ControlRequest::Beacon { osd, .. }
        | ControlRequest::Farewell { osd, .. }
        | ControlRequest::UpThru { osd, .. }
        | ControlRequest::PgTemp { osd, .. } => EntityName::osd(*osd),
        ControlRequest::ManagerBeacon { name, .. } => EntityName::new(EntityKind::Mgr, name.clone()),
        ControlRequest::PgCreated { .. } if asker.kind != EntityKind::Osd => {
            return Err(Error::denied(format!("{asker} is no OSD and has no placement groups")));
        }
        _ => return Ok(()),
    };
    if *asker == speaker {
        return Ok(());
    }
    Err(Error::denied(format!("{asker} may not speak for {speaker}")))
}

//! One round of planning: everything that waits, and everything that time and reports call for, becomes one entry.
//!
//! Owns: the order, and what happens when a part of the plan is refused. Does not know: what was in flight before.
//!
//! Invariants
//! 1. A refused request leaves no trace in the entry.
//! 2. The entry leads to a map that passes the map crate's checks. When all requests together do not, they are planned
//!    again one by one, each checked, and the culprit is refused with the reason.

use std::{collections::BTreeSet, sync::Arc};

use map::PublishedMap;
use types::{EntityKind, EntityName, Error, Result, Time};
use wire::{CommandId, ControlReply, ControlRequest};

use super::{Owed, Work, command_id};
use crate::{
    answers::{ANSWER_BYTES_MAX, Known},
    commands::{self, DRY_RUN, Handler, TABLE, view::View},
    draft::Draft,
    entry::{Entry, LogLevel},
    memory::{ClientBlock, Memory},
    services::{
        boot::{self, BootOutcome},
        clients, failure, health, history, managers, out, placement_requests, quotas,
    },
    settings::Settings,
    state::State,
};
use types::ErrorKind;

/// What a round begins with.
pub(super) struct Input<'a> {
    pub now: Time,
    pub wall_ms: u64,
    pub state: &'a State,
    pub settings: &'a Settings,
    pub memory: &'a Memory,
    pub batch: Vec<Work>,
}

/// What a round comes to.
pub(super) struct Planned {
    /// The leader's memory afterwards.
    pub memory: Memory,
    /// What must be agreed on; nothing when nothing changes.
    pub entry: Option<Entry>,
    /// What is owed once the entry has taken effect, or at once when there is none.
    pub owed: Vec<(super::Token, Owed)>,
    /// Requests for the next round.
    pub again: Vec<Work>,
    /// Client numbers that the entry reserves.
    pub clients: Option<ClientBlock>,
}

/// Whether each part is checked by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    AllAtOnce,
    OneByOne,
}

struct Round<'a> {
    input: &'a Input<'a>,
    map: &'a Arc<PublishedMap>,
    memory: Memory,
    draft: Draft,
    care: Care,
    owed: Vec<(super::Token, Owed)>,
    again: Vec<Work>,
    clients: Option<ClientBlock>,
    commands: BTreeSet<CommandId>,
}

pub(super) fn plan_round(input: Input<'_>) -> Planned {
    let map = input.state.map().expect("the leader plans rounds only after the cluster was founded");
    match Round::begin(&input, map, Care::AllAtOnce).run() {
        Ok(planned) => planned,
        Err(together) => Round::begin(&input, map, Care::OneByOne).run().unwrap_or_else(|error| {
            // Each part passed alone and all of them together as well, by construction; so this is a fault of ours.
            tracing::error!(%error, %together, "no plan could be made of what waits; it is refused");
            refuse_all(&input, &error)
        }),
    }
}

fn refuse_all(input: &Input<'_>, error: &Error) -> Planned {
    let refused = |work: &Work| (work.token, Owed::Reply(ControlReply::Failed(error.clone())));
    Planned {
        memory: input.memory.clone(),
        entry: None,
        owed: input.batch.iter().map(refused).collect(),
        again: Vec::new(),
        clients: None,
    }
}

impl<'a> Round<'a> {
    fn begin(input: &'a Input<'a>, map: &'a Arc<PublishedMap>, care: Care) -> Self {
        Self {
            input,
            map,
            memory: input.memory.clone(),
            draft: Draft::new(input.state, Arc::clone(map), input.wall_ms),
            care,
            owed: Vec::new(),
            again: Vec::new(),
            clients: None,
            commands: BTreeSet::new(),
        }
    }

    fn run(mut self) -> Result<Planned> {
        self.run_service("exceptions", placement_requests::plan_stale_exceptions);
        for work in &self.input.batch {
            let checkpoint = self.draft.checkpoint();
            let outcome = self.plan_work(work).and_then(|owed| self.check_part().map(|()| owed));
            match outcome {
                Ok(Some(owed)) => self.owed.push((work.token, owed)),
                Ok(None) => self.again.push(work.clone()),
                Err(error) => {
                    self.draft.roll_back(checkpoint);
                    self.owed.push((work.token, Owed::Reply(ControlReply::Failed(error))));
                }
            }
        }
        self.run_services();
        history::plan_forget(self.input.state, &self.memory, &mut self.draft);
        let entry = if self.draft.is_empty() { None } else { Some(self.draft.finish()?) };
        Ok(Planned { memory: self.memory, entry, owed: self.owed, again: self.again, clients: self.clients })
    }

    fn check_part(&self) -> Result<()> {
        match self.care {
            Care::AllAtOnce => Ok(()),
            Care::OneByOne => map::check(self.draft.map()),
        }
    }

    /// What one request comes to; nothing when it must wait for the next round.
    fn plan_work(&mut self, work: &Work) -> Result<Option<Owed>> {
        if let Some(id) = command_id(&work.request)
            && !self.commands.insert(id)
        {
            // The same command twice in one batch: the second finds the first one's answer in the next round.
            return Ok(None);
        }
        let (draft, memory) = (&mut self.draft, &mut self.memory);
        let done = Some(Owed::Reply(ControlReply::Done));
        match &work.request {
            ControlRequest::Command(command) => {
                if let Known::Answered(answer) = self.input.state.known(command.id) {
                    return Ok(Some(Owed::Reply(ControlReply::Answer(answer))));
                }
                self.plan_command(work, command)
            }
            ControlRequest::NewClient(_) => {
                if self.clients.is_none() {
                    self.clients = Some(clients::plan_client_block(draft)?);
                }
                Ok(Some(Owed::ClientNumber))
            }
            ControlRequest::Boot(boot) => match boot::plan_boot(self.input.now, memory, draft, boot)? {
                BootOutcome::Up => Ok(done),
                BootOutcome::Again => Ok(None),
            },
            ControlRequest::Farewell { osd, nonce } => {
                failure::plan_farewell(memory, draft, *osd, *nonce).map(|()| done)
            }
            ControlRequest::UpThru { osd, nonce, epoch } => {
                placement_requests::plan_up_thru(draft, *osd, *nonce, *epoch).map(|()| done)
            }
            ControlRequest::PgTemp { osd, epoch: _, sets } => {
                placement_requests::plan_pg_temp(draft, *osd, sets).map(|()| done)
            }
            ControlRequest::PgCreated { pgs } => placement_requests::plan_pgs_created(draft, pgs).map(|()| done),
            other => Err(Error::internal(format!("this request needs no plan: {other:?}"))),
        }
    }

    fn plan_command(&mut self, work: &Work, command: &wire::CommandRequest) -> Result<Option<Owed>> {
        let (spec, arguments) = commands::parse(TABLE, command)?;
        let view = View {
            now: self.input.now,
            asker: &work.asker,
            state: self.input.state,
            map: self.map,
            memory: &self.memory,
            settings: self.input.settings,
        };
        let Handler::Change(change) = spec.handler else {
            return Err(Error::internal(format!("`{}` only looks and needs no plan", spec.prefix)));
        };
        let is_tried_only =
            spec.all_arguments().any(|argument| argument.name == DRY_RUN.name) && arguments.is_confirmed(DRY_RUN.name);
        if is_tried_only {
            let (checkpoint, before) = (self.draft.checkpoint(), self.draft.map().clone());
            let outcome = change(&view, &mut self.draft, &arguments)
                .and_then(|_| commands::dry_run::answer(&view, before, &self.draft));
            self.draft.roll_back(checkpoint);
            return outcome.map(|answer| Some(Owed::Reply(ControlReply::Answer(answer))));
        }
        let answer = change(&view, &mut self.draft, &arguments)?;
        let bytes = answer.status.len() + answer.output.len();
        if bytes > ANSWER_BYTES_MAX {
            return Err(Error::internal(format!("the answer has {bytes} bytes; at most {ANSWER_BYTES_MAX} are kept")));
        }
        self.draft.log(LogLevel::Info, format!("{}: {}: {}", work.asker, spec.prefix, answer.status));
        self.draft.answers.push((command.id, answer.clone()));
        Ok(Some(Owed::Reply(ControlReply::Answer(answer))))
    }

    /// What time and reports call for. A service that fails is logged and leaves no trace; the others go on.
    fn run_services(&mut self) {
        let (now, settings) = (self.input.now, self.input.settings);
        self.run_service("failure", |memory, draft| failure::plan_failures(now, settings, memory, draft));
        self.run_service("out", |memory, draft| out::plan_out(now, settings, memory, draft));
        self.run_service("managers", |memory, draft| managers::plan_managers(now, settings, memory, draft));
        self.run_service("blocklist", |_, draft| clients::plan_blocklist(draft));
        let (state, map) = (self.input.state, self.map);
        let asker = &EntityName::new(EntityKind::Mon, "");
        self.run_service("quotas", |memory, draft| {
            quotas::plan_quotas(&View { now, asker, state, map, memory, settings }, draft)
        });
        if self.memory.health_next.is_none_or(|next| now >= next) {
            self.memory.health_next = Some(health::next_look(now));
            self.run_service("health", |memory, draft| {
                health::plan_health(&View { now, asker, state, map, memory, settings }, draft)
            });
        }
    }

    fn run_service(&mut self, name: &str, plan: impl FnOnce(&mut Memory, &mut Draft) -> Result<()>) {
        let checkpoint = self.draft.checkpoint();
        let outcome = plan(&mut self.memory, &mut self.draft).and_then(|()| self.check_part());
        if let Err(error) = outcome {
            self.draft.roll_back(checkpoint);
            let level_is_error = error.kind == ErrorKind::Internal;
            tracing::warn!(service = name, %error, level_is_error, "a decision was not taken");
        }
    }
}

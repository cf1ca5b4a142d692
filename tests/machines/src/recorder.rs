//! Who listens to a run: nobody, a log of its last lines, or a reader who follows it line by line.
//!
//! Text costs more than the machines themselves, so most runs have no listener; a seed that failed is run once more
//! with one.

use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc};

use tests_kit::EventLog;
use types::Time;
use wire::Message;

/// How often each event was heard in each state.
pub type Coverage = BTreeMap<(&'static str, String), u64>;

/// Whoever follows a run line by line.
type Reader = Box<dyn FnMut(Time, &str)>;

/// The listener.
#[derive(Default)]
pub struct Recorder {
    lines: Option<Rc<RefCell<EventLog>>>,
    reader: Option<Reader>,
    #[cfg_attr(
        not(feature = "simulation"),
        expect(dead_code, reason = "machines of this build tell nothing to count")
    )]
    coverage: Option<Rc<RefCell<Coverage>>>,
}

impl Recorder {
    /// Nobody listens.
    pub fn none() -> Self {
        Self::default()
    }

    /// The log gets every line.
    pub fn log(lines: Rc<RefCell<EventLog>>) -> Self {
        Self { lines: Some(lines), ..Self::default() }
    }

    /// The reader gets every line, also what each placement group hears, if machines are built to tell.
    pub fn reader(reader: impl FnMut(Time, &str) + 'static) -> Self {
        watch_visits();
        Self { reader: Some(Box::new(reader)), ..Self::default() }
    }

    /// The table counts what placement groups hear in which state.
    pub fn coverage(table: Rc<RefCell<Coverage>>) -> Self {
        watch_visits();
        Self { coverage: Some(table), ..Self::default() }
    }

    /// Whether lines are worth making.
    pub fn listens(&self) -> bool {
        self.lines.is_some() || self.reader.is_some()
    }

    pub(crate) fn note(&mut self, at: Time, line: impl fmt::Display) {
        if let Some(lines) = &self.lines {
            lines.borrow_mut().record(at, &line);
        }
        if let Some(reader) = &mut self.reader {
            reader(at, &line.to_string());
        }
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn hear_visits(&mut self, at: Time) {
        if self.reader.is_none() && self.coverage.is_none() {
            return;
        }
        for visit in types::simulation::take_visits() {
            if let Some(reader) = &mut self.reader {
                reader(at, &format!("{} {} hears {}", visit.whose, visit.state, visit.event));
            }
            if let Some(table) = &self.coverage {
                *table.borrow_mut().entry((visit.state, visit.event)).or_default() += 1;
            }
        }
    }

    #[cfg(not(feature = "simulation"))]
    pub(crate) fn hear_visits(&mut self, _at: Time) {}
}

#[cfg(feature = "simulation")]
fn watch_visits() {
    types::simulation::watch_visits();
}

#[cfg(not(feature = "simulation"))]
fn watch_visits() {}

/// A message in a few words, for the event log.
pub(crate) fn summary(message: &Message) -> String {
    match message {
        Message::ClientOp(op) => format!("op {} on {} e{} {} steps", op.request, op.pg, op.epoch, op.ops.len()),
        Message::ClientReply(reply) => {
            let outcome = match &reply.outcome {
                Ok(success) => format!("{}", success.version),
                Err(failure) => format!("{}: {}", failure.error.kind, failure.error),
            };
            format!("reply {} e{} {outcome}", reply.request, reply.epoch)
        }
        Message::Pg(message) => {
            let body = format!("{:?}", message.body);
            let shown = body.char_indices().nth(700).map_or(body.len(), |(at, _)| at);
            format!("pg {} e{} i{} {}", message.pg, message.epoch, message.interval, &body[..shown])
        }
        Message::Ping(_) => "ping".to_owned(),
        Message::Pong(_) => "pong".to_owned(),
        Message::MapShare(share) => format!("maps to {}", share.newest),
        Message::MapRequest { have } => format!("wants maps after {have}"),
        Message::VerifyRequest(request) => format!("verify {}", request.pg),
        Message::Notification(notification) => format!("notification {}", notification.notify),
        Message::VerifyPage(page) => format!("verified {} objects", page.objects.len()),
    }
}

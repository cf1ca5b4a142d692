//! Objects that are appended to: one of each client's own, in the order sent, and some that all share.

use std::collections::BTreeMap;

use tests_kit::{ChainHistory, ChainKey};
use types::{Extent, ObjectName, Time};
use wire::SubOp;

use super::{Draw, Kind, Operation, Outcome, data_of, refused, unknown, words, words_of};

const SHARED: u32 = 2;

#[derive(Debug, Clone, Copy)]
enum Doing {
    Append(usize, ChainKey),
    Look(usize, ChainKey),
    Last(usize, ChainKey),
}

#[derive(Debug)]
struct Log {
    /// Whose it is, if somebody's: then the order of sending is known.
    owner: Option<u64>,
    sent: Vec<u64>,
    history: ChainHistory<u64>,
    /// What every look saw; each must be a beginning of the last one.
    seen: Vec<Vec<u64>>,
    last: Option<Vec<u64>>,
}

pub(super) struct Logs {
    logs: Vec<Log>,
    doing: BTreeMap<u64, Doing>,
}

impl Logs {
    pub fn new(clients: u32) -> Self {
        let owners = (0..SHARED).map(|_| None).chain((0..clients).map(|client| Some(u64::from(client))));
        let log = |owner| Log { owner, sent: Vec::new(), history: ChainHistory::new(), seen: Vec::new(), last: None };
        Self { logs: owners.map(log).collect(), doing: BTreeMap::new() }
    }

    fn name(&self, log: usize) -> ObjectName {
        let owner = self.logs[log].owner;
        ObjectName::new(owner.map_or_else(|| format!("shared-log-{log}"), |client| format!("log-of-client-{client}")))
    }

    fn look(&mut self, draw: &mut Draw<'_>, log: usize) -> (ChainKey, Operation) {
        let key = self.logs[log].history.begin_look(draw.client);
        let everything = Extent { offset: 0, length: 1 << 20 };
        (key, Operation { object: self.name(log), ops: vec![SubOp::Read(everything)] })
    }
}

impl Kind for Logs {
    fn begin(&mut self, draw: &mut Draw<'_>) -> Operation {
        let shared = draw.below(SHARED * 2);
        let own = usize::try_from(u64::from(SHARED) + draw.client).expect("few clients");
        let log = if shared < SHARED { shared as usize } else { own };
        if draw.below(100) < 30 {
            let (key, operation) = self.look(draw, log);
            self.doing.insert(draw.number, Doing::Look(log, key));
            return operation;
        }
        let key = self.logs[log].history.begin_step(draw.client, draw.number);
        self.logs[log].sent.push(draw.number);
        self.doing.insert(draw.number, Doing::Append(log, key));
        Operation { object: self.name(log), ops: vec![SubOp::Append(words(draw.number, 1))] }
    }

    fn begin_last(&mut self, draw: &mut Draw<'_>, turn: usize) -> Option<Operation> {
        if turn >= self.logs.len() {
            return None;
        }
        let (key, operation) = self.look(draw, turn);
        self.doing.insert(draw.number, Doing::Last(turn, key));
        Some(operation)
    }

    fn finish(&mut self, _: Time, number: u64, outcome: Outcome) -> Result<(), String> {
        match self.doing.remove(&number).ok_or_else(|| unknown(number))? {
            Doing::Append(log, key) => {
                outcome.map_err(|failure| refused("an append", &failure))?;
                self.logs[log].history.acknowledge(key);
            }
            Doing::Look(log, key) | Doing::Last(log, key) => {
                let seen = data_of(outcome)?.map_or(Ok(Vec::new()), |bytes| words_of(&bytes))?;
                let log = &mut self.logs[log];
                log.history.saw(key, seen.last().copied());
                log.last = Some(seen.clone());
                log.seen.push(seen);
            }
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), String> {
        for (index, log) in self.logs.iter().enumerate() {
            let wrong = |reason: String| format!("{}: {reason}", self.name(index));
            let chain = log.last.as_ref().ok_or_else(|| wrong("nobody looked at the end".to_owned()))?;
            if let Some(seen) = log.seen.iter().find(|seen| !chain.starts_with(seen)) {
                return Err(wrong(format!("somebody saw {seen:?}, and in the end there is {chain:?}")));
            }
            if log.owner.is_some() && *chain != log.sent {
                return Err(wrong(format!("it holds {chain:?}; sent, in this order: {:?}", log.sent)));
            }
            log.history.check(chain).map_err(wrong)?;
        }
        Ok(())
    }
}

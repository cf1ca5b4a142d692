//! What arrives on sessions: who may speak, whether the map for it is here, and where it goes.

use map::PublishedMap;
use osd_pg::{Event as PgEvent, SessionId};
use types::{
    Epoch, Error, ErrorKind, OsdId, PgId, PgRange, Time,
    simulation::{Bug, planted},
};
use wire::{
    ClientOp, ClientReply, MapShare, Message, OpFailure, OpTarget, PgBody, PgInfo, PgMessage, Pong, VerifyPage,
    VerifyRequest,
};

use crate::{Action, Event, Osd, Owner, Peer};

/// A session that somebody opened to this OSD.
#[derive(Debug)]
pub(crate) struct Session {
    pub peer: Peer,
    /// The newest map that the other side is known to have, or has been sent.
    pub told: Epoch,
}

impl Osd {
    /// A message from a session. Waits for its map, or goes where it belongs.
    pub(crate) fn receive(&mut self, now: Time, session: SessionId, message: Box<Message>, actions: &mut Vec<Action>) {
        let Some(state) = self.sessions.get(&session) else { return };
        let (from, nonce) = (state.peer.entity.osd_id(), state.peer.nonce);
        let epoch = epoch_of(&message);
        if let Some(epoch) = epoch {
            self.note_peer_epoch(session, from, epoch, actions);
            let waits = !matches!(*message, Message::Ping(_) | Message::Pong(_)) && !planted(Bug::NewerEpochNotAwaited);
            if epoch > self.gate.epoch() && waits {
                if !self.gate.wait(epoch, session, message) {
                    self.refused_waiting += 1;
                }
                return;
            }
        }
        match (*message, from) {
            (Message::ClientOp(op), _) => self.admit_client_op(now, session, op, actions),
            (Message::VerifyRequest(request), _) => self.verify(session, &request, actions),
            (Message::Pg(message), Some(from)) => self.admit_pg_message(now, from, message, actions),
            (Message::Ping(ping), Some(from)) => {
                let pong = Pong {
                    epoch: self.gate.epoch(),
                    sent_nanoseconds: ping.sent_nanoseconds,
                    progress_age: self.progress_age(now),
                    network_stack: self.config.network_stack,
                };
                self.send(from, Message::Pong(pong), actions);
            }
            (Message::Pong(pong), Some(from)) => self.hear_pong(now, from, nonce, &pong, actions),
            (Message::MapShare(share), Some(_)) => self.take_peers_maps(now, share, actions),
            (Message::MapRequest { have }, Some(from)) => {
                let share = self.gate.share_since(have);
                self.send(from, Message::MapShare(share), actions);
            }
            // Answers belong to those who ask on sessions of their own; a client has no say among members. What a
            // peer sends against the protocol is dropped and counted.
            (Message::ClientReply(_) | Message::VerifyPage(_) | Message::Notification(_), _)
            | (
                Message::Pg(_)
                | Message::Ping(_)
                | Message::Pong(_)
                | Message::MapShare(_)
                | Message::MapRequest { .. },
                None,
            ) => self.refused_messages += 1,
        }
    }

    /// The other side's map is older: give it ours. It is newer: ask for it.
    fn note_peer_epoch(&mut self, session: SessionId, from: Option<OsdId>, epoch: Epoch, actions: &mut Vec<Action>) {
        let ours = self.gate.epoch();
        if let Some(state) = self.sessions.get_mut(&session) {
            state.told = state.told.max(epoch);
        }
        if epoch < ours {
            self.share_map(session, epoch, actions);
        } else if epoch > ours
            && let Some(from) = from
            && self.map_wanted < epoch
        {
            self.map_wanted = epoch;
            self.send(from, Message::MapRequest { have: ours }, actions);
        }
    }

    /// Gives the other side of a session what it lacks, unless it has been sent already.
    pub(crate) fn share_map(&mut self, session: SessionId, have: Epoch, actions: &mut Vec<Action>) {
        let ours = self.gate.epoch();
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let known = state.told.max(have);
        if known >= ours {
            return;
        }
        state.told = ours;
        let to = state.peer.entity.osd_id();
        let message = Message::MapShare(self.gate.share_since(known));
        match to {
            Some(osd) => self.send(osd, message, actions),
            None => actions.push(Action::Reply { session, message: Box::new(message) }),
        }
    }

    /// A peer may not have the increments that are lacked here, and then gives the whole map. That is for who has none: to
    /// jump over epochs is to know nothing of the intervals in them. The monitors keep what is needed (decision 0064).
    fn take_peers_maps(&mut self, now: Time, mut share: MapShare, actions: &mut Vec<Action>) {
        if self.gate.epoch() > Epoch::ZERO && share.full.is_some() && !planted(Bug::MapsJumped) {
            share.full = None;
            // The peer was perhaps asked for this very epoch, and could not help: the monitors are asked now.
            self.map_wanted = self.map_wanted.min(self.gate.epoch());
        }
        self.handle(now, Event::Maps(share), actions);
    }

    fn admit_client_op(&mut self, now: Time, session: SessionId, op: Box<ClientOp>, actions: &mut Vec<Action>) {
        if let Err(error) = self.check_client_op(&op) {
            let reply = ClientReply {
                request: op.request,
                epoch: self.gate.epoch(),
                outcome: Err(OpFailure { error, step: None }),
            };
            let message = Box::new(Message::ClientReply(Box::new(reply)));
            actions.push(Action::Reply { session, message });
            return;
        }
        let pg = op.pg;
        self.deliver(now, pg, PgEvent::ClientOp { session, op }, actions);
    }

    fn check_client_op(&self, op: &ClientOp) -> Result<(), Error> {
        let Some(map) = self.gate.newest() else {
            return Err(Error::retry("this OSD has no map yet"));
        };
        if map.blocklist.contains_key(&map::BlocklistEntry::Client(op.request.client)) {
            return Err(Error::denied(format!("client {} is on the blocklist", op.request.client)));
        }
        if !map.pools.contains_key(&op.pg.pool) {
            return Err(Error::not_found(format!("pool {} does not exist", op.pg.pool)));
        }
        if let OpTarget::Object { name, hash } = &op.target {
            name.check()?;
            let (pg, expected) = map.object_pg(op.pg.pool, name)?;
            if *hash != expected {
                return Err(Error::invalid(format!("object {name} has placement hash {expected:#x}, not {hash:#x}")));
            }
            if pg != op.pg {
                return Err(wrong_target(map, op.pg));
            }
        }
        if self.groups.contains_key(&op.pg) { Ok(()) } else { Err(wrong_target(map, op.pg)) }
    }

    fn admit_pg_message(&mut self, now: Time, from: OsdId, message: Box<PgMessage>, actions: &mut Vec<Action>) {
        let pg = message.pg;
        if self.groups.contains_key(&pg) {
            self.deliver(now, pg, PgEvent::Peer { from, message }, actions);
            return;
        }
        // Whoever asks what is here gets an honest "nothing"; the rest is for a copy that no longer exists.
        if matches!(message.body, PgBody::QueryInfo) && self.gate.newest().is_some_and(|map| has_pg(map, pg)) {
            let body = PgBody::Info {
                info: PgInfo::empty(pg),
                past_intervals: Vec::new(),
                lease_remaining: self.restart_lease(now),
            };
            let answer = PgMessage { pg, epoch: self.gate.epoch(), interval: message.interval, body };
            self.send(from, Message::Pg(Box::new(answer)), actions);
        }
    }

    fn verify(&mut self, session: SessionId, request: &VerifyRequest, actions: &mut Vec<Action>) {
        let group = self.groups.get(&request.pg);
        let pool = self.gate.newest().and_then(|map| map.pools.get(&request.pg.pool).cloned());
        let (Some(group), Some(pool)) = (group, pool.filter(|pool| request.pg.seed < pool.pg_num)) else {
            let page = VerifyPage {
                sequence: request.sequence,
                last_update: types::LogVersion::ZERO,
                present: false,
                objects: Vec::new(),
                next: None,
            };
            actions.push(Action::Reply { session, message: Box::new(Message::VerifyPage(page)) });
            return;
        };
        let range = PgRange::of(request.pg, pool.pg_num);
        let last_update = group.pg.info().last_update;
        if let Some((ticket, reads)) = self.verifies.begin(session, request, last_update, range) {
            actions.push(Action::Read { owner: Owner::Osd, ticket, reads });
        }
    }
}

fn has_pg(map: &PublishedMap, pg: PgId) -> bool {
    map.pools.get(&pg.pool).is_some_and(|pool| pg.seed < pool.pg_num)
}

fn wrong_target(map: &PublishedMap, pg: PgId) -> Error {
    let message = format!("placement group {pg} is not served here in epoch {}", map.epoch());
    Error { kind: ErrorKind::RefreshMap, message }
}

fn epoch_of(message: &Message) -> Option<Epoch> {
    match message {
        Message::ClientOp(op) => Some(op.epoch),
        Message::Pg(message) => Some(message.epoch),
        Message::Ping(ping) => Some(ping.epoch),
        Message::Pong(pong) => Some(pong.epoch),
        Message::VerifyRequest(request) => Some(request.epoch),
        Message::ClientReply(_)
        | Message::MapShare(_)
        | Message::MapRequest { .. }
        | Message::VerifyPage(_)
        | Message::Notification(_) => None,
    }
}

//! The server's sessions: who proved the key, under which number, with which counters used.
//!
//! Both tables are bounded; the least recently used goes first. A client whose session is gone is told so before its
//! request is looked at, and makes a new one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use types::EntityName;

use super::{
    replay::ReplayWindow,
    sealed::{Purpose, Sealed},
};
use crate::{
    Identity, Refusal, RefusalReason,
    greeting::{Block, Greeting, Role, Step, decode_step, encode_proof},
    identity::random_bytes,
    proof::{Prover, SessionKey, Transcript},
};

/// Sessions kept: clients and daemons of a large cluster, at a few hundred bytes each.
const SESSIONS_MAX: usize = 8192;
/// Handshakes between their two calls.
const HANDSHAKES_MAX: usize = 1024;
/// How long the second call may take to come.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

struct Handshake {
    transcript: Transcript,
    entity: EntityName,
    begun: Instant,
}

/// A proved client.
pub(super) struct ServerSession {
    pub(super) entity: EntityName,
    pub(super) key: SessionKey,
    counters: Mutex<ReplayWindow>,
    used: Mutex<Instant>,
}

#[derive(Default)]
struct Tables {
    handshakes: BTreeMap<u64, Handshake>,
    sessions: BTreeMap<u64, Arc<ServerSession>>,
}

/// The tables and who this server is.
pub(super) struct Sessions {
    identity: Identity,
    tables: Mutex<Tables>,
}

fn internal(error: types::Error) -> Refusal {
    Refusal::new(RefusalReason::Other, error.message)
}

impl Sessions {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, tables: Mutex::default() }
    }

    /// The first call: the client's greeting for a number and the server's greeting.
    pub(super) fn hello(&self, connector: &Block) -> Result<(u64, Block), Refusal> {
        let Step::Greeting(greeting) = decode_step(connector)? else {
            return Err(Refusal::new(RefusalReason::Malformed, "a hello carries a greeting"));
        };
        greeting.check(&self.identity, Role::Connector)?;
        let expected = (Some(greeting.entity.clone()), Some(greeting.nonce));
        let challenge = random_bytes().map_err(internal)?;
        let acceptor = Greeting::of(&self.identity, Role::Acceptor, expected, challenge).encode();
        let number = u64::from_le_bytes(random_bytes().map_err(internal)?);
        let begun = Instant::now();
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.handshakes.retain(|_, handshake| handshake.begun + HANDSHAKE_TIMEOUT > begun);
        if tables.handshakes.len() >= HANDSHAKES_MAX {
            return Err(Refusal::new(RefusalReason::Busy, "too many handshakes at once; try again"));
        }
        let transcript = Transcript { connector: *connector, acceptor };
        tables.handshakes.insert(number, Handshake { transcript, entity: greeting.entity, begun });
        Ok((number, acceptor))
    }

    /// The second call: the client's proof for the server's. Then the number names a session.
    pub(super) fn prove(&self, number: u64, block: &Block) -> Result<Block, Refusal> {
        let Step::Proof(proof) = decode_step(block)? else {
            return Err(Refusal::new(RefusalReason::Malformed, "a proof is expected"));
        };
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Handshake { transcript, entity, .. }) = tables.handshakes.remove(&number) else {
            return Err(Refusal::new(RefusalReason::Other, "the handshake took too long; try again"));
        };
        let own = &self.identity;
        if !transcript.is_proof(&own.key, Prover::Connector, &proof) {
            let message = format!("{entity} did not prove the cluster key that {} has", own.entity);
            return Err(Refusal::new(RefusalReason::WrongKey, message));
        }
        if tables.sessions.len() >= SESSIONS_MAX {
            let used = |session: &ServerSession| *session.used.lock().unwrap_or_else(PoisonError::into_inner);
            let oldest = tables.sessions.iter().min_by_key(|(_, session)| used(session)).map(|(number, _)| *number);
            oldest.and_then(|number| tables.sessions.remove(&number));
        }
        let session = ServerSession {
            entity,
            key: transcript.session_key(&own.key),
            counters: Mutex::new(ReplayWindow::new()),
            used: Mutex::new(Instant::now()),
        };
        tables.sessions.insert(number, Arc::new(session));
        Ok(encode_proof(&transcript.prove(&own.key, Prover::Acceptor)))
    }

    /// Who sent the message, its counter and its body; or why it is not believed.
    pub(super) fn open(
        &self,
        message: bytes::Bytes,
        purpose: Purpose,
    ) -> Result<(Arc<ServerSession>, u64, u64, bytes::Bytes), &'static str> {
        let sealed = Sealed::split(message).ok_or("the message has no seal")?;
        let (number, counter) = (sealed.session, sealed.counter);
        let session = {
            let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.sessions.get(&number).cloned().ok_or("the session is not known here")?
        };
        let body = sealed.open(&session.key, purpose).ok_or("the seal is not of this message")?;
        // Only now: a forged message must not use up the counter of a true one.
        if !session.counters.lock().unwrap_or_else(PoisonError::into_inner).take(counter) {
            return Err("the message came before");
        }
        *session.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok((session, number, counter, body))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use types::{BootNonce, ClusterId, Uuid};

    use super::{super::sealed::seal, *};
    use crate::ClusterKey;

    fn identity(name: &str) -> Identity {
        Identity {
            cluster: ClusterId(Uuid([1; 16])),
            entity: name.parse().expect("a name"),
            nonce: BootNonce(5),
            key: ClusterKey::new([3; 32]),
        }
    }

    fn client_session(sessions: &Sessions) -> (u64, SessionKey) {
        let own = identity("client.admin");
        let connector = Greeting::of(&own, Role::Connector, (None, None), [9; 32]).encode();
        let (number, acceptor) = sessions.hello(&connector).expect("welcome");
        let transcript = Transcript { connector, acceptor };
        let proof = encode_proof(&transcript.prove(&own.key, Prover::Connector));
        sessions.prove(number, &proof).expect("proved");
        assert!(sessions.prove(number, &proof).is_err(), "a proof is good once");
        (number, transcript.session_key(&own.key))
    }

    #[test]
    fn a_message_is_believed_once_from_whom_sealed_it_and_for_what() {
        let sessions = Sessions::new(identity("mon.a"));
        let (number, key) = client_session(&sessions);
        let message = seal(&key, Purpose::Call, number, 1, b"body");
        let refused = |message: Bytes, purpose| sessions.open(message, purpose).map(drop).expect_err("must not pass");
        assert_eq!(refused(message.clone(), Purpose::Subscribe), "the seal is not of this message");
        for index in 8..message.len() {
            let mut changed = message.to_vec();
            changed[index] ^= 1;
            assert_eq!(refused(Bytes::from(changed), Purpose::Call), "the seal is not of this message", "byte {index}");
        }
        let (session, _, counter, body) = sessions.open(message.clone(), Purpose::Call).expect("believed");
        assert_eq!((session.entity.to_string().as_str(), counter, &body[..]), ("client.admin", 1, &b"body"[..]));
        assert_eq!(refused(message, Purpose::Call), "the message came before");
        let stranger = seal(&key, Purpose::Call, number ^ 1, 2, b"body");
        assert_eq!(refused(stranger, Purpose::Call), "the session is not known here");
        assert_eq!(refused(Bytes::from_static(&[0; 47]), Purpose::Call), "the message has no seal");
    }

    #[test]
    fn tables_stay_within_their_bounds() {
        let sessions = Sessions::new(identity("mon.a"));
        let connector = Greeting::of(&identity("client.x"), Role::Connector, (None, None), [9; 32]).encode();
        for _ in 0..HANDSHAKES_MAX {
            sessions.hello(&connector).expect("just inside");
        }
        let refusal = sessions.hello(&connector).expect_err("just outside");
        assert_eq!(refusal.reason, RefusalReason::Busy);

        let sessions = Sessions::new(identity("mon.a"));
        let (first, first_key) = client_session(&sessions);
        let (second, second_key) = client_session(&sessions);
        for _ in 2..SESSIONS_MAX {
            client_session(&sessions);
        }
        // The first is used again, so the second is the one that has to go.
        assert!(sessions.open(seal(&first_key, Purpose::Call, first, 1, b""), Purpose::Call).is_ok());
        client_session(&sessions);
        assert!(sessions.open(seal(&first_key, Purpose::Call, first, 2, b""), Purpose::Call).is_ok());
        let gone = sessions.open(seal(&second_key, Purpose::Call, second, 1, b""), Purpose::Call);
        assert_eq!(gone.map(drop), Err("the session is not known here"));
    }
}

//! Sessions that others open to this OSD.

use net::data::{Listener, Session};
use osd_pg::SessionId;
use osd_state::Event;
use tokio::sync::mpsc;

use crate::shard::ShardEvent;

/// Takes sessions for as long as the shard lives.
pub(crate) async fn accept(mut listener: Listener, events: mpsc::Sender<ShardEvent>) {
    let mut next = 0;
    loop {
        let session = match listener.accept().await {
            Ok(session) => session,
            Err(error) => {
                tracing::error!(%error, "the listener failed; no new sessions are taken");
                drop(events.send(ShardEvent::ListenerFailed(error)).await);
                return;
            }
        };
        next += 1;
        let id = SessionId(next);
        tokio::task::spawn_local(serve(id, session, events.clone()));
    }
}

async fn serve(id: SessionId, session: Session, events: mpsc::Sender<ShardEvent>) {
    let Session { peer, sender, mut receiver, .. } = session;
    let peer = osd_state::Peer { entity: peer.entity, nonce: peer.nonce };
    let name = peer.entity.to_string();
    // A closed queue is a shard that has ended; the session ends with it.
    if events.send(ShardEvent::Opened { session: id, peer, sender }).await.is_err() {
        return;
    }
    while let Some(message) = receiver.next().await {
        match message {
            Ok(message) => {
                let event = Event::Message { session: id, message: Box::new(message) };
                if events.send(ShardEvent::Machine(event)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::info!(%error, peer = %name, "a session broke");
                break;
            }
        }
    }
    drop(events.send(ShardEvent::Machine(Event::SessionClosed(id))).await);
}

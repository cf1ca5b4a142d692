//! Calls and subscriptions of the control plane.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use net::{
    ClusterKey, Identity,
    control::{ControlClient, ControlHandler, ControlServer},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use types::{ClusterId, EntityName, Epoch, Error, ErrorKind, Uuid, limits};
use wire::{CommandAnswer, ControlReply, ControlRequest, MapShare};

use crate::{anywhere, identity, name, run};

/// Longer than any call here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// Answers consensus calls with their body and who sent them, holds farewells for ever, shares maps on demand.
#[derive(Default)]
struct Echo {
    calls: Mutex<Vec<(EntityName, String)>>,
    subscribers: Mutex<Vec<mpsc::Sender<MapShare>>>,
}

#[async_trait::async_trait]
impl ControlHandler for Echo {
    async fn handle(&self, peer: EntityName, request: ControlRequest) -> ControlReply {
        match request {
            ControlRequest::Consensus { method, body } => {
                self.calls.lock().expect("not poisoned").push((peer, method));
                ControlReply::Consensus(body)
            }
            ControlRequest::GetMaps { have } => ControlReply::Answer(CommandAnswer {
                status: String::new(),
                output: Bytes::from(vec![1; usize::try_from(have.0).expect("small")]),
            }),
            ControlRequest::Farewell { .. } => std::future::pending().await,
            _ => ControlReply::Failed(Error::denied("it may not")),
        }
    }

    async fn subscribe(&self, _peer: EntityName, have: Epoch) -> mpsc::Receiver<MapShare> {
        let (sender, receiver) = mpsc::channel(4);
        sender.send(MapShare { newest: have.next(), ..MapShare::default() }).await.expect("room");
        self.subscribers.lock().expect("not poisoned").push(sender);
        receiver
    }
}

struct Running {
    server: ControlServer,
    handler: Arc<Echo>,
    stop: oneshot::Sender<()>,
}

fn start(address: SocketAddr, identity: Identity) -> Running {
    let handler = Arc::new(Echo::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        // Dropping the sender stops it as well.
        let _ = stopped.await;
    };
    let server = ControlServer::start(address, identity, handler.clone(), shutdown).expect("started");
    Running { server, handler, stop }
}

fn echo(body: Bytes) -> ControlRequest {
    ControlRequest::Consensus { method: "echo".to_owned(), body }
}

fn client(addresses: &[SocketAddr]) -> ControlClient {
    ControlClient::new(identity("client.admin"), addresses.to_vec())
}

#[test]
fn calls_are_answered_and_the_server_knows_who_asks() {
    run(async {
        let running = start(anywhere(), identity("mon.a"));
        let client = client(&[running.server.local_address()]);
        for length in [0, 1, 100_000, 10 << 20] {
            let body = Bytes::from(vec![7; length]);
            let reply = client.call(echo(body.clone()), DEADLINE).await;
            assert_eq!(reply, Ok(ControlReply::Consensus(body)));
        }
        let calls = running.handler.calls.lock().expect("not poisoned").clone();
        assert_eq!(calls, vec![(name("client.admin"), "echo".to_owned()); 4]);
        let refused = client.call(ControlRequest::PgCreated { pgs: Vec::new() }, DEADLINE).await;
        assert_eq!(refused, Ok(ControlReply::Failed(Error::denied("it may not"))));
    });
}

#[test]
fn many_calls_at_once_share_one_session() {
    run(async {
        let running = start(anywhere(), identity("mon.a"));
        let client = client(&[running.server.local_address()]);
        let calls = (0u32..400).map(|number| {
            let client = client.clone();
            async move {
                let body = Bytes::copy_from_slice(&number.to_le_bytes());
                assert_eq!(client.call(echo(body.clone()), DEADLINE).await, Ok(ControlReply::Consensus(body)));
            }
        });
        futures::future::join_all(calls).await;
        assert_eq!(running.handler.calls.lock().expect("not poisoned").len(), 400);
    });
}

#[test]
fn messages_are_bounded_on_both_sides() {
    run(async {
        let running = start(anywhere(), identity("mon.a"));
        let address = running.server.local_address();
        let client = client(&[address]);
        // What a body of this length adds: found once, by encoding one.
        let head = wire::encode_control_request(&echo(Bytes::from(vec![0; 60 << 20]))).len() - (60 << 20);
        let body = |length: usize| echo(Bytes::from(vec![0; length - head]));
        let reply = client.call(body(limits::CONTROL_MESSAGE_BYTES_MAX), DEADLINE).await;
        assert!(matches!(reply, Ok(ControlReply::Consensus(_))), "just inside");
        let error = client.call(body(limits::CONTROL_MESSAGE_BYTES_MAX + 1), DEADLINE).await.expect_err("just outside");
        assert_eq!(error.kind, ErrorKind::Invalid);
        let have = Epoch(u32::try_from(limits::CONTROL_MESSAGE_BYTES_MAX).expect("small"));
        let Ok(ControlReply::Failed(error)) = client.call(ControlRequest::GetMaps { have }, DEADLINE).await else {
            panic!("an answer that is too long passed");
        };
        assert_eq!(error.kind, ErrorKind::Internal);
    });
}

#[test]
fn wrong_cluster_and_wrong_key_are_refused_with_the_reason() {
    run(async {
        let running = start(anywhere(), identity("mon.a"));
        let addresses = vec![running.server.local_address()];
        let own = identity("client.admin");
        let call = async |identity: Identity| {
            let client = ControlClient::new(identity, addresses.clone());
            client.call(echo(Bytes::new()), DEADLINE).await.expect_err("must be refused")
        };
        let error = call(Identity { cluster: ClusterId(Uuid([9; 16])), ..own.clone() }).await;
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.message.contains("09090909"), "{error}");
        let error = call(Identity { key: ClusterKey::new([9; 32]), ..own }).await;
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.message.contains("did not prove the cluster key"), "{error}");
        assert!(running.handler.calls.lock().expect("not poisoned").is_empty());
        // A port that another cluster took over does not keep one from the others.
        let other = start(anywhere(), Identity { cluster: ClusterId(Uuid([9; 16])), ..identity("mon.a") });
        let client = client(&[other.server.local_address(), running.server.local_address()]);
        let reply = client.call(echo(Bytes::new()), DEADLINE).await;
        assert_eq!(reply, Ok(ControlReply::Consensus(Bytes::new())));
    });
}

#[test]
fn the_others_are_tried_when_one_fails_and_a_restarted_server_is_met_anew() {
    run(async {
        let gone = {
            let listener = TcpListener::bind(anywhere()).await.expect("bound");
            listener.local_addr().expect("an address")
        };
        let running = start(anywhere(), identity("mon.b"));
        let address = running.server.local_address();
        let client = client(&[gone, address]);
        let reply = client.call(echo(Bytes::new()), DEADLINE).await;
        assert_eq!(reply, Ok(ControlReply::Consensus(Bytes::new())));

        // The server stops although a subscription and a call are under way; both end.
        let mut maps = client.subscribe(Epoch(3)).await.expect("subscribed");
        assert_eq!(maps.next().await.expect("maps").newest, Epoch(4));
        let farewell = ControlRequest::Farewell { osd: types::OsdId(1), nonce: types::BootNonce(1) };
        let held = client.call_at(address, farewell, DEADLINE);
        let stop = async {
            running.stop.send(()).expect("it runs");
            running.server.stopped().await.expect("stopped");
            assert!(maps.next().await.is_none());
        };
        let (held, ()) = tokio::join!(held, stop);
        assert_eq!(held.expect_err("cut off").kind, ErrorKind::Retry);

        // It comes again and knows no sessions; the client does not notice.
        let running = start(address, identity("mon.b"));
        let reply = client.call(echo(Bytes::new()), DEADLINE).await;
        assert_eq!(reply, Ok(ControlReply::Consensus(Bytes::new())));
        assert_eq!(running.handler.calls.lock().expect("not poisoned").len(), 1);
        let elsewhere = client.call_at(gone, echo(Bytes::new()), DEADLINE).await.expect_err("nobody there");
        assert_eq!(elsewhere.kind, ErrorKind::Retry);
    });
}

#[test]
fn every_call_ends_by_its_deadline() {
    run(async {
        let running = start(anywhere(), identity("mon.a"));
        let address = running.server.local_address();
        let farewell = || ControlRequest::Farewell { osd: types::OsdId(1), nonce: types::BootNonce(1) };
        let short = Duration::from_millis(300);
        let error = client(&[address]).call(farewell(), short).await.expect_err("held for ever");
        assert_eq!(error.kind, ErrorKind::Retry);
        let error = client(&[address]).call_at(address, farewell(), short).await.expect_err("held for ever");
        assert_eq!(error.kind, ErrorKind::Retry);
        // Somebody who accepts and never says anything.
        let mute = TcpListener::bind(anywhere()).await.expect("bound");
        let mute_address = mute.local_addr().expect("an address");
        let error = client(&[mute_address]).call(echo(Bytes::new()), short).await.expect_err("mute");
        assert_eq!(error.kind, ErrorKind::Retry);
        let error = client(&[]).call(echo(Bytes::new()), short).await.expect_err("nobody to ask");
        assert_eq!(error.kind, ErrorKind::Invalid);
    });
}

#[test]
fn maps_come_as_they_are_published_and_a_dropped_subscription_is_noticed() {
    run(async {
        let running = start(anywhere(), identity("mon.a"));
        let client = client(&[running.server.local_address()]);
        let mut maps = client.subscribe(Epoch(7)).await.expect("subscribed");
        assert_eq!(maps.next().await.expect("maps").newest, Epoch(8));
        let sender = running.handler.subscribers.lock().expect("not poisoned").pop().expect("a subscriber");
        for epoch in 9..40 {
            let share = MapShare {
                newest: Epoch(epoch),
                increments: vec![(Epoch(epoch), Bytes::from(vec![3; 100_000]))],
                ..MapShare::default()
            };
            sender.send(share.clone()).await.expect("subscribed");
            assert_eq!(maps.next().await, Some(share));
        }
        drop(maps);
        sender.closed().await;
    });
}

#[test]
fn garbage_does_not_stop_the_server() {
    run(async {
        let running = start(anywhere(), identity("mon.a"));
        let address = running.server.local_address();
        for bytes in
            [&b"garbage that is no HTTP at all\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense", &[0; 5000]]
        {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            stream.write_all(bytes).await.expect("written");
        }
        let reply = client(&[address]).call(echo(Bytes::new()), DEADLINE).await;
        assert_eq!(reply, Ok(ControlReply::Consensus(Bytes::new())));
    });
}

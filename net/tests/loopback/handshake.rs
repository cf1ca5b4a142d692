//! Who is let in, and what the others hear.

use std::net::SocketAddr;

use net::{
    ClusterKey, Identity, PeerAddress, RefusalReason,
    data::{ConnectError, Listener, connect},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use types::{BootNonce, ClusterId, Uuid};

use crate::{anywhere, at, identity, name, pair, run};

/// Connects while somebody listens; what the connector hears.
async fn refused(listener: &mut Listener, own: &Identity, wanted: &PeerAddress) -> (RefusalReason, String) {
    let outcome = tokio::select! {
        outcome = connect(own, wanted) => outcome,
        accepted = listener.accept() => panic!("let in: {:?}", accepted.expect("a session").peer),
    };
    match outcome.expect_err("must be refused") {
        ConnectError::Mismatch(refusal) => (refusal.reason, refusal.message),
        other => panic!("{other}"),
    }
}

#[test]
fn both_sides_know_each_other() {
    run(async {
        let mut listener = Listener::bind(anywhere(), identity("osd.3")).expect("bound");
        let wanted = PeerAddress {
            entity: Some(name("osd.3")),
            nonce: Some(identity("osd.3").nonce),
            address: listener.local_address(),
        };
        let own = identity("client.admin");
        let (connected, accepted) = tokio::join!(connect(&own, &wanted), listener.accept());
        let (connected, accepted) = (connected.expect("connected"), accepted.expect("accepted"));
        assert_eq!((&connected.peer.entity, connected.peer.nonce), (&name("osd.3"), identity("osd.3").nonce));
        assert_eq!((&accepted.peer.entity, accepted.peer.nonce), (&name("client.admin"), own.nonce));
        assert_eq!(connected.id, accepted.id);
        assert_eq!(listener.counts().accepted, 1);
        let (second, _accepted) = pair(&mut listener, "client.admin").await;
        assert_ne!(second.id, connected.id, "each session has its own key");
    });
}

#[test]
fn whoever_does_not_belong_here_is_refused_with_the_reason() {
    run(async {
        let mut listener = Listener::bind(anywhere(), identity("osd.3")).expect("bound");
        let address = listener.local_address();
        let own = identity("client.admin");

        let stranger = Identity { cluster: ClusterId(Uuid([9; 16])), ..own.clone() };
        let (reason, message) = refused(&mut listener, &stranger, &at(address)).await;
        assert_eq!(reason, RefusalReason::WrongCluster);
        assert!(message.contains("09090909") && message.contains("01010101"), "{message}");

        let thief = Identity { key: ClusterKey::new([7; 32]), ..own.clone() };
        let (reason, message) = refused(&mut listener, &thief, &at(address)).await;
        assert_eq!(reason, RefusalReason::WrongKey);
        assert!(message.contains("client.admin did not prove the cluster key"), "{message}");

        let wanted = PeerAddress { entity: Some(name("osd.4")), ..at(address) };
        let (reason, message) = refused(&mut listener, &own, &wanted).await;
        assert_eq!(reason, RefusalReason::WrongPeer);
        assert!(message.contains("osd.4") && message.contains("this is osd.3"), "{message}");

        let wanted = PeerAddress { nonce: Some(BootNonce(1)), ..at(address) };
        let (reason, _) = refused(&mut listener, &own, &wanted).await;
        assert_eq!(reason, RefusalReason::WrongProcess);

        // Both sides know: the listener counted each of them, and goes on.
        let (_connected, _accepted) = pair(&mut listener, "client.admin").await;
        let counts = listener.counts();
        let expected = [
            RefusalReason::WrongCluster,
            RefusalReason::WrongPeer,
            RefusalReason::WrongProcess,
            RefusalReason::WrongKey,
        ];
        assert_eq!(counts.refused, expected.map(|reason| (reason, 1)));
        assert_eq!(counts.accepted, 1);
    });
}

#[test]
fn an_identity_that_no_greeting_can_carry_is_refused_at_home() {
    run(async {
        let nobody = Identity { nonce: BootNonce(0), ..identity("osd.3") };
        assert!(Listener::bind(anywhere(), nobody.clone()).is_err());
        let error = connect(&nobody, &at(anywhere())).await.expect_err("no nonce");
        assert!(matches!(error, ConnectError::Other(_)), "{error}");
        let longest = format!("client.{}", "x".repeat(64));
        assert!(Listener::bind(anywhere(), identity(&longest)).is_ok(), "just inside");
        let long = types::EntityName::new(types::EntityKind::Client, "x".repeat(65));
        assert!(Listener::bind(anywhere(), Identity { entity: long, ..identity("osd.3") }).is_err(), "just outside");
    });
}

#[test]
fn nobody_there_is_told_apart_from_the_rest() {
    run(async {
        let gone = {
            let listener = TcpListener::bind(anywhere()).await.expect("bound");
            listener.local_addr().expect("an address")
        };
        assert_eq!(connect(&identity("osd.1"), &at(gone)).await.err(), Some(ConnectError::Refused));
    });
}

/// What a raw peer gets for these bytes, until the listener closes.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(bytes).await.expect("written");
    stream.shutdown().await.expect("shut");
    let mut answer = Vec::new();
    // A reset after the answer is fine: what counts is what came before.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// A protocol that does not exist yet, in a greeting that is otherwise good.
async fn greeting_of_the_future(address: SocketAddr) -> Vec<u8> {
    let fake = TcpListener::bind(anywhere()).await.expect("bound");
    let fake_address = fake.local_addr().expect("an address");
    let catch = async {
        let (mut stream, _) = fake.accept().await.expect("accepted");
        let mut block = [0; 256];
        stream.read_exact(&mut block).await.expect("a greeting");
        block
    };
    let own = identity("client.admin");
    let wanted = at(fake_address);
    let mut block = tokio::select! {
        block = catch => block,
        outcome = connect(&own, &wanted) => panic!("{outcome:?}"),
    };
    block[8..12].copy_from_slice(&[9, 0, 12, 0]);
    let crc = crc32fast::hash(&block[..252]);
    block[252..].copy_from_slice(&crc.to_le_bytes());
    answer_to(address, &block).await
}

#[test]
fn garbage_slowness_and_replays_stop_nobody_else() {
    run(async {
        let mut listener = Listener::bind(anywhere(), identity("osd.3")).expect("bound");
        let address = listener.local_address();
        let strangers = async {
            // Somebody who says one byte and then nothing, for as long as the test runs.
            let mut slow = TcpStream::connect(address).await.expect("connected");
            slow.write_all(&[0x89]).await.expect("written");

            let answer = answer_to(address, &[b'x'; 300]).await;
            assert_eq!(&answer[..8], b"\x89ikano\x1a\n", "a refusal");
            assert_eq!(answer.len(), 256);
            assert_eq!(answer_to(address, b"GET / HTTP/1.1\r\n\r\n").await, b"", "too short to be answered");

            let answer = greeting_of_the_future(address).await;
            let text = String::from_utf8_lossy(&answer[12..]);
            assert!(text.contains("speaks protocols 9 to 12, osd.3 speaks 1 to 1"), "{text}");
            slow
        };
        let slow = tokio::select! {
            slow = strangers => slow,
            accepted = listener.accept() => panic!("let in: {:?}", accepted.expect("a session").peer),
        };
        let (_connected, _accepted) = pair(&mut listener, "client.admin").await;
        assert_eq!(listener.counts().timed_out, 0);
        // The slow one is closed by the deadline, which is the event we wait for.
        let mut slow = slow;
        let closed = tokio::select! {
            outcome = slow.read_u8() => outcome,
            accepted = listener.accept() => panic!("let in: {:?}", accepted.expect("a session").peer),
        };
        assert!(closed.is_err());
        let counts = listener.counts();
        assert_eq!(counts.timed_out, 1);
        assert_eq!(counts.refused, [(RefusalReason::Malformed, 1), (RefusalReason::Protocol, 1)]);
        assert_eq!(counts.broken, 1);
    });
}

#[test]
fn a_recorded_handshake_is_worth_nothing() {
    run(async {
        let mut listener = Listener::bind(anywhere(), identity("osd.3")).expect("bound");
        let address = listener.local_address();
        // A proxy records what a true client sends.
        let proxy = TcpListener::bind(anywhere()).await.expect("bound");
        let proxy_address = proxy.local_addr().expect("an address");
        let recording = async {
            let (mut client, _) = proxy.accept().await.expect("accepted");
            let mut server = TcpStream::connect(address).await.expect("connected");
            let mut record = Vec::new();
            let mut block = [0; 256];
            for _ in 0..2 {
                client.read_exact(&mut block).await.expect("from the client");
                record.extend_from_slice(&block);
                server.write_all(&block).await.expect("to the server");
                server.read_exact(&mut block).await.expect("from the server");
                client.write_all(&block).await.expect("to the client");
            }
            record
        };
        let (own, wanted) = (identity("client.admin"), at(proxy_address));
        let (connected, accepted, record) = tokio::join!(connect(&own, &wanted), listener.accept(), recording);
        assert_eq!(connected.expect("connected").id, accepted.expect("accepted").id);
        let answer = tokio::select! {
            answer = answer_to(address, &record) => answer,
            accepted = listener.accept() => panic!("let in: {:?}", accepted.expect("a session").peer),
        };
        let text = String::from_utf8_lossy(&answer[256..]);
        assert!(text.contains("did not prove the cluster key"), "{text}");
    });
}

/// What a connector hears through a relay that changes what passes: `change` gets the step's number, from zero.
async fn through_a_liar(
    listener: &mut Listener,
    wanted: &PeerAddress,
    change: fn(usize, &mut [u8; 256]),
) -> (RefusalReason, String) {
    let relay = TcpListener::bind(anywhere()).await.expect("bound");
    let wanted = PeerAddress { address: relay.local_addr().expect("an address"), ..wanted.clone() };
    let address = listener.local_address();
    let lie = async {
        let (mut client, _) = relay.accept().await.expect("accepted");
        let mut server = TcpStream::connect(address).await.expect("connected");
        let mut block = [0; 256];
        for step in 0..2 {
            for is_answer in [false, true] {
                let (from, to) = if is_answer { (&mut server, &mut client) } else { (&mut client, &mut server) };
                if from.read_exact(&mut block).await.is_err() {
                    return;
                }
                change(2 * step + usize::from(is_answer), &mut block);
                let crc = crc32fast::hash(&block[..252]);
                block[252..].copy_from_slice(&crc.to_le_bytes());
                to.write_all(&block).await.expect("relayed");
            }
        }
    };
    let own = identity("client.admin");
    let serve = async {
        loop {
            listener.accept().await.expect("a session");
        }
    };
    let outcome = tokio::select! {
        (outcome, ()) = async { tokio::join!(connect(&own, &wanted), lie) } => outcome,
        () = serve => panic!("the loop ends never"),
    };
    match outcome.expect_err("must be refused") {
        ConnectError::Mismatch(refusal) => (refusal.reason, refusal.message),
        other => panic!("{other}"),
    }
}

#[test]
fn the_connector_believes_nothing_that_was_changed_on_the_way() {
    run(async {
        let mut listener = Listener::bind(anywhere(), identity("osd.3")).expect("bound");
        let address = listener.local_address();
        // Somebody leads a connector that wants osd.4 to osd.3, and hides whom it wants.
        let wanted = PeerAddress { entity: Some(name("osd.4")), ..at(address) };
        let (reason, message) = through_a_liar(&mut listener, &wanted, |step, block| {
            if step == 0 {
                block[168..240].fill(0);
            }
        })
        .await;
        assert_eq!(reason, RefusalReason::WrongPeer);
        assert!(message.contains("osd.4 was expected") && message.contains("osd.3 is there"), "{message}");
        // A changed greeting is found by the proofs even when the change itself looks harmless.
        let (reason, _) = through_a_liar(&mut listener, &at(address), |step, block| {
            if step == 1 {
                block[245] = 1;
            }
        })
        .await;
        assert_eq!(reason, RefusalReason::WrongKey);
        // An acceptor that does not know the key cannot prove it.
        let (reason, message) = through_a_liar(&mut listener, &at(address), |step, block| {
            if step == 3 {
                block[20] ^= 1;
            }
        })
        .await;
        assert_eq!(reason, RefusalReason::WrongKey);
        assert!(message.contains("osd.3 did not prove"), "{message}");
    });
}

//! Messages over sessions: whole, in order, bounded.

use bytes::Bytes;
use net::{
    RefusalReason,
    data::{AdmissionLimits, Listener, SendError, Session, connect},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use types::{
    ClientId, Epoch, ErrorKind, Extent, LogVersion, ObjectName, PgId, PoolId, RequestId, Seed, SeededRandom, SnapshotId,
};
use wire::{
    ClientOp, ClientReply, MapShare, Message, OpFlags, OpSuccess, OpTarget, Ping, SnapshotContext, SubOp, SubOpResult,
};

use crate::{anywhere, at, identity, pair, run};

pub fn op(sequence: u64, step: SubOp) -> Message {
    Message::ClientOp(Box::new(ClientOp {
        request: RequestId { client: ClientId(4), sequence },
        lowest_open: 1,
        epoch: Epoch(17),
        pg: PgId { pool: PoolId(3), seed: 5 },
        target: OpTarget::Object { name: ObjectName::new("an object"), hash: 77 },
        snapshot: SnapshotId::HEAD,
        snapshot_context: SnapshotContext::default(),
        flags: OpFlags::default(),
        modified_ms: 1_700_000_000_000,
        ops: vec![step],
    }))
}

fn reply(sequence: u64, results: Vec<SubOpResult>) -> Message {
    let version = LogVersion::new(Epoch(17), sequence);
    Message::ClientReply(Box::new(ClientReply {
        request: RequestId { client: ClientId(4), sequence },
        epoch: Epoch(17),
        outcome: Ok(OpSuccess { version, user_version: sequence, results }),
    }))
}

fn ping(number: u64) -> Message {
    Message::Ping(Ping { epoch: Epoch(17), sent_nanoseconds: number })
}

fn share(bytes: usize) -> Message {
    Message::MapShare(MapShare { full: Some((Epoch(1), Bytes::from(vec![9; bytes]))), ..MapShare::default() })
}

async fn next(session: &mut Session) -> Message {
    session.receiver.next().await.expect("a message").expect("a good one")
}

async fn listener() -> Listener {
    Listener::bind(anywhere(), identity("osd.3")).expect("bound")
}

#[test]
fn payloads_of_all_sizes_travel_unchanged() {
    run(async {
        let mut listener = listener().await;
        let (client, mut server) = pair(&mut listener, "client.admin").await;
        let seed = Seed(11);
        println!("seed {seed}");
        let mut random = SeededRandom::new(seed);
        // Around every bound at which the way of a payload changes, and the largest.
        let mut sizes = vec![0, 1, 1023, 1024, 4096, 32 << 20];
        for edge in [16 << 10, 128 << 10, 256 << 10, 1 << 20, 4 << 20] {
            sizes.extend([edge - 1, edge, edge + 1]);
        }
        sizes.extend((0..40).map(|_| random.below(300_000)));
        let count = sizes.len();
        let messages: Vec<Message> = (1u64..)
            .zip(sizes)
            .map(|(sequence, size)| {
                let mut data = vec![0; usize::try_from(size).expect("small")];
                data.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.draw().to_le_bytes()[..chunk.len()]));
                op(sequence, SubOp::WriteFull(Bytes::from(data)))
            })
            .collect();
        let send = async {
            for message in &messages {
                client.sender.send(message).await.expect("sent");
            }
        };
        let echo = async {
            for (sequence, expected) in (1u64..).zip(&messages) {
                let message = next(&mut server).await;
                assert!(message == *expected, "message {sequence} came changed");
                let Message::ClientOp(op) = message else { panic!("another kind") };
                let SubOp::WriteFull(data) = &op.ops[0] else { panic!("another step") };
                server.sender.send(&reply(sequence, vec![SubOpResult::Data(data.clone())])).await.expect("answered");
            }
        };
        let check = async {
            let mut receiver = client.receiver;
            for (sequence, expected) in (1u64..).zip(&messages) {
                let message = receiver.next().await.expect("an answer").expect("a good one");
                let Message::ClientOp(op) = expected else { panic!("another kind") };
                let SubOp::WriteFull(data) = &op.ops[0] else { panic!("another step") };
                assert!(message == reply(sequence, vec![SubOpResult::Data(data.clone())]), "answer {sequence}");
            }
            receiver
        };
        let ((), (), _receiver) = tokio::join!(send, echo, check);
        assert!(count > 50);
    });
}

#[test]
fn order_is_kept_under_load_and_nothing_is_lost() {
    run(async {
        let mut listener = listener().await;
        let (client, mut server) = pair(&mut listener, "client.admin").await;
        const COUNT: u32 = 20_000;
        let send = async {
            for number in 1..=COUNT {
                client.sender.send(&Message::MapRequest { have: Epoch(number) }).await.expect("sent");
            }
        };
        let receive = async {
            for number in 1..=COUNT {
                assert_eq!(next(&mut server).await, Message::MapRequest { have: Epoch(number) });
            }
        };
        tokio::join!(send, receive);
    });
}

#[test]
fn a_closed_session_says_why_and_takes_nothing_more() {
    run(async {
        let mut listener = listener().await;
        let (mut client, mut server) = pair(&mut listener, "client.admin").await;
        client.sender.try_send(&ping(1)).expect("room");
        client.sender.close("the client goes home");
        assert_eq!(client.sender.try_send(&ping(2)), Err(SendError::Closed));
        assert_eq!(next(&mut server).await, ping(1), "what was queued is delivered");
        let error = server.receiver.next().await.expect("the end").expect_err("with a reason");
        assert_eq!(error.kind, ErrorKind::Closed);
        assert!(error.message.contains("the client goes home"), "{error}");
        assert!(server.receiver.next().await.is_none());
        assert!(client.receiver.next().await.is_none());
        assert!(!server.sender.is_open());

        let (client, mut server) = pair(&mut listener, "client.admin").await;
        drop(client.receiver);
        assert!(server.receiver.next().await.expect("the end").is_err(), "a dropped receiver closes");
        assert!(!client.sender.is_open());
    });
}

#[test]
fn a_peer_that_connects_again_has_a_new_session() {
    run(async {
        let mut listener = listener().await;
        let address = listener.local_address();
        let (client, mut server) = pair(&mut listener, "client.admin").await;
        client.sender.try_send(&ping(1)).expect("room");
        assert_eq!(next(&mut server).await, ping(1));
        drop(server);
        drop(listener);
        // The listener is gone and comes again at the same port, although old connections linger there.
        let mut listener = Listener::bind(address, identity("osd.3")).expect("bound again");
        let (again, mut server) = pair(&mut listener, "client.admin").await;
        assert_ne!(again.id, client.id);
        assert!(!again.sender.is_same(&client.sender));
        again.sender.try_send(&ping(2)).expect("room");
        assert_eq!(next(&mut server).await, ping(2));
        let mut client = client;
        assert!(client.receiver.next().await.expect("the end").is_err());
    });
}

#[test]
fn a_peer_that_does_not_read_stops_its_senders_and_no_one_else() {
    run(async {
        let mut listener = listener().await;
        let (client, mut server) = pair(&mut listener, "client.admin").await;
        let chunk = 4 << 20;
        // Nobody reads at the server: each class fills up to its own bound.
        let fill = |message: &Message| {
            let mut taken = 0;
            loop {
                match client.sender.try_send(message) {
                    Ok(()) => taken += 1,
                    Err(SendError::Full) => return taken,
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let ops = fill(&op(1, SubOp::WriteFull(Bytes::from(vec![1; chunk]))));
        assert_eq!(ops, 15, "64 MiB hold fifteen operations of 4 MiB and their heads");
        let shares = fill(&share(chunk));
        assert_eq!(shares, 31, "replication does not wait for clients' operations");
        let replies = fill(&reply(1, vec![SubOpResult::Data(Bytes::from(vec![2; chunk]))]));
        assert_eq!(replies, 63, "nor do answers");
        let waiting = op(2, SubOp::WriteFull(Bytes::from(vec![3; chunk])));
        let mut sent = std::pin::pin!(client.sender.send(&waiting));
        assert!(futures::poll!(&mut sent).is_pending());
        // As soon as somebody reads, it goes on, and everything arrives.
        let read = async {
            let mut counts = [0; 3];
            while counts != [ops + 1, shares, replies] {
                match next(&mut server).await {
                    Message::ClientOp(op) => {
                        counts[0] += 1;
                        server.sender.release(op.request);
                    }
                    Message::MapShare(_) => counts[1] += 1,
                    Message::ClientReply(_) => counts[2] += 1,
                    other => panic!("{other:?}"),
                }
            }
        };
        let (outcome, ()) = tokio::join!(sent, read);
        outcome.expect("sent at last");
    });
}

#[test]
fn clients_wait_for_permits_and_get_them_back_with_the_answer() {
    run(async {
        let limits = AdmissionLimits { session_ops: 2, total_ops: 3, ..AdmissionLimits::default() };
        let mut listener = Listener::bind_with(anywhere(), identity("osd.3"), limits).expect("bound");
        let (first, mut first_server) = pair(&mut listener, "client.one").await;
        let (second, mut second_server) = pair(&mut listener, "client.two").await;
        for sequence in 1..=4 {
            first.sender.try_send(&op(sequence, SubOp::Stat)).expect("room");
            second.sender.try_send(&op(sequence, SubOp::Stat)).expect("room");
        }
        next(&mut first_server).await;
        next(&mut first_server).await;
        {
            let mut third = std::pin::pin!(first_server.receiver.next());
            tokio::select! {
                biased;
                message = &mut third => panic!("a third operation came in: {message:?}"),
                message = second_server.receiver.next() => drop(message.expect("one").expect("good")),
            }
            assert!(futures::poll!(&mut third).is_pending(), "the session's own bound");
        }
        {
            let second_op = std::pin::pin!(second_server.receiver.next());
            assert!(futures::poll!(second_op).is_pending(), "the bound of all sessions");
        }
        // The answer's way out gives the permit back; dropping the futures above lost nothing.
        first_server.sender.try_send(&reply(1, vec![SubOpResult::Done])).expect("room");
        let expected = op(3, SubOp::Stat);
        tokio::select! {
            biased;
            message = first_server.receiver.next() => assert_eq!(message.expect("one").expect("good"), expected),
            message = second_server.receiver.next() => assert_eq!(message.expect("one").expect("good"), op(2, SubOp::Stat)),
        }
        // A session that ends gives back all it had.
        drop(first_server);
        drop(first);
        let message = next(&mut second_server).await;
        assert!(message == op(2, SubOp::Stat) || message == op(3, SubOp::Stat), "{message:?}");
    });
}

#[test]
fn bytes_asked_for_count_too_and_lowest_open_frees_what_was_never_answered() {
    run(async {
        let limits = AdmissionLimits { session_bytes: 8 << 20, ..AdmissionLimits::default() };
        let mut listener = Listener::bind_with(anywhere(), identity("osd.3"), limits).expect("bound");
        let (client, mut server) = pair(&mut listener, "client.one").await;
        let read = |length| SubOp::Read(Extent { offset: 0, length });
        client.sender.try_send(&op(1, read(32 << 20))).expect("room");
        client.sender.try_send(&op(2, read(1))).expect("room");
        // One operation above the bound passes alone; the next one waits.
        next(&mut server).await;
        {
            let second = std::pin::pin!(server.receiver.next());
            assert!(futures::poll!(second).is_pending());
        }
        server.sender.release(RequestId { client: ClientId(4), sequence: 1 });
        assert_eq!(next(&mut server).await, op(2, read(1)));
        client.sender.try_send(&op(3, read(7 << 20))).expect("room");
        next(&mut server).await;
        // Neither 2 nor 3 is answered, but the client says that it waits for 4 and later only.
        let Message::ClientOp(mut fourth) = op(4, read(8 << 20)) else { panic!("another kind") };
        fourth.lowest_open = 4;
        let fourth = Message::ClientOp(fourth);
        client.sender.try_send(&fourth).expect("room");
        assert_eq!(next(&mut server).await, fourth);
    });
}

/// A session whose bytes from the client pass through the test.
async fn tapped(listener: &mut Listener) -> (Session, Session, TcpStream, TcpStream) {
    let proxy = TcpListener::bind(anywhere()).await.expect("bound");
    let proxy_address = proxy.local_addr().expect("an address");
    let address = listener.local_address();
    let relay = async {
        let (mut client, _) = proxy.accept().await.expect("accepted");
        let mut server = TcpStream::connect(address).await.expect("connected");
        let mut block = [0; 256];
        for _ in 0..2 {
            client.read_exact(&mut block).await.expect("from the client");
            server.write_all(&block).await.expect("to the server");
            server.read_exact(&mut block).await.expect("from the server");
            client.write_all(&block).await.expect("to the client");
        }
        (client, server)
    };
    let (own, wanted) = (identity("client.admin"), at(proxy_address));
    let (connected, accepted, (client_side, server_side)) =
        tokio::join!(connect(&own, &wanted), listener.accept(), relay);
    (connected.expect("connected"), accepted.expect("accepted"), client_side, server_side)
}

#[test]
fn damaged_repeated_and_cut_frames_end_the_session() {
    run(async {
        let mut listener = listener().await;
        for (what, expected) in [
            ("head", "header or body fails its checksum"),
            ("payload", "payload fails its checksum"),
            ("repeat", "frame 1 came where 2 belongs"),
            ("cut", "ended inside a frame"),
            ("length", "the limit is"),
        ] {
            let (client, mut server, mut from_client, mut to_server) = tapped(&mut listener).await;
            client.sender.try_send(&op(1, SubOp::WriteFull(Bytes::from(vec![5; 4096])))).expect("room");
            let mut frame = vec![0; 32];
            from_client.read_exact(&mut frame).await.expect("a header");
            let length = |at: usize| usize::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], 0, 0, 0, 0, 0]);
            let body_and_payload = length(12) + length(16);
            frame.resize(32 + body_and_payload, 0);
            from_client.read_exact(&mut frame[32..]).await.expect("the rest");
            let last = frame.len() - 1;
            match what {
                "head" => frame[40] ^= 1,
                "payload" => frame[last] ^= 1,
                "repeat" => frame.extend_from_within(..),
                "cut" => frame.truncate(last),
                _ => frame[15] = 0x7f,
            }
            to_server.write_all(&frame).await.expect("written");
            if what == "repeat" {
                server.receiver.next().await.expect("the first").expect("is good");
            }
            drop(to_server);
            let error = server.receiver.next().await.expect("an end").expect_err("with an error");
            assert!(error.message.contains(expected), "{what}: {error}");
            assert!(server.receiver.next().await.is_none());
        }
        assert_eq!(listener.counts().refused, Vec::<(RefusalReason, u64)>::new());
    });
}

#[test]
fn an_idle_session_stays_and_a_silent_one_ends() {
    run(async {
        let mut listener = listener().await;
        let (mut idle, mut idle_server) = pair(&mut listener, "client.idle").await;
        let (client, mut server, from_client, _to_server) = tapped(&mut listener).await;
        // The proxy goes on listening and says nothing more to the server, as a host without power does.
        let end = tokio::select! {
            end = server.receiver.next() => end,
            message = idle.receiver.next() => panic!("the idle session: {message:?}"),
            message = idle_server.receiver.next() => panic!("the idle session: {message:?}"),
        };
        let error = end.expect("an end").expect_err("with an error");
        assert!(error.message.contains("said nothing for 5 seconds"), "{error}");
        idle.sender.try_send(&ping(1)).expect("the idle one is open");
        assert_eq!(next(&mut idle_server).await, ping(1));
        drop((client, from_client));
    });
}

#[test]
fn pings_go_before_everything_else() {
    run(async {
        let mut listener = listener().await;
        let (client, mut server) = pair(&mut listener, "osd.4").await;
        // The writer gets its turn only when this task waits, so all of this is queued when it begins.
        for _ in 0..3 {
            client.sender.try_send(&share(4 << 20)).expect("room");
        }
        client.sender.try_send(&ping(1)).expect("room");
        client.sender.try_send(&ping(2)).expect("room");
        assert_eq!(next(&mut server).await, ping(1));
        assert_eq!(next(&mut server).await, ping(2));
        assert_eq!(next(&mut server).await, share(4 << 20));
    });
}

#[test]
fn a_closing_session_does_not_wait_for_ever_for_a_peer_that_does_not_read() {
    run(async {
        let mut listener = listener().await;
        let (mut client, server) = pair(&mut listener, "osd.4").await;
        while client.sender.try_send(&share(4 << 20)).is_ok() {}
        client.sender.close("enough");
        // The peer is alive, only its owner does not read: the closing side gives up by itself.
        assert!(client.receiver.next().await.is_none());
        assert!(!client.sender.is_open());
        drop(server);
    });
}

#[test]
fn a_message_that_fits_no_frame_is_refused_where_it_is_sent() {
    run(async {
        let mut listener = listener().await;
        let (client, mut server) = pair(&mut listener, "osd.4").await;
        let most = types::limits::FRAME_PAYLOAD_BYTES_MAX;
        assert!(matches!(client.sender.try_send(&share(most + 1)), Err(SendError::TooLarge(_))), "just outside");
        client.sender.try_send(&share(most)).expect("just inside");
        assert_eq!(next(&mut server).await, share(most));
    });
}

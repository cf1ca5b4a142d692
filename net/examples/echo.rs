//! How much one session carries: operations of a size, so many in flight, echoed over loopback between two threads.
//!
//! `cargo run -p ika-net --release --example echo -- [BYTES [IN_FLIGHT [OPERATIONS]]]`; prints operations per second
//! and CPU time per operation, of both sides together.

use std::{net::SocketAddr, thread};

use bytes::Bytes;
use net::{
    ClusterKey, Identity, PeerAddress,
    data::{Listener, Session, connect},
};
use tokio::{runtime::Runtime, sync::oneshot, time::Instant};
use types::{BootNonce, ClientId, ClusterId, Epoch, LogVersion, ObjectName, PgId, PoolId, RequestId, SnapshotId, Uuid};
use wire::{ClientOp, ClientReply, Message, OpFlags, OpSuccess, OpTarget, SnapshotContext, SubOp, SubOpResult};

fn identity(name: &str) -> Identity {
    Identity {
        cluster: ClusterId(Uuid([1; 16])),
        entity: name.parse().expect("a name"),
        nonce: BootNonce(7),
        key: ClusterKey::new([2; 32]),
    }
}

fn write(sequence: u64, data: Bytes) -> Message {
    Message::ClientOp(Box::new(ClientOp {
        request: RequestId { client: ClientId(4), sequence },
        lowest_open: 1,
        epoch: Epoch(17),
        pg: PgId { pool: PoolId(3), seed: 5 },
        target: OpTarget::Object { name: ObjectName::new("benchmark_object"), hash: 77 },
        snapshot: SnapshotId::HEAD,
        snapshot_context: SnapshotContext::default(),
        flags: OpFlags::default(),
        modified_ms: 1_700_000_000_000,
        ops: vec![SubOp::Write { offset: 0, data }],
    }))
}

async fn serve(mut session: Session) {
    while let Some(Ok(message)) = session.receiver.next().await {
        let Message::ClientOp(op) = message else { continue };
        let version = LogVersion::new(Epoch(17), op.request.sequence);
        let success = OpSuccess { version, user_version: op.request.sequence, results: vec![SubOpResult::Done] };
        let reply = ClientReply { request: op.request, epoch: Epoch(17), outcome: Ok(success) };
        if session.sender.send(&Message::ClientReply(Box::new(reply))).await.is_err() {
            return;
        }
    }
}

/// User and system time of this process in seconds; the kernel counts it in hundredths.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = text.rsplit(')').next().expect("a name in parentheses").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

async fn load(address: SocketAddr, bytes: usize, in_flight: u64, count: u64) {
    let peer = PeerAddress { entity: None, address, nonce: None };
    let mut session = connect(&identity("client.load"), &peer).await.expect("connected");
    let data = Bytes::from(vec![5; bytes]);
    let (begun, cpu_begun) = (Instant::now(), cpu_seconds());
    let mut sent = 0;
    for answered in 0..count {
        while sent < count && sent < answered + in_flight {
            sent += 1;
            session.sender.send(&write(sent, data.clone())).await.expect("sent");
        }
        let message = session.receiver.next().await.expect("an answer").expect("a good one");
        assert!(matches!(message, Message::ClientReply(_)));
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu_begun);
    #[expect(clippy::cast_precision_loss, reason = "a figure for humans")]
    let (operations, size) = (count as f64, bytes as f64);
    println!(
        "{bytes} bytes, {in_flight} in flight: {:.0} operations/s, {:.3} GB/s, {:.2} µs CPU per operation",
        operations / seconds,
        operations * size / seconds / 1e9,
        cpu / operations * 1e6,
    );
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let bytes = usize::try_from(arguments.next().unwrap_or(4096)).expect("64 bits");
    let in_flight = arguments.next().unwrap_or(32);
    let count = arguments.next().unwrap_or(200_000);
    let (tell, told) = oneshot::channel();
    let server = thread::spawn(move || {
        runtime().block_on(async {
            let address = "127.0.0.1:0".parse().expect("an address");
            let mut listener = Listener::bind(address, identity("osd.0")).expect("bound");
            tell.send(listener.local_address()).expect("the client waits");
            serve(listener.accept().await.expect("accepted")).await;
        });
    });
    runtime().block_on(async { load(told.await.expect("bound"), bytes, in_flight, count).await });
    server.join().expect("the server ends with its session");
}

//! Sessions and control calls over real sockets of one machine, on ports that the kernel chooses.

mod control;
mod handshake;
mod sessions;

use std::{net::SocketAddr, time::Duration};

use net::{
    ClusterKey, Identity, PeerAddress,
    data::{Listener, Session, connect},
};
use types::{BootNonce, ClusterId, EntityName, Uuid};

/// Longer than anything here takes on a loaded machine, shorter than the patience of whoever waits for a hung test.
const PATIENCE: Duration = Duration::from_secs(60);

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn name(text: &str) -> EntityName {
    text.parse().expect("a name")
}

fn identity(text: &str) -> Identity {
    Identity {
        cluster: ClusterId(Uuid([1; 16])),
        entity: name(text),
        nonce: BootNonce(1000 + text.len() as u64),
        key: ClusterKey::new([2; 32]),
    }
}

fn at(address: SocketAddr) -> PeerAddress {
    PeerAddress { entity: None, address, nonce: None }
}

/// Runs a test in one thread, as daemons do, and fails it when it hangs.
fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test hangs") });
}

/// Both ends of a session.
async fn pair(listener: &mut Listener, client: &str) -> (Session, Session) {
    let (client, wanted) = (identity(client), at(listener.local_address()));
    let (connected, accepted) = tokio::join!(connect(&client, &wanted), listener.accept());
    (connected.expect("connected"), accepted.expect("accepted"))
}

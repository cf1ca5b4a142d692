//! Connections in, answers out.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use telemetry::clock::{boot_clock_now, instant_of};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// Open connections; more wait to be accepted. A browser opens up to six for a page.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long nothing is accepted when the system refuses, for want of open files say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the future is dropped; connections end with it.
pub(crate) async fn serve(listener: TcpListener, router: Router) -> std::convert::Infallible {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep_until(instant_of(boot_clock_now() + ACCEPT_PAUSE).into()).await;
                continue;
            }
        };
        // An event goes out when it is ready.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set TCP_NODELAY");
        }
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
}

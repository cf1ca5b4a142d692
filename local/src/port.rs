//! Free ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

/// So many different ports that nobody listens on now. Held together until all are known, so that they differ.
pub(crate) fn choose_free(count: usize) -> Result<Vec<SocketAddr>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port on 127.0.0.1"))
        .collect::<Result<_>>()?;
    listeners.iter().map(|listener| listener.local_addr().context("ask for the port's number")).collect()
}

/// Refuses when somebody listens there already.
pub(crate) fn check_free(address: SocketAddr, whose: &str) -> Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "{whose} belongs on {address}, and that cannot be listened on: {error}; \
             stop what uses the port, or start another cluster with its own --data folder"
        ),
    }
}

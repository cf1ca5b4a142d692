//! Free ports on loopback.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Context, Result, bail};

/// Where ports that are kept from start to start come from: below 32768, where Linux begins to take ports for outgoing
/// connections. One of those would hold a daemon's port just when the daemon comes back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Ports that are tried before the machine is said to have none.
const TRIES_MAX: usize = 1_000;

/// So many different ports that nobody listens on now. Held together until all are known, so that they differ.
pub(crate) fn choose_free(count: usize) -> Result<Vec<SocketAddr>> {
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..TRIES_MAX {
        if listeners.len() == count {
            break;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, random_port()?)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).context("look for a free port on 127.0.0.1"),
        }
    }
    if listeners.len() < count {
        bail!("127.0.0.1 has no {count} free ports among {} to {}", PORTS.start, PORTS.end - 1);
    }
    listeners.iter().map(|listener| listener.local_addr().context("ask for the port's number")).collect()
}

fn random_port() -> Result<u16> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).context("ask the kernel for random bytes")?;
    Ok(PORTS.start + u16::from_le_bytes(bytes) % (PORTS.end - PORTS.start))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_ports_differ_and_are_not_those_of_outgoing_connections() {
        let mut ports: Vec<u16> = choose_free(100).expect("ports").iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
    }
}

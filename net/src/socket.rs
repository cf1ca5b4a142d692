//! Sockets that listen.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};
use types::{Error, Result};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens at the address; port zero lets the kernel choose. Says where. Must be called within the runtime.
pub(crate) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restarted daemon takes its port again although old connections linger.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        let local_address = socket.local_addr()?;
        Ok((socket, local_address))
    };
    bound().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::exists(format!("the address {address} is in use by another process")),
        _ => Error::invalid(format!("listen at {address}: {error}")),
    })
}

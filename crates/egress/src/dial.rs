//! From addresses to a connection.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rustls::pki_types::ServerName;
use tidings_domain::Clock;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::{
    connection::Connection,
    error::EgressError,
    target::{Target, invalid},
};

/// How long an address is waited for before the next is tried beside it: RFC 8305 §5 recommends 250 ms.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Connects to one of `addresses`, the first that answers; over TLS if there is a `tls`.
pub(crate) async fn dial(
    target: &Target,
    addresses: Vec<SocketAddr>,
    tls: Option<&TlsConnector>,
    clock: &dyn Clock,
) -> Result<Connection, EgressError> {
    let stream = first_to_answer(addresses, clock)
        .await
        .map_err(|error| EgressError::Connect {
            detail: error.to_string(),
        })?;
    // A request is written at once; waiting for more to send would only delay it. Without it, it is merely slower.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return Connection::open(stream).await;
    };
    let name = server_name(&target.host)?;
    let stream = tls
        .connect(name, stream)
        .await
        .map_err(|error| EgressError::of_handshake(&error))?;
    Connection::open(stream).await
}

async fn first_to_answer(addresses: Vec<SocketAddr>, clock: &dyn Clock) -> io::Result<TcpStream> {
    let mut rest = addresses.into_iter();
    let mut dialling = FuturesUnordered::new();
    let mut refusal = None;
    loop {
        if let Some(address) = rest.next() {
            dialling.push(TcpStream::connect(address));
        } else if dialling.is_empty() {
            return Err(refusal.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        let others = rest.len() > 0;
        tokio::select! {
            Some(dialled) = dialling.next() => match dialled {
                Ok(stream) => return Ok(stream),
                Err(error) => refusal = Some(error),
            },
            () = pause(clock, others) => {}
        }
    }
}

/// Until the next address is tried; for ever if there is none.
async fn pause(clock: &dyn Clock, others: bool) {
    if others {
        clock.sleep(NEXT_ADDRESS).await;
    } else {
        std::future::pending::<()>().await;
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, EgressError> {
    Ok(match host {
        Host::Ipv4(ip) => ServerName::from(std::net::IpAddr::V4(*ip)),
        Host::Ipv6(ip) => ServerName::from(std::net::IpAddr::V6(*ip)),
        Host::Domain(name) => ServerName::try_from(name.clone())
            .map_err(|_| invalid("its URL has a host that no certificate can name"))?,
    })
}

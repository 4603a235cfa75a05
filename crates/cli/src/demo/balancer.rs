//! One address in front of several nodes, as a load balancer is in production: each connection goes to the next of them.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Forwards what comes to `listener` until it is stopped.
pub(super) async fn run(listener: TcpListener, nodes: Vec<SocketAddr>, stop: CancellationToken) {
    let next = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Whoever wanted to connect has gone again.
                Err(_) => continue,
            },
            () = stop.cancelled() => return,
        };
        let place = next.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1);
        if let Some(&node) = nodes.get(place) {
            connections.spawn(forward(stream, node));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut stream: TcpStream, node: SocketAddr) {
    if let Ok(mut node) = TcpStream::connect(node).await {
        // It ends when either side does, however it does.
        let _ = copy_bidirectional(&mut stream, &mut node).await;
    }
}

//! One address in front of several gateways, as a load balancer is in production: every connection goes to the next of
//! them that takes it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use url::Url;

use crate::gateway::free_port;

#[derive(Debug, Default)]
struct Targets {
    addresses: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Targets {
    /// All of them, the one whose turn it is first.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let addresses = self.addresses.lock();
        let mut addresses = addresses.unwrap_or_else(PoisonError::into_inner).clone();
        if !addresses.is_empty() {
            let first = self.next.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(first);
        }
        addresses
    }
}

/// The address.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    targets: Arc<Targets>,
    _serving: JoinSet<()>,
}

impl Balancer {
    /// One with nothing behind it yet.
    pub async fn start() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let listener = TcpListener::bind(address).await;
        let listener = listener.expect("the balancer's port is free");
        let targets = Arc::new(Targets::default());
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&targets)));
        Self {
            address,
            targets,
            _serving: serving,
        }
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        let url = format!("http://{}/", self.address);
        url.parse().expect("an address is a URL")
    }

    /// From now on new connections go to these.
    pub fn forward_to(&self, addresses: Vec<SocketAddr>) {
        let own = self.targets.addresses.lock();
        *own.unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

async fn accept(listener: TcpListener, targets: Arc<Targets>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(forward(stream, Arc::clone(&targets)));
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut stream: TcpStream, targets: Arc<Targets>) {
    let _ = stream.set_nodelay(true);
    for address in targets.in_turn() {
        if let Ok(mut target) = TcpStream::connect(address).await {
            let _ = target.set_nodelay(true);
            // It ends when either side does, however it does.
            let _ = copy_bidirectional(&mut stream, &mut target).await;
            return;
        }
    }
}

//! Names to allowed addresses, just before they are dialled.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
};

use url::Host;

use crate::{
    error::EgressError,
    policy::{AddressPolicy, ForbiddenAddress},
    target::Target,
};

/// How many refused addresses a message names.
const NAMED: usize = 3;

/// What resolving a name brings.
pub(crate) type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Finds the addresses of a name.
pub(crate) trait Resolve: Send + Sync {
    /// All addresses of `name`, the best first.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The operating system's resolver.
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The addresses of a target that may be dialled: never none.
///
/// What this gives is dialled and nothing else, so a name whose answer changes between two look-ups (DNS rebinding)
/// gains nothing.
pub(crate) async fn allowed_addresses(
    resolver: &dyn Resolve,
    policy: &AddressPolicy,
    target: &Target,
) -> Result<Vec<SocketAddr>, EgressError> {
    let Host::Domain(name) = &target.host else {
        let ip = target
            .literal()
            .expect("invariant: what is no name is an address");
        policy.judge(ip, target.scheme)?;
        return Ok(vec![SocketAddr::new(ip, target.port)]);
    };
    let found = resolver
        .resolve(name)
        .await
        .map_err(|error| EgressError::Dns {
            detail: error.to_string(),
        })?;
    let mut refused = Vec::new();
    let mut allowed = Vec::new();
    for ip in found {
        match policy.judge(ip, target.scheme) {
            Ok(()) => allowed.push(SocketAddr::new(ip, target.port)),
            Err(forbidden) => refused.push(forbidden),
        }
    }
    if !allowed.is_empty() {
        return Ok(allowed);
    }
    if refused.is_empty() {
        return Err(EgressError::Dns {
            detail: "the name has no address".to_owned(),
        });
    }
    Err(EgressError::ForbiddenAddress {
        detail: format!(
            "the name leads to no address that may be reached: {}",
            listed(&refused)
        ),
    })
}

fn listed(refused: &[ForbiddenAddress]) -> String {
    let mut names: Vec<String> = refused
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if refused.len() > NAMED {
        names.push(format!("and {} more", refused.len() - NAMED));
    }
    names.join("; ")
}

//! Names to allowed addresses, just before they are dialled.

use std::{io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::{AddressPolicy, ForbiddenAddress, Scheme};

/// Resolves names with another resolver and lets only allowed addresses through.
///
/// HTTP clients dial what this gives and nothing else, so a name whose answer changes between two look-ups (DNS
/// rebinding) gains nothing. Addresses written into the URL never come here.
pub(crate) struct GuardedResolver {
    pub(crate) inner: Arc<dyn Resolve>,
    pub(crate) policy: Arc<AddressPolicy>,
    pub(crate) scheme: Scheme,
}

/// A name that leads to no allowed address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name leads to no address that may be reached: {}", listed(.0))]
pub(crate) struct NoneAllowed(Vec<ForbiddenAddress>);

/// How many refused addresses a message names.
const NAMED: usize = 3;

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

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolving = self.inner.resolve(name);
        let (policy, scheme) = (Arc::clone(&self.policy), self.scheme);
        Box::pin(async move {
            let mut refused = Vec::new();
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in resolving.await? {
                match policy.judge(address.ip(), scheme) {
                    Ok(()) => allowed.push(address),
                    Err(forbidden) => refused.push(forbidden),
                }
            }
            if !allowed.is_empty() {
                return Ok(Box::new(allowed.into_iter()) as Addrs);
            }
            if refused.is_empty() {
                return Err(
                    io::Error::new(io::ErrorKind::NotFound, "the name has no address").into(),
                );
            }
            Err(NoneAllowed(refused).into())
        })
    }
}

/// The operating system's resolver.
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 stands for "that of the URL".
            let found = tokio::net::lookup_host((name.as_str().to_owned(), 0)).await?;
            Ok(Box::new(found) as Addrs)
        })
    }
}

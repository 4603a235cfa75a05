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

/// How many addresses of one answer are dialled at most. They are dialled beside each other until one answers, so without
/// a bound whoever writes a name's records could have us open hundreds of connections for one request. Names of real
/// services have fewer, and after eight steps of 250 ms the ninth would hardly be the first to answer.
const DIALLED: usize = 8;
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

/// The addresses of a target that may be dialled: never none, and at most [`DIALLED`].
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
        return Ok(bounded(allowed));
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

/// At most [`DIALLED`] of `addresses`, in their order. Where there are many of both families, half of them are of each: one
/// of the two may lead nowhere from here.
fn bounded(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let v6 = addresses.iter().filter(|one| one.is_ipv6()).count();
    let v4 = addresses.len() - v6;
    let mut room_v4 = v4.min(DIALLED - v6.min(DIALLED / 2));
    let mut room_v6 = v6.min(DIALLED - room_v4);
    addresses.retain(|address| {
        let room = if address.is_ipv6() {
            &mut room_v6
        } else {
            &mut room_v4
        };
        let fits = *room > 0;
        *room = room.saturating_sub(1);
        fits
    });
    addresses
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

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    /// So many addresses of each family, all of IPv6 first.
    struct Many {
        v6: u16,
        v4: u8,
    }

    impl Resolve for Many {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
            let v6 = (1..=self.v6).map(|one| IpAddr::from([0x2606, 0x4700, 0, 0, 0, 0, 0, one]));
            let v4 = (1..=self.v4).map(|one| IpAddr::from([8, 8, 8, one]));
            Box::pin(std::future::ready(Ok(v6.chain(v4).collect())))
        }
    }

    #[tokio::test]
    async fn of_a_long_answer_few_addresses_are_dialled_and_some_of_each_family() {
        let policy = AddressPolicy::new(Vec::new());
        let target = Target::of(&Url::parse("https://many.example/").unwrap()).unwrap();
        for (v6, v4, dialled) in [
            (0, 200, (0, 8)),
            (200, 0, (8, 0)),
            (200, 200, (4, 4)),
            (200, 3, (5, 3)),
            (2, 200, (2, 6)),
            (3, 5, (3, 5)),
        ] {
            let found = allowed_addresses(&Many { v6, v4 }, &policy, &target)
                .await
                .unwrap();
            let of_v6 = found.iter().filter(|one| one.is_ipv6()).count();
            assert_eq!((of_v6, found.len() - of_v6), dialled, "{v6} and {v4}");
            let best = if v6 > 0 { "2606:4700::1" } else { "8.8.8.1" };
            assert_eq!(found[0].ip(), best.parse::<IpAddr>().unwrap());
        }
    }
}

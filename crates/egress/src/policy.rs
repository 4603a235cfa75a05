//! Which addresses may be reached.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::{IpNet, Ipv4Net};

use crate::special::{self, Range};

/// Which addresses may be reached: public ones over `https`, and what the configuration opens.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    opened: Vec<IpNet>,
}

/// How a request travels.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// In plain text.
    Http,
    /// Over TLS.
    Https,
}

/// An address that may not be reached, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} {why}")]
pub struct ForbiddenAddress {
    /// The address as it was given.
    pub address: IpAddr,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Carries(Ipv4Addr, &'static Range),
    NotPublic(&'static Range),
    PlainText,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Carries(inner, range) => write!(f, "leads to {inner}, which is {range}"),
            Self::NotPublic(range) => write!(f, "is {range}"),
            Self::PlainText => f.write_str(
                "is not one that plain http may be sent to: use https, or open it in the configuration",
            ),
        }
    }
}

impl AddressPolicy {
    /// Public addresses, and those in `allow`, over plain `http` too.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self {
            opened: allow.into_iter().map(canonical).collect(),
        }
    }

    /// Whether a request may be sent to `ip`.
    ///
    /// An IPv6 address that carries an IPv4 one (NAT64, 6to4, Teredo and the like) is judged by both; an IPv4-mapped one
    /// is the IPv4 address that would be dialled.
    pub fn judge(&self, ip: IpAddr, scheme: Scheme) -> Result<(), ForbiddenAddress> {
        let dialled = ip.to_canonical();
        if self.opens(dialled) {
            return Ok(());
        }
        let why = self
            .not_public(dialled)
            .or((scheme == Scheme::Http).then_some(Why::PlainText));
        match why {
            Some(why) => Err(ForbiddenAddress { address: ip, why }),
            None => Ok(()),
        }
    }

    fn opens(&self, ip: IpAddr) -> bool {
        self.opened.iter().any(|net| net.contains(&ip))
    }

    fn not_public(&self, ip: IpAddr) -> Option<Why> {
        if let IpAddr::V6(ip) = ip {
            for inner in special::carried(ip) {
                if let Some(range) = special::range_of_v4(inner)
                    && !self.opens(inner.into())
                {
                    return Some(Why::Carries(inner, range));
                }
            }
        }
        special::range_of(ip).map(Why::NotPublic)
    }
}

/// Writes a network of IPv4-mapped addresses as the IPv4 network that it is.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let (Some(ip), Some(prefix)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
    else {
        return net;
    };
    Ipv4Net::new(ip, prefix).map_or(net, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(policy: &AddressPolicy, ip: &str, scheme: Scheme) -> Result<(), String> {
        policy
            .judge(ip.parse().unwrap(), scheme)
            .map_err(|forbidden| forbidden.to_string())
    }

    #[test]
    fn public_addresses_are_reached_over_https_only() {
        let policy = AddressPolicy::default();
        for ip in [
            "1.1.1.1",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "2002:0808:0808::1",
            "2001:200::1",
            "2001:1::1",
            "2001:3::1",
            "2001:4:112::1",
            "2001:20::1",
            "2001:3f::1",
        ] {
            assert_eq!(judge(&policy, ip, Scheme::Https), Ok(()), "{ip}");
            assert!(
                judge(&policy, ip, Scheme::Http)
                    .unwrap_err()
                    .contains("plain http"),
                "{ip}"
            );
        }
    }

    #[test]
    fn the_reason_names_the_range_also_behind_a_translator() {
        let policy = AddressPolicy::default();
        for (ip, reason) in [
            (
                "169.254.169.254",
                "169.254.169.254 is a link-local address (169.254.0.0/16)",
            ),
            (
                "::ffff:10.0.0.1",
                "::ffff:10.0.0.1 is a private address (10.0.0.0/8)",
            ),
            (
                "64:ff9b::a9fe:a9fe",
                "64:ff9b::a9fe:a9fe leads to 169.254.169.254, which is a link-local address (169.254.0.0/16)",
            ),
            (
                "2001:2::1",
                "2001:2::1 is a protocol assignment (2001::/23)",
            ),
            ("4000::1", "4000::1 is outside the public range (2000::/3)"),
        ] {
            assert_eq!(judge(&policy, ip, Scheme::Https), Err(reason.to_owned()));
        }
    }

    #[test]
    fn what_the_configuration_opens_is_reached_in_every_form_and_by_plain_http() {
        let policy = AddressPolicy::new(vec![
            "127.0.0.0/8".parse().unwrap(),
            "::ffff:10.1.0.0/112".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ]);
        for ip in ["127.0.0.1", "::ffff:127.9.9.9", "10.1.2.3", "fd12::1"] {
            assert_eq!(judge(&policy, ip, Scheme::Http), Ok(()), "{ip}");
        }
        assert_eq!(judge(&policy, "64:ff9b::127.0.0.1", Scheme::Https), Ok(()));
        for ip in ["10.2.0.1", "::1", "fc00::1", "64:ff9b::10.2.0.1"] {
            assert!(judge(&policy, ip, Scheme::Https).is_err(), "{ip}");
        }
    }

    const FORBIDDEN: [&str; 8] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
    ];

    proptest! {
        #[test]
        fn no_wrapping_makes_a_forbidden_ipv4_address_reachable(
            net in prop::sample::select(FORBIDDEN.to_vec()),
            host: u32,
            other: u32,
        ) {
            let policy = AddressPolicy::default();
            let net: Ipv4Net = net.parse().unwrap();
            let bits = net.network().to_bits() | host & net.hostmask().to_bits();
            prop_assert!(policy.judge(Ipv4Addr::from_bits(bits).into(), Scheme::Https).is_err());
            let low = u128::from(bits);
            let wrapped = [
                0xffff_u128 << 32 | low,
                low,
                0x0064_ff9b_u128 << 96 | low,
                0x2002_u128 << 112 | low << 80 | u128::from(other),
                0x2001_u128 << 112 | low << 64 | u128::from(other),
                0x2001_u128 << 112 | u128::from(other) << 64 | u128::from(!bits),
                0x0064_ff9b_0001_u128 << 80 | (low >> 16) << 64 | (low & 0xffff) << 40,
            ];
            for wrapped in wrapped {
                let ip = IpAddr::V6(wrapped.into());
                prop_assert!(policy.judge(ip, Scheme::Https).is_err(), "{}", ip);
            }
        }

        #[test]
        fn whatever_is_reached_by_plain_http_was_opened(bits: u128, v4: u32) {
            let policy = AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()]);
            for ip in [IpAddr::V6(bits.into()), IpAddr::V4(v4.into())] {
                let opened = matches!(ip.to_canonical(), IpAddr::V4(ip) if ip.octets()[0] == 10);
                prop_assert_eq!(policy.judge(ip, Scheme::Http).is_ok(), opened);
            }
        }
    }
}

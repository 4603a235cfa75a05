//! The address ranges that are not public, and the IPv4 addresses that IPv6 ones carry.
//!
//! Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, IANA IPv6 Address Space (global unicast is
//! `2000::/3`), and the RFCs named below.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{Ipv4Net, Ipv6Net};

/// A range of addresses that are not public.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// What such an address is: "a loopback address".
    what: &'static str,
    /// In CIDR notation.
    net: &'static str,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.net)
    }
}

/// The range that makes `ip` not public by itself, whatever it carries.
pub(crate) fn range_of(ip: IpAddr) -> Option<&'static Range> {
    match ip {
        IpAddr::V4(ip) => range_of_v4(ip),
        IpAddr::V6(ip) => range_of_v6(ip),
    }
}

/// The range that makes `ip` not public.
pub(crate) fn range_of_v4(ip: Ipv4Addr) -> Option<&'static Range> {
    V4.iter()
        .find(|(net, _)| net.contains(&ip))
        .map(|(_, range)| range)
}

fn range_of_v6(ip: Ipv6Addr) -> Option<&'static Range> {
    if let Some((_, range)) = V6.iter().find(|(net, _)| net.contains(&ip)) {
        return Some(range);
    }
    if PROTOCOL_ASSIGNMENTS.0.contains(&ip) {
        let reachable = REACHABLE_ASSIGNMENTS.iter().any(|net| net.contains(&ip));
        return (!reachable).then_some(&PROTOCOL_ASSIGNMENTS.1);
    }
    if GLOBAL_UNICAST.contains(&ip) || NAT64.contains(&ip) {
        return None;
    }
    Some(&OUTSIDE_GLOBAL_UNICAST)
}

/// The IPv4 addresses inside `ip`: a translator or relay passes what is sent to `ip` on to them.
pub(crate) fn carried(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = ip.to_bits();
    let v4_ending_at = move |shift: u32| Ipv4Addr::from_bits(low_32(bits >> shift));
    let found = if NAT64.contains(&ip) {
        [Some(v4_ending_at(0)), None]
    } else if NAT64_LOCAL.contains(&ip) {
        // RFC 6052 §2.2, prefix of 48 bits: 16 bits before and 16 behind the reserved byte.
        let high = low_32(bits >> 64) & 0xffff;
        let low = low_32(bits >> 40) & 0xffff;
        [Some(Ipv4Addr::from_bits(high << 16 | low)), None]
    } else if SIX_TO_FOUR.contains(&ip) {
        [Some(v4_ending_at(80)), None]
    } else if TEREDO.contains(&ip) {
        // RFC 4380 §4: the server, and the client with every bit turned.
        let client = Ipv4Addr::from_bits(!low_32(bits));
        [Some(v4_ending_at(64)), Some(client)]
    } else if COMPATIBLE.contains(&ip) && bits > 1 {
        [Some(v4_ending_at(0)), None]
    } else {
        [None, None]
    };
    found.into_iter().flatten()
}

fn low_32(bits: u128) -> u32 {
    u32::try_from(bits & 0xffff_ffff).expect("invariant: 32 bits fit")
}

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const fn range(what: &'static str, net: &'static str) -> Range {
    Range { what, net }
}

/// Not public in IPv4. `192.0.0.0/24` holds two anycast services that are reachable (PCP and TURN, RFC 7723 and 8155);
/// neither takes webhooks.
const V4: [(Ipv4Net, Range); 16] = [
    (v4(127, 0, 0, 8), range("a loopback address", "127.0.0.0/8")),
    (v4(10, 0, 0, 8), range("a private address", "10.0.0.0/8")),
    (
        v4(172, 16, 0, 12),
        range("a private address", "172.16.0.0/12"),
    ),
    (
        v4(192, 168, 0, 16),
        range("a private address", "192.168.0.0/16"),
    ),
    (
        v4(169, 254, 0, 16),
        range("a link-local address", "169.254.0.0/16"),
    ),
    (
        v4(100, 64, 0, 10),
        range("a carrier's shared address", "100.64.0.0/10"),
    ),
    (
        v4(0, 0, 0, 8),
        range("an address of this network", "0.0.0.0/8"),
    ),
    (
        v4(192, 0, 0, 24),
        range("a protocol assignment", "192.0.0.0/24"),
    ),
    (
        v4(192, 0, 2, 24),
        range("a documentation address", "192.0.2.0/24"),
    ),
    (
        v4(192, 88, 99, 24),
        range("a 6to4 relay address", "192.88.99.0/24"),
    ),
    (
        v4(198, 18, 0, 15),
        range("a benchmarking address", "198.18.0.0/15"),
    ),
    (
        v4(198, 51, 100, 24),
        range("a documentation address", "198.51.100.0/24"),
    ),
    (
        v4(203, 0, 113, 24),
        range("a documentation address", "203.0.113.0/24"),
    ),
    (
        v4(224, 0, 0, 4),
        range("a multicast address", "224.0.0.0/4"),
    ),
    (
        Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32),
        range("the broadcast address", "255.255.255.255/32"),
    ),
    (v4(240, 0, 0, 4), range("a reserved address", "240.0.0.0/4")),
];

/// Not public in IPv6.
const V6: [(Ipv6Net, Range); 12] = [
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        range("the loopback address", "::1/128"),
    ),
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        range("the unspecified address", "::/128"),
    ),
    (
        v6(0xfc00, 0, 0, 7),
        range("a unique local address", "fc00::/7"),
    ),
    (
        v6(0xfe80, 0, 0, 10),
        range("a link-local address", "fe80::/10"),
    ),
    (
        v6(0xfec0, 0, 0, 10),
        range("a site-local address", "fec0::/10"),
    ),
    (
        v6(0xff00, 0, 0, 8),
        range("a multicast address", "ff00::/8"),
    ),
    (
        NAT64_LOCAL,
        range("a local translation address", "64:ff9b:1::/48"),
    ),
    (
        v6(0x100, 0, 0, 64),
        range("a discard-only address", "100::/64"),
    ),
    // RFC 4380: what a Teredo address reaches is a relay's choice; IANA does not call it globally reachable.
    (TEREDO, range("a Teredo address", "2001::/32")),
    (
        v6(0x2001, 0xdb8, 0, 32),
        range("a documentation address", "2001:db8::/32"),
    ),
    (
        v6(0x3fff, 0, 0, 20),
        range("a documentation address", "3fff::/20"),
    ),
    (
        v6(0x5f00, 0, 0, 16),
        range("a segment routing address", "5f00::/16"),
    ),
];

/// RFC 2928: what IETF protocols were given; only some of it is globally reachable.
const PROTOCOL_ASSIGNMENTS: (Ipv6Net, Range) = (
    v6(0x2001, 0, 0, 23),
    range("a protocol assignment", "2001::/23"),
);

/// The parts of `2001::/23` that the registry calls globally reachable: the anycast addresses of PCP, TURN and DNS-SD,
/// AMT, AS112, `ORCHIDv2` and DRIP.
const REACHABLE_ASSIGNMENTS: [Ipv6Net; 7] = [
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1), 128),
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2), 128),
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3), 128),
    v6(0x2001, 3, 0, 32),
    v6(0x2001, 4, 0x112, 48),
    v6(0x2001, 0x20, 0, 28),
    v6(0x2001, 0x30, 0, 28),
];

const OUTSIDE_GLOBAL_UNICAST: Range = range("outside the public range", "2000::/3");

/// RFC 6052: `64:ff9b::/96`, IPv4 behind a translator.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// RFC 8215: the same for local use.
const NAT64_LOCAL: Ipv6Net = v6(0x64, 0xff9b, 1, 48);

/// RFC 3056.
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);

/// RFC 4380.
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);

/// RFC 4291 §2.5.5.1: `::a.b.c.d`, deprecated.
const COMPATIBLE: Ipv6Net = v6(0, 0, 0, 96);

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_range_is_named_by_the_network_it_is() {
        for (net, range) in &V4 {
            assert_eq!(net.to_string(), range.net);
        }
        for (net, range) in V6.iter().chain([&PROTOCOL_ASSIGNMENTS]) {
            assert_eq!(net.to_string(), range.net);
        }
    }

    #[test]
    fn carried_addresses_are_found_where_the_rfcs_put_them() {
        let carried_by = |ip: &str| carried(ip.parse().unwrap()).collect::<Vec<_>>();
        // RFC 6052 §2.4 gives these two for 192.0.2.33; RFC 4380 §4 the layout of Teredo.
        for (ip, expected) in [
            ("64:ff9b::192.0.2.33", &["192.0.2.33"][..]),
            ("64:ff9b:1:c000:2:2100::", &["192.0.2.33"]),
            ("2002:c000:0221::1", &["192.0.2.33"]),
            ("::192.0.2.33", &["192.0.2.33"]),
            (
                "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                &["65.54.227.120", "192.0.2.45"],
            ),
            ("::1", &[]),
            ("2606:4700::1", &[]),
        ] {
            let expected: Vec<Ipv4Addr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(carried_by(ip), expected, "{ip}");
        }
    }

    proptest! {
        #[test]
        fn what_the_standard_library_knows_as_not_public_is_not(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            let known = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_broadcast()
                || ip.is_documentation() || ip.is_multicast() || ip.is_unspecified();
            prop_assert!(!known || range_of_v4(ip).is_some());
        }

        #[test]
        fn no_ipv6_address_outside_global_unicast_is_public_but_nat64(bits: u128) {
            let ip = Ipv6Addr::from_bits(bits);
            let global = bits >> 125 == 1 || bits >> 32 == 0x0064_ff9b_0000_0000_0000_0000;
            prop_assert!(global || range_of_v6(ip).is_some());
        }
    }
}

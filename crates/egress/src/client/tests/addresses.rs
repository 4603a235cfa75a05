//! No request reaches an address that is not allowed, whatever its URL looks like.

use url::Host;

use super::*;

/// Hosts that all lead to this machine, or to one that only this machine's network can see.
const FORBIDDEN: &[&str] = &[
    // Loopback, in every spelling that URLs know.
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.0x1",
    "017700000001",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "localhost",
    "LOCALHOST",
    "ｌｏｃａｌｈｏｓｔ",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[64:ff9b:1:7f00:0:100::]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::1]",
    "[2001:0:7f00:1::]",
    "[2001:0:808:808:0:0:80ff:fffe]",
    // This host, and all of it.
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "[::]",
    "[::ffff:0.0.0.0]",
    // Private networks and cloud metadata.
    "10.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    // Reserved, for documentation, for many.
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "[100::1]",
    "[2001::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[ff02::1]",
    "[4000::1]",
    "[::2]",
];

/// A listener that sees whatever is dialled on this machine at its port.
async fn guarded_listener() -> Peer {
    let serve = |_: TcpStream| Box::pin(std::future::ready(())) as Serving;
    Peer::start_at("::", serve).await
}

#[tokio::test]
async fn no_form_of_a_forbidden_address_is_dialled() {
    assert!(FORBIDDEN.len() >= 60);
    let peer = guarded_listener().await;
    let port = peer.address.port();
    let egress = Egress::new(AddressPolicy::default(), Arc::new(SystemClock::new())).unwrap();
    for host in FORBIDDEN {
        for scheme in ["http", "https"] {
            let url = Url::parse(&format!("{scheme}://{host}:{port}/")).unwrap();
            let error = egress.send(post(url)).await.unwrap_err();
            assert!(
                matches!(error, EgressError::ForbiddenAddress { .. }),
                "{scheme} {host}: {error}"
            );
        }
    }
    assert_eq!(peer.accepted(), 0);

    // The listener does see what is dialled: the same address, once it is opened.
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    open_egress().send(post(url)).await.unwrap_err();
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn plain_http_goes_to_opened_addresses_only() {
    let peer = guarded_listener().await;
    let resolver = scripted(&[&["8.8.8.8"], &["127.0.0.1"]]);
    let clock = Arc::new(SystemClock::new());
    let egress = Egress::with_resolver(loopback(), clock, &[], resolver).unwrap();
    let url = Url::parse(&format!("http://app.example:{}/", peer.address.port())).unwrap();
    let error = egress.send(post(url.clone())).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("8.8.8.8 is not one that plain http"),
        "{error}"
    );
    // The second answer of the resolver is opened.
    let error = egress.send(post(url)).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error}");
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_with_the_reason() {
    let inside = [
        "10.1.2.3",
        "::ffff:192.168.0.1",
        "fe80::1",
        "64:ff9b::7f00:1",
    ];
    let clock = Arc::new(SystemClock::new());
    let resolver = scripted(&[&inside]);
    let egress = Egress::with_resolver(AddressPolicy::default(), clock, &[], resolver).unwrap();
    let url = Url::parse("https://inside.example/hook?token=x").unwrap();
    let error = egress.send(post(url)).await.unwrap_err();
    let EgressError::ForbiddenAddress { detail } = error else {
        panic!("{error}")
    };
    assert_eq!(
        detail,
        "the name leads to no address that may be reached: 10.1.2.3 is a private address (10.0.0.0/8); \
         ::ffff:192.168.0.1 is a private address (192.168.0.0/16); fe80::1 is a link-local address (fe80::/10); \
         and 1 more"
    );
}

#[tokio::test]
async fn of_mixed_answers_only_allowed_addresses_are_dialled() {
    let peer = Peer::start_at("127.0.0.1", |mut stream| {
        Box::pin(async move {
            read_request(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        })
    })
    .await;
    // Only the first of these is opened; the listener would answer at neither of the others.
    let policy = AddressPolicy::new(vec!["127.0.0.1/32".parse().unwrap()]);
    let resolver = scripted(&[&["127.0.0.9", "::1", "127.0.0.1"]]);
    let egress =
        Egress::with_resolver(policy, Arc::new(SystemClock::new()), &[], resolver).unwrap();
    let url = Url::parse(&format!("http://mixed.example:{}/", peer.address.port())).unwrap();
    assert_eq!(egress.send(post(url)).await.unwrap().status, 200);
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_name_that_changes_to_an_inside_address_is_not_followed_there() {
    let peer = Peer::start_at("0.0.0.0", |mut stream| {
        Box::pin(async move {
            read_request(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        })
    })
    .await;
    let policy = AddressPolicy::new(vec!["127.0.0.2/32".parse().unwrap()]);
    let resolver = scripted(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let egress =
        Egress::with_resolver(policy, Arc::new(SystemClock::new()), &[], resolver).unwrap();
    let url = Url::parse(&format!("http://rebind.example:{}/", peer.address.port())).unwrap();
    assert_eq!(egress.send(post(url.clone())).await.unwrap().status, 200);
    let error = egress.send(post(url)).await.unwrap_err();
    assert!(
        matches!(error, EgressError::ForbiddenAddress { .. }),
        "{error}"
    );
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_failure() {
    // RFC 6761: `.invalid` never exists.
    let url = Url::parse("https://no-such-host.invalid/").unwrap();
    let error = open_egress().send(post(url)).await.unwrap_err();
    assert!(matches!(error, EgressError::Dns { .. }), "{error}");

    let clock = Arc::new(SystemClock::new());
    let nothing = scripted(&[&[]]);
    let egress = Egress::with_resolver(loopback(), clock, &[], nothing).unwrap();
    let url = Url::parse("https://empty.example/").unwrap();
    let error = egress.send(post(url)).await.unwrap_err();
    assert!(matches!(error, EgressError::Dns { .. }), "{error}");
}

#[tokio::test]
async fn other_schemes_are_refused() {
    for url in ["ftp://127.0.0.1/", "file:///etc/passwd", "data:,x"] {
        let error = open_egress()
            .send(post(Url::parse(url).unwrap()))
            .await
            .unwrap_err();
        assert!(matches!(error, EgressError::InvalidRequest { .. }), "{url}");
    }
}

proptest::proptest! {
    /// What URLs call a name is never an address to the connector, which would dial it without asking the resolver.
    #[test]
    fn no_name_in_a_url_is_an_address(host in "[0-9a-fxX.%:\\[\\]]{1,24}") {
        if let Ok(url) = Url::parse(&format!("http://{host}/"))
            && let Some(Host::Domain(name)) = url.host()
        {
            proptest::prop_assert!(name.parse::<IpAddr>().is_err());
            proptest::prop_assert!(name.trim_end_matches('.').parse::<IpAddr>().is_err());
        }
    }
}

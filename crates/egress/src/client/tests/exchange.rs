//! Answers as receivers give them, from kind to hostile.

use super::*;

#[tokio::test]
async fn an_answer_comes_back_with_status_headers_and_body() {
    let peer =
        Peer::answering(b"HTTP/1.1 201 Created\r\nx-a: 1\r\ncontent-length: 5\r\n\r\nhello").await;
    let egress = open_egress();
    for _ in 0..3 {
        let answer = egress.send(post(peer.url("/hook"))).await.unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.headers["x-a"], "1");
        assert_eq!(&answer.body[..], b"hello");
        assert_eq!(answer.cut, None);
    }
    assert_eq!(peer.accepted(), 1, "the connection is kept");
}

#[tokio::test]
async fn the_request_is_sent_as_given() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            let request = read_request(&mut stream).await.unwrap();
            tell.send(String::from_utf8(request).unwrap()).unwrap();
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        })
    })
    .await;
    let mut request = post(peer.url("/hook?a=b"));
    request
        .headers
        .insert("user-agent", "tidings/1".parse().unwrap());
    assert_eq!(open_egress().send(request).await.unwrap().status, 204);
    let seen = told.recv().await.unwrap();
    assert!(seen.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("user-agent: tidings/1\r\n"), "{seen}");
    assert!(!seen.contains("accept-encoding"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"n\":1}"), "{seen}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let guarded = Peer::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let target = guarded.url("/inside");
    for status in [301, 302, 303, 307, 308] {
        let target = target.clone();
        let peer = Peer::start(move |mut stream| {
            let head = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"
            );
            Box::pin(async move {
                read_request(&mut stream).await;
                stream.write_all(head.as_bytes()).await.unwrap();
            })
        })
        .await;
        let answer = open_egress().send(post(peer.url("/"))).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
    assert_eq!(guarded.accepted(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_at_the_deadline() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            read_request(&mut stream).await;
            tell.send(()).unwrap();
            // Silent, until the other side gives up.
            read_request(&mut stream).await;
            tell.send(()).unwrap();
        })
    })
    .await;
    let (egress, clock) = open_egress_by_hand();
    let sending = send(&egress, post(peer.url("/")));
    told.recv().await.unwrap();
    clock.advance(Duration::from_secs(15));
    let error = outcome(sending).await.unwrap_err();
    assert!(
        matches!(error, EgressError::Timeout { limit } if limit == Duration::from_secs(15)),
        "{error}"
    );
    told.recv().await.expect("the connection is dropped");
}

#[tokio::test]
async fn the_deadline_covers_a_body_that_drips() {
    for on_cap in [OnCap::Cut, OnCap::Fail] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let (tick, ticks) = mpsc::unbounded_channel::<()>();
        let ticks = Arc::new(tokio::sync::Mutex::new(ticks));
        let peer = Peer::start(move |mut stream| {
            let (tell, ticks) = (tell.clone(), Arc::clone(&ticks));
            Box::pin(async move {
                read_request(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                while ticks.lock().await.recv().await.is_some() {
                    let alive = stream.write_all(b".").await.is_ok();
                    tell.send(alive).unwrap();
                }
            })
        })
        .await;
        let (egress, clock) = open_egress_by_hand();
        let request = Request {
            on_cap,
            ..post(peer.url("/"))
        };
        let sending = send(&egress, request);
        for _ in 0..15 {
            tick.send(()).unwrap();
            assert!(told.recv().await.unwrap());
            clock.advance(Duration::from_secs(1));
        }
        match (on_cap, outcome(sending).await) {
            (OnCap::Cut, Ok(answer)) => {
                assert_eq!(answer.status, 200);
                assert_eq!(answer.cut, Some(Cut::Late));
                assert!(answer.body.len() <= 15);
            }
            (OnCap::Fail, Err(EgressError::Timeout { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_and_the_connection_dropped() {
    for on_cap in [OnCap::Cut, OnCap::Fail] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let peer = Peer::start(move |mut stream| {
            let tell = tell.clone();
            Box::pin(async move {
                read_request(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
                tell.send(()).unwrap();
            })
        })
        .await;
        let request = Request {
            on_cap,
            ..post(peer.url("/"))
        };
        match (on_cap, open_egress().send(request).await) {
            (OnCap::Cut, Ok(answer)) => {
                assert_eq!(answer.cut, Some(Cut::AtCap));
                assert_eq!(answer.body.len(), 16 * 1_024);
            }
            (OnCap::Fail, Err(EgressError::TooLarge { cap })) => assert_eq!(cap, 16 * 1_024),
            other => panic!("{other:?}"),
        }
        told.recv().await.expect("the connection is dropped");
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_whole() {
    let peer = Peer::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour").await;
    for on_cap in [OnCap::Cut, OnCap::Fail] {
        let request = |answer_cap| Request {
            answer_cap,
            on_cap,
            ..post(peer.url("/"))
        };
        let egress = open_egress();
        let whole = egress.send(request(4)).await.unwrap();
        assert_eq!((&whole.body[..], whole.cut), (&b"four"[..], None));
        match (on_cap, egress.send(request(3)).await) {
            (OnCap::Cut, Ok(answer)) => {
                assert_eq!(
                    (&answer.body[..], answer.cut),
                    (&b"fou"[..], Some(Cut::AtCap))
                );
            }
            (OnCap::Fail, Err(EgressError::TooLarge { cap: 3 })) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    let bomb =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00";
    let peer = Peer::answering(bomb).await;
    let answer = open_egress().send(post(peer.url("/"))).await.unwrap();
    assert_eq!(&answer.body[..], b"\x1f\x8b\x08\x00");
}

#[tokio::test]
async fn a_reset_within_the_body_keeps_the_status_or_fails_as_asked() {
    let peer = Peer::start(move |mut stream| {
        Box::pin(async move {
            read_request(&mut stream).await;
            let part = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart";
            stream.write_all(part).await.unwrap();
            // Without lingering, closing sends RST instead of FIN.
            stream.set_zero_linger().unwrap();
        })
    })
    .await;
    let answer = open_egress().send(post(peer.url("/"))).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.cut, Some(Cut::Broken));
    let request = Request {
        on_cap: OnCap::Fail,
        ..post(peer.url("/"))
    };
    let error = open_egress().send(request).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_http_answer_is_a_protocol_failure() {
    let mut many_headers = b"HTTP/1.1 200 OK\r\n".to_vec();
    for n in 0..10_000 {
        many_headers.extend_from_slice(format!("x-{n}: 1\r\n").as_bytes());
    }
    many_headers.extend_from_slice(b"\r\n");
    let mut huge_header = b"HTTP/1.1 200 OK\r\nx-huge: ".to_vec();
    huge_header.resize(2 * 1_024 * 1_024, b'a');
    huge_header.extend_from_slice(b"\r\n\r\n");
    let answers: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"HTTP/1.1".to_vec(),
        b"HTTP/1.1 two hundred OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 99999 OK\r\n\r\n".to_vec(),
        b"HTTP/9.9 200 OK\r\n\r\n".to_vec(),
        b"220 smtp.example ESMTP ready\r\n".to_vec(),
        b"\0\0\0\0\0\0\0\0\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_vec(),
        many_headers,
        huge_header,
    ];
    for answer in answers {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        let peer = Peer::start(move |mut stream| {
            let answer = answer.clone();
            Box::pin(async move {
                read_request(&mut stream).await;
                // The other side may close before it has read all.
                let _ = stream.write_all(&answer).await;
            })
        })
        .await;
        let error = open_egress().send(post(peer.url("/"))).await.unwrap_err();
        assert!(
            matches!(error, EgressError::Protocol { .. }),
            "{shown}: {error}"
        );
    }
}

#[tokio::test]
async fn a_head_may_be_large_but_not_as_large_as_it_likes() {
    let head_of = |size: usize| {
        let mut head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-large: ".to_vec();
        head.resize(size, b'a');
        head.extend_from_slice(b"\r\n\r\n");
        head
    };
    for (size, taken) in [(48 * 1_024, true), (400 * 1_024, false)] {
        let head = head_of(size);
        let peer = Peer::start(move |mut stream| {
            let head = head.clone();
            Box::pin(async move {
                read_request(&mut stream).await;
                // The other side may close before it has read all.
                let _ = stream.write_all(&head).await;
            })
        })
        .await;
        match open_egress().send(post(peer.url("/"))).await {
            Ok(answer) => assert!(taken && answer.headers["x-large"].len() > 48_000),
            Err(EgressError::Protocol { .. }) => assert!(!taken),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over_but_a_flood_of_them_is_no_answer() {
    const HINT: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n";
    let some = [&HINT.repeat(50)[..], b"HTTP/1.1 204 No Content\r\n\r\n"].concat();
    let peer = Peer::answering(some.leak()).await;
    let egress = open_egress();
    for _ in 0..3 {
        let answer = egress.send(post(peer.url("/"))).await.unwrap();
        assert_eq!(answer.status, 204);
    }
    assert_eq!(peer.accepted(), 1, "each request has its own count");

    let (tell, mut told) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            read_request(&mut stream).await;
            while stream.write_all(HINT).await.is_ok() {}
            tell.send(()).unwrap();
        })
    })
    .await;
    // On a clock that stands still, so that nothing else can end it.
    let (egress, _) = open_egress_by_hand();
    let error = egress.send(post(peer.url("/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error}");
    told.recv().await.expect("the connection is dropped");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_nothing() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            read_request(&mut stream).await;
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            drop(stream);
            tell.send(()).unwrap();
        })
    })
    .await;
    let egress = open_egress();
    for count in 1..=20 {
        assert_eq!(
            egress.send(post(peer.url("/"))).await.unwrap().status,
            204,
            "request {count}"
        );
        told.recv().await.unwrap();
    }
    assert_eq!(peer.accepted(), 20);
}

#[tokio::test]
async fn what_was_sent_is_not_repeated() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            read_request(&mut stream).await;
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            // The second request is read, and gets no answer.
            read_request(&mut stream).await;
            tell.send(()).unwrap();
        })
    })
    .await;
    let egress = open_egress();
    assert_eq!(egress.send(post(peer.url("/"))).await.unwrap().status, 204);
    let error = egress.send(post(peer.url("/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error}");
    told.recv().await.unwrap();
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn an_answer_before_all_of_the_request_counts_and_ends_the_connection() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream| {
        let tell = tell.clone();
        Box::pin(async move {
            let mut some = [0; 1_024];
            stream.read_exact(&mut some).await.unwrap();
            let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            tell.send(()).unwrap();
            // Held open until the other side closes; what it sent is never read.
            tell.closed().await;
        })
    })
    .await;
    let egress = open_egress();
    let large = Request {
        body: Bytes::from(vec![b'x'; 32 << 20]),
        ..post(peer.url("/"))
    };
    assert_eq!(egress.send(large).await.unwrap().status, 413);
    told.recv().await.unwrap();
    drop(egress);
}

#[tokio::test]
async fn the_second_address_is_tried_when_the_first_refuses() {
    let peer = Peer::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    // Nobody listens at that port there.
    let resolver = scripted(&[&["127.0.0.9", "127.0.0.1"]]);
    let clock = Arc::new(SystemClock::new());
    let egress = Egress::with_resolver(loopback(), clock, &[], resolver).unwrap();
    let url = format!("http://two.example:{}/", peer.address.port());
    let answer = egress.send(post(Url::parse(&url).unwrap())).await.unwrap();
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn a_closed_port_is_a_connect_failure_and_names_no_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://{address}/hook?token=s3cret")).unwrap();
    let error = open_egress().send(post(url)).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("hook"),
        "{shown}"
    );
}

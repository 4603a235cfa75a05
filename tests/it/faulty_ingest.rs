//! What strangers and slow clients do to the notification URL.

use std::{net::SocketAddr, sync::Arc};

use testkit::{
    collection::collection,
    fault_disk::{Fault, FaultDisk},
    gateway::Settings,
    raw,
    receiver::Receiver,
    store::Store,
    wait,
    world::{Connected, World},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

testkit::on_both_stores!(
    a_body_that_is_too_large_is_refused_and_nothing_of_it_is_stored,
    what_is_no_collection_is_refused_and_harms_nothing,
    of_a_hundred_equal_notifications_at_once_one_leads_to_a_delivery,
    one_item_that_cannot_be_read_does_not_keep_the_others_out,
    a_path_that_leads_nowhere_is_not_found,
);

async fn connected_world(settings: &Settings) -> (Arc<World>, Connected, Receiver) {
    let world = World::start_with(settings).await;
    let receiver = Receiver::start().await;
    let connected = world.connect_calendar(&world.emulator.tenants[0]).await;
    world.webhook(&receiver.url(), &[]).await;
    (Arc::new(world), connected, receiver)
}

async fn send(world: &World, head: &str, body: &[u8]) -> Option<raw::RawAnswer> {
    let address = world.gateway.address();
    let path = world.notification_url.path();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n{head}\r\n");
    raw::exchange(address, &[head.as_bytes(), body].concat()).await
}

/// Whether the server ends the connection (rather than the test's patience).
async fn is_closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    // An answer such as 408 may come first; a reset is an end too.
    let end = wait::soon("the server to close", stream.read_to_end(&mut rest)).await;
    end.is_ok() || rest.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_finish_are_closed_and_hinder_nobody() {
    let settings = Settings::new()
        .with("TIDINGS__SERVER__HEADER_TIMEOUT", "\"3s\"")
        .with("TIDINGS__SERVER__BODY_TIMEOUT", "\"3s\"");
    let (world, connected, receiver) = connected_world(&settings).await;
    let address = world.gateway.address();
    let path = world.notification_url.path().to_owned();
    let mut slow = JoinSet::new();
    for number in 0..400 {
        let begun = if number % 2 == 0 {
            format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nx-slow: ")
        } else {
            format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000\r\n\r\n{{")
        };
        slow.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream
                .write_all(begun.as_bytes())
                .await
                .expect("a beginning can be sent");
            is_closed(stream).await
        });
    }
    for number in 0..20 {
        let body = collection([connected.subscribed.deleted(&format!("beside-{number}"))]);
        assert_eq!(world.notify(body).await.status, 202);
    }
    while let Some(closed) = slow.join_next().await {
        assert!(closed.expect("no panic"), "a slow client was not closed");
    }
    receiver.wait_for(20).await;
}

async fn a_body_that_is_too_large_is_refused_and_nothing_of_it_is_stored(store: Store) {
    let settings = store
        .settings()
        .with("TIDINGS__INGEST__MAX_BODY_BYTES", "100000");
    let (world, connected, receiver) = connected_world(&settings).await;
    // Not so large that not even the rest is read and thrown away: then a sender may find its connection reset.
    let items = (0..300).map(|number| connected.subscribed.deleted(&format!("large-{number}")));
    let body = collection(items);
    assert!(body.len() > 100_000);

    let announced = format!(
        "content-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    let answer = send(&world, &announced, &body).await.expect("an answer");
    assert_eq!(answer.status, 413);

    let mut chunks = Vec::new();
    for chunk in body.chunks(10_000) {
        chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(chunk);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    let unannounced = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let answer = send(&world, unannounced, &chunks).await.expect("an answer");
    assert_eq!(answer.status, 413);

    let sentinel = collection([connected.subscribed.deleted("sentinel")]);
    assert_eq!(world.notify(sentinel).await.status, 202);
    receiver.wait_for(1).await;
    let accepted = world.api.list("/v1/notifications?verdict=accepted").await;
    assert_eq!(accepted.len(), 1, "only what came after");
    assert_eq!(receiver.count(), 1);
}

async fn what_is_no_collection_is_refused_and_harms_nothing(store: Store) {
    let (world, connected, receiver) = connected_world(&store.settings()).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let refused: [&[u8]; 8] = [
        b"",
        b"{",
        b"null",
        b"[]",
        br#"{"value":"text"}"#,
        br#"{"values":[]}"#,
        b"\xff\xfe\x00{",
        deep.as_bytes(),
    ];
    for body in refused {
        let head = format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let answer = send(&world, &head, body).await;
        let status = answer
            .unwrap_or_else(|| panic!("no answer to {shown}"))
            .status;
        assert_eq!(status, 400, "{shown}");
    }

    // A collection whose items are nonsense is one: each item gets a verdict of its own.
    let own = connected.subscribed.deleted("beside-nonsense");
    let odd = format!(
        r#"{{"value":[7,null,"text",{{}},[],{{"subscriptionId":1e400}},{deep},{{"subscriptionId":"a\u0000b","clientState":"x"}},{own}]}}"#
    );
    let answer = world.notify(odd.into_bytes()).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    receiver.wait_for(1).await;

    // Other content types are Graph's mistake, or nobody's.
    let body = collection([connected.subscribed.deleted("as-text")]);
    let head = format!(
        "content-type: text/plain\r\ncontent-length: {}\r\n",
        body.len()
    );
    let answer = send(&world, &head, &body).await.expect("an answer");
    assert!(
        [202, 400, 415].contains(&answer.status),
        "{}",
        answer.status
    );
    world.api.get("/v1/environments").await;
}

async fn of_a_hundred_equal_notifications_at_once_one_leads_to_a_delivery(store: Store) {
    let (world, connected, receiver) = connected_world(&store.settings()).await;
    let body = collection([connected.subscribed.deleted("the-same")]);
    let mut posts = JoinSet::new();
    for _ in 0..100 {
        let (world, body) = (Arc::clone(&world), body.clone());
        posts.spawn(async move { world.notify(body).await.status });
    }
    while let Some(status) = posts.join_next().await {
        assert_eq!(status.expect("no panic"), 202);
    }
    let sentinel = collection([connected.subscribed.deleted("sentinel")]);
    assert_eq!(world.notify(sentinel).await.status, 202);
    receiver.wait_for(2).await;
    let duplicates = world.api.list("/v1/notifications?verdict=duplicate").await;
    assert_eq!(duplicates.len(), 99);
    let events = world.api.list("/v1/events").await;
    assert_eq!(events.len(), 2);
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn what_was_refused_with_503_is_taken_when_it_comes_again() {
    let Some(disk) = FaultDisk::new("faulty_ingest") else {
        return;
    };
    let (world, connected, mut receiver) = connected_world(&Settings::new().on(&disk)).await;
    let body = collection([connected.subscribed.deleted("again")]);
    disk.set(&[Fault::FsyncFails]);
    assert_eq!(world.notify(body.clone()).await.status, 503);
    disk.heal();
    wait::until("a 202", || async {
        (world.notify(body.clone()).await.status == 202).then_some(())
    })
    .await;
    assert_eq!(receiver.next().await.item(), "again");
    // And only now is it a duplicate.
    assert_eq!(world.notify(body).await.status, 202);
    let duplicates = world.api.list("/v1/notifications?verdict=duplicate").await;
    assert_eq!(duplicates.len(), 1);
}

async fn one_item_that_cannot_be_read_does_not_keep_the_others_out(store: Store) {
    let (world, connected, receiver) = connected_world(&store.settings()).await;
    let mut items: Vec<_> = (0..999)
        .map(|number| connected.subscribed.deleted(&format!("good-{number}")))
        .collect();
    let mut poison = connected.subscribed.deleted("poison");
    poison["resource"] = serde_json::json!({"not": "a path"});
    items.insert(500, poison);
    assert_eq!(world.notify(collection(items)).await.status, 202);
    receiver.wait_for(999).await;
    let malformed = world.api.list("/v1/notifications?verdict=malformed").await;
    assert_eq!(malformed.len(), 1, "the bad one can be seen");
}

async fn a_path_that_leads_nowhere_is_not_found(store: Store) {
    let world = World::start_on(store).await;
    let address: SocketAddr = world.gateway.address();
    let own = world.gateway.environment();
    for path in [
        format!("/webhook/{own}/no-such-integration"),
        "/webhook/00000000-1111-4222-8333-444444444444/microsoft-oauth2-cc".to_owned(),
        "/webhook/no-uuid/microsoft-oauth2-cc".to_owned(),
        "/webhook".to_owned(),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n{{\"value\":[]}}"
        );
        let answer = raw::exchange(address, head.as_bytes()).await;
        assert_eq!(answer.expect("an answer").status, 404, "{path}");
    }
}

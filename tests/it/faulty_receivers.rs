//! Receivers that are down, slow, hostile or wrong. One costs the others nothing (G7), and nothing is lost (G1).

use serde_json::{Value, json};
use testkit::{
    collection::collection,
    gateway::Settings,
    receiver::{Answer, Receiver},
    store::Store,
    wait,
    world::{Connected, World},
};

testkit::on_both_stores!(
    a_cut_connection_is_a_failed_attempt_and_is_tried_again,
    a_receiver_that_says_yes_and_then_breaks_off_has_said_yes,
    a_receiver_that_was_down_gets_everything_and_the_others_do_not_wait,
    a_receiver_that_hangs_costs_an_attempt_its_time_limit_and_the_others_nothing,
    a_body_that_drips_or_never_ends_is_cut_at_the_limits,
    a_redirect_is_not_followed,
    an_address_that_is_not_opened_is_not_called,
    gone_disables_the_webhook_and_holds_its_deliveries_until_it_is_enabled,
    retry_after_is_kept_in_every_form_and_never_believed_blindly,
    answers_that_are_no_http_are_failed_attempts_and_harm_nothing,
    a_dead_delivery_can_be_sent_again,
);

async fn connected_world(settings: &Settings) -> (World, Connected) {
    let world = World::start_with(settings).await;
    let connected = world.connect_calendar(&world.emulator.tenants[0]).await;
    (world, connected)
}

async fn notify(world: &World, connected: &Connected, item: &str) {
    let body = collection([connected.subscribed.deleted(item)]);
    assert_eq!(world.notify(body).await.status, 202);
}

/// The first delivery to a webhook, with its attempts, once `enough` of it.
async fn delivery(
    world: &World,
    webhook: &str,
    what: &str,
    enough: impl Fn(&Value) -> bool + Sync,
) -> Value {
    wait::until(what, || async {
        let listed = world
            .api
            .list(&format!("/v1/deliveries?webhook={webhook}"))
            .await;
        let id = listed.last()?["id"].as_str()?.to_owned();
        let delivery = world.api.get(&format!("/v1/deliveries/{id}")).await;
        enough(&delivery).then_some(delivery)
    })
    .await
}

fn attempts(delivery: &Value) -> &[Value] {
    delivery["attempt_log"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn is_delivered(delivery: &Value) -> bool {
    delivery["state"] == "delivered"
}

async fn a_cut_connection_is_a_failed_attempt_and_is_tried_again(store: Store) {
    let (world, connected) = connected_world(&store.settings().with_quick_retries()).await;
    let mut receiver = Receiver::answering(|_| Answer::reset_at_once()).await;
    let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
    notify(&world, &connected, "cut").await;
    let first = receiver.next().await;
    receiver.answer(|_| Answer::status(200));
    let delivered = delivery(&world, &webhook, "a delivery", is_delivered).await;
    let log = attempts(&delivered);
    assert!(log.len() >= 2, "{delivered:#}");
    assert!(
        log[0]["status"].is_null() && !log[0]["error"].is_null(),
        "{delivered:#}"
    );
    let arrived = receiver.deliveries();
    let last = arrived.last().expect("it came again");
    assert_eq!((last.id(), &last.body), (first.id(), &first.body));
    assert!(last.attempt() > first.attempt());
}

async fn a_receiver_that_says_yes_and_then_breaks_off_has_said_yes(store: Store) {
    let (world, connected) = connected_world(&store.settings().with_quick_retries()).await;
    let receiver = Receiver::answering(|_| Answer::reset()).await;
    let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
    notify(&world, &connected, "yes").await;
    let delivered = delivery(&world, &webhook, "a delivery", is_delivered).await;
    assert_eq!(attempts(&delivered).len(), 1, "{delivered:#}");
    assert_eq!(receiver.count(), 1);
}

async fn a_receiver_that_was_down_gets_everything_and_the_others_do_not_wait(store: Store) {
    let (world, connected) = connected_world(&store.settings().with_quick_retries()).await;
    let mut down = Receiver::start().await;
    let healthy = Receiver::start().await;
    let (webhook, _) = world.webhook(&down.url(), &[]).await;
    world.webhook(&healthy.url(), &[]).await;
    down.down().await;
    for number in 0..5 {
        notify(&world, &connected, &format!("while-down-{number}")).await;
    }
    healthy.wait_for(5).await;
    delivery(&world, &webhook, "failed attempts", |delivery| {
        !attempts(delivery).is_empty()
    })
    .await;
    assert_eq!(down.count(), 0);
    down.up().await;
    let mut items: Vec<String> = down
        .wait_for(5)
        .await
        .iter()
        .map(|one| one.item())
        .collect();
    items.sort();
    let expected: Vec<String> = (0..5)
        .map(|number| format!("while-down-{number}"))
        .collect();
    assert_eq!(items, expected);
}

async fn a_receiver_that_hangs_costs_an_attempt_its_time_limit_and_the_others_nothing(
    store: Store,
) {
    let settings = store.settings().with("TIDINGS__DELIVER__TIMEOUT", "\"2s\"");
    let (world, connected) = connected_world(&settings).await;
    let hung = Receiver::answering(|_| Answer::hang()).await;
    let (webhook, _) = world.webhook(&hung.url(), &[]).await;
    let healthy = Receiver::start().await;
    world.webhook(&healthy.url(), &[]).await;
    for number in 0..40 {
        notify(&world, &connected, &format!("beside-{number}")).await;
    }
    healthy.wait_for(40).await;
    let failed = delivery(&world, &webhook, "an attempt's end", |delivery| {
        !attempts(delivery).is_empty()
    })
    .await;
    let took = attempts(&failed)[0]["took_ms"].as_u64().expect("took_ms");
    assert!(took >= 2_000, "ended before its limit: {took} ms");
    println!("a limit of 2,000 ms ended after {took} ms");
    assert!(!is_delivered(&failed));
}

async fn a_body_that_drips_or_never_ends_is_cut_at_the_limits(store: Store) {
    let settings = store.settings().with("TIDINGS__DELIVER__TIMEOUT", "\"2s\"");
    let (world, connected) = connected_world(&settings).await;
    for answer in [Answer::drip(), Answer::endless()] {
        let shown = format!("{answer:?}");
        let receiver = Receiver::answering(move |_| answer.clone()).await;
        let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
        notify(
            &world,
            &connected,
            &format!("cut-{shown:.9}").replace(['(', ' '], "-"),
        )
        .await;
        let ended = delivery(&world, &webhook, &shown, |delivery| {
            !attempts(delivery).is_empty()
        })
        .await;
        let attempt = &attempts(&ended)[0];
        assert_eq!(attempt["status"], 200, "{ended:#}");
        let kept = attempt["answer"].as_str().unwrap_or_default();
        assert!(kept.len() <= 16 * 1024, "{} bytes were kept", kept.len());
        let took = attempt["took_ms"].as_u64().expect("took_ms");
        assert!(took < 60_000, "the limit of 2 s covers the body: {took} ms");
        world
            .api
            .call("DELETE", &format!("/v1/webhooks/{webhook}"), None)
            .await;
    }
}

async fn a_redirect_is_not_followed(store: Store) {
    let (world, connected) = connected_world(&store.settings()).await;
    let guarded = Receiver::start().await;
    for status in [301, 302, 307, 308] {
        let target = guarded.url();
        let receiver = Receiver::answering(move |_| {
            Answer::with(status, &[("location", target.as_str())], "")
        })
        .await;
        let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
        notify(&world, &connected, &format!("redirected-{status}")).await;
        let failed = delivery(&world, &webhook, "an attempt", |delivery| {
            !attempts(delivery).is_empty()
        })
        .await;
        assert_eq!(attempts(&failed)[0]["status"], status);
        assert!(!is_delivered(&failed), "{failed:#}");
        world
            .api
            .call("DELETE", &format!("/v1/webhooks/{webhook}"), None)
            .await;
    }
    assert_eq!(guarded.count(), 0, "a redirect was followed");
}

async fn an_address_that_is_not_opened_is_not_called(store: Store) {
    let settings = store.settings().with("TIDINGS__EGRESS__ALLOW", "[]");
    let (world, connected) = connected_world(&settings).await;
    let guarded = Receiver::start().await;
    // Refused when it is made, or at each attempt: either way nobody is called.
    let webhook =
        json!({"url": guarded.url(), "triggers": ["event.deleted"], "description": "inside"});
    let answer = world.api.call("POST", "/v1/webhooks", Some(&webhook)).await;
    if answer.status.is_success() {
        let id = testkit::world::id(&answer.json());
        notify(&world, &connected, "guarded").await;
        let failed = delivery(&world, &id, "an attempt", |delivery| {
            !attempts(delivery).is_empty()
        })
        .await;
        let attempt = &attempts(&failed)[0];
        assert!(
            attempt["status"].is_null() && !attempt["error"].is_null(),
            "{failed:#}"
        );
    } else {
        assert!(answer.status.is_client_error(), "{}", answer.text());
    }
    assert_eq!(guarded.count(), 0);
}

async fn gone_disables_the_webhook_and_holds_its_deliveries_until_it_is_enabled(store: Store) {
    let (world, connected) = connected_world(&store.settings().with_quick_retries()).await;
    let mut receiver = Receiver::answering(|_| Answer::status(410)).await;
    let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
    notify(&world, &connected, "gone").await;
    receiver.next().await;
    let path = format!("/v1/webhooks/{webhook}");
    wait::until("a disabled webhook", || async {
        let state = world.api.get(&path).await;
        (state["state"] == "disabled").then_some(())
    })
    .await;
    delivery(&world, &webhook, "a held delivery", |delivery| {
        delivery["state"] == "held"
    })
    .await;

    // What comes meanwhile is held too.
    notify(&world, &connected, "meanwhile").await;
    wait::until("two held deliveries", || async {
        let held = world.api.list("/v1/deliveries?state=held").await;
        (held.len() == 2).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 1);

    receiver.answer(|_| Answer::status(200));
    let enabled = world
        .gateway
        .cli()
        .run(&["webhook", "enable", &webhook, "--json"])
        .await;
    assert_eq!(enabled.json()["state"], "active");
    let mut items: Vec<String> = receiver.wait_for(3).await[1..]
        .iter()
        .map(|one| one.item())
        .collect();
    items.sort();
    assert_eq!(items, ["gone", "meanwhile"]);
}

async fn retry_after_is_kept_in_every_form_and_never_believed_blindly(store: Store) {
    // (header, whether it makes the next attempt later than the schedule's 1 s)
    let cases = [
        ("20", true),
        ("20.5", true),
        ("-5", false),
        ("soon", false),
        ("", false),
        ("Sun, 06 Nov 1994 08:49:37 GMT", false),
        ("99999999999999999999", true),
    ];
    let settings = store
        .settings()
        .with("TIDINGS__DELIVER__RETRY_SCHEDULE", r#"["1s","1s","1s"]"#);
    let (world, connected) = connected_world(&settings).await;
    for (number, (header, later)) in cases.into_iter().enumerate() {
        for status in [429, 503] {
            let receiver =
                Receiver::answering(move |_| Answer::with(status, &[("retry-after", header)], ""))
                    .await;
            let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
            notify(&world, &connected, &format!("later-{number}-{status}")).await;
            let failed = delivery(&world, &webhook, "an attempt", |delivery| {
                !attempts(delivery).is_empty()
            })
            .await;
            let attempt = &attempts(&failed)[0];
            let started = time(&attempt["started_at"]);
            let due = time(&failed["due_at"]);
            let wait = due - started;
            if later && attempts(&failed).len() == 1 {
                assert!(wait >= 19_000, "{header}: {failed:#}");
                assert!(
                    wait <= 3_700_000,
                    "no receiver puts us off for longer than an hour: {failed:#}"
                );
            }
            if !later {
                assert!(wait < 60_000, "{header}: {failed:#}");
            }
            world
                .api
                .call("DELETE", &format!("/v1/webhooks/{webhook}"), None)
                .await;
        }
    }
}

/// Milliseconds since 1970.
fn time(value: &Value) -> i64 {
    let text = value.as_str().expect("a time");
    let time: tidings_domain::Timestamp = text.parse().expect("an RFC 3339 time");
    time.as_millis()
}

async fn answers_that_are_no_http_are_failed_attempts_and_harm_nothing(store: Store) {
    let (world, connected) = connected_world(&store.settings().with_quick_retries()).await;
    let huge = format!(
        "HTTP/1.1 200 OK\r\nx-huge: {}\r\n\r\n",
        "x".repeat(4 * 1024 * 1024)
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-many: y\r\n".repeat(10_000));
    let cases: [(&str, Vec<u8>); 7] = [
        ("no status", b"HTTP/1.1 OK\r\n\r\n".to_vec()),
        ("no HTTP", b"\x00\x01\x02\x03 hello\r\n\r\n".to_vec()),
        ("status too large", b"HTTP/1.1 99999 No\r\n\r\n".to_vec()),
        (
            "negative length",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_vec(),
        ),
        ("huge header", huge.into_bytes()),
        ("many headers", many.into_bytes()),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in cases {
        let receiver = Receiver::answering(move |_| Answer::raw(bytes.clone())).await;
        let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
        notify(&world, &connected, &what.replace(' ', "-")).await;
        let failed = delivery(&world, &webhook, what, |delivery| {
            !attempts(delivery).is_empty()
        })
        .await;
        assert!(
            attempts(&failed)[0]["status"].is_null(),
            "{what}: {failed:#}"
        );
        receiver.answer(|_| Answer::status(204));
        delivery(&world, &webhook, what, is_delivered).await;
        world
            .api
            .call("DELETE", &format!("/v1/webhooks/{webhook}"), None)
            .await;
    }
}

#[tokio::test]
async fn a_flood_of_interim_answers_does_not_go_on_for_ever() {
    let settings = Settings::new()
        .with_quick_retries()
        .with("TIDINGS__DELIVER__TIMEOUT", "\"2s\"");
    let (world, connected) = connected_world(&settings).await;
    let flood = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100_000);
    let receiver = Receiver::answering(move |_| Answer::raw(flood.clone())).await;
    let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
    notify(&world, &connected, "flooded").await;
    let failed = delivery(&world, &webhook, "an attempt", |delivery| {
        !attempts(delivery).is_empty()
    })
    .await;
    assert!(!is_delivered(&failed), "{failed:#}");
    receiver.answer(|_| Answer::status(200));
    delivery(&world, &webhook, "a delivery", is_delivered).await;
}

async fn a_dead_delivery_can_be_sent_again(store: Store) {
    let settings = store
        .settings()
        .with("TIDINGS__DELIVER__RETRY_SCHEDULE", r#"["50ms"]"#);
    let (world, connected) = connected_world(&settings).await;
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let (webhook, _) = world.webhook(&receiver.url(), &[]).await;
    notify(&world, &connected, "dies").await;
    let dead = delivery(&world, &webhook, "its end", |delivery| {
        delivery["state"] == "dead"
    })
    .await;
    assert_eq!(attempts(&dead).len(), 2, "{dead:#}");
    receiver.answer(|_| Answer::status(200));
    let id = testkit::world::id(&dead);
    world
        .gateway
        .cli()
        .run(&["delivery", "redeliver", &id, "--json"])
        .await
        .ok();
    let delivered = delivery(&world, &webhook, "a delivery", is_delivered).await;
    assert_eq!(attempts(&delivered).len(), 3, "{delivered:#}");
    let arrived = receiver.deliveries();
    assert!(arrived.windows(2).all(|two| two[0].id() == two[1].id()));
}

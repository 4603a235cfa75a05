//! What is no collection of notifications: refused, counted, and kept within limits.

use tidings_domain::notification::Verdict;

use super::{IngestError, world::World};

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn what_is_no_collection_is_refused_and_recorded() {
    let world = World::new().await;
    let deep = format!("{{\"value\":{}}}", nested(10_000));
    for (place, body) in [
        "",
        " ",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"value":null}"#,
        r#"{"value":{}}"#,
        r#"{"value":[]}{}"#,
        r#"{"value":[{"clientState":"s3cret"}"#,
        r#"{"value":[],"value":[]}"#,
        "{\"value\":[\0]}",
        "\u{1}",
        &nested(10_000),
        &deep[..deep.len() - 1],
    ]
    .into_iter()
    .enumerate()
    {
        let answer = world.post_body(body).await;
        assert!(
            matches!(answer, Err(IngestError::Malformed { .. })),
            "{place}: {answer:?}"
        );
    }
    let answer = world
        .ingest
        .receive(
            world.prod,
            "mail",
            bytes::Bytes::from_static(b"{\"value\":[\"\xff\"]}"),
        )
        .await;
    assert!(
        matches!(answer, Err(IngestError::Malformed { .. })),
        "not UTF-8"
    );
    let kept = world.kept().await;
    assert_eq!(kept.len(), 16);
    for one in kept {
        assert_eq!(one.verdict, Verdict::Malformed);
        assert!(one.item.len() <= 4_096);
        let item: String = serde_json::from_slice(&one.item).unwrap();
        assert!(!item.contains("s3cret"));
    }
}

#[tokio::test]
async fn odd_items_do_not_hurt_their_neighbours() {
    let world = World::new().await;
    let good = super::change(&world.events_a, super::TENANT_A, "g").to_string();
    let deep = nested(10_000);
    let items = [
        "1e999999".to_owned(),
        format!("{{\"id\":{}}}", "9".repeat(10_000)),
        deep,
        r#"{"subscriptionId":"x","subscriptionId":"y","changeType":"updated","resource":"users/a"}"#.to_owned(),
        r#"{"subscriptionId":"\u0000","changeType":"updated","resource":"\u0000"}"#.to_owned(),
        r#"{"subscriptionId":"\ud800","changeType":"updated"}"#.to_owned(),
        "null".to_owned(),
        good,
    ];
    let verdicts = world.post(&items).await;
    assert_eq!(verdicts.last(), Some(&Verdict::Accepted));
    for verdict in &verdicts[..7] {
        assert!(verdict.is_rejection(), "{verdict}");
    }
}

#[tokio::test]
async fn an_empty_collection_is_fine() {
    let world = World::new().await;
    assert_eq!(world.post_body(r#"{"value":[]}"#).await.unwrap(), []);
    assert_eq!(
        world
            .post_body("{\"VALUE\": [ ] , \"validationTokens\":null}")
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn two_million_items_cost_next_to_nothing() {
    let world = World::new().await;
    let body = format!("{{\"value\":[{}0]}}", "0,".repeat(2_000_000));
    assert!(matches!(
        world.post_body(&body).await,
        Err(IngestError::TooMany)
    ));
    let many = format!("{{\"value\":[{}0]}}", "0,".repeat(9_000));
    assert_eq!(world.post_body(&many).await.unwrap().len(), 9_001);
    assert!(
        world.kept().await.len() <= 101,
        "of one POST only some are kept"
    );
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_told_so() {
    let world = World::new().await;
    let body = bytes::Bytes::from_static(b"{\"value\":[]}");
    for (environment, key) in [
        (world.prod, "nobody"),
        (world.dev, "other"),
        (world.ids.environment(), "mail"),
    ] {
        let answer = world.ingest.receive(environment, key, body.clone()).await;
        assert!(
            matches!(answer, Err(IngestError::UnknownDestination)),
            "{key}"
        );
    }
    assert_eq!(world.kept().await.len(), 0);
}

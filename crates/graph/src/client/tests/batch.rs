use serde_json::{Value, json};

use super::*;
use crate::{client::MAX_PARTS, wire::subscription::SubscriptionPatch};

const CAP: usize = 10_000;

fn items(count: usize) -> Vec<ItemPath> {
    (0..count)
        .map(|number| ItemPath::parse(&format!("users/u/events/e{number}")).unwrap())
        .collect()
}

/// The parts that a request asks for.
fn parts(seen: &Seen) -> Vec<Value> {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    body["requests"].as_array().unwrap().clone()
}

/// A server that answers every part with what `answer` makes of it, the last part first.
async fn batches(answer: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Server {
    Server::start(move |seen, _| {
        if is_token(seen) {
            return granted("t");
        }
        if seen.method == "GET" {
            return ok(json!({"id": seen.path, "alone": true}).to_string());
        }
        let mut replies = Vec::new();
        for part in parts(seen).iter().rev() {
            if let Some(mut reply) = answer(part) {
                reply["id"] = part["id"].clone();
                replies.push(reply);
            }
        }
        ok(json!({ "responses": replies }).to_string())
    })
    .await
}

fn batch_calls(server: &Server) -> Vec<Seen> {
    let is_batch = |seen: &Seen| seen.path.ends_with("$batch");
    server.seen().into_iter().filter(is_batch).collect()
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_parts_and_each_fails_by_itself() {
    let server = batches(|part| {
        let url = part["url"].as_str().unwrap();
        Some(match url.rsplit_once('/').unwrap().1 {
            "e0" => json!({"status": 200, "headers": {"ETag": "\"h\""}, "body": {"id": "e0"}}),
            "e1" => json!({"status": 429, "headers": {"Retry-After": "2.5", "x-ms-throttle-information": "CPULimitExceeded"},
                           "body": {"error": {"code": "TooManyRequests", "message": "m"}}}),
            "e2" => json!({"status": 404, "body": {"error": {"code": "ErrorItemNotFound"}}}),
            "e3" => json!({"status": 424, "body": {"error": {"code": ""}}}),
            "e4" => return None,
            "e5" => json!({"status": 200, "body": {"id": "x".repeat(CAP)}}),
            "e6" => json!({"status": 200, "headers": {"x-ms-throttle-limit-percentage": "0.9"},
                           "body": {"@odata.etag": "W/\"6\"", "n": 1}}),
            "e7" => json!({"status": 200, "body": "not an object"}),
            "e8" => json!({"status": 200}),
            _ => json!({"status": 503, "headers": {"Retry-After": "9"}}),
        })
    })
    .await;
    let (_, graph) = client();
    let mut found = graph.fetch_batch(&access(&server), &items(10), CAP).await;
    let mut take = || found.remove(0);

    let first = take().unwrap();
    assert_eq!(first.object, r#"{"id":"e0"}"#);
    assert_eq!(first.etag.as_deref(), Some("\"h\""));
    let Err(CallError::Throttled {
        retry_after,
        throttle,
    }) = take()
    else {
        panic!("not throttled");
    };
    assert_eq!(retry_after, Some(Duration::from_millis(2_500)));
    assert_eq!(throttle.information.as_deref(), Some("CPULimitExceeded"));
    assert_eq!(take(), Err(CallError::NotFound));
    assert!(take().unwrap_err().is_transient());
    assert!(take().unwrap_err().is_transient());
    assert_eq!(take(), Err(CallError::TooLarge));
    let seventh = take().unwrap();
    assert_eq!(seventh.etag.as_deref(), Some("W/\"6\""));
    assert_eq!(seventh.throttle.limit_percent, Some(90));
    assert!(take().is_err());
    assert!(take().is_err());
    assert_eq!(
        take().unwrap_err().retry_after(),
        Some(Duration::from_secs(9))
    );
}

#[tokio::test]
async fn parts_are_written_as_graph_takes_them_and_at_most_twenty_at_a_time() {
    let server = batches(|part| Some(json!({"status": 200, "body": {"id": part["url"]}}))).await;
    let (_, graph) = client();
    let graph = graph.with_ids(IdType::Immutable);
    let mut items = items(MAX_PARTS + 1);
    items.push(ItemPath::parse("solutions/approval/approvalItems/a").unwrap());
    items.push(ItemPath::parse("me/messages('A+B/C')").unwrap());
    items.push(ItemPath::parse("users/u").unwrap());
    let found = graph.fetch_batch(&access(&server), &items, CAP).await;
    let ids: Vec<Value> = found
        .into_iter()
        .map(|one| serde_json::from_slice::<Value>(&one.unwrap().object).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids.len(), MAX_PARTS + 4);
    assert_eq!(ids[0], "/users/u/events/e0");
    // What would be alone in its batch is asked for by itself.
    assert_eq!(ids[MAX_PARTS], "/v1.0/users/u/events/e20");
    assert_eq!(
        ids[MAX_PARTS + 1],
        "/beta/solutions/approval/approvalItems/a"
    );
    assert_eq!(ids[MAX_PARTS + 2], "/me/messages/A%2BB%2FC");

    let calls = batch_calls(&server);
    let sizes: Vec<_> = calls
        .iter()
        .map(|seen| (seen.path.as_str(), parts(seen).len()))
        .collect();
    assert_eq!(sizes, [("/v1.0/$batch", MAX_PARTS), ("/v1.0/$batch", 2)]);
    let part = &parts(&calls[0])[0];
    assert_eq!(
        *part,
        json!({"id": "0", "method": "GET", "url": "/users/u/events/e0", "headers": {"Prefer": "IdType=\"ImmutableId\""}})
    );
}

#[tokio::test]
async fn items_that_are_too_large_together_are_had_one_by_one() {
    let large = |part: &Value| part["url"].as_str().unwrap().ends_with("e2");
    let server = batches(move |part| {
        let size = if large(part) { 200_000 } else { 10 };
        Some(json!({"status": 200, "body": {"id": part["url"], "x": "x".repeat(size)}}))
    })
    .await;
    let (_, graph) = client();
    let found = graph.fetch_batch(&access(&server), &items(4), 1_000).await;
    assert_eq!(batch_calls(&server).len(), 3);
    // The large one is alone in the end, and this server's single answers are small.
    assert!(found.iter().all(Result::is_ok), "{found:?}");
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_fails_all_that_is_left() {
    let server = Server::start(|seen, _| {
        if is_token(seen) {
            return granted("t");
        }
        (429, vec![("retry-after", "30".to_owned())], String::new())
    })
    .await;
    let (_, graph) = client();
    let found = graph.fetch_batch(&access(&server), &items(45), CAP).await;
    assert_eq!(found.len(), 45);
    for one in found {
        assert_eq!(
            one.unwrap_err().retry_after(),
            Some(Duration::from_secs(30))
        );
    }
    assert_eq!(batch_calls(&server).len(), 1);
}

#[tokio::test]
async fn parts_whose_token_is_refused_are_sent_again_with_a_new_one() {
    let refused = std::sync::atomic::AtomicUsize::new(0);
    let server = batches(move |part| {
        let is_odd = part["url"].as_str().unwrap().ends_with(['1', '3']);
        if is_odd && refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
            return Some(
                json!({"status": 401, "body": {"error": {"code": "InvalidAuthenticationToken"}}}),
            );
        }
        Some(json!({"status": 200, "body": {"id": part["url"]}}))
    })
    .await;
    let (_, graph) = client();
    let found = graph.fetch_batch(&access(&server), &items(4), CAP).await;
    let ids: Vec<_> = found
        .into_iter()
        .map(|one| String::from_utf8(one.unwrap().object.to_vec()).unwrap())
        .collect();
    assert_eq!(ids[3], r#"{"id":"/users/u/events/e3"}"#);
    let sizes: Vec<_> = batch_calls(&server)
        .iter()
        .map(|seen| parts(seen).len())
        .collect();
    assert_eq!(sizes, [4, 2]);
    assert_eq!(
        server.seen().iter().filter(|seen| is_token(seen)).count(),
        2
    );
}

#[tokio::test]
async fn subscriptions_are_made_changed_and_deleted_in_batches() {
    let server = batches(|part| {
        let url = part["url"].as_str().unwrap();
        let subscription = |id: &str| serde_json::from_str::<Value>(&resource(id)).unwrap();
        Some(match (part["method"].as_str().unwrap(), url) {
            ("POST", _) if part["body"]["resource"] == "users/taken/events" => json!({"status": 409,
                "body": {"error": {"code": "ObjectIdentifierInUse", "message": "Subscription Id 5b0d8f7a-2f53-4d0e-9a4a-6f0c7e1f2d10 already exists for the requested combination"}}}),
            ("POST", "/subscriptions") => json!({"status": 201, "body": subscription("made")}),
            ("PATCH", "/subscriptions/gone") => json!({"status": 404, "body": {"error": {"code": "ResourceNotFound"}}}),
            ("PATCH", _) => json!({"status": 200, "body": subscription(url.rsplit_once('/').unwrap().1)}),
            ("DELETE", _) => json!({"status": 204}),
            other => panic!("{other:?}"),
        })
    })
    .await;
    let (_, graph) = client();
    let access = access(&server);
    let mut taken = new_subscription();
    taken.resource = "users/taken/events".to_owned();
    let made = graph
        .create_subscriptions(
            &access,
            &[(Version::V1, taken), (Version::V1, new_subscription())],
        )
        .await;
    assert!(
        matches!(&made[0], Err(CallError::Conflict { existing: Some(id), .. }) if id.starts_with("5b0d8f7a"))
    );
    assert_eq!(made[1].as_ref().unwrap().id, "made");

    let patch = SubscriptionPatch {
        expires_at: Some("2026-11-29T10:00:00Z".parse().unwrap()),
        notification_url: Some("https://new.example/x".to_owned()),
        ..SubscriptionPatch::default()
    };
    let ids = ["gone", "../users", "kept"];
    let patches: Vec<_> = ids.map(|id| (id.to_owned(), patch.clone())).into();
    let patched = graph.patch_subscriptions(&access, &patches).await;
    assert_eq!(patched[0], Err(CallError::NotFound));
    assert_eq!(patched[1], Err(CallError::NotFound));
    assert_eq!(patched[2].as_ref().unwrap().id, "kept");
    let sent = &parts(&batch_calls(&server)[1])[1];
    assert_eq!(
        *sent,
        json!({"id": "1", "method": "PATCH", "url": "/subscriptions/kept",
               "headers": {"Content-Type": "application/json"},
               "body": {"expirationDateTime": "2026-11-29T10:00:00.000Z", "notificationUrl": "https://new.example/x"}})
    );
    let deleted = graph
        .delete_subscriptions(&access, &["a".to_owned(), "b".to_owned()])
        .await;
    assert_eq!(deleted, [Ok(()), Ok(())]);
    assert!(graph.delete_subscriptions(&access, &[]).await.is_empty());
    assert_eq!(batch_calls(&server).len(), 3);
}

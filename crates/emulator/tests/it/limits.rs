//! What subscriptions may be: lifetimes, quotas, resources, members, with the error bodies.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::{Graph, Receiver, START, subscription};

fn in_minutes(minutes: u64) -> String {
    (START + Duration::from_mins(minutes)).to_string()
}

async fn create(graph: &Graph, body: Value) -> crate::kit::Answered {
    graph.post("subscriptions", body).await
}

#[tokio::test]
async fn an_end_too_near_is_raised_and_one_too_far_is_refused() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let user = graph.user(0, 0);
    let mut body = subscription(&format!("users/{user}/events"), &receiver.url);
    body["expirationDateTime"] = in_minutes(10_071).into();
    create(&graph, body.clone()).await.is_error(
        400,
        "ExtensionError",
        "Subscription expiration can only be 10070 minutes in the future.",
    );
    body["expirationDateTime"] = in_minutes(5).into();
    let created = create(&graph, body.clone()).await.json();
    assert_eq!(
        created["expirationDateTime"],
        "2026-11-22T10:45:00.0000000Z"
    );
    let path = format!("subscriptions/{}", created["id"].as_str().unwrap());
    let renewed = graph
        .patch(&path, json!({"expirationDateTime": in_minutes(10_070)}))
        .await;
    assert_eq!(
        renewed.json()["expirationDateTime"],
        "2026-11-29T09:50:00.0000000Z"
    );
    let too_far = graph
        .patch(&path, json!({"expirationDateTime": in_minutes(10_071)}))
        .await;
    assert_eq!(too_far.status, StatusCode::BAD_REQUEST);

    body["resource"] = format!("users/{user}/messages?$select=subject").into();
    body["includeResourceData"] = true.into();
    body["encryptionCertificate"] = "MIIC".into();
    body["encryptionCertificateId"] = "c1".into();
    body["expirationDateTime"] = in_minutes(1_441).into();
    create(&graph, body.clone()).await.is_error(
        400,
        "ExtensionError",
        "Subscription expiration can only be 1440 minutes in the future.",
    );
    body["expirationDateTime"] = in_minutes(1_440).into();
    let rich = create(&graph, body).await;
    assert_eq!(rich.status, StatusCode::CREATED, "{}", rich.text());
    assert_eq!(rich.json()["includeResourceData"], true);

    let mut users = subscription("users", &receiver.url);
    users["changeType"] = "updated,deleted".into();
    users["expirationDateTime"] = in_minutes(41_761).into();
    assert_eq!(
        create(&graph, users.clone()).await.status,
        StatusCode::BAD_REQUEST
    );
    users["expirationDateTime"] = in_minutes(41_760).into();
    assert_eq!(create(&graph, users).await.status, StatusCode::CREATED);
    graph.stop().await;
}

#[tokio::test]
async fn a_maximum_can_be_replaced() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let switch = json!({"maxima_minutes": {"event": 60}});
    graph.control(Method::PATCH, "switches", Some(switch)).await;
    let resource = format!("users/{}/events", graph.user(0, 0));
    create(&graph, subscription(&resource, &receiver.url))
        .await
        .is_error(
            400,
            "ExtensionError",
            "Subscription expiration can only be 60 minutes in the future.",
        );
    graph.stop().await;
}

#[tokio::test]
async fn teams_needs_a_lifecycle_url_beyond_an_hour_and_has_its_own_words() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let mut body = subscription("teams/getAllMessages", &receiver.url);
    create(&graph, body.clone()).await.is_error(
        400,
        "InvalidRequest",
        "lifecycleNotificationUrl is a required property for subscription creation on this resource when the \
         expirationDateTime value is set to greater than 1 hour.",
    );
    body["lifecycleNotificationUrl"] = receiver.url.clone().into();
    body["expirationDateTime"] = in_minutes(6 * 1_440).into();
    create(&graph, body.clone()).await.is_error(
        400,
        "ExtensionError",
        "Operation: Create; Exception: [Status Code: BadRequest; Reason: Expiration time \
         '2026-11-28T10:00:00.0000000+00:00' ('-6.00:00:00' from now) is beyond allowed max '3.00:00:00'.]",
    );
    body["expirationDateTime"] = in_minutes(1_440).into();
    assert_eq!(
        create(&graph, body.clone()).await.status,
        StatusCode::CREATED
    );
    // One per app and path, whatever the changes.
    body["changeType"] = "created".into();
    create(&graph, body).await.is_error(
        403,
        "ExtensionError",
        "Operation: Create; Exception: [Status Code: Forbidden; Reason: Maximum number of subscriptions has been reached]",
    );
    graph.stop().await;
}

#[tokio::test]
async fn quotas_count_what_they_should() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let limits = json!({"outlook_per_mailbox": 2, "directory_per_app_and_tenant": 1});
    graph.control(Method::PATCH, "limits", Some(limits)).await;
    let full = "Operation: Create; Exception: [Status Code: Forbidden; Reason: Maximum number of subscriptions has been reached]";
    let user = graph.user(0, 0);
    for resource in ["events", "messages"] {
        graph
            .subscribe_in(0, &format!("users/{user}/{resource}"), &receiver.url)
            .await;
    }
    let third = format!("users/{user}/mailFolders('inbox')/messages");
    create(&graph, subscription(&third, &receiver.url))
        .await
        .is_error(403, "ExtensionError", full);
    // Another mailbox has its own.
    graph
        .subscribe_in(
            0,
            &format!("users/{}/events", graph.user(0, 1)),
            &receiver.url,
        )
        .await;

    let mut users = subscription("users", &receiver.url);
    users["changeType"] = "updated".into();
    assert_eq!(
        create(&graph, users.clone()).await.status,
        StatusCode::CREATED
    );
    users["changeType"] = "deleted".into();
    create(&graph, users.clone())
        .await
        .is_error(403, "ExtensionError", full);
    let elsewhere = graph
        .call_in(1, Method::POST, "subscriptions", Some(users))
        .await;
    assert_eq!(elsewhere.status, StatusCode::CREATED);
    graph.stop().await;
}

#[tokio::test]
async fn what_the_service_does_not_take_is_refused() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let user = graph.user(0, 0);
    let good = subscription(&format!("users/{user}/events"), &receiver.url);
    let wrong: Vec<(&str, Value)> = vec![
        ("resource", json!("users/{user}/unknown")),
        ("resource", json!("me/events")),
        ("resource", Value::Null),
        ("changeType", json!("moved")),
        ("changeType", json!("")),
        ("notificationUrl", json!("http://app.example/hook")),
        ("notificationUrl", json!("not a url")),
        (
            "notificationUrl",
            json!("EventHub:https://x.example/eventhubname/y?tenantId=z"),
        ),
        ("notificationUrl", Value::Null),
        ("lifecycleNotificationUrl", json!("http://app.example/hook")),
        ("expirationDateTime", json!("tomorrow")),
        ("expirationDateTime", Value::Null),
        ("clientState", json!("x".repeat(129))),
        ("clientState", json!(5)),
        ("vapidPublicKey", json!("BPush")),
        ("webPushEncryptionP256dhPublicKey", json!("BPush")),
        ("webPushEncryptionSecret", json!("s")),
        ("includeResourceData", json!(true)),
        ("latestSupportedTlsVersion", json!("v9")),
    ];
    for (member, value) in wrong {
        let mut body = good.clone();
        body[member] = value.clone();
        let answer = create(&graph, body).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{member} {value}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["error"]["code"], "InvalidRequest");
    }
    let mut drive = subscription(&format!("users/{user}/drive/root"), &receiver.url);
    drive["changeType"] = "created".into();
    assert_eq!(create(&graph, drive).await.status, StatusCode::BAD_REQUEST);
    let nobody = subscription("users/nobody@fabrikam.example/events", &receiver.url);
    assert_eq!(create(&graph, nobody).await.status, StatusCode::NOT_FOUND);
    let theirs = subscription(&format!("users/{}/events", graph.user(1, 0)), &receiver.url);
    assert_eq!(create(&graph, theirs).await.status, StatusCode::NOT_FOUND);
    let app = json!({
        "client_id": graph.tenants[0].client_id,
        "tenants": [graph.tenants[0].tenant_id],
        "roles": ["Calendars.Read", "Mail.Read"],
    });
    graph.control(Method::POST, "apps", Some(app)).await;
    let contacts = subscription(&format!("users/{user}/contacts"), &receiver.url);
    create(&graph, contacts).await.is_error(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    );
    let theirs = subscription(&format!("users/{}/events", graph.user(1, 0)), &receiver.url);
    assert_eq!(create(&graph, theirs).await.status, StatusCode::NOT_FOUND);
    assert_eq!(receiver.count(), 0);
    graph.stop().await;
}

#[tokio::test]
async fn with_require_https_loopback_is_no_exception() {
    let graph = Graph::with(|options| options.require_https = true).await;
    let resource = format!("users/{}/events", graph.user(0, 0));
    let answer = create(&graph, subscription(&resource, "http://127.0.0.1:1/hook")).await;
    answer.is_error(
        400,
        "InvalidRequest",
        "notificationUrl 'http://127.0.0.1:1/hook' must start with 'https://'.",
    );
    graph.stop().await;
}

#[tokio::test]
async fn every_resource_that_an_app_can_watch_is_taken_with_its_handshake() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let group = graph
        .emulator
        .create_group(graph.tenants[0].tenant_id, serde_json::Map::new())
        .unwrap();
    let drive = graph.emulator.drive_id(graph.tenants[0].users[0].id);
    for (count, (resource, change)) in [
        ("groups", "updated"),
        ("groups/{group}/members", "updated"),
        ("drives/{drive}/root", "updated"),
        ("sites/s1/lists/l1", "updated"),
        ("teams/t1/channels/c1/messages", "created"),
        ("chats/getAllMessages", "created"),
        ("communications/callRecords", "created"),
        ("users/{user}/contacts", "created"),
    ]
    .into_iter()
    .enumerate()
    {
        let resource = resource
            .replace("{user}", &graph.user(0, 0))
            .replace("{group}", group["id"].as_str().unwrap())
            .replace("{drive}", drive.as_deref().unwrap());
        let mut body = subscription(&resource, &receiver.url);
        body["changeType"] = change.into();
        body["expirationDateTime"] = in_minutes(50).into();
        let answer = create(&graph, body).await;
        assert_eq!(
            answer.status,
            StatusCode::CREATED,
            "{resource}: {}",
            answer.text()
        );
        assert_eq!(receiver.count(), count + 1);
    }
    graph.stop().await;
}

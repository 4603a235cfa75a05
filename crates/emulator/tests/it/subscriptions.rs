//! Rules of subscriptions, with their error bodies.

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
async fn a_subscription_is_given_back_as_asked_for_with_null_for_the_rest() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let resource = format!("/Users/{}/Events", graph.user(0, 0));
    let answer = create(&graph, subscription(&resource, &receiver.url)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/json;odata.metadata=minimal")
    );
    let created = answer.json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(id.len(), 36);
    let expected = json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
        "id": id,
        "resource": resource,
        "applicationId": graph.tenants[0].client_id,
        "changeType": "created,updated,deleted",
        "clientState": "s3cret",
        "notificationUrl": receiver.url,
        "notificationQueryOptions": null,
        "notificationContentType": null,
        "lifecycleNotificationUrl": null,
        "expirationDateTime": "2026-11-23T10:00:00.0000000Z",
        "creatorId": created["creatorId"],
        "includeResourceData": null,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": null,
        "encryptionCertificateId": null,
        "notificationUrlAppId": null,
    });
    assert_eq!(created, expected);
    assert_eq!(
        graph.get(&format!("subscriptions/{id}")).await.json(),
        expected
    );
    graph.stop().await;
}

#[tokio::test]
async fn lists_hide_the_secret_and_come_in_pages() {
    let graph = Graph::with(|options| options.switches.subscription_page = 2).await;
    let receiver = Receiver::start().await;
    for user in 0..3 {
        let resource = format!("users/{}/events", graph.user(0, user));
        graph.subscribe_in(0, &resource, &receiver.url).await;
    }
    let other = format!("users/{}/events", graph.user(1, 0));
    graph.subscribe_in(1, &other, &receiver.url).await;

    let first = graph.get("subscriptions").await.json();
    assert_eq!(first["value"].as_array().unwrap().len(), 2);
    assert_eq!(first["value"][0]["clientState"], Value::Null);
    let next = first["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with(&graph.url), "{next}");
    let second = graph.get(next).await.json();
    assert_eq!(second["value"].as_array().unwrap().len(), 1);
    assert!(second.get("@odata.nextLink").is_none());
    // The other tenant's is only in its own list.
    let theirs = graph
        .call_in(1, Method::GET, "subscriptions", None)
        .await
        .json();
    assert_eq!(theirs["value"].as_array().unwrap().len(), 1);
    graph.stop().await;
}

#[tokio::test]
async fn the_same_for_the_same_tenant_is_a_conflict_that_names_the_other() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let user = &graph.tenants[0].users[0];
    let made = graph
        .subscribe_in(0, &format!("users/{}/events", user.id), &receiver.url)
        .await;
    let id = made["id"].as_str().unwrap();
    let message = format!("Subscription Id {id} already exists for the requested combination");
    // Another URL, secret, spelling, order of changes: the same all the same.
    let mut again = subscription(
        &format!("/Users('{}')/Events", user.mail.to_uppercase()),
        &format!("{}?x", receiver.url),
    );
    again["changeType"] = "deleted,updated,created".into();
    again["clientState"] = "other".into();
    let before = receiver.count();
    create(&graph, again.clone())
        .await
        .is_error(409, "ObjectIdentifierInUse", &message);
    // It is found out before anybody is asked.
    assert_eq!(receiver.count(), before);
    // Other changes are another combination; so is another tenant, and the first once it is gone.
    again["changeType"] = "created".into();
    assert_eq!(
        create(&graph, again.clone()).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        graph.delete(&format!("subscriptions/{id}")).await.status,
        StatusCode::NO_CONTENT
    );
    again["changeType"] = "created,updated,deleted".into();
    assert_eq!(create(&graph, again).await.status, StatusCode::CREATED);
    graph.stop().await;
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
async fn a_patch_changes_four_members_and_no_other() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let created = graph.subscribe_to_events(&receiver.url).await;
    let path = format!("subscriptions/{}", created["id"].as_str().unwrap());
    let nothing = graph.patch(&path, json!({"clientState": "new"})).await;
    assert_eq!(nothing.status, StatusCode::BAD_REQUEST);
    let patched = graph
        .patch(
            &path,
            json!({
                "expirationDateTime": "2026-11-24T10:00:00Z",
                "encryptionCertificate": "MIID",
                "encryptionCertificateId": "c2",
                "lifecycleNotificationUrl": receiver.url,
                "clientState": "new",
                "resource": "users",
            }),
        )
        .await;
    assert_eq!(patched.status, StatusCode::OK);
    let mut expected = created;
    expected["expirationDateTime"] = "2026-11-24T10:00:00.0000000Z".into();
    expected["encryptionCertificate"] = "MIID".into();
    expected["encryptionCertificateId"] = "c2".into();
    assert_eq!(patched.json(), expected);
    graph.stop().await;
}

#[tokio::test]
async fn what_has_expired_or_is_anothers_is_not_found() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let id = graph.subscribe_to_events(&receiver.url).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("subscriptions/{id}");
    let theirs = graph.call_in(1, Method::GET, &path, None).await;
    theirs.is_error(404, "ResourceNotFound", "The object was not found.");
    graph.clock.advance(Duration::from_hours(24));
    let renewal = json!({"expirationDateTime": "2026-11-25T10:00:00Z"});
    for answer in [
        graph.get(&path).await,
        graph.patch(&path, renewal).await,
        graph.delete(&path).await,
        graph.post(&format!("{path}/reauthorize"), json!({})).await,
        graph.get("subscriptions/nonsense").await,
    ] {
        answer.is_error(404, "ResourceNotFound", "The object was not found.");
    }
    assert_eq!(graph.get("subscriptions").await.json()["value"], json!([]));
    // And nothing is sent for it any more; the same can be made again.
    graph.new_event().await;
    assert_eq!(graph.emulator.pending(), 0);
    let mut body = subscription(&format!("users/{}/events", graph.user(0, 0)), &receiver.url);
    body["expirationDateTime"] = in_minutes(3_000).into();
    assert_eq!(create(&graph, body).await.status, StatusCode::CREATED);
    graph.stop().await;
}

#[tokio::test]
async fn reauthorize_and_patch_within_10_minutes_are_a_violation() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let id = graph.subscribe_to_events(&receiver.url).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("subscriptions/{id}");
    let renewal = json!({"expirationDateTime": "2026-11-24T10:00:00Z"});
    let reauthorize = async || {
        graph
            .call(Method::POST, &format!("{path}/reauthorize"), None)
            .await
    };
    assert_eq!(reauthorize().await.status, StatusCode::NO_CONTENT);
    graph.clock.advance(Duration::from_mins(10));
    assert_eq!(
        graph.patch(&path, renewal.clone()).await.status,
        StatusCode::OK
    );
    assert_eq!(graph.emulator.violations(), []);
    graph.clock.advance(Duration::from_millis(599_999));
    assert_eq!(reauthorize().await.status, StatusCode::NO_CONTENT);
    let violations = graph.control(Method::GET, "violations", None).await.json();
    assert_eq!(violations[0]["rule"], "ten_minutes");
    assert_eq!(violations[0]["subscription"], *id);
    assert_eq!(violations[0]["gap_ms"], 599_999);
    // The end has not moved.
    assert_eq!(
        graph.get(&path).await.json()["expirationDateTime"],
        "2026-11-24T10:00:00.0000000Z"
    );
    graph.stop().await;
}

#[tokio::test]
async fn every_resource_that_an_app_can_watch_is_taken_with_its_handshake() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    for (count, (resource, change)) in [
        ("groups", "updated"),
        ("groups/8a1c/members", "updated"),
        ("drives/b!x/root", "updated"),
        ("sites/s1/lists/l1", "updated"),
        ("teams/t1/channels/c1/messages", "created"),
        ("chats/getAllMessages", "created"),
        ("communications/callRecords", "created"),
        ("users/{user}/contacts", "created"),
    ]
    .into_iter()
    .enumerate()
    {
        let resource = resource.replace("{user}", &graph.user(0, 0));
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

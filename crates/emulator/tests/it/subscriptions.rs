//! Subscriptions: made, listed, renewed, ended.

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

//! Users and what is said of them.

use http::{Method, StatusCode};
use serde_json::{Map, json};
use tidings_emulator::NewUser;

use crate::kit::{Graph, Receiver, subscription};

#[tokio::test]
async fn users_are_read_by_id_and_by_address_and_listed() {
    let graph = Graph::start().await;
    let ada = &graph.tenants[0].users[0];
    let by_id = graph.get(&format!("users/{}", ada.id)).await.json();
    assert_eq!(by_id["mail"], *ada.mail);
    assert_eq!(by_id["userPrincipalName"], *ada.mail);
    assert_eq!(by_id["displayName"], "Ada Byron");
    assert_eq!(
        by_id["@odata.context"],
        "https://graph.microsoft.com/v1.0/$metadata#users/$entity"
    );
    assert_eq!(
        graph
            .get(&format!("users/{}", ada.mail.to_uppercase()))
            .await
            .json(),
        by_id
    );
    let all = graph.get("users").await.json();
    assert_eq!(all["value"].as_array().unwrap().len(), 3);
    let first = graph.get("users?$top=2").await.json();
    let second = graph
        .get(first["@odata.nextLink"].as_str().unwrap())
        .await
        .json();
    assert_eq!(second["value"].as_array().unwrap().len(), 1);
    graph.stop().await;
}

#[tokio::test]
async fn creation_and_deletion_that_can_be_undone_are_updated_and_only_the_last_is_deleted() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let mut all = subscription("/users", &receiver.url);
    all["changeType"] = "updated,deleted".into();
    assert_eq!(
        graph.post("subscriptions", all).await.status,
        StatusCode::CREATED
    );
    receiver.forget();
    let body = json!({"displayName": "Gia Rossi", "userPrincipalName": "gia@fabrikam.example"});
    let made = graph.post("users", body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(
        graph.post("users", body).await.status,
        StatusCode::BAD_REQUEST
    );
    let id = made.json()["id"].as_str().unwrap().to_owned();
    receiver.items(1).await;
    let patched = graph
        .patch(&format!("users/{id}"), json!({"jobTitle": "Editor"}))
        .await;
    assert_eq!(patched.status, StatusCode::NO_CONTENT);
    receiver.items(2).await;
    assert_eq!(
        graph.delete(&format!("users/{id}")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        graph.get(&format!("users/{id}")).await.status,
        StatusCode::NOT_FOUND
    );
    receiver.items(3).await;
    let purged = graph.delete(&format!("directory/deletedItems/{id}")).await;
    assert_eq!(purged.status, StatusCode::NO_CONTENT);
    let items = receiver.items(4).await;
    let words: Vec<&str> = items
        .iter()
        .map(|item| item["changeType"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["updated", "updated", "updated", "deleted"]);
    assert_eq!(items[0]["resource"], format!("Users/{id}"));
    assert_eq!(
        items[0]["resourceData"],
        json!({
            "@odata.type": "#Microsoft.Graph.User",
            "@odata.id": format!("Users/{id}"),
            "id": id,
            "organizationId": graph.tenants[0].tenant_id,
        })
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_subscription_to_one_user_hears_of_that_one() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let mut one = subscription(&format!("users/{}", graph.user(0, 0)), &receiver.url);
    one["changeType"] = "updated".into();
    graph.post("subscriptions", one).await;
    receiver.forget();
    graph
        .patch(
            &format!("users/{}", graph.user(0, 1)),
            json!({"jobTitle": "x"}),
        )
        .await;
    graph
        .patch(
            &format!("users/{}", graph.user(0, 0)),
            json!({"jobTitle": "x"}),
        )
        .await;
    let items = receiver.items(1).await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(items[0]["resourceData"]["id"], graph.user(0, 0));
    graph.stop().await;
}

#[tokio::test]
async fn users_are_changed_without_a_token_and_each_change_is_notified() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let mut all = subscription("users", &receiver.url);
    all["changeType"] = "updated,deleted".into();
    graph.post("subscriptions", all).await;
    receiver.forget();
    let new = NewUser {
        id: None,
        mail: "gia@fabrikam.example".into(),
        name: None,
    };
    let tenant = graph.tenants[0].tenant_id;
    let gia = graph.emulator.create_user(tenant, new).unwrap().id;
    receiver.items(1).await;
    let path = format!("users/{gia}");
    let patched = graph
        .control(Method::PATCH, &path, Some(json!({"jobTitle": "x"})))
        .await;
    assert_eq!(patched.status, StatusCode::NO_CONTENT, "{}", patched.text());
    receiver.items(2).await;
    graph.emulator.delete_user(gia).unwrap();
    assert!(graph.emulator.update_user(gia, Map::new()).is_err());
    receiver.items(3).await;
    graph.emulator.restore_user(gia).unwrap();
    assert_eq!(graph.get(&path).await.json()["jobTitle"], "x");
    receiver.items(4).await;
    assert!(graph.emulator.purge_user(gia).is_err());
    graph.control(Method::DELETE, &path, None).await;
    receiver.items(5).await;
    let purged = graph
        .control(Method::POST, &format!("{path}/purge"), None)
        .await;
    assert_eq!(purged.status, StatusCode::NO_CONTENT, "{}", purged.text());
    let items = receiver.items(6).await;
    let words: Vec<_> = items.iter().map(|item| &item["changeType"]).collect();
    assert_eq!(
        words,
        [
            "updated", "updated", "updated", "updated", "updated", "deleted"
        ]
    );
    graph.stop().await;
}

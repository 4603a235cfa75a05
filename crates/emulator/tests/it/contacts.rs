//! Contacts, their folders, notifications and delta query.

use http::{Method, StatusCode};
use serde_json::json;
use tidings_emulator::{FolderOf, MailboxItem};

use crate::kit::{Graph, Receiver, id, reason};

#[tokio::test]
async fn a_contact_is_made_read_changed_and_removed_and_each_is_notified() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let user = graph.user(0, 0);
    let contacts = format!("users/{user}/contacts");
    graph.subscribe_in(0, &contacts, &receiver.url).await;
    receiver.forget();
    let body = json!({
        "givenName": "Bo",
        "surname": "Ek",
        "emailAddresses": [{"name": "Bo Ek", "address": "bo@woodgrove.example"}],
    });
    let made = graph.post(&contacts, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    assert_eq!(made["displayName"], "Bo Ek");
    let path = format!("{contacts}/{}", id(&made));
    assert_eq!(graph.get(&path).await.json(), made);
    assert_eq!(
        graph.get(&contacts).await.json()["value"][0]["id"],
        made["id"]
    );
    let items = receiver.items(1).await;
    let resource = format!("Users/{user}/Contacts/{}", id(&made));
    assert_eq!(items[0]["resource"], resource);
    assert_eq!(
        items[0]["resourceData"],
        json!({
            "@odata.type": "#Microsoft.Graph.Contact",
            "@odata.id": resource,
            "@odata.etag": made["@odata.etag"],
            "id": made["id"],
        })
    );
    let changed = graph.patch(&path, json!({"jobTitle": "Baker"})).await;
    assert_eq!(changed.json()["jobTitle"], "Baker");
    receiver.items(2).await;
    assert_eq!(graph.delete(&path).await.status, StatusCode::NO_CONTENT);
    let items = receiver.items(3).await;
    let words: Vec<_> = items.iter().map(|item| &item["changeType"]).collect();
    assert_eq!(words, ["created", "updated", "deleted"]);
    assert_eq!(graph.get(&path).await.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

#[tokio::test]
async fn a_subscription_to_a_folder_hears_of_that_folder() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let user = graph.user(0, 0);
    let guid = user.parse().unwrap();
    let folder = graph
        .emulator
        .create_folder(guid, FolderOf::Contacts, None, "Family")
        .unwrap();
    let below = format!("users/{user}/contactFolders/{folder}/contacts");
    let all = graph
        .subscribe_in(0, &format!("users/{user}/contacts"), &receiver.url)
        .await;
    let one = graph.subscribe_in(0, &below, &receiver.url).await;
    receiver.forget();
    let contact = graph
        .control(
            Method::POST,
            &format!("users/{user}/contacts"),
            Some(json!({})),
        )
        .await;
    assert_eq!(contact.status, StatusCode::CREATED, "{}", contact.text());
    let items = receiver.items(1).await;
    assert_eq!(items[0]["subscriptionId"], all["id"]);
    graph.until_idle().await;
    assert_eq!(receiver.count(), 1);
    graph.post(&below, json!({"givenName": "Cy"})).await;
    let items = receiver.items(3).await;
    assert!(
        items[1..]
            .iter()
            .any(|item| item["subscriptionId"] == one["id"])
    );
    graph.stop().await;
}

#[tokio::test]
async fn contacts_are_told_by_folder() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let guid: uuid::Uuid = user.parse().unwrap();
    let folders = format!("users/{user}/contactFolders");
    let contact = |name: &str| {
        let members = json!({"givenName": name});
        members.as_object().unwrap().clone()
    };
    let first_folders = graph.round(&format!("{folders}/delta")).await;
    assert_eq!(first_folders.told.len(), 0);
    let made = graph.post(&folders, json!({"displayName": "Family"})).await;
    let family = made.json();
    assert_eq!(
        graph.get(&folders).await.json()["value"][0]["displayName"],
        "Family"
    );
    let told = graph.round(&first_folders.link).await;
    assert_eq!(told.all("id"), [&family["id"]]);

    let create = |members| {
        graph
            .emulator
            .create_item(guid, MailboxItem::Contact, members)
            .unwrap()
    };
    let ann = create(contact("Ann"));
    graph
        .emulator
        .create_item_in(guid, MailboxItem::Contact, id(&family), contact("Cy"))
        .unwrap();
    let usual = graph.round(&format!("users/{user}/contacts/delta")).await;
    assert_eq!(usual.all("givenName"), ["Ann"]);
    let below = format!("{folders}/{}/contacts/delta", id(&family));
    let family_round = graph.round(&below).await;
    assert_eq!(family_round.all("givenName"), ["Cy"]);
    graph
        .emulator
        .delete_item(guid, MailboxItem::Contact, id(&ann))
        .unwrap();
    let next = graph.round(&usual.link).await;
    assert_eq!(reason(&next.told[0]), Some("deleted"));

    let removed = graph.delete(&format!("{folders}/{}", id(&family))).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(graph.get(&below).await.status, StatusCode::NOT_FOUND);
    let rest = graph.emulator.items(guid, MailboxItem::Contact).unwrap();
    assert!(rest.is_empty());
    graph.stop().await;
}

//! Mail folders and their delta query.

use http::{Method, StatusCode};
use serde_json::json;
use tidings_emulator::{FolderOf, MailboxItem};

use crate::kit::{Graph, Receiver, id, reason};

#[tokio::test]
async fn folders_are_made_listed_renamed_and_removed_with_what_lies_in_them() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let folders = format!("users/{user}/mailFolders");
    let made = graph.post(&folders, json!({"displayName": "Work"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let work = made.json();
    let children = format!("{folders}/{}/childFolders", id(&work));
    let child = graph
        .post(&children, json!({"displayName": "2026"}))
        .await
        .json();
    assert_eq!(child["parentFolderId"], work["id"]);
    let listed = graph.get(&format!("{folders}?$top=50")).await.json();
    let listed = listed["value"].as_array().unwrap();
    assert_eq!(listed.len(), 8);
    assert_eq!(listed[7]["displayName"], "Work");
    assert_eq!(listed[7]["childFolderCount"], 1);
    assert_eq!(
        graph.get(&children).await.json()["value"][0]["id"],
        child["id"]
    );
    let path = format!("{folders}/{}", id(&work));
    let renamed = graph.patch(&path, json!({"displayName": "Jobs"})).await;
    assert_eq!(renamed.json()["displayName"], "Jobs");

    let guid = user.parse().unwrap();
    let message = graph
        .emulator
        .create_item_in(
            guid,
            MailboxItem::Message,
            id(&child),
            serde_json::Map::new(),
        )
        .unwrap();
    let receiver = Receiver::start().await;
    graph
        .subscribe_in(0, &format!("users/{user}/messages"), &receiver.url)
        .await;
    receiver.forget();
    assert_eq!(graph.delete(&path).await.status, StatusCode::NO_CONTENT);
    let told = receiver.items(1).await;
    assert_eq!(told[0]["changeType"], "deleted");
    assert_eq!(told[0]["resourceData"]["id"], message["id"]);
    for gone in [&path, &format!("{folders}/{}", id(&child))] {
        assert_eq!(graph.get(gone).await.status, StatusCode::NOT_FOUND);
    }
    let inbox = graph.delete(&format!("{folders}/inbox")).await;
    assert_eq!(inbox.status, StatusCode::BAD_REQUEST);
    graph.stop().await;
}

#[tokio::test]
async fn all_folders_are_told_with_their_numbers_and_what_becomes_of_them() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let guid = user.parse().unwrap();
    graph
        .emulator
        .receive_message(guid, serde_json::Map::new())
        .unwrap();
    let first = graph
        .round(&format!("users/{user}/mailFolders/delta"))
        .await;
    assert_eq!(first.told.len(), 7);
    let inbox = first.told.iter().find(|one| one["displayName"] == "Inbox");
    assert_eq!(inbox.unwrap()["totalItemCount"], 1);
    assert_eq!(inbox.unwrap()["unreadItemCount"], 1);

    let parent = graph
        .emulator
        .create_folder(guid, FolderOf::Mail, None, "Work")
        .unwrap();
    let body = json!({"of": "mailFolders", "name": "2026", "parent": parent});
    let child = graph
        .control(Method::POST, &format!("users/{user}/folders"), Some(body))
        .await;
    assert_eq!(child.status, StatusCode::CREATED, "{}", child.text());
    let next = graph.round(&first.link).await;
    assert_eq!(next.all("displayName"), ["Work", "2026"]);
    assert_eq!(next.told[1]["parentFolderId"], *parent);

    let path = format!("users/{user}/mailFolders/{}", id(&child.json()));
    graph.patch(&path, json!({"displayName": "2027"})).await;
    let renamed = graph.round(&next.link).await;
    assert_eq!(renamed.all("displayName"), ["2027"]);
    graph
        .delete(&format!("users/{user}/mailFolders/{parent}"))
        .await;
    let removed = graph.round(&renamed.link).await;
    assert_eq!(removed.told.len(), 2);
    assert!(
        removed
            .told
            .iter()
            .all(|one| reason(one) == Some("deleted"))
    );
    graph.stop().await;
}

//! Files and folders, and what is said of them.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::{Graph, Receiver, id, subscription};

async fn watch(graph: &Graph, resource: &str, receiver: &Receiver) {
    let mut body = subscription(resource, &receiver.url);
    body["changeType"] = "updated".into();
    let made = graph.post("subscriptions", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    receiver.forget();
}

fn owner(graph: &Graph) -> Uuid {
    graph.tenants[0].users[0].id
}

/// The names of what a round told, each with whether it is gone.
fn named(told: &[Value]) -> Vec<(&str, bool)> {
    told.iter()
        .map(|one| (one["name"].as_str().unwrap(), one.get("deleted").is_some()))
        .collect()
}

#[tokio::test]
async fn files_and_folders_are_made_read_moved_and_removed() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let drive = graph.get(&format!("users/{user}/drive")).await.json();
    let base = format!("drives/{}", id(&drive));
    assert_eq!(graph.get(&base).await.json(), drive);
    let root = graph.get(&format!("{base}/root")).await.json();
    assert!(root["root"].is_object());
    assert_eq!(
        graph.get(&format!("users/{user}/drive/root")).await.json(),
        root
    );

    let children = format!("{base}/root/children");
    let work = json!({"name": "Work", "folder": {}});
    let made = graph.post(&children, work.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let work_folder = made.json();
    let again = graph.post(&children, work).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.json()["error"]["code"], "nameAlreadyExists");

    let put = |path: String| {
        let graph = &graph;
        async move { graph.call(Method::PUT, &path, Some(json!("text"))).await }
    };
    let file = put(format!("{base}/root:/Work/a.txt:/content")).await;
    assert_eq!(file.status, StatusCode::CREATED, "{}", file.text());
    let file = file.json();
    assert_eq!(file["size"], 6);
    assert_eq!(
        file["parentReference"]["path"],
        format!("/drives/{}/root:/Work", id(&drive))
    );
    let path = format!("{base}/items/{}", id(&file));
    assert_eq!(graph.get(&path).await.json(), file);
    let by_name = format!("users/{user}/drive/root:/work/A.txt");
    assert_eq!(graph.get(&by_name).await.json(), file);
    let changed = put(format!("{path}/content")).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.json()["eTag"], file["eTag"]);

    let moved = json!({"name": "b.txt", "parentReference": {"id": root["id"]}});
    let moved = graph.patch(&path, moved).await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.text());
    let listed = graph.get(&children).await.json();
    let names: Vec<&Value> = listed["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["name"])
        .collect();
    assert_eq!(names, ["Work", "b.txt"]);

    let folder = format!("{base}/items/{}", id(&work_folder));
    assert_eq!(graph.delete(&folder).await.status, StatusCode::NO_CONTENT);
    let gone = graph.get(&folder).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(gone.json()["error"]["code"], "itemNotFound");
    let root = graph.delete(&format!("{base}/root")).await;
    assert_eq!(root.status, StatusCode::BAD_REQUEST);
    let stranger = graph.call_in(1, Method::GET, &base, None).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

#[tokio::test]
async fn a_notification_names_the_drive_and_nothing_in_it() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let user = owner(&graph);
    let by_user = format!("users/{user}/drive/root");
    let by_id = format!("drives/{}/root", graph.emulator.drive_id(user).unwrap());
    watch(&graph, &by_user, &receiver).await;
    let other = Receiver::start().await;
    watch(&graph, &by_id, &other).await;

    let file = graph
        .emulator
        .put_drive_item(user, "Work/a.txt", Some(3))
        .unwrap();
    let items = receiver.items(1).await;
    assert_eq!(items[0]["resource"], by_user);
    assert_eq!(items[0]["changeType"], "updated");
    assert!(items[0].as_object().unwrap().contains_key("resourceData"));
    assert!(items[0]["resourceData"].is_null());
    assert_eq!(other.items(1).await[0]["resource"], by_id);

    let path = format!("users/{user}/drive/{}", id(&file));
    let renamed = graph
        .control(Method::PATCH, &path, Some(json!({"name": "b.txt"})))
        .await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text());
    receiver.items(2).await;
    let deleted = graph.control(Method::DELETE, &path, None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let items = receiver.items(3).await;
    assert!(items.iter().all(|item| item["changeType"] == "updated"));
    let put = json!({"path": "Play"});
    let put = graph
        .control(Method::POST, &format!("users/{user}/drive"), Some(put))
        .await;
    assert_eq!(put.status, StatusCode::CREATED, "{}", put.text());
    receiver.items(4).await;
    graph.stop().await;
}

#[tokio::test]
async fn a_drive_is_told_from_its_root_and_removals_are_a_facet() {
    let graph = Graph::start().await;
    let user = owner(&graph);
    let put = |path: &str, size| graph.emulator.put_drive_item(user, path, size).unwrap();
    let work = put("Work", None);
    let file = put("Work/a.txt", Some(3));
    let path = format!("users/{user}/drive/root/delta");
    let first = graph.round(&format!("{path}?$top=2")).await;
    assert_eq!(first.pages, [2, 1]);
    assert_eq!(
        named(&first.told),
        [("root", false), ("Work", false), ("a.txt", false)]
    );
    assert!(first.told[2]["parentReference"].get("path").is_none());
    assert!(first.link.contains("/root/delta?token="), "{}", first.link);

    put("Work/a.txt", Some(4));
    put("b.txt", Some(1));
    let next = graph.round(&first.link).await;
    assert_eq!(named(&next.told), [("a.txt", false), ("b.txt", false)]);
    assert_eq!(next.told[0]["size"], 4);

    graph.emulator.delete_drive_item(user, id(&work)).unwrap();
    let removed = graph.round(&next.link).await;
    assert_eq!(named(&removed.told), [("a.txt", true), ("Work", true)]);
    assert_eq!(removed.told[0]["id"], file["id"]);
    assert!(removed.told[0].get("@removed").is_none());
    assert_eq!(graph.emulator.drive_items(user).unwrap().len(), 2);
    graph.stop().await;
}

#[tokio::test]
async fn one_can_begin_at_the_end_or_at_a_time() {
    let graph = Graph::start().await;
    let user = owner(&graph);
    let put = |path: &str| graph.emulator.put_drive_item(user, path, Some(1)).unwrap();
    let drive = graph.emulator.drive_id(user).unwrap();
    let path = format!("drives/{drive}/root/delta");
    put("old");
    let latest = graph.round(&format!("{path}?token=latest")).await;
    assert_eq!((latest.told.len(), latest.pages.len()), (0, 1));
    graph.clock.advance(std::time::Duration::from_mins(1));
    put("new");
    assert_eq!(
        named(&graph.round(&latest.link).await.told),
        [("new", false)]
    );
    let since = graph
        .round(&format!("{path}?token=2026-11-22T10%3A00%3A30Z"))
        .await;
    assert_eq!(named(&since.told), [("new", false)]);
    graph.stop().await;
}

#[tokio::test]
async fn a_void_link_says_how_to_begin_again() {
    let graph = Graph::start().await;
    let user = owner(&graph);
    let path = format!("users/{user}/drive/root/delta");
    let first = graph.round(&path).await;
    for code in [
        "resyncChangesApplyDifferences",
        "resyncChangesUploadDifferences",
    ] {
        let fault = json!({"kind": "delta", "of": "drive_items", "count": 1, "what": {"gone": {"code": code}}});
        graph.control(Method::POST, "faults", Some(fault)).await;
        let gone = graph.get(&first.link).await;
        assert_eq!(gone.status, StatusCode::GONE);
        assert_eq!(gone.json()["error"]["code"], code);
        let location = gone.headers["location"].to_str().unwrap();
        assert_eq!(location, format!("{}/v1.0/{path}?token=", graph.url));
        assert_eq!(graph.round(location).await.told.len(), 1);
    }
    graph.emulator.evict_delta(Some(user)).unwrap();
    let gone = graph.get(&first.link).await;
    assert_eq!(gone.status, StatusCode::GONE);
    assert_eq!(
        gone.json()["error"]["code"],
        "resyncChangesApplyDifferences"
    );
    assert!(gone.headers.contains_key("location"));
    graph.stop().await;
}

#[tokio::test]
async fn what_is_true_of_a_drive_is_kept_item_by_item() {
    let graph = Graph::start().await;
    graph.emulator.keep_truth();
    let user = owner(&graph);
    let file = graph
        .emulator
        .put_drive_item(user, "Work/a.txt", Some(1))
        .unwrap();
    graph.emulator.delete_drive_item(user, id(&file)).unwrap();
    let facts = graph.emulator.truth();
    let drive = graph.emulator.drive_id(user).unwrap();
    let gone = facts
        .iter()
        .find(|fact| fact.path == format!("drives/{drive}/items/{}", id(&file)));
    assert_eq!(gone.unwrap().object, None);
    assert_eq!(facts.len(), 2);
    graph.stop().await;
}

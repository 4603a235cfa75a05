//! Ids that stay when an item moves.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_emulator::Switches;
use uuid::Uuid;

use crate::kit::{Graph, Receiver, id, reason, subscription};

const IMMUTABLE: &str = "IdType=\"ImmutableId\"";

/// A message in the inbox of the first user.
fn receive(graph: &Graph) -> Value {
    let user: Uuid = graph.tenants[0].users[0].id;
    let members = json!({"subject": "Hi"}).as_object().unwrap().clone();
    graph.emulator.receive_message(user, members).unwrap()
}

fn to_archive(graph: &Graph, message: &str) -> Value {
    let user = graph.tenants[0].users[0].id;
    graph
        .emulator
        .move_message(user, message, "archive")
        .unwrap()
}

/// The immutable id of a message.
async fn immutable(graph: &Graph, message: &Value) -> String {
    let path = format!("users/{}/messages/{}", graph.user(0, 0), id(message));
    let answer = graph.get_preferring(&path, IMMUTABLE).await;
    assert_eq!(answer.headers["preference-applied"], IMMUTABLE);
    id(&answer.json()).to_owned()
}

/// Subscribes as somebody who wants immutable ids.
async fn watch(graph: &Graph, resource: &str, receiver: &Receiver) {
    let bearer = format!("Bearer {}", graph.token(0).await);
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
        ("prefer", IMMUTABLE),
    ];
    let body = subscription(resource, &receiver.url).to_string();
    let path = "/v1.0/subscriptions";
    let made = graph
        .send(Method::POST, path, &headers, body)
        .await
        .unwrap();
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    receiver.forget();
}

#[tokio::test]
async fn an_immutable_id_leads_to_a_message_before_and_after_a_move() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let message = receive(&graph);
    let stays = immutable(&graph, &message).await;
    assert_ne!(stays, id(&message));
    let moved = to_archive(&graph, id(&message));
    assert_ne!(id(&moved), id(&message));
    assert_eq!(immutable(&graph, &moved).await, stays);
    let path = format!("users/{user}/messages/{stays}");
    // Without the preference the answer has the other id.
    assert_eq!(id(&graph.get(&path).await.json()), id(&moved));
    let listed = graph
        .get_preferring(&format!("users/{user}/messages"), IMMUTABLE)
        .await;
    assert_eq!(id(&listed.json()["value"][0]), stays);
    let patched = graph.patch(&path, json!({"isRead": true})).await;
    assert_eq!(patched.status, StatusCode::OK);
    assert_eq!(graph.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(graph.get(&path).await.status, StatusCode::NOT_FOUND);
    // Folders have one id.
    let folder = format!("users/{user}/mailFolders/inbox");
    assert_eq!(
        graph.get_preferring(&folder, IMMUTABLE).await.json(),
        graph.get(&folder).await.json()
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_move_is_a_removal_and_a_new_one_with_the_same_id() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let delta = |folder: &str| format!("users/{user}/mailFolders/{folder}/messages/delta");
    let message = receive(&graph);
    let inbox = graph.round_preferring(&delta("inbox"), IMMUTABLE).await;
    let archive = graph.round_preferring(&delta("archive"), IMMUTABLE).await;
    let stays = id(&inbox.told[0]).to_owned();
    to_archive(&graph, id(&message));
    let inbox = graph.round_preferring(&inbox.link, IMMUTABLE).await;
    assert_eq!(inbox.all("id"), [&stays]);
    assert_eq!(reason(&inbox.told[0]), Some("deleted"));
    let archive = graph.round_preferring(&archive.link, IMMUTABLE).await;
    assert_eq!(archive.all("id"), [&stays]);
    assert_eq!(archive.told[0]["subject"], "Hi");
    graph.stop().await;
}

#[tokio::test]
async fn notifications_have_the_ids_that_were_preferred_at_creation() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let [all, inbox, plain] = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    let messages = format!("users/{user}/messages");
    watch(&graph, &messages, &all).await;
    let below = format!("users/{user}/mailFolders/inbox/messages");
    watch(&graph, &below, &inbox).await;
    let mut body = subscription(&messages, &plain.url);
    // The same changes twice would be a conflict.
    body["changeType"] = "created,deleted".into();
    graph.post("subscriptions", body).await;
    plain.forget();

    let message = receive(&graph);
    let stays = immutable(&graph, &message).await;
    let told = all.items(1).await;
    assert_eq!(told[0]["resourceData"]["id"], *stays);
    assert_eq!(
        told[0]["resource"],
        format!("Users/{user}/Messages/{stays}")
    );
    assert_eq!(plain.items(1).await[0]["resourceData"]["id"], message["id"]);
    let moved = to_archive(&graph, id(&message));
    let words = |told: &[Value]| {
        let words = told.iter().map(|one| one["changeType"].clone());
        words.collect::<Vec<_>>()
    };
    assert_eq!(words(&all.items(2).await), ["created", "updated"]);
    let told = inbox.items(2).await;
    assert_eq!(words(&told), ["created", "deleted"]);
    assert_eq!(told[1]["resourceData"]["id"], *stays);
    let told = plain.items(3).await;
    let mut ids = [1, 2].map(|place| id(&told[place]["resourceData"]));
    ids.sort_unstable();
    let mut expected = [id(&message), id(&moved)];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    graph.stop().await;
}

#[tokio::test]
async fn the_truth_can_be_kept_by_ids_that_stay() {
    let graph = Graph::start().await;
    graph.emulator.set_switches(Switches {
        truth_immutable_ids: true,
        ..Switches::default()
    });
    graph.emulator.keep_truth();
    let message = receive(&graph);
    let stays = immutable(&graph, &message).await;
    to_archive(&graph, id(&message));
    let facts = graph.emulator.truth();
    assert_eq!(facts.len(), 1);
    assert!(facts[0].path.ends_with(&stays), "{}", facts[0].path);
    assert!(facts[0].object.is_some());
    graph.stop().await;
}

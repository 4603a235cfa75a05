//! What goes wrong with delta queries.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_emulator::Switches;

use crate::kit::{Answered, Graph, id};

const WINDOW: &str = "startDateTime=2026-11-01&endDateTime=2027-01-01";

fn delta(graph: &Graph) -> String {
    format!("users/{}/calendarView/delta?{WINDOW}", graph.user(0, 0))
}

async fn fault(graph: &Graph, what: Value) {
    let fault = json!({"kind": "delta", "count": 1, "what": what});
    let set = graph.control(Method::POST, "faults", Some(fault)).await;
    assert_eq!(set.status, StatusCode::CREATED, "{}", set.text());
}

async fn rename(graph: &Graph, event: &Value, subject: &str) {
    let path = format!("users/{}/events/{}", graph.user(0, 0), id(event));
    graph.patch(&path, json!({"subject": subject})).await;
}

#[track_caller]
fn is_gone(answer: &Answered, code: &str) {
    assert_eq!(answer.status, StatusCode::GONE, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], code);
}

#[tokio::test]
async fn after_410_one_begins_again_where_it_says() {
    let graph = Graph::start().await;
    graph.new_event().await;
    let first = graph.round(&delta(&graph)).await;
    fault(&graph, json!({"gone": {}})).await;
    // A first call brings no link that could be void.
    assert_eq!(graph.round(&delta(&graph)).await.told.len(), 1);
    let gone = graph.get(&first.link).await;
    is_gone(&gone, "resyncRequired");
    let location = gone.headers["location"].to_str().unwrap();
    assert!(location.starts_with(&graph.url), "{location}");
    assert!(location.ends_with("&$deltatoken="), "{location}");
    assert_eq!(graph.round(location).await.told.len(), 1);
    assert_eq!(graph.round(&first.link).await.told.len(), 0);

    let users = graph.round("users/delta").await;
    fault(&graph, json!({"gone": {"code": "other"}})).await;
    let gone = graph.get(&users.link).await;
    is_gone(&gone, "other");
    assert_eq!(
        gone.headers["location"],
        format!("{}/v1.0/users/delta?$deltatoken=", graph.url)
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_void_link_is_answered_with_the_code_and_status_of_the_fault() {
    let graph = Graph::start().await;
    let first = graph.round(&delta(&graph)).await;
    fault(&graph, json!({"void": {}})).await;
    let void = graph.get(&first.link).await;
    is_gone(&void, "SyncStateNotFound");
    assert!(void.headers.get("location").is_none());
    fault(
        &graph,
        json!({"void": {"code": "resyncRequired", "status": 400}}),
    )
    .await;
    let void = graph.get(&first.link).await;
    assert_eq!(void.status, StatusCode::BAD_REQUEST);
    assert_eq!(void.json()["error"]["code"], "resyncRequired");
    graph.stop().await;
}

#[tokio::test]
async fn a_fault_can_be_meant_for_one_collection() {
    let graph = Graph::start().await;
    let events = graph.round(&delta(&graph)).await;
    let users = graph.round("users/delta").await;
    let fault = json!({"kind": "delta", "of": "users", "what": {"void": {}}});
    graph.control(Method::POST, "faults", Some(fault)).await;
    assert_eq!(graph.get(&events.link).await.status, StatusCode::OK);
    assert_eq!(graph.get(&users.link).await.status, StatusCode::GONE);
    graph.stop().await;
}

#[tokio::test]
async fn a_replay_tells_the_round_before_once_more() {
    let graph = Graph::start().await;
    let first = graph.new_event().await;
    let one = graph.round(&delta(&graph)).await;
    rename(&graph, &first, "b").await;
    let two = graph.round(&one.link).await;
    let second = graph.new_event().await;
    fault(&graph, json!("replay")).await;
    let three = graph.round(&two.link).await;
    assert_eq!(three.all("id"), [&first["id"], &second["id"]]);
    assert_eq!(graph.round(&three.link).await.told.len(), 0);
    graph.stop().await;
}

#[tokio::test]
async fn an_entity_can_come_twice_and_the_last_is_right() {
    let graph = Graph::start().await;
    let first = graph.new_event().await;
    let second = graph.new_event().await;
    rename(&graph, &first, "new").await;
    fault(&graph, json!("twice")).await;
    let round = graph.round(&delta(&graph)).await;
    assert_eq!(
        round.all("id"),
        [&second["id"], &first["id"], &second["id"]]
    );
    rename(&graph, &first, "newer").await;
    fault(&graph, json!("twice")).await;
    let round = graph.round(&round.link).await;
    assert_eq!(round.all("subject"), ["new", "newer"]);
    graph.stop().await;
}

#[tokio::test]
async fn an_empty_page_leads_on() {
    let graph = Graph::start().await;
    graph.new_event().await;
    fault(&graph, json!("empty_page")).await;
    let first = graph.round(&delta(&graph)).await;
    assert_eq!(first.pages, [0, 1]);
    graph.new_event().await;
    fault(&graph, json!("empty_page")).await;
    assert_eq!(graph.round(&first.link).await.pages, [0, 1]);
    graph.stop().await;
}

#[tokio::test]
async fn a_fresh_change_is_told_when_it_is_replicated() {
    let graph = Graph::start().await;
    let event = graph.new_event().await;
    let first = graph.round(&delta(&graph)).await;
    graph.emulator.set_switches(Switches {
        delta_lag_seconds: 30,
        ..Switches::default()
    });
    rename(&graph, &event, "fresh").await;
    let new = graph.new_event().await;
    let early = graph.round(&first.link).await;
    assert_eq!(early.told.len(), 0);
    // Who asks for everything gets what there was.
    assert_eq!(graph.round(&delta(&graph)).await.all("subject"), ["Tea"]);
    graph.clock.advance(Duration::from_secs(30));
    let late = graph.round(&early.link).await;
    assert_eq!(late.all("id"), [&event["id"], &new["id"]]);
    assert_eq!(late.told[0]["subject"], "fresh");
    graph.stop().await;
}

#[tokio::test]
async fn links_of_the_directory_live_for_7_days() {
    let graph = Graph::start().await;
    let users = graph.round("users/delta").await;
    let events = graph.round(&delta(&graph)).await;
    let week = Duration::from_hours(7 * 24);
    graph.clock.advance(week);
    assert_eq!(graph.get(&users.link).await.status, StatusCode::OK);
    graph.clock.advance(Duration::from_millis(1));
    is_gone(&graph.get(&users.link).await, "SyncStateNotFound");
    assert_eq!(graph.get(&events.link).await.status, StatusCode::OK);
    graph.stop().await;
}

#[tokio::test]
async fn links_of_a_mailbox_live_until_they_are_evicted() {
    let graph = Graph::start().await;
    let ada = graph.round(&delta(&graph)).await;
    let path = |user: &str| format!("users/{user}/mailFolders/inbox/messages/delta");
    let bo = graph.round(&path(&graph.user(0, 1))).await;
    let evicted = graph
        .control(
            Method::POST,
            "delta/evict",
            Some(json!({"user": graph.user(0, 0)})),
        )
        .await;
    assert_eq!(evicted.status, StatusCode::NO_CONTENT, "{}", evicted.text());
    is_gone(&graph.get(&ada.link).await, "SyncStateNotFound");
    assert_eq!(graph.get(&bo.link).await.status, StatusCode::OK);
    graph.emulator.evict_delta(None).unwrap();
    is_gone(&graph.get(&bo.link).await, "SyncStateNotFound");
    let again = graph.round(&delta(&graph)).await;
    assert_eq!(graph.get(&again.link).await.status, StatusCode::OK);
    graph.stop().await;
}

#[tokio::test]
async fn a_link_is_for_one_collection() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let folder = |name: &str| format!("users/{user}/mailFolders/{name}/messages/delta");
    let inbox = graph.round(&folder("inbox")).await;
    let (_, token) = inbox.link.split_once('?').unwrap();
    for other in [&*folder("archive"), "users/delta"] {
        let refused = graph.get(&format!("{other}?{token}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{other}");
        assert_eq!(refused.json()["error"]["code"], "SyncStateInvalid");
    }
    let nonsense = graph
        .get(&format!("{}?$deltatoken=nonsense", folder("inbox")))
        .await;
    assert_eq!(nonsense.status, StatusCode::BAD_REQUEST);
    let stranger = graph.call_in(1, Method::GET, &inbox.link, None).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

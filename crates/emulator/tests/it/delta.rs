//! Delta queries on events, messages and users.

use http::StatusCode;
use serde_json::{Value, json};
use tidings_emulator::Switches;

use crate::kit::{Graph, id, reason};

fn at(day: u32) -> Value {
    json!({"dateTime": format!("2026-12-{day:02}T09:00:00"), "timeZone": "UTC"})
}

fn event(subject: &str, day: u32) -> Value {
    json!({"subject": subject, "start": at(day), "end": at(day)})
}

/// A window from the first to the tenth day of a month.
fn window(user: &str) -> String {
    format!(
        "users/{user}/calendarView/delta?startDateTime=2026-12-01T00:00:00Z&endDateTime=2026-12-10T00:00:00Z"
    )
}

#[tokio::test]
async fn a_calendar_view_is_told_in_full_and_then_what_changed_in_it() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let events = format!("users/{user}/events");
    let mut made = Vec::new();
    for (subject, day) in [("a", 2), ("b", 3), ("c", 4), ("outside", 20)] {
        made.push(graph.post(&events, event(subject, day)).await.json());
    }
    let first = graph
        .round_preferring(&window(&user), "odata.maxpagesize=2")
        .await;
    assert_eq!(first.all("subject"), ["a", "b", "c"]);
    assert_eq!(first.pages, [2, 1]);
    let mut whole = made[0].clone();
    whole.as_object_mut().unwrap().remove("@odata.context");
    assert_eq!(first.told[0], whole);
    assert!(first.link.contains("?$deltatoken="));

    let quiet = graph.round(&first.link).await;
    assert_eq!((quiet.told.len(), quiet.pages.len()), (0, 1));

    let path = |n: usize| format!("{events}/{}", id(&made[n]));
    graph.patch(&path(0), json!({"subject": "a2"})).await;
    graph.patch(&path(0), json!({"subject": "a3"})).await;
    graph.delete(&path(1)).await;
    graph.post(&events, event("d", 5)).await;
    let next = graph.round(&quiet.link).await;
    assert_eq!(next.told.len(), 3);
    assert_eq!(next.told[0]["subject"], "a3");
    assert_eq!(
        next.told[1],
        json!({"id": made[1]["id"], "@removed": {"reason": "deleted"}})
    );
    assert_eq!(next.told[2]["subject"], "d");
    // The window is that of the first call, and a link can be used again.
    assert_eq!(graph.round(&quiet.link).await.told, next.told);
    assert_eq!(graph.round(&next.link).await.told.len(), 0);
    graph.stop().await;
}

#[tokio::test]
async fn events_outside_the_window_are_said_as_removals_if_the_switch_is_on() {
    for outside in [true, false] {
        let graph = Graph::with(|options| options.switches.delta_outside_window = outside).await;
        let user = graph.user(0, 0);
        let events = format!("users/{user}/events");
        let inside = graph.post(&events, event("inside", 5)).await.json();
        let far = graph.post(&events, event("far", 20)).await.json();
        let first = graph.round(&window(&user)).await;
        assert_eq!(first.all("subject"), ["inside"]);

        graph
            .patch(&format!("{events}/{}", id(&far)), json!({"subject": "x"}))
            .await;
        let leaves = json!({"start": at(25), "end": at(25)});
        graph
            .patch(&format!("{events}/{}", id(&inside)), leaves)
            .await;
        let next = graph.round(&first.link).await;
        let ids: Vec<&str> = next.told.iter().map(id).collect();
        let expected = if outside {
            vec![id(&far), id(&inside)]
        } else {
            vec![id(&inside)]
        };
        assert_eq!(ids, expected);
        assert!(next.told.iter().all(|one| reason(one) == Some("deleted")));

        let back = json!({"start": at(6), "end": at(6)});
        graph.patch(&format!("{events}/{}", id(&far)), back).await;
        let last = graph.round(&next.link).await;
        assert_eq!(last.all("subject"), ["x"]);
        graph.stop().await;
    }
}

#[tokio::test]
async fn a_calendar_view_takes_a_window_and_nothing_else() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let without = graph.get(&format!("users/{user}/calendarView/delta")).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
    assert_eq!(without.json()["error"]["code"], "ErrorInvalidParameter");
    for option in [
        "select=subject",
        "filter=a",
        "orderby=b",
        "expand=c",
        "search=d",
        "top=1",
    ] {
        let refused = graph.get(&format!("{}&${option}", window(&user))).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{option}");
        assert_eq!(refused.json()["error"]["code"], "ErrorInvalidUrlQuery");
    }
    // The name of the function in full, as Microsoft's libraries write it.
    let full = window(&user).replace("/delta", "/microsoft.graph.delta()");
    assert_eq!(graph.round(&full).await.told.len(), 0);
    graph.stop().await;
}

#[tokio::test]
async fn what_changes_during_a_round_is_told_in_it() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let events = format!("users/{user}/events");
    let mut made = Vec::new();
    for subject in ["a", "b", "c"] {
        made.push(graph.post(&events, event(subject, 2)).await.json());
    }
    let page = graph
        .get_preferring(&window(&user), "odata.maxpagesize=1")
        .await
        .json();
    assert_eq!(page["value"][0]["subject"], "a");
    assert!(page.get("@odata.deltaLink").is_none());
    for (n, subject) in [(0, "a2"), (1, "b2")] {
        let path = format!("{events}/{}", id(&made[n]));
        graph.patch(&path, json!({"subject": subject})).await;
    }
    graph.delete(&format!("{events}/{}", id(&made[2]))).await;
    let rest = graph.round(page["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(rest.told[0]["subject"], "a2");
    // Never told before: in full.
    assert!(rest.told[1]["body"].is_object());
    assert_eq!(rest.all("id")[2], &made[2]["id"]);
    assert_eq!(reason(&rest.told[2]), Some("deleted"));
    graph.stop().await;
}

#[tokio::test]
async fn messages_are_told_by_folder_and_a_move_is_a_removal_and_a_new_one() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let guid = user.parse().unwrap();
    let delta = |folder: &str| format!("users/{user}/mailFolders/{folder}/messages/delta");
    let receive = |subject: &str| {
        let members = json!({"subject": subject}).as_object().unwrap().clone();
        graph.emulator.receive_message(guid, members).unwrap()
    };
    let one = receive("one");
    let inbox = graph.round(&delta("inbox")).await;
    let archive = graph.round(&delta("archive")).await;
    assert_eq!(inbox.all("subject"), ["one"]);
    assert_eq!(archive.told.len(), 0);

    let moved = graph
        .emulator
        .move_message(guid, id(&one), "archive")
        .unwrap();
    receive("two");
    let inbox = graph.round(&inbox.link).await;
    assert_eq!(id(&inbox.told[0]), id(&one));
    assert_eq!(reason(&inbox.told[0]), Some("deleted"));
    assert_eq!(inbox.told[1]["subject"], "two");
    let archive = graph.round(&archive.link).await;
    assert_eq!(archive.told, [moved]);
    graph.stop().await;
}

#[tokio::test]
async fn the_options_of_the_first_call_hold_for_all_that_follow() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let guid = user.parse().unwrap();
    let receive = |subject: &str, received: &str| {
        let members = json!({"subject": subject, "receivedDateTime": received});
        let members = members.as_object().unwrap().clone();
        graph.emulator.receive_message(guid, members).unwrap()
    };
    let old = receive("old", "2026-01-01T00:00:00Z");
    for n in 0..3 {
        receive(&n.to_string(), "2026-11-01T00:00:00Z");
    }
    let path = format!("users/{user}/mailFolders/inbox/messages/delta");
    let selected = graph
        .round(&format!("{path}?$select=subject,isRead&$top=2"))
        .await;
    assert_eq!(selected.pages, [2, 2]);
    let mut members: Vec<&String> = selected.told[3].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["@odata.etag", "id", "isRead", "subject"]);

    let recent = graph
        .round(&format!(
            "{path}?$filter=receivedDateTime+ge+2026-11-01T00:00:00Z"
        ))
        .await;
    assert_eq!(recent.told.len(), 3);
    let created = graph.round(&format!("{path}?changeType=created")).await;
    assert_eq!(created.told.len(), 4);
    let messages = format!("users/{user}/messages/{}", id(&old));
    graph.patch(&messages, json!({"isRead": true})).await;
    assert_eq!(graph.round(&created.link).await.told.len(), 0);
    assert_eq!(graph.round(&recent.link).await.told.len(), 0);
    let read = graph.round(&selected.link).await;
    assert_eq!(read.told.len(), 1);
    assert_eq!(read.told[0]["isRead"], true);
    assert!(read.told[0].get("body").is_none());

    for wrong in [
        "$filter=subject+eq+'a'",
        "$orderby=subject",
        "$search=a",
        "$top=0",
    ] {
        let refused = graph.get(&format!("{path}?{wrong}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    graph.stop().await;
}

#[tokio::test]
async fn only_what_changed_is_told_if_the_switch_is_on() {
    let graph = Graph::with(|options| options.switches.delta_sparse = true).await;
    let user = graph.user(0, 0);
    let events = format!("users/{user}/events");
    let made = graph.post(&events, event("a", 2)).await.json();
    let first = graph.round(&window(&user)).await;
    assert!(first.told[0]["body"].is_object());
    let path = format!("{events}/{}", id(&made));
    graph.patch(&path, json!({"subject": "b"})).await;
    let new = graph.post(&events, event("new", 2)).await.json();
    let next = graph.round(&first.link).await;
    let mut members: Vec<&String> = next.told[0].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["@odata.etag", "changeKey", "id", "subject"]);
    assert_eq!(id(&next.told[1]), id(&new));
    assert!(next.told[1]["body"].is_object());
    graph.stop().await;
}

#[tokio::test]
async fn users_are_told_with_what_was_selected_and_only_if_that_changed() {
    let graph = Graph::start().await;
    let all = graph.round("users/delta").await;
    assert_eq!(all.told.len(), 3);
    assert_eq!(all.told[0]["mail"], *graph.tenants[0].users[0].mail);
    let named = graph
        .round("users/delta?$select=displayName,jobTitle")
        .await;
    assert_eq!(named.told[0].as_object().unwrap().len(), 3);

    let ada = format!("users/{}", graph.user(0, 0));
    graph.patch(&ada, json!({"officeLocation": "1/1"})).await;
    assert_eq!(graph.round(&named.link).await.told.len(), 0);
    assert_eq!(graph.round(&all.link).await.told.len(), 1);
    graph.patch(&ada, json!({"jobTitle": "Countess"})).await;
    let usual = graph.round(&named.link).await;
    assert_eq!(
        usual.told,
        [json!({"id": graph.user(0, 0), "displayName": "Ada Byron", "jobTitle": "Countess"})]
    );
    let minimal = graph.round_preferring(&named.link, "return=minimal").await;
    assert_eq!(
        minimal.told,
        [json!({"id": graph.user(0, 0), "jobTitle": "Countess"})]
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_deleted_user_can_come_back_until_they_are_gone_for_good() {
    let graph = Graph::start().await;
    let bo = graph.user(0, 1);
    let first = graph.round("users/delta").await;
    graph.delete(&format!("users/{bo}")).await;
    let deleted = graph.round(&first.link).await;
    let gone = |reason: &str| [json!({"id": bo, "@removed": {"reason": reason}})];
    assert_eq!(deleted.told, gone("changed"));
    // A round that begins now tells nothing of it, unless the switch is on.
    assert_eq!(graph.round("users/delta").await.told.len(), 2);
    graph.emulator.set_switches(Switches {
        delta_early_removals: true,
        ..Switches::default()
    });
    assert_eq!(graph.round("users/delta").await.told.len(), 3);
    graph.emulator.set_switches(Switches::default());

    let restored = graph
        .post(&format!("directory/deletedItems/{bo}/restore"), json!({}))
        .await;
    assert_eq!(restored.status, StatusCode::OK, "{}", restored.text());
    assert_eq!(restored.json()["id"], bo);
    let back = graph.round(&deleted.link).await;
    assert_eq!(back.all("displayName"), ["Bo Lindqvist"]);

    graph.delete(&format!("users/{bo}")).await;
    graph.delete(&format!("directory/deletedItems/{bo}")).await;
    let purged = graph.round(&back.link).await;
    assert_eq!(purged.told, gone("deleted"));
    let late = graph
        .post(&format!("directory/deletedItems/{bo}/restore"), json!({}))
        .await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

#[tokio::test]
async fn one_can_begin_at_the_end_in_the_directory() {
    let graph = Graph::start().await;
    let latest = graph.round("users/delta?$deltatoken=latest").await;
    assert_eq!((latest.told.len(), latest.pages.len()), (0, 1));
    let ada = format!("users/{}", graph.user(0, 0));
    graph.patch(&ada, json!({"jobTitle": "Countess"})).await;
    assert_eq!(
        graph.round(&latest.link).await.all("jobTitle"),
        ["Countess"]
    );
    let user = graph.user(0, 0);
    let outlook = graph
        .get(&format!(
            "users/{user}/mailFolders/inbox/messages/delta?$deltatoken=latest"
        ))
        .await;
    assert_eq!(outlook.status, StatusCode::BAD_REQUEST);
    graph.stop().await;
}

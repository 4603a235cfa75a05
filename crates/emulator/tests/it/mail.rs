//! Messages and events.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::Graph;

#[tokio::test]
async fn an_event_is_made_read_changed_and_removed() {
    let graph = Graph::start().await;
    let user = &graph.tenants[0].users[0];
    let body = json!({
        "subject": "Tea",
        "body": {"contentType": "html", "content": "<b>Bring</b> cake"},
        "start": {"dateTime": "2026-11-23T09:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-11-23T09:30:00", "timeZone": "UTC"},
        "attendees": [{"emailAddress": {"name": "Bo", "address": "bo@fabrikam.example"}, "type": "optional"}],
    });
    let made = graph
        .post(&format!("users/{}/events", user.mail), body)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("AAMk") && id.len() > 100);
    assert_eq!(
        made["@odata.etag"],
        format!("W/\"{}\"", made["changeKey"].as_str().unwrap())
    );
    assert_eq!(
        made["@odata.context"],
        format!(
            "https://graph.microsoft.com/v1.0/$metadata#users('{}')/events/$entity",
            user.id
        )
    );
    assert_eq!(made["createdDateTime"], "2026-11-22T10:00:00Z");
    assert_eq!(made["bodyPreview"], "Bring cake");
    assert_eq!(
        made["start"],
        json!({"dateTime": "2026-11-23T09:00:00.0000000", "timeZone": "UTC"})
    );
    assert_eq!(made["attendees"][0]["type"], "optional");

    // Both forms of the path, words in any case.
    let path = format!("users/{}/events/{id}", user.id);
    assert_eq!(graph.get(&path).await.json(), made);
    assert_eq!(
        graph
            .get(&format!("Users('{}')/Events('{id}')", user.id))
            .await
            .json(),
        made
    );
    let selected = graph.get(&format!("{path}?$select=subject")).await.json();
    assert_eq!(selected.as_object().unwrap().len(), 4);
    assert_eq!(selected["subject"], "Tea");

    let changed = graph
        .patch(&path, json!({"subject": "Late tea", "id": "x"}))
        .await
        .json();
    assert_eq!(
        (changed["subject"].as_str(), &changed["id"]),
        (Some("Late tea"), &made["id"])
    );
    assert_ne!(changed["@odata.etag"], made["@odata.etag"]);
    assert_eq!(graph.get(&path).await.json(), changed);

    assert_eq!(graph.delete(&path).await.status, StatusCode::NO_CONTENT);
    for gone in [
        graph.get(&path).await,
        graph.delete(&path).await,
        graph.patch(&path, json!({})).await,
    ] {
        gone.is_error(
            404,
            "ErrorItemNotFound",
            "The specified object was not found in the store.",
        );
    }
    graph.stop().await;
}

#[tokio::test]
async fn lists_come_newest_first_in_pages_that_lead_on() {
    let graph = Graph::start().await;
    let path = format!("users/{}/events", graph.user(0, 0));
    for n in 0..25 {
        graph.post(&path, json!({"subject": n.to_string()})).await;
    }
    let mut subjects = Vec::new();
    let mut next = Some(format!("{path}?$top=10&$select=subject"));
    let mut pages = 0;
    while let Some(link) = next {
        let page = graph.get(&link).await.json();
        let items = page["value"].as_array().unwrap();
        subjects.extend(
            items
                .iter()
                .map(|item| item["subject"].as_str().unwrap().to_owned()),
        );
        assert!(items.iter().all(|item| item.get("body").is_none()));
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!(pages, 3);
    assert_eq!(
        subjects,
        (0..25).rev().map(|n| n.to_string()).collect::<Vec<_>>()
    );
    let unlimited = graph.get(&path).await.json();
    assert_eq!(unlimited["value"].as_array().unwrap().len(), 10);
    assert!(unlimited["value"][0].get("@odata.context").is_none());
    for query in ["$top=0", "$top=1001", "$top=x", "$filter=a", "$orderby=b"] {
        let answer = graph.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
    graph.stop().await;
}

#[tokio::test]
async fn a_calendar_view_shows_what_lies_in_it_by_start() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    for (subject, from, to) in [
        ("late", "2026-12-02T09:00:00", "2026-12-02T10:00:00"),
        ("into", "2026-11-30T23:30:00", "2026-12-01T00:30:00"),
        ("before", "2026-11-30T23:00:00", "2026-12-01T00:00:00"),
        ("after", "2026-12-03T00:00:00", "2026-12-03T01:00:00"),
    ] {
        let at = |time: &str| json!({"dateTime": time, "timeZone": "UTC"});
        let body = json!({"subject": subject, "start": at(from), "end": at(to)});
        graph.post(&format!("users/{user}/events"), body).await;
    }
    let view = |query: &str| format!("users/{user}/calendarView?{query}");
    let found = graph
        .get(&view(
            "startDateTime=2026-12-01T00:00:00Z&endDateTime=2026-12-03T00:00:00",
        ))
        .await
        .json();
    let subjects: Vec<&str> = found["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["into", "late"]);
    let missing = graph.get(&view("startDateTime=2026-12-01")).await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST);
    assert_eq!(missing.json()["error"]["code"], "ErrorInvalidParameter");
    graph.stop().await;
}

#[tokio::test]
async fn a_message_is_a_draft_until_it_is_sent_and_can_be_moved() {
    let graph = Graph::start().await;
    let (ada, bo) = (
        graph.tenants[0].users[0].clone(),
        graph.tenants[0].users[1].clone(),
    );
    let made = graph
        .post(
            &format!("users/{}/messages", ada.id),
            json!({"subject": "Hi"}),
        )
        .await
        .json();
    assert_eq!(
        (&made["isDraft"], &made["isRead"]),
        (&json!(true), &json!(true))
    );
    let drafts = graph
        .get(&format!("users/{}/mailFolders/drafts/messages", ada.id))
        .await
        .json();
    assert_eq!(drafts["value"][0]["id"], made["id"]);

    let mail = json!({"message": {
        "subject": "Lunch",
        "body": {"contentType": "text", "content": "Noon?"},
        "toRecipients": [{"emailAddress": {"address": bo.mail}}],
    }});
    let sent = graph
        .post(&format!("users/{}/sendMail", ada.id), mail)
        .await;
    assert_eq!(sent.status, StatusCode::ACCEPTED);
    let inbox = graph
        .get(&format!("users/{}/mailFolders('Inbox')/messages", bo.id))
        .await
        .json();
    let message = &inbox["value"][0];
    assert_eq!(message["from"]["emailAddress"]["address"], *ada.mail);
    assert_eq!(
        (&message["isRead"], &message["bodyPreview"]),
        (&json!(false), &json!("Noon?"))
    );
    let outbox = graph
        .get(&format!("users/{}/mailFolders/sentitems/messages", ada.id))
        .await
        .json();
    assert_eq!(outbox["value"].as_array().unwrap().len(), 1);

    let id = message["id"].as_str().unwrap();
    let path = format!("users/{}/messages/{id}", bo.id);
    let moved = graph
        .post(&format!("{path}/move"), json!({"destinationId": "archive"}))
        .await;
    assert_eq!(moved.status, StatusCode::CREATED, "{}", moved.text());
    assert_ne!(moved.json()["id"], message["id"]);
    assert_eq!(graph.get(&path).await.status, StatusCode::NOT_FOUND);
    let folder = graph
        .get(&format!("users/{}/mailFolders/archive", bo.id))
        .await
        .json();
    assert_eq!(
        (&folder["totalItemCount"], &folder["unreadItemCount"]),
        (&json!(1), &json!(1))
    );
    let read = format!(
        "users/{}/messages/{}",
        bo.id,
        moved.json()["id"].as_str().unwrap()
    );
    assert_eq!(
        graph.patch(&read, json!({"isRead": true})).await.json()["isRead"],
        true
    );
    graph.stop().await;
}

#[tokio::test]
async fn nobody_reads_what_is_another_tenants_or_what_they_may_not() {
    let graph = Graph::start().await;
    let event = graph.new_event().await;
    let path = format!(
        "users/{}/events/{}",
        graph.user(0, 0),
        event["id"].as_str().unwrap()
    );
    let other = graph.call_in(1, Method::GET, &path, None).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let roles = |roles: Value| json!({"client_id": graph.tenants[0].client_id, "tenants": [graph.tenants[0].tenant_id], "roles": roles});
    graph
        .control(Method::POST, "apps", Some(roles(json!(["Calendars.Read"]))))
        .await;
    assert_eq!(graph.get(&path).await.status, StatusCode::OK);
    let denied = "Insufficient privileges to complete the operation.";
    graph
        .patch(&path, json!({}))
        .await
        .is_error(403, "Authorization_RequestDenied", denied);
    graph
        .control(Method::POST, "apps", Some(roles(json!([]))))
        .await;
    graph
        .get(&path)
        .await
        .is_error(403, "Authorization_RequestDenied", denied);
    graph.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_says_so() {
    let graph = Graph::start().await;
    let user = graph.get("users/nobody/events").await;
    assert_eq!(user.status, StatusCode::NOT_FOUND);
    assert_eq!(user.json()["error"]["code"], "Request_ResourceNotFound");
    assert_eq!(graph.get("sites").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(graph.get("me/events").await.status, StatusCode::BAD_REQUEST);
    let events = format!("users/{}/events", graph.user(0, 0));
    assert_eq!(
        graph.patch(&events, json!({})).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let broken = graph.post(&events, json!([])).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    let other = graph.send(Method::GET, "/nowhere", &[], "").await.unwrap();
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

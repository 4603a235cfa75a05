//! Groups: who is in them, what is said of them, their delta query.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_emulator::Switches;
use uuid::Uuid;

use crate::kit::{Graph, Receiver, id, reason, subscription};

fn members(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Makes a group in the first tenant.
fn new_group(graph: &Graph, name: &str) -> (Uuid, Value) {
    let fields = members(&json!({"displayName": name}));
    let tenant = graph.tenants[0].tenant_id;
    let group = graph.emulator.create_group(tenant, fields).unwrap();
    (id(&group).parse().unwrap(), group)
}

async fn watch(graph: &Graph, resource: &str, receiver: &Receiver) {
    let mut body = subscription(resource, &receiver.url);
    body["changeType"] = "updated,deleted".into();
    let made = graph.post("subscriptions", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    receiver.forget();
}

#[tokio::test]
async fn a_group_is_made_read_changed_deleted_restored_and_gone_and_each_is_notified() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    watch(&graph, "groups", &receiver).await;
    let made = graph.post("groups", json!({"displayName": "Bakers"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let group = made.json();
    let path = format!("groups/{}", id(&group));
    assert_eq!(graph.get(&path).await.json(), group);
    let listed = graph.get("groups").await.json();
    assert_eq!(listed["value"][0]["displayName"], "Bakers");
    let items = receiver.items(1).await;
    assert_eq!(items[0]["resource"], format!("Groups/{}", id(&group)));
    assert_eq!(
        items[0]["resourceData"],
        json!({
            "@odata.type": "#Microsoft.Graph.Group",
            "@odata.id": format!("Groups/{}", id(&group)),
            "id": group["id"],
            "organizationId": graph.tenants[0].tenant_id,
        })
    );
    let patched = graph.patch(&path, json!({"description": "Bread"})).await;
    assert_eq!(patched.status, StatusCode::NO_CONTENT);
    receiver.items(2).await;
    assert_eq!(graph.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(graph.get(&path).await.status, StatusCode::NOT_FOUND);
    receiver.items(3).await;
    let deleted = format!("directory/deletedItems/{}", id(&group));
    let restored = graph.post(&format!("{deleted}/restore"), json!({})).await;
    assert_eq!(restored.json()["description"], "Bread");
    receiver.items(4).await;
    graph.delete(&path).await;
    receiver.items(5).await;
    assert_eq!(graph.delete(&deleted).await.status, StatusCode::NO_CONTENT);
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

#[tokio::test]
async fn a_security_group_is_gone_at_once() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let first = graph.round("groups/delta").await;
    let fields = json!({"displayName": "Doors", "groupTypes": [], "securityEnabled": true});
    let group = graph.post("groups", fields).await.json();
    watch(&graph, &format!("groups/{}", id(&group)), &receiver).await;
    graph.delete(&format!("groups/{}", id(&group))).await;
    assert_eq!(receiver.items(1).await[0]["changeType"], "deleted");
    let told = graph.round(&first.link).await;
    assert_eq!(reason(&told.told[0]), Some("deleted"));
    graph.stop().await;
}

#[tokio::test]
async fn members_come_and_go_and_are_listed_and_notified() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let (group, _) = new_group(&graph, "Bakers");
    let (ada, bo) = (graph.user(0, 0), graph.user(0, 1));
    watch(&graph, &format!("groups/{group}/members"), &receiver).await;
    let refs = format!("groups/{group}/members/$ref");
    let link =
        json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{ada}")});
    let added = graph.post(&refs, link.clone()).await;
    assert_eq!(added.status, StatusCode::NO_CONTENT, "{}", added.text());
    assert_eq!(
        graph.post(&refs, link).await.status,
        StatusCode::BAD_REQUEST
    );
    let items = receiver.items(1).await;
    assert_eq!(
        items[0]["resourceData"]["members@delta"],
        json!([{"id": ada}])
    );
    let put = graph
        .control(Method::PUT, &format!("groups/{group}/members/{bo}"), None)
        .await;
    assert_eq!(put.status, StatusCode::NO_CONTENT, "{}", put.text());
    receiver.items(2).await;
    let listed = graph
        .get(&format!("groups/{group}/members?$top=1"))
        .await
        .json();
    assert!(listed["@odata.nextLink"].is_string());
    let listed = graph.get(&format!("groups/{group}/members")).await.json();
    assert_eq!(listed["value"].as_array().unwrap().len(), 2);
    assert_eq!(listed["value"][0]["@odata.type"], "#microsoft.graph.user");

    let one = format!("groups/{group}/members/{ada}/$ref");
    assert_eq!(graph.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(graph.delete(&one).await.status, StatusCode::NOT_FOUND);
    let items = receiver.items(3).await;
    assert_eq!(
        items[2]["resourceData"]["members@delta"],
        json!([{"id": ada, "@removed": "deleted"}])
    );
    // A change of the name is none of the members.
    let renamed = members(&json!({"displayName": "Cooks"}));
    graph.emulator.update_group(group, renamed).unwrap();
    graph.emulator.set_switches(Switches {
        group_members: false,
        ..Switches::default()
    });
    let bo = bo.parse().unwrap();
    assert_eq!(graph.emulator.set_member(group, bo, false), Ok(true));
    let items = receiver.items(4).await;
    assert!(items[3]["resourceData"].get("members@delta").is_none());
    assert_eq!(graph.emulator.set_member(group, bo, false), Ok(false));
    graph.stop().await;
}

#[tokio::test]
async fn groups_are_told_with_who_came_and_who_went() {
    let graph = Graph::start().await;
    let (group, _) = new_group(&graph, "Bakers");
    let (ada, bo) = (graph.user(0, 0), graph.user(0, 1));
    let set = |user: &str, present| {
        let user = user.parse().unwrap();
        graph.emulator.set_member(group, user, present).unwrap();
    };
    set(&ada, true);
    set(&bo, true);
    set(&bo, false);
    let member = |id: &str| json!({"@odata.type": "#microsoft.graph.user", "id": id});
    let first = graph.round("groups/delta").await;
    assert_eq!(first.told.len(), 1);
    assert_eq!(first.told[0]["displayName"], "Bakers");
    assert_eq!(first.told[0]["members@delta"], json!([member(&ada)]));
    let named = graph.round("groups/delta?$select=displayName").await;
    assert!(named.told[0].get("members@delta").is_none());
    let only_members = graph.round("groups/delta?$select=members").await;
    assert_eq!(
        only_members.told,
        [json!({"id": group, "members@delta": [member(&ada)]})]
    );

    set(&bo, true);
    set(&ada, false);
    let next = graph.round(&first.link).await;
    assert_eq!(next.told[0]["displayName"], "Bakers");
    let changes = next.told[0]["members@delta"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    let mut gone = member(&ada);
    gone["@removed"] = json!({"reason": "deleted"});
    assert!(changes.contains(&gone) && changes.contains(&member(&bo)));
    // Members were not selected, so nothing changed.
    assert_eq!(graph.round(&named.link).await.told.len(), 0);
    assert_eq!(graph.round(&only_members.link).await.told.len(), 1);

    graph.emulator.delete_group(group).unwrap();
    let deleted = graph.round(&next.link).await;
    assert_eq!(
        deleted.told,
        [json!({"id": group, "@removed": {"reason": "changed"}})]
    );
    graph.emulator.restore_group(group).unwrap();
    let back = graph.round(&deleted.link).await;
    assert_eq!(back.told[0]["members@delta"], json!([member(&bo)]));
    graph.emulator.delete_group(group).unwrap();
    graph.emulator.purge_group(group).unwrap();
    let purged = graph.round(&back.link).await;
    assert_eq!(reason(&purged.told[0]), Some("deleted"));
    assert!(
        graph
            .emulator
            .groups(graph.tenants[0].tenant_id)
            .unwrap()
            .is_empty()
    );
    graph.stop().await;
}

#[tokio::test]
async fn one_can_subscribe_only_to_groups_that_exist() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let mut body = subscription(&format!("groups/{}", graph.user(0, 0)), &receiver.url);
    body["changeType"] = "updated".into();
    let refused = graph.post("subscriptions", body).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.text());
    graph.stop().await;
}

#[tokio::test]
async fn who_leaves_during_a_round_is_told_to_have_left() {
    let graph = Graph::start().await;
    let (group, _) = new_group(&graph, "Bakers");
    let ada = graph.user(0, 0).parse().unwrap();
    graph.emulator.set_member(group, ada, true).unwrap();
    new_group(&graph, "Cooks");
    graph.emulator.set_switches(Switches {
        delta_page: 1,
        ..Switches::default()
    });
    let first = graph.get("groups/delta").await.json();
    let joined = &first["value"][0]["members@delta"][0];
    assert_eq!(joined["id"], ada.to_string());
    graph.emulator.set_member(group, ada, false).unwrap();
    let rest = graph
        .round(first["@odata.nextLink"].as_str().unwrap())
        .await;
    assert_eq!(rest.all("displayName"), ["Cooks", "Bakers"]);
    let left = &rest.told[1]["members@delta"][0];
    assert_eq!(left["id"], ada.to_string());
    assert_eq!(reason(left), Some("deleted"));
    graph.stop().await;
}

#[tokio::test]
async fn of_some_groups_only_is_told_who_came() {
    let graph = Graph::start().await;
    let (group, _) = new_group(&graph, "Bakers");
    // Nobody else's filter is taken.
    let (other, _) = new_group(&graph, "Brewers");
    for (ids, expected) in [(vec![group], 1), (vec![group, other], 2)] {
        let ids: Vec<String> = ids.iter().map(|id| format!("id%20eq%20'{id}'")).collect();
        let path = format!(
            "groups/delta?$select=members&$filter={}",
            ids.join("%20or%20")
        );
        assert_eq!(graph.round(&path).await.told.len(), expected);
    }
    let refused = graph
        .get("groups/delta?$filter=displayName%20eq%20'x'")
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

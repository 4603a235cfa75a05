//! Nothing of one environment exists for a key of another, whatever the noun and the verb.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::testing::{Api, Caller, TENANT};

/// One of everything, in one environment.
struct Furnished {
    admin: Caller,
    /// Paths of what there is, with the methods that each takes.
    things: Vec<(String, &'static [Method])>,
    lists: Vec<Value>,
}

const LISTS: [&str; 8] = [
    "integrations",
    "connections",
    "subscriptions",
    "webhooks",
    "notifications",
    "events",
    "deliveries",
    "keys",
];

async fn furnish(api: &Api, environment: &str) -> Furnished {
    let spanning = api.admin().within(environment);
    let key = spanning
        .make("/v1/keys", json!({ "name": "k", "scope": "admin" }))
        .await;
    let admin = api.caller(key["key"].as_str().unwrap());
    let integration = admin
        .make(
            "/v1/integrations",
            api.integration(&format!("of-{environment}")),
        )
        .await;
    let new = json!({ "integration": integration["key"], "tenant_id": TENANT });
    let connection = admin.make("/v1/connections", new).await;
    let subscription = json!({ "id": api.subscription(&connection).await });
    let webhook = api.webhook_of(&admin).await;
    let trace = api.change(&connection, &webhook).await;

    let of = |noun: &str, thing: &Value| format!("/v1/{noun}/{}", thing["id"].as_str().unwrap());
    let things = vec![
        (
            format!("/v1/environments/{environment}"),
            &[Method::GET, Method::DELETE][..],
        ),
        (
            of("environments", &json!({ "id": key["environment_id"] })),
            &[Method::GET, Method::DELETE],
        ),
        (
            format!("/v1/integrations/of-{environment}"),
            &[Method::GET, Method::DELETE],
        ),
        (
            of("integrations", &integration),
            &[Method::GET, Method::DELETE],
        ),
        (
            of("connections", &connection),
            &[Method::GET, Method::DELETE],
        ),
        (
            of("subscriptions", &subscription),
            &[Method::GET, Method::DELETE],
        ),
        (
            of("webhooks", &webhook),
            &[Method::GET, Method::PATCH, Method::DELETE],
        ),
        (of("webhooks", &webhook) + "/enable", &[Method::POST]),
        (of("webhooks", &webhook) + "/disable", &[Method::POST]),
        (
            format!("/v1/notifications/{}", trace.notification),
            &[Method::GET],
        ),
        (format!("/v1/events/{}", trace.event), &[Method::GET]),
        (format!("/v1/deliveries/{}", trace.delivery), &[Method::GET]),
        (
            format!("/v1/deliveries/{}/redeliver", trace.delivery),
            &[Method::POST],
        ),
        (of("keys", &key), &[Method::GET, Method::DELETE]),
    ];
    let mut lists = Vec::new();
    for noun in LISTS {
        lists.push(admin.get(&format!("/v1/{noun}")).await.body);
    }
    Furnished {
        admin,
        things,
        lists,
    }
}

#[tokio::test]
async fn a_key_of_one_environment_finds_nothing_of_another() {
    let api = Api::start().await;
    api.admin()
        .make("/v1/environments", json!({ "name": "other" }))
        .await;
    let mine = furnish(&api, "default").await;
    let other = furnish(&api, "other").await;

    for (path, methods) in &mine.things {
        for method in *methods {
            let body = (*method == Method::PATCH).then(|| json!({ "description": "taken over" }));
            let answer = other.admin.call(method.clone(), path, body).await;
            assert_eq!(
                answer.status,
                StatusCode::NOT_FOUND,
                "{method} {path}: {answer:?}"
            );
        }
    }
    // What was tried has changed nothing, and lists hold the own things only.
    for (place, noun) in LISTS.iter().enumerate() {
        let [before, now] = [
            &mine.lists[place],
            &mine.admin.get(&format!("/v1/{noun}")).await.body,
        ];
        assert_eq!(before, now, "{noun}");
        let ids = |list: &Value| -> Vec<Value> {
            list["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["id"].clone())
                .collect()
        };
        let own = ids(before);
        let others = ids(&other.lists[place]);
        assert!(!own.is_empty() && !others.is_empty(), "{noun}");
        assert!(own.iter().all(|id| !others.contains(id)), "{noun}");
    }
    // And it is all there for the key of its own environment.
    for (path, methods) in &mine.things {
        for method in methods.iter().filter(|&method| method != Method::DELETE) {
            let body = (*method == Method::PATCH).then(|| json!({ "description": "its own" }));
            let answer = mine.admin.call(method.clone(), path, body).await;
            assert_eq!(answer.status, StatusCode::OK, "{method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_key_of_one_environment_cannot_refer_to_another() {
    let api = Api::start().await;
    api.admin()
        .make("/v1/environments", json!({ "name": "other" }))
        .await;
    let mine = furnish(&api, "default").await;
    let other = furnish(&api, "other").await;
    let connection = mine.lists[1]["data"][0]["id"].clone();

    let new = json!({ "integration": "of-default", "tenant_id": TENANT });
    assert_eq!(
        other.admin.post("/v1/connections", new).await.status,
        StatusCode::NOT_FOUND
    );
    let new = json!({ "connection_id": connection, "resource": "users/8/events", "change_types": ["created"] });
    let answer = other.admin.post("/v1/subscriptions", new).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    let new = json!({ "url": "https://app.example/", "triggers": ["event.updated"], "connections": [connection] });
    assert_eq!(
        other.admin.post("/v1/webhooks", new).await.status,
        StatusCode::BAD_REQUEST
    );

    for path in ["subscriptions", "notifications", "events"] {
        let path = format!("/v1/{path}?connection={}", connection.as_str().unwrap());
        assert_eq!(
            other.admin.get(&path).await.body,
            json!({ "data": [], "next_cursor": null })
        );
        assert_ne!(mine.admin.get(&path).await.body["data"], json!([]));
    }
    let answer = other
        .admin
        .get("/v1/notifications?integration=of-default")
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_key_of_one_environment_cannot_choose_another() {
    let api = Api::start().await;
    let other = api
        .admin()
        .make("/v1/environments", json!({ "name": "other" }))
        .await;
    let key = api
        .admin()
        .make("/v1/keys", json!({ "name": "k", "scope": "admin" }))
        .await;
    let bound = api.caller(key["key"].as_str().unwrap());
    assert_eq!(
        bound.within("default").get("/v1/events").await.status,
        StatusCode::OK
    );
    for name in ["other", other["id"].as_str().unwrap(), "no such"] {
        let answer = bound.within(name).get("/v1/events").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
        assert_eq!(
            answer.body["detail"],
            format!("there is no environment `{name}`")
        );
    }
    let list = bound.get("/v1/environments").await.body;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

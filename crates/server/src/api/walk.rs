//! Rules that hold for every path of the API.

use http::{Method, StatusCode, header};
use serde_json::json;

use super::{routes, testing::Api};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PATCH,
    Method::PUT,
    Method::DELETE,
];

fn paths() -> Vec<String> {
    let paths = routes().into_iter().map(|(path, _)| path);
    paths
        .map(|path| {
            path.replace("{id}", "x")
                .replace("{key}", "x")
                .replace("{name}", "x")
        })
        .collect()
}

#[tokio::test]
async fn nothing_is_shown_and_nothing_done_without_a_key() {
    let api = Api::start().await;
    for path in paths() {
        for method in METHODS {
            for caller in [api.anonymous(), api.caller("tdk_wrong"), api.caller("")] {
                let answer = caller.call(method.clone(), &path, None).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert_eq!(answer.body["code"], "unauthorized");
                assert_eq!(
                    answer.headers[header::WWW_AUTHENTICATE],
                    r#"Bearer realm="tidings""#
                );
                assert_eq!(
                    answer.headers[header::CONTENT_TYPE],
                    "application/problem+json"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_reads_changes_nothing() {
    let api = Api::start().await;
    let key = api
        .admin()
        .make("/v1/keys", json!({ "name": "r", "scope": "read" }))
        .await;
    let reader = api.caller(key["key"].as_str().unwrap());
    for path in paths() {
        for method in METHODS {
            let answer = reader.call(method.clone(), &path, None).await;
            if method == Method::GET {
                assert!(
                    [
                        StatusCode::OK,
                        StatusCode::NOT_FOUND,
                        StatusCode::METHOD_NOT_ALLOWED
                    ]
                    .contains(&answer.status),
                    "{path}: {answer:?}"
                );
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
                assert_eq!(answer.body["code"], "forbidden");
            }
        }
    }
}

#[tokio::test]
async fn no_answer_may_be_kept_on_the_way() {
    let api = Api::start().await;
    for path in paths() {
        for caller in [api.admin(), api.anonymous()] {
            let answer = caller.get(&path).await;
            assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
            assert!(answer.headers.contains_key("x-request-id"));
        }
    }
}

#[tokio::test]
async fn unknown_parameters_are_refused_everywhere() {
    let api = Api::start().await;
    for path in paths() {
        let answer = api.admin().get(&format!("{path}?colour=blue")).await;
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            continue;
        }
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
        assert_eq!(answer.body["code"], "invalid_parameter");
    }
}

#[tokio::test]
async fn limits_and_cursors_are_checked_in_every_list() {
    let api = Api::start().await;
    for path in [
        "environments",
        "integrations",
        "connections",
        "policies",
        "subscriptions",
        "webhooks",
        "notifications",
        "events",
        "deliveries",
        "keys",
    ] {
        for query in [
            "limit=0",
            "limit=501",
            "limit=-1",
            "limit=x",
            "cursor=%25",
            "cursor=eA",
            "cursor=",
        ] {
            let answer = api.admin().get(&format!("/v1/{path}?{query}")).await;
            assert_eq!(
                answer.status,
                StatusCode::BAD_REQUEST,
                "{path}?{query}: {answer:?}"
            );
            assert_eq!(answer.body["code"], "invalid_parameter");
        }
        let answer = api.admin().get(&format!("/v1/{path}?limit=500")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_not_read() {
    let api = Api::start().await;
    let new = json!({ "name": "x".repeat(1 << 20) });
    let answer = api.admin().post("/v1/environments", new).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.body["code"], "body_too_large");
}

#[tokio::test]
async fn a_wrong_path_or_method_is_a_problem_too() {
    let api = Api::start().await;
    let answer = api.admin().get("/v1/hooks").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        answer.body,
        json!({
            "type": "urn:tidings:problem:not_found",
            "title": "There is nothing here",
            "status": 404,
            "code": "not_found",
            "detail": "there is no path `/v1/hooks`",
        })
    );
    let answer = api.admin().call(Method::PUT, "/v1/webhooks", None).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.body["code"], "method_not_allowed");
    assert_eq!(answer.headers[header::ALLOW], "GET,HEAD,POST");
}

#[tokio::test]
async fn a_store_that_is_closed_is_a_passing_trouble() {
    let api = Api::start().await;
    let admin = api.admin();
    assert_eq!(admin.get("/v1/events").await.status, StatusCode::OK);
    api.gateway.store.close().await;
    let answer = admin.get("/v1/events").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body["code"], "store_unavailable");
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
}

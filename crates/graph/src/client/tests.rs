use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use server::{Reply, Seen, Server};
use tidings_domain::{Timestamp, clock::ManualClock, entropy::SeededEntropy};
use tidings_egress::AddressPolicy;

use super::*;
use crate::{
    error::{CallError, CredentialScope, ForbiddenReason},
    resource::{ItemPath, table::Version},
    wire::subscription::{NewSubscription, SubscriptionPatch},
};

mod batch;
mod delta;
mod list;
mod server;

const TENANT: &str = "1f6a9f0e-77aa-4a57-9a2d-64f1b2d7c3a1";

fn ok(body: impl Into<String>) -> Reply {
    (200, Vec::new(), body.into())
}

fn is_token(seen: &Seen) -> bool {
    seen.path.ends_with("/oauth2/v2.0/token")
}

/// A token answer; the token's value ends in `name`.
fn granted(name: &str) -> Reply {
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"tid":"{TENANT}","n":"{name}"}}"#));
    ok(format!(
        r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"e30.{claims}.{name}"}}"#
    ))
}

fn client() -> (ManualClock, GraphClient) {
    let clock = ManualClock::new("2026-11-22T10:00:00Z".parse().unwrap());
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let egress = Egress::new(policy, Arc::new(clock.clone())).unwrap();
    let entropy = Arc::new(SeededEntropy::new(1));
    let graph = GraphClient::new(
        egress,
        Arc::new(clock.clone()),
        entropy,
        Duration::from_secs(30),
    );
    (clock, graph)
}

fn access(server: &Server) -> Access {
    Access {
        integration: ulid(),
        tenant: TENANT.to_owned(),
        client_id: "app".to_owned(),
        client_secret: Secret::new("p&ss w=rd"),
        login_url: server.url.clone(),
        graph_url: server.url.clone(),
    }
}

fn ulid() -> IntegrationId {
    "int_01J00000000000000000000000".parse().unwrap()
}

fn resource(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","resource":"users/u/events","changeType":"created","notificationUrl":"https://n.example/x",
            "lifecycleNotificationUrl":null,"expirationDateTime":"2026-11-29T10:00:00.0000000Z","clientState":"",
            "encryptionCertificate":"","includeResourceData":null}}"#
    )
}

fn new_subscription() -> NewSubscription {
    NewSubscription {
        change_type: "created".to_owned(),
        notification_url: "https://n.example/x".to_owned(),
        lifecycle_notification_url: Some("https://n.example/x/lifecycle".to_owned()),
        resource: "users/u/events".to_owned(),
        expires_at: "2026-11-29T10:00:00Z".parse().unwrap(),
        client_state: Some(Secret::new("s3cret-s3cret-s3")),
        include_resource_data: None,
        encryption_certificate: None,
        encryption_certificate_id: None,
        latest_supported_tls_version: None,
        notification_query_options: None,
        notification_url_app_id: None,
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_by_many_and_again_before_it_ends() {
    let server = Server::start(|_, before| granted(&before.to_string())).await;
    let (clock, graph) = client();
    let access = access(&server);
    let tokens = join_all((0..20).map(|_| graph.token(&access))).await;
    assert!(tokens.iter().all(Result::is_ok));
    assert_eq!(server.seen().len(), 1);

    let asked = &server.seen()[0];
    assert_eq!(asked.path, format!("/{TENANT}/oauth2/v2.0/token"));
    assert!(
        asked.body.contains("client_secret=p%26ss+w%3Drd"),
        "{}",
        asked.body
    );
    assert!(asked.body.contains("%2F.default"), "{}", asked.body);

    let token = tokens[0].clone().unwrap();
    assert_eq!(token.tenant_id, Some(TENANT.parse().unwrap()));
    clock.advance(Duration::from_mins(45));
    assert_eq!(graph.token(&access).await.unwrap(), token);
    clock.advance(Duration::from_mins(10));
    assert_ne!(graph.token(&access).await.unwrap(), token);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_token_that_cannot_be_refreshed_is_used_to_its_end() {
    let server = Server::start(|_, before| match before {
        0 => granted("first"),
        _ => (503, Vec::new(), String::new()),
    })
    .await;
    let (clock, graph) = client();
    let access = access(&server);
    let token = graph.token(&access).await.unwrap();
    clock.advance(Duration::from_secs(3_400));
    assert_eq!(graph.token(&access).await.unwrap(), token);
    assert_eq!(server.seen().len(), 2);
    clock.advance(Duration::from_secs(200));
    assert!(graph.token(&access).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_refusal_is_kept_a_while_but_not_for_other_credentials() {
    let server = Server::start(|seen, _| {
        if seen.body.contains("client_secret=right") {
            return granted("x");
        }
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: No.","error_codes":[7000215]}"#;
        (401, Vec::new(), body.to_owned())
    })
    .await;
    let (clock, graph) = client();
    let wrong = access(&server);
    for _ in 0..3 {
        let error = graph.token(&wrong).await.unwrap_err();
        assert!(matches!(
            error,
            CallError::Credentials {
                scope: CredentialScope::App,
                code: Some(7_000_215),
                ..
            }
        ));
    }
    assert_eq!(server.seen().len(), 1);
    clock.advance(Duration::from_secs(20));
    assert!(graph.token(&wrong).await.is_err());
    assert_eq!(server.seen().len(), 2);
    let right = Access {
        client_secret: Secret::new("right"),
        ..wrong
    };
    assert!(graph.token(&right).await.is_ok());
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = Server::start(|seen, before| {
        if is_token(seen) {
            return granted(&before.to_string());
        }
        match before {
            1 => (401, Vec::new(), String::new()),
            _ => ok(resource("a")),
        }
    })
    .await;
    let (_, graph) = client();
    assert_eq!(
        graph
            .get_subscription(&access(&server), "a")
            .await
            .unwrap()
            .id,
        "a"
    );
    let bearers: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| !is_token(seen))
        .map(|seen| seen.headers["authorization"].clone())
        .collect();
    assert_eq!(bearers.len(), 2);
    assert_ne!(bearers[0], bearers[1]);
}

#[tokio::test]
async fn a_token_refused_twice_is_a_credential_failure() {
    let server = Server::start(|seen, before| {
        if is_token(seen) {
            return granted(&before.to_string());
        }
        (401, Vec::new(), String::new())
    })
    .await;
    let (_, graph) = client();
    let error = graph
        .get_subscription(&access(&server), "a")
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        CallError::Credentials {
            scope: CredentialScope::Tenant,
            ..
        }
    ));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_subscription_is_created_renewed_and_deleted() {
    let server = Server::start(|seen, _| match (seen.method.as_str(), is_token(seen)) {
        (_, true) => granted("t"),
        ("DELETE", _) => (204, Vec::new(), String::new()),
        ("POST", _) if seen.path.ends_with("reauthorize") => (204, Vec::new(), String::new()),
        ("POST", _) => (201, Vec::new(), resource("abc-1")),
        _ => ok(resource("abc-1")),
    })
    .await;
    let (_, graph) = client();
    let access = access(&server);
    let expires_at: Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
    let new = new_subscription();
    let made = graph
        .create_subscription(&access, Version::V1, &new)
        .await
        .unwrap();
    assert_eq!(
        (made.client_state, made.encryption_certificate),
        (None, None)
    );
    assert_eq!(made.expires_at, expires_at);
    graph
        .renew_subscription(&access, &made.id, expires_at)
        .await
        .unwrap();
    graph
        .reauthorize_subscription(&access, &made.id)
        .await
        .unwrap();
    let moved = SubscriptionPatch {
        notification_url: Some("https://new.example/x".to_owned()),
        ..SubscriptionPatch::default()
    };
    graph
        .patch_subscription(&access, &made.id, &moved)
        .await
        .unwrap();
    graph.delete_subscription(&access, &made.id).await.unwrap();

    let seen = server.seen();
    let calls: Vec<_> = seen
        .iter()
        .filter(|one| !is_token(one))
        .map(|one| format!("{} {} {}", one.method, one.path, one.body))
        .collect();
    assert_eq!(
        calls,
        [
            r#"POST /v1.0/subscriptions {"changeType":"created","notificationUrl":"https://n.example/x","lifecycleNotificationUrl":"https://n.example/x/lifecycle","resource":"users/u/events","expirationDateTime":"2026-11-29T10:00:00.000Z","clientState":"s3cret-s3cret-s3"}"#,
            r#"PATCH /v1.0/subscriptions/abc-1 {"expirationDateTime":"2026-11-29T10:00:00.000Z"}"#,
            "POST /v1.0/subscriptions/abc-1/reauthorize ",
            r#"PATCH /v1.0/subscriptions/abc-1 {"notificationUrl":"https://new.example/x"}"#,
            "DELETE /v1.0/subscriptions/abc-1 ",
        ]
    );
    assert!(graph.get_subscription(&access, "../users").await.is_err());
}

#[tokio::test]
async fn pages_are_followed_on_the_same_host_only() {
    let server = Server::start(|seen, _| {
        if is_token(seen) {
            return granted("t");
        }
        let host = seen.headers["host"].to_str().unwrap();
        let next = match seen.path.as_str() {
            "/v1.0/subscriptions" => format!("http://{host}/v1.0/subscriptions?$skiptoken=2"),
            "/v1.0/subscriptions?$skiptoken=2" => String::new(),
            other => panic!("{other}"),
        };
        ok(format!(
            r#"{{"value":[{}],"@odata.nextLink":"{next}"}}"#,
            resource("a")
        ))
    })
    .await;
    let (_, graph) = client();
    let all = graph.list_subscriptions(&access(&server)).await.unwrap();
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn an_item_is_fetched_byte_for_byte_by_its_encoded_path() {
    let body = "{ \"@odata.etag\" : \"W/\\\"1\\\"\", \"id\":\"x\", \"n\": 1.50 }\n";
    let server = Server::start(move |seen, _| {
        if is_token(seen) {
            granted("t")
        } else {
            ok(body)
        }
    })
    .await;
    let (_, graph) = client();
    let item = ItemPath::parse("Users('u')/messages('AA/B+=')").unwrap();
    let fetched = graph.fetch(&access(&server), &item, 1_000).await.unwrap();
    assert_eq!(fetched.object, body);
    assert_eq!(fetched.etag.as_deref(), Some("W/\"1\""));
    assert_eq!(server.seen()[1].path, "/v1.0/users/u/messages/AA%2FB%2B=");
}

#[tokio::test]
async fn what_is_no_object_of_allowed_size_is_not_taken() {
    for (body, expected) in [
        (format!("{{\"a\":\"{}\"}}", "x".repeat(200)), true),
        ("[]".to_owned(), false),
        ("{\"a\":".to_owned(), false),
        ("<html>".to_owned(), false),
    ] {
        let server = Server::start(move |seen, _| {
            if is_token(seen) {
                granted("t")
            } else {
                ok(body.clone())
            }
        })
        .await;
        let (_, graph) = client();
        let item = ItemPath::parse("me/events/x").unwrap();
        let error = graph.fetch(&access(&server), &item, 100).await.unwrap_err();
        assert_eq!(error == CallError::TooLarge, expected, "{error}");
        assert_eq!(error.is_transient(), !expected, "{error}");
    }
}

#[tokio::test]
async fn errors_keep_what_matters() {
    let server = Server::start(|seen, before| {
        if is_token(seen) {
            return granted("t");
        }
        match before {
            1 => {
                let headers = vec![
                    ("retry-after", "2.5".to_owned()),
                    ("x-ms-throttle-scope", "Tenant/Read/a/t".to_owned()),
                ];
                (429, headers, String::new())
            }
            2 => (
                403,
                vec![("request-id", "r-9".to_owned())],
                "x".repeat(10_000),
            ),
            _ => (404, Vec::new(), String::new()),
        }
    })
    .await;
    let (_, graph) = client();
    let (access, item) = (access(&server), ItemPath::parse("me/events/x").unwrap());
    let error = graph.fetch(&access, &item, 100).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_millis(2_500)));
    assert!(
        matches!(error, CallError::Throttled { throttle, .. } if throttle.scope.as_deref() == Some("Tenant/Read/a/t"))
    );
    let error = graph.fetch(&access, &item, 100).await.unwrap_err();
    assert!(
        matches!(error, CallError::Forbidden { reason: ForbiddenReason::Other, request_id: Some(id), .. } if id == "r-9")
    );
    assert_eq!(
        graph.fetch(&access, &item, 100).await,
        Err(CallError::NotFound)
    );
}

#[tokio::test]
async fn a_graph_that_is_not_there_is_unavailable() {
    let server = Server::start(|_, _| granted("t")).await;
    let (_, graph) = client();
    let mut access = access(&server);
    // A port that was free a moment ago, and that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    access.graph_url = format!("http://{closed}").parse().unwrap();
    assert!(
        graph
            .get_subscription(&access, "a")
            .await
            .unwrap_err()
            .is_transient()
    );
}

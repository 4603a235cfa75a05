//! The token endpoint.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

use crate::kit::{Answered, Graph};

const SCOPE: &str = "https://graph.microsoft.com/.default";

async fn ask(graph: &Graph, tenant: &str, pairs: &[(&str, &str)]) -> Answered {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let path = format!("/{tenant}/oauth2/v2.0/token");
    graph.send(Method::POST, &path, &[], form).await.unwrap()
}

#[track_caller]
fn refused(answer: &Answered, status: u16, error: &str, code: u32) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["error"], error);
    assert_eq!(body["error_codes"], json!([code]));
    let description = body["error_description"].as_str().unwrap();
    assert!(
        description.starts_with(&format!("AADSTS{code}: ")),
        "{description}"
    );
    assert!(
        description.ends_with("\r\nTimestamp: 2026-11-22 10:00:00Z"),
        "{description}"
    );
    assert_eq!(body["timestamp"], "2026-11-22 10:00:00Z");
    assert!(body["trace_id"].is_string() && body["correlation_id"].is_string());
}

#[tokio::test]
async fn a_token_names_tenant_app_and_roles_and_opens_graph_until_it_expires() {
    let graph = Graph::start().await;
    let tenant = graph.tenants[0].clone();
    let (id, secret) = (tenant.client_id.to_string(), tenant.client_secret.clone());
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", &*id),
        ("client_secret", &*secret),
        ("scope", SCOPE),
    ];
    for name in [tenant.tenant_id.to_string(), tenant.domain.clone()] {
        let answer = ask(&graph, &name, &pairs).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 3_599);
        assert_eq!(body["ext_expires_in"], 3_599);
        assert!(body.get("refresh_token").is_none());
        let token = body["access_token"].as_str().unwrap();
        let claims = URL_SAFE_NO_PAD
            .decode(token.split('.').nth(1).unwrap())
            .unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["tid"], tenant.tenant_id.to_string());
        assert_eq!(claims["appid"], id);
        assert!(
            claims["roles"]
                .as_array()
                .unwrap()
                .contains(&json!("Mail.ReadWrite"))
        );
        assert_eq!(claims["exp"], 1_795_341_600 + 3_599);

        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer)];
        let list = || graph.send(Method::GET, "/v1.0/users", &headers, "");
        assert_eq!(list().await.unwrap().status, StatusCode::OK);
        graph.clock.advance(Duration::from_secs(3_599));
        list().await.unwrap().is_error(
            401,
            "InvalidAuthenticationToken",
            "Lifetime validation failed, the token is expired.",
        );
        graph.clock.jump_to(crate::kit::START);
    }
    graph.stop().await;
}

#[tokio::test]
async fn http_basic_is_taken_too() {
    let graph = Graph::start().await;
    let tenant = &graph.tenants[1];
    let secret = tenant.client_secret.replace('~', "%7E");
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{secret}", tenant.client_id))
    );
    let path = format!("/{}/oauth2/v2.0/token", tenant.domain);
    let form = "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";
    let answer = graph
        .send(Method::POST, &path, &[("authorization", &basic)], form)
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    graph.stop().await;
}

#[tokio::test]
async fn every_refusal_is_entras() {
    let graph = Graph::start().await;
    let tenant = graph.tenants[0].clone();
    let name = tenant.domain.clone();
    let (id, secret) = (tenant.client_id.to_string(), tenant.client_secret.clone());
    let grant = ("grant_type", "client_credentials");
    let good_id = ("client_id", &*id);
    let good_secret = ("client_secret", &*secret);
    let scope = ("scope", SCOPE);

    let wrong = ask(
        &graph,
        &name,
        &[grant, good_id, ("client_secret", "guess"), scope],
    )
    .await;
    refused(&wrong, 401, "invalid_client", 7_000_215);
    let text = wrong.json()["error_description"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains(&format!(
        "not the client secret ID, for a secret added to app '{id}'."
    )));

    let other = "00000000-0000-4000-8000-000000000001";
    let unknown = ask(
        &graph,
        &name,
        &[grant, ("client_id", other), good_secret, scope],
    )
    .await;
    refused(&unknown, 400, "unauthorized_client", 700_016);
    let nowhere = ask(
        &graph,
        "nowhere.example",
        &[grant, good_id, good_secret, scope],
    )
    .await;
    refused(&nowhere, 400, "invalid_request", 90_002);
    let narrow = ask(
        &graph,
        &name,
        &[grant, good_id, good_secret, ("scope", "Mail.Read")],
    )
    .await;
    refused(&narrow, 400, "invalid_scope", 70_011);
    let code = ask(
        &graph,
        &name,
        &[("grant_type", "password"), good_id, good_secret, scope],
    )
    .await;
    refused(&code, 400, "unsupported_grant_type", 70_003);
    let missing = ask(&graph, &name, &[grant, good_id, scope]).await;
    refused(&missing, 400, "invalid_request", 900_144);
    graph.stop().await;
}

#[tokio::test]
async fn a_consent_taken_back_closes_sign_in_and_graph_for_one_tenant() {
    let graph = Graph::start().await;
    let bearer = format!("Bearer {}", graph.token(0).await);
    let tenant = graph.tenants[0].clone();
    let path = format!("tenants/{}/apps/{}", tenant.tenant_id, tenant.client_id);
    let removed = graph.control(Method::DELETE, &path, None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let list = graph
        .send(
            Method::GET,
            "/v1.0/users",
            &[("authorization", &bearer)],
            "",
        )
        .await;
    assert_eq!(list.unwrap().status, StatusCode::UNAUTHORIZED);
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", &*tenant.client_id.to_string()),
        ("client_secret", &*tenant.client_secret),
        ("scope", SCOPE),
    ];
    refused(
        &ask(&graph, &tenant.domain, &pairs).await,
        400,
        "unauthorized_client",
        700_016,
    );
    assert_eq!(
        graph.call_in(1, Method::GET, "users", None).await.status,
        StatusCode::OK
    );
    graph.stop().await;
}

#[tokio::test]
async fn graph_refuses_calls_without_a_token_or_with_a_broken_one() {
    let graph = Graph::start().await;
    let none = graph
        .send(Method::GET, "/v1.0/users", &[], "")
        .await
        .unwrap();
    none.is_error(401, "InvalidAuthenticationToken", "Access token is empty.");
    let headers = [
        ("authorization", "Bearer abc.def.ghi"),
        ("client-request-id", "mine-1"),
    ];
    let broken = graph
        .send(Method::GET, "/v1.0/users", &headers, "")
        .await
        .unwrap();
    assert_eq!(broken.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        broken.json()["error"]["innerError"]["client-request-id"],
        "mine-1"
    );
    assert_eq!(broken.headers["client-request-id"], "mine-1");
    graph.stop().await;
}

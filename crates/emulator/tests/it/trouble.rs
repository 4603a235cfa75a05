//! What administrators do to an app, and heal again.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_emulator::{Challenges, Pause, SecretTrouble, Trouble};

use crate::kit::{Answered, Graph, Receiver};

/// Asks for a token of the first app in a tenant.
async fn sign_in(graph: &Graph, tenant: usize) -> Answered {
    let tenant = &graph.tenants[tenant];
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
        tenant.client_id,
        tenant.client_secret.replace('~', "%7E"),
    );
    let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id);
    graph.send(Method::POST, &path, &[], form).await.unwrap()
}

async fn list(graph: &Graph, token: &str) -> Answered {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer)];
    graph
        .send(Method::GET, "/v1.0/users", &headers, "")
        .await
        .unwrap()
}

fn code(answer: &Answered) -> (u16, Value, Value) {
    let body = answer.json();
    (
        answer.status.as_u16(),
        body["error"].clone(),
        body["error_codes"][0].clone(),
    )
}

#[tokio::test]
async fn broken_access_has_its_code_and_its_status_in_one_tenant_until_healed() {
    let graph = Graph::start().await;
    let (tenant, app) = (graph.tenants[0].tenant_id, graph.tenants[0].client_id);
    let path = format!("tenants/{tenant}/apps/{app}/trouble");
    let token = graph.token(0).await;
    for (trouble, status, error, number, graph_status) in [
        ("app_disabled", 400, "unauthorized_client", 7_000_112, 401),
        ("app_not_found", 400, "unauthorized_client", 700_016, 401),
        ("consent_revoked", 400, "invalid_grant", 65_001, 403),
        (
            "service_principal_missing",
            400,
            "unauthorized_client",
            7_000_229,
            401,
        ),
    ] {
        let body = json!({"trouble": trouble});
        let broken = graph.control(Method::PUT, &path, Some(body)).await;
        assert_eq!(broken.status, StatusCode::NO_CONTENT, "{}", broken.text());
        let refused = sign_in(&graph, 0).await;
        assert_eq!(code(&refused), (status, json!(error), json!(number)));
        let refused = list(&graph, &token).await;
        assert_eq!(refused.status.as_u16(), graph_status, "{trouble}");
        // The other tenant does not suffer.
        assert_eq!(sign_in(&graph, 1).await.status, StatusCode::OK);
        let healed = graph.control(Method::DELETE, &path, None).await;
        assert_eq!(healed.status, StatusCode::NO_CONTENT);
        assert_eq!(list(&graph, &token).await.status, StatusCode::OK);
        assert_eq!(sign_in(&graph, 0).await.status, StatusCode::OK);
    }
    let healed = graph.control(Method::DELETE, &path, None).await;
    assert_eq!(healed.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

#[tokio::test]
async fn a_token_without_roles_stays_so_when_they_are_given_back() {
    let graph = Graph::start().await;
    let (tenant, app) = (graph.tenants[0].tenant_id, graph.tenants[0].client_id);
    graph
        .emulator
        .break_access(tenant, app, Trouble::RolesRemoved)
        .unwrap();
    let bare = graph.token(0).await;
    let refused = list(&graph, &bare).await;
    refused.is_error(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    );
    assert!(graph.emulator.heal_access(tenant, app));
    assert_eq!(list(&graph, &bare).await.status, StatusCode::FORBIDDEN);
    let fresh = graph.token(0).await;
    assert_eq!(list(&graph, &fresh).await.status, StatusCode::OK);
    graph.stop().await;
}

#[tokio::test]
async fn tokens_that_are_there_are_refused_after_a_while() {
    let graph = Graph::with(|options| options.switches.revocation_seconds = 600).await;
    let (tenant, app) = (graph.tenants[0].tenant_id, graph.tenants[0].client_id);
    let token = graph.token(0).await;
    graph
        .emulator
        .break_access(tenant, app, Trouble::AppDisabled)
        .unwrap();
    assert_eq!(sign_in(&graph, 0).await.status, StatusCode::BAD_REQUEST);
    graph.clock.advance(Duration::from_secs(599));
    assert_eq!(list(&graph, &token).await.status, StatusCode::OK);
    graph.clock.advance(Duration::from_secs(1));
    list(&graph, &token).await.is_error(
        401,
        "InvalidAuthenticationToken",
        "The identity of the calling application could not be established.",
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_broken_secret_closes_sign_in_for_all_tenants_and_leaves_tokens_good() {
    let graph = Graph::start().await;
    let app = graph.tenants[0].client_id;
    let token = graph.token(0).await;
    for (trouble, number) in [
        (SecretTrouble::Expired, 7_000_222),
        (SecretTrouble::Wrong, 7_000_215),
    ] {
        graph.emulator.break_secret(app, trouble).unwrap();
        for tenant in [0, 1] {
            let refused = sign_in(&graph, tenant).await;
            assert_eq!(
                code(&refused),
                (401, json!("invalid_client"), json!(number))
            );
        }
        assert_eq!(list(&graph, &token).await.status, StatusCode::OK);
    }
    assert!(graph.emulator.heal_secret(app));
    assert_eq!(sign_in(&graph, 1).await.status, StatusCode::OK);
    let path = format!("apps/{app}/trouble");
    let body = json!({"trouble": "expired"});
    let broken = graph.control(Method::PUT, &path, Some(body)).await;
    assert_eq!(broken.status, StatusCode::NO_CONTENT);
    assert_eq!(sign_in(&graph, 1).await.status, StatusCode::UNAUTHORIZED);
    let healed = graph.control(Method::DELETE, &path, None).await;
    assert_eq!(healed.status, StatusCode::NO_CONTENT);
    assert_eq!(sign_in(&graph, 1).await.status, StatusCode::OK);
    graph.stop().await;
}

#[tokio::test]
async fn a_tenant_that_takes_its_consent_back_pauses_its_subscriptions_and_asks_for_it_anew() {
    let graph = Graph::with(|options| {
        options.switches.challenges = Challenges::End;
        options.switches.pause = Pause::Hold;
    })
    .await;
    let (receiver, lifecycle) = (Receiver::start().await, Receiver::start().await);
    for tenant in [0, 1] {
        let resource = format!("users/{}/events", graph.user(tenant, 0));
        let mut body = crate::kit::subscription(&resource, &receiver.url);
        body["lifecycleNotificationUrl"] = lifecycle.url.clone().into();
        body["clientState"] = tenant.to_string().into();
        graph
            .call_in(tenant, Method::POST, "subscriptions", Some(body))
            .await;
    }
    receiver.forget();
    lifecycle.forget();
    let (tenant, app) = (graph.tenants[0].tenant_id, graph.tenants[0].client_id);
    graph
        .emulator
        .break_access(tenant, app, Trouble::ConsentRevoked)
        .unwrap();
    let asked = lifecycle.items(1).await;
    assert_eq!(asked[0]["lifecycleEvent"], "reauthorizationRequired");
    assert_eq!(asked[0]["clientState"], "0");
    for tenant in [0, 1] {
        let user = graph.tenants[tenant].users[0].id;
        graph
            .emulator
            .create_event(user, serde_json::Map::new())
            .unwrap();
    }
    let came = receiver.items(1).await;
    assert_eq!(came[0]["clientState"], "1");
    graph.until_idle().await;
    assert_eq!((receiver.count(), lifecycle.count()), (1, 1));
    graph.emulator.heal_access(tenant, app);
    assert_eq!(receiver.items(2).await[1]["clientState"], "0");
    graph.stop().await;
}

//! `POST /v1/integrations`: answered with the notification URL and the webhook secret.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::Secret;
use tidings_pipeline::{gateway::Gateway, manage::NewIntegration};

use super::IntegrationJson;
use crate::{
    api::{access::Access, body::Body, created::created},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Its name in URLs.
    key: String,
    /// The app registration's id.
    client_id: String,
    /// The app registration's secret.
    client_secret: Secret,
    /// The clientState of subscriptions made by hand; made at random if left out.
    webhook_secret: Option<Secret>,
    /// Where tokens come from; the global cloud if left out.
    login_url: Option<String>,
    /// Where Graph is; the global cloud if left out.
    graph_url: Option<String>,
}

pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(new): Body<Request>,
) -> Result<Response, Problem> {
    let new = NewIntegration {
        environment: access.environment,
        key: new.key,
        client_id: new.client_id,
        client_secret: new.client_secret,
        webhook_secret: new.webhook_secret,
        login_url: new.login_url,
        graph_url: new.graph_url,
    };
    let integration = gateway.manage.create_integration(new).await?;
    let mut shown = IntegrationJson::new(&gateway, &integration);
    shown.webhook_secret = Some(integration.webhook_secret.expose());
    Ok(created(
        &format!("/v1/integrations/{}", integration.key),
        &shown,
    ))
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn an_integration_is_shown_with_its_url_and_webhook_secret_but_not_its_client_secret() {
        let api = Api::start().await;
        let mut new = api.integration("microsoft-oauth2-cc");
        new["webhook_secret"] = json!("0123456789abcdef");
        let answer = api.admin().post("/v1/integrations", new).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        let environment = answer.body["environment_id"].as_str().unwrap();
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "int_*",
                "environment_id": "uuid",
                "key": "microsoft-oauth2-cc",
                "client_id": "app",
                "login_url": api.graph_url(),
                "graph_url": api.graph_url(),
                "notification_url": format!("https://tidings.example/webhook/{environment}/microsoft-oauth2-cc"),
                "created_at": "time",
                "webhook_secret": "0123456789abcdef",
            })
        );
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(api.admin().get(location).await.body, answer.body);
    }

    #[tokio::test]
    async fn clouds_and_webhook_secret_need_not_be_given() {
        let api = Api::start().await;
        let new = json!({ "key": "global", "client_id": "app", "client_secret": "s" });
        let made = api.admin().make("/v1/integrations", new).await;
        assert_eq!(made["login_url"], "https://login.microsoftonline.com");
        assert_eq!(made["graph_url"], "https://graph.microsoft.com");
        assert!(made["webhook_secret"].as_str().unwrap().len() >= 32);
    }

    #[tokio::test]
    async fn what_is_wrong_is_pointed_at() {
        let api = Api::start().await;
        for (member, value) in [
            ("key", json!("Not A Key")),
            ("client_id", json!("")),
            ("client_secret", json!("")),
            ("webhook_secret", json!("short")),
            ("login_url", json!("ftp://login.example")),
            ("graph_url", json!("https://10.0.0.1")),
            ("tenant", json!("x")),
        ] {
            let mut new = api.integration("graph");
            new[member] = value;
            let answer = api.admin().post("/v1/integrations", new).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            assert_eq!(answer.body["pointer"], format!("/{member}"), "{answer:?}");
        }
        api.admin()
            .make("/v1/integrations", api.integration("graph"))
            .await;
        let answer = api
            .admin()
            .post("/v1/integrations", api.integration("graph"))
            .await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::CONFLICT, &json!("conflict"))
        );
    }
}

//! `POST /v1/connections`: connects a tenant, by asking sign-in for a first token.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_pipeline::{gateway::Gateway, manage::NewConnection};

use super::ConnectionJson;
use crate::{
    api::{access::Access, body::Body, created::created},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The key of the integration that the tenant has consented to.
    integration: String,
    /// The tenant's id, or one of its domains.
    tenant_id: String,
}

pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(new): Body<Request>,
) -> Result<Response, Problem> {
    let new = NewConnection {
        environment: access.environment,
        integration: new.integration,
        tenant_id: new.tenant_id,
    };
    let connection = gateway.manage.connect(new).await?;
    let shown = ConnectionJson::new(&gateway, &connection)?;
    Ok(created(
        &format!("/v1/connections/{}", connection.id),
        &shown,
    ))
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};
    use serde_json::json;

    use crate::api::testing::{Api, REFUSED, TENANT, normal};

    #[tokio::test]
    async fn a_tenant_given_by_a_domain_is_known_by_its_id() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/integrations", api.integration("graph"))
            .await;
        let new = json!({ "integration": "graph", "tenant_id": "contoso.example" });
        let answer = api.admin().post("/v1/connections", new).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_eq!(answer.body["tenant_id"], TENANT);
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "conn_*",
                "environment_id": "uuid",
                "integration": "graph",
                "tenant_id": "uuid",
                "state": "active",
                "reason": null,
                "since": null,
                "created_at": "time",
            })
        );
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(api.admin().get(location).await.body, answer.body);

        let again = json!({ "integration": "graph", "tenant_id": TENANT });
        let answer = api.admin().post("/v1/connections", again).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::CONFLICT, &json!("conflict"))
        );
    }

    #[tokio::test]
    async fn a_tenant_that_has_not_consented_is_refused_with_what_the_sign_in_says() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/integrations", api.integration("graph"))
            .await;
        let new = json!({ "integration": "graph", "tenant_id": REFUSED });
        let answer = api.admin().post("/v1/connections", new).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.body["code"], "credentials_refused");
        assert!(
            answer.body["detail"].as_str().unwrap().contains("700016"),
            "{answer:?}"
        );
        assert_eq!(
            api.admin().get("/v1/connections").await.body["data"],
            json!([])
        );
    }

    #[tokio::test]
    async fn what_is_wrong_is_pointed_at() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/integrations", api.integration("graph"))
            .await;
        let new = json!({ "integration": "no-such", "tenant_id": TENANT });
        let answer = api.admin().post("/v1/connections", new).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(
            answer.body["detail"],
            "there is no integration `no-such` in this environment"
        );
        let new = json!({ "integration": "graph", "tenant_id": "common" });
        let answer = api.admin().post("/v1/connections", new).await;
        assert_eq!(
            (answer.status, &answer.body["pointer"]),
            (StatusCode::BAD_REQUEST, &json!("/tenant_id"))
        );
    }
}

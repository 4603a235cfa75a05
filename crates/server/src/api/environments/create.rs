//! `POST /v1/environments`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_pipeline::gateway::Gateway;

use super::EnvironmentJson;
use crate::{
    api::{access::Access, body::Body, created::created},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// For people; unique.
    name: String,
}

pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(new): Body<Request>,
) -> Result<Response, Problem> {
    super::spanning(&access)?;
    let environment = gateway.manage.create_environment(&new.name).await?;
    let path = format!("/v1/environments/{}", environment.id);
    Ok(created(&path, &EnvironmentJson::from(&environment)))
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn an_environment_is_made_and_found_under_its_location() {
        let api = Api::start().await;
        let answer = api
            .admin()
            .post("/v1/environments", json!({ "name": "prod" }))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(
            normal(&answer.body),
            json!({ "id": "uuid", "name": "prod", "created_at": "time" })
        );
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(api.admin().get(location).await.body, answer.body);
        assert_eq!(
            api.admin().get("/v1/environments/prod").await.body,
            answer.body
        );
    }

    #[tokio::test]
    async fn a_name_is_needed_and_stands_once() {
        let api = Api::start().await;
        let answer = api
            .admin()
            .post("/v1/environments", json!({ "name": "default" }))
            .await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::CONFLICT, &json!("conflict"))
        );
        for (body, pointer) in [
            (json!({ "name": " " }), "/name"),
            (json!({}), "/name"),
            (json!({ "name": 7 }), "/name"),
            (json!({ "name": "x", "nmae": "x" }), "/nmae"),
        ] {
            let answer = api.admin().post("/v1/environments", body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            assert_eq!(
                (&answer.body["code"], &answer.body["pointer"]),
                (&json!("invalid_body"), &json!(pointer))
            );
        }
    }

    #[tokio::test]
    async fn a_key_of_one_environment_makes_none() {
        let api = Api::start().await;
        let key = api
            .admin()
            .make("/v1/keys", json!({ "name": "k", "scope": "admin" }))
            .await;
        let bound = api.caller(key["key"].as_str().unwrap());
        let answer = bound
            .post("/v1/environments", json!({ "name": "prod" }))
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}

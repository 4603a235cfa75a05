//! `POST /v1/keys`: answered with the key itself, this once.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::key::Scope;
use tidings_pipeline::{gateway::Gateway, manage::NewKey};

use super::KeyJson;
use crate::{
    api::{access::Access, body::Body, created::created},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// For people.
    name: String,
    /// What it may do, in the environment of the request.
    scope: Scope,
}

pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(new): Body<Request>,
) -> Result<Response, Problem> {
    let new = NewKey {
        environment: Some(access.environment),
        name: new.name,
        scope: new.scope,
    };
    let (key, text) = gateway.manage.create_key(new).await?;
    let mut shown = KeyJson::from(&key);
    shown.key = Some(text.expose());
    Ok(created(&format!("/v1/keys/{}", key.id), &shown))
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn a_key_is_shown_once_and_opens_its_environment() {
        let api = Api::start().await;
        let prod = api
            .admin()
            .make("/v1/environments", json!({ "name": "prod" }))
            .await;
        let within = api.admin().within("prod");
        let mut answer = within
            .post("/v1/keys", json!({ "name": "ci", "scope": "read" }))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED);
        let text = answer.body["key"].as_str().unwrap().to_owned();
        let prefix = answer.body["prefix"].as_str().unwrap().to_owned();
        assert!(
            text.starts_with(&prefix) && prefix.len() < text.len() / 2,
            "{prefix}"
        );
        assert_eq!(answer.body["environment_id"], prod["id"]);
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "key_*",
                "environment_id": "uuid",
                "name": "ci",
                "scope": "read",
                "prefix": "tdk_*",
                "created_at": "time",
                "key": "tdk_*",
            })
        );
        let opened = api.caller(&text).get("/v1/environments").await.body;
        assert_eq!(opened["data"], json!([prod]));
        answer.body.as_object_mut().unwrap().remove("key");
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(within.get(location).await.body, answer.body);
        assert_eq!(
            within.get("/v1/keys").await.body["data"],
            json!([answer.body])
        );
    }

    #[tokio::test]
    async fn what_is_wrong_is_pointed_at() {
        let api = Api::start().await;
        for (body, pointer) in [
            (json!({ "name": "", "scope": "read" }), "/name"),
            (json!({ "name": "x", "scope": "proxy" }), "/scope"),
            (json!({ "name": "x" }), "/scope"),
            (
                json!({ "name": "x", "scope": "read", "environment_id": null }),
                "/environment_id",
            ),
        ] {
            let answer = api.admin().post("/v1/keys", body).await;
            assert_eq!(
                (answer.status, &answer.body["pointer"]),
                (StatusCode::BAD_REQUEST, &json!(pointer))
            );
        }
    }
}

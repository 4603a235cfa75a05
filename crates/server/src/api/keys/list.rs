//! `GET /v1/keys`: newest first, without the keys themselves.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_pipeline::gateway::Gateway;

use super::KeyJson;
use crate::{
    api::{
        access::Access,
        list::{self, PageQuery},
        query::Query,
    },
    problem::Problem,
};

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<PageQuery>,
) -> Result<Response, Problem> {
    let listing = gateway.store.keys(access.keys_of(), wanted.page()).await?;
    Ok(list::answer(&listing, KeyJson::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn a_key_that_spans_all_sees_all_and_others_their_own() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/environments", json!({ "name": "prod" }))
            .await;
        let key = api
            .admin()
            .within("prod")
            .make("/v1/keys", json!({ "name": "of prod", "scope": "read" }))
            .await;
        let names = |body: &serde_json::Value| -> Vec<String> {
            let keys = body["data"].as_array().unwrap().iter();
            keys.map(|key| key["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let all = api.admin().get("/v1/keys").await.body;
        assert_eq!(names(&all), ["of prod", "first admin key"]);
        assert_eq!(all["data"][1]["environment_id"], json!(null));
        let own = api
            .caller(key["key"].as_str().unwrap())
            .get("/v1/keys")
            .await
            .body;
        assert_eq!(names(&own), ["of prod"]);
        assert_eq!(api.admin().within("prod").get("/v1/keys").await.body, own);
    }
}

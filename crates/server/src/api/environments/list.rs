//! `GET /v1/environments`: oldest first.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_pipeline::gateway::Gateway;

use super::EnvironmentJson;
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
    let environments = super::seen(&gateway, &access).await?;
    let listing = list::cut(environments, wanted.page(), |environment| {
        environment.id.to_string()
    })?;
    Ok(list::answer(&listing, EnvironmentJson::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn the_oldest_comes_first() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/environments", json!({ "name": "another" }))
            .await;
        let answer = api.admin().get("/v1/environments").await;
        assert_eq!(
            normal(&answer.body),
            json!({
                "data": [
                    { "id": "uuid", "name": "default", "created_at": "time" },
                    { "id": "uuid", "name": "another", "created_at": "time" },
                ],
                "next_cursor": null,
            })
        );
    }
}

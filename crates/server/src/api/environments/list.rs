//! `GET /v1/environments`: oldest first, all of them: there are few.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_pipeline::gateway::Gateway;

use super::EnvironmentJson;
use crate::{
    api::{
        access::Access,
        list::{self, NoQuery},
        query::Query,
    },
    problem::Problem,
};

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    let environments = super::seen(&gateway, &access).await?;
    Ok(list::whole(
        environments.iter().map(EnvironmentJson::from).collect(),
    ))
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

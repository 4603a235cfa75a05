//! `GET /v1/integrations`: oldest first, all of them: there are few.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_pipeline::gateway::Gateway;

use super::IntegrationJson;
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
    let integrations = gateway.store.integrations().await?;
    let shown = integrations
        .iter()
        .filter(|integration| integration.environment == access.environment)
        .map(|integration| IntegrationJson::new(&gateway, integration));
    Ok(list::whole(shown.collect()))
}

//! `GET /v1/environments/{id or name}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_pipeline::gateway::Gateway;

use super::EnvironmentJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    let environment = super::find(&gateway, &access, &name).await?;
    Ok(Json(EnvironmentJson::from(&environment)).into_response())
}

//! `GET /v1/policies/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::PolicyId;
use tidings_pipeline::gateway::Gateway;

use super::PolicyJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<PolicyId>,
) -> Result<Response, Problem> {
    let policy = super::find(&gateway, &access, id).await?;
    Ok(Json(PolicyJson::new(&gateway, policy).await?).into_response())
}

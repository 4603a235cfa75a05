//! `GET /v1/keys/{id}`: without the key itself.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::KeyId;
use tidings_pipeline::gateway::Gateway;

use super::KeyJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<KeyId>,
) -> Result<Response, Problem> {
    let key = super::find(&gateway, &access, id).await?;
    Ok(Json(KeyJson::from(&key)).into_response())
}

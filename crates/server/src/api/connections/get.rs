//! `GET /v1/connections/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::ConnectionId;
use tidings_pipeline::gateway::Gateway;

use super::ConnectionJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<ConnectionId>,
) -> Result<Response, Problem> {
    let connection = super::find(&gateway, &access, id).await?;
    Ok(Json(ConnectionJson::new(&gateway, &connection)?).into_response())
}

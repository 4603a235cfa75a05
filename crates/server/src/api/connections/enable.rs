//! `POST /v1/connections/{id}/enable`: has its subscriptions made anew at Graph, and compared with what was told.

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

pub(crate) async fn enable(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<ConnectionId>,
) -> Result<Response, Problem> {
    super::find(&gateway, &access, id).await?;
    let connection = gateway
        .manage
        .enable_connection(id)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("connection `{id}`")))?;
    Ok(Json(ConnectionJson::new(&gateway, &connection)?).into_response())
}

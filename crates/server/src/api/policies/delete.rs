//! `DELETE /v1/policies/{id}`: with the subscriptions that it has made, at Graph too. It shows as `deleting` until they
//! have been given up.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use tidings_domain::ids::PolicyId;
use tidings_pipeline::gateway::Gateway;

use super::PolicyJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<PolicyId>,
) -> Result<Response, Problem> {
    super::find(&gateway, &access, id).await?;
    gateway.manage.delete_policy(id).await?;
    Ok(match gateway.store.policy(id).await? {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(left) => {
            let shown = PolicyJson::new(&gateway, left).await?;
            (StatusCode::ACCEPTED, Json(shown)).into_response()
        }
    })
}

//! `GET /v1/policies`: newest first.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_domain::page::Listing;
use tidings_pipeline::gateway::Gateway;

use super::PolicyJson;
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
    let listing = gateway
        .store
        .policies(Some(access.environment), wanted.page())
        .await?;
    let mut items = Vec::with_capacity(listing.items.len());
    for policy in listing.items {
        items.push(PolicyJson::new(&gateway, policy).await?);
    }
    let shown = Listing {
        items,
        next: listing.next,
    };
    Ok(list::answer(&shown, |policy| policy))
}

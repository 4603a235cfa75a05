//! The management API, `/v1`: one folder a noun, one file a verb.
//!
//! | noun | requests | body of the creation |
//! | --- | --- | --- |
//! | `environments` | list, create, get, delete | `name` |
//! | `integrations` | list, create, get, delete | `key`, `client_id`, `client_secret`, `webhook_secret`?, `login_url`?, `graph_url`? |
//! | `connections` | list, create, get, delete | `integration` (key), `tenant_id` (or a domain) |
//! | `subscriptions` | list, create, get, delete, reconcile, completeness | `connection_id`, `resource`, `change_types`, `deliver_existing`? |
//! | `webhooks` | list, create, get, update, delete, enable, disable | `url`, `triggers`, `description`?, `connections`? |
//! | `notifications`, `events` | list, get | |
//! | `deliveries` | list, get, redeliver | |
//! | `keys` | list, create, get, delete | `name`, `scope` |
//! | `triggers`, `resources` | list | |
//!
//! `POST /sync/trigger` stands beside it: what Nango has under this name.
//!
//! Handlers hold no rules: they read the request, call the store (to look), [`tidings_pipeline::manage`] or
//! [`tidings_pipeline::subscribe`] (to change),
//! and show what comes back. Every request passes [`access::check`] first.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::Response,
    routing::{MethodRouter, get, post},
};
use http::{HeaderValue, header};
use tidings_pipeline::gateway::Gateway;

use crate::router::method_not_allowed;

mod access;
mod body;
mod connections;
mod created;
mod deliveries;
mod environments;
mod events;
mod integrations;
mod keys;
mod list;
mod notifications;
mod parsed;
mod path;
mod policies;
mod query;
mod resources;
mod subscriptions;
mod sync;
mod triggers;
mod webhooks;

#[cfg(test)]
mod isolation;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod walk;

/// Every path of the API and what it answers to.
#[rustfmt::skip] // a table
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Gateway>>)> {
    vec![
        ("/v1/environments", get(environments::list::list).post(environments::create::create)),
        ("/v1/environments/{name}", get(environments::get::get).delete(environments::delete::delete)),
        ("/v1/integrations", get(integrations::list::list).post(integrations::create::create)),
        ("/v1/integrations/{key}", get(integrations::get::get).delete(integrations::delete::delete)),
        ("/v1/connections", get(connections::list::list).post(connections::create::create)),
        ("/v1/connections/{id}", get(connections::get::get).delete(connections::delete::delete)),
        ("/v1/connections/{id}/enable", post(connections::enable::enable)),
        ("/v1/connections/{id}/disable", post(connections::disable::disable)),
        ("/v1/policies", get(policies::list::list).post(policies::create::create)),
        ("/v1/policies/{id}", get(policies::get::get).delete(policies::delete::delete)),
        ("/v1/subscriptions", get(subscriptions::list::list).post(subscriptions::create::create)),
        ("/v1/subscriptions/{id}", get(subscriptions::get::get).delete(subscriptions::delete::delete)),
        ("/v1/subscriptions/{id}/reconcile", get(subscriptions::reconcile::get).post(subscriptions::reconcile::ask_one)),
        ("/v1/subscriptions/{id}/completeness", get(subscriptions::completeness::one)),
        ("/v1/completeness", get(subscriptions::completeness::all)),
        ("/v1/reconcile", post(subscriptions::reconcile::ask)),
        ("/sync/trigger", post(sync::trigger)),
        ("/v1/webhooks", get(webhooks::list::list).post(webhooks::create::create)),
        ("/v1/webhooks/{id}", get(webhooks::get::get).patch(webhooks::update::update).delete(webhooks::delete::delete)),
        ("/v1/webhooks/{id}/enable", post(webhooks::enable::enable)),
        ("/v1/webhooks/{id}/disable", post(webhooks::disable::disable)),
        ("/v1/notifications", get(notifications::list::list)),
        ("/v1/notifications/{id}", get(notifications::get::get)),
        ("/v1/events", get(events::list::list)),
        ("/v1/events/{id}", get(events::get::get)),
        ("/v1/deliveries", get(deliveries::list::list)),
        ("/v1/deliveries/{id}", get(deliveries::get::get)),
        ("/v1/deliveries/{id}/redeliver", post(deliveries::redeliver::redeliver)),
        ("/v1/keys", get(keys::list::list).post(keys::create::create)),
        ("/v1/keys/{id}", get(keys::get::get).delete(keys::delete::delete)),
        ("/v1/triggers", get(triggers::list)),
        ("/v1/resources", get(resources::list)),
    ]
}

/// The management API of `gateway`.
pub(crate) fn router(gateway: &Arc<Gateway>) -> Router {
    let mut router = Router::new();
    for (path, route) in routes() {
        router = router.route(path, route);
    }
    router
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(gateway),
            access::check,
        ))
        .route_layer(middleware::map_response(no_store))
        .route_layer(DefaultBodyLimit::max(body::MAX_BYTES))
        .with_state(Arc::clone(gateway))
}

/// Some answers hold secrets: none may be kept on the way (RFC 9111 §5.2.2.5).
async fn no_store(mut response: Response) -> Response {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

//! `PATCH /subscriptions/{id}` and `POST /subscriptions/{id}/reauthorize`.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{Subscription, handshake, lifetime, request::Body};
use crate::{
    api::{Caller, GraphError},
    ledger::Violation,
    world::World,
};

/// Within this span one subscription must not be both reauthorized and renewed (Microsoft's "lifecycle notifications"
/// page).
const APART: Duration = Duration::from_mins(10);

/// The members that a PATCH changes. Others keep their values, `lifecycleNotificationUrl` too: it is create-only.
const CHANGEABLE: [&str; 4] = [
    "encryptionCertificate",
    "encryptionCertificateId",
    "expirationDateTime",
    "notificationUrl",
];

/// The subscription with this id, if it is the caller's and alive.
pub(crate) fn find(
    world: &World,
    caller: &Caller,
    id: &str,
) -> Result<Arc<Subscription>, GraphError> {
    id.parse()
        .ok()
        .and_then(|id: Uuid| world.book.get(id, world.clock.now()))
        .filter(|one| one.app == caller.app && one.tenant == caller.tenant.id)
        .ok_or_else(GraphError::subscription_not_found)
}

/// Renews a subscription, or changes its URL or certificate.
pub(crate) async fn patch(
    world: &World,
    caller: &Caller,
    id: &str,
    body: &[u8],
    request: Uuid,
) -> Result<Arc<Subscription>, GraphError> {
    let current = find(world, caller, id)?;
    let body = Body::parse(body)?;
    if !body.has_any(&CHANGEABLE) {
        return Err(GraphError::invalid(
            "The request must contain expirationDateTime or notificationUrl.",
        ));
    }
    let now = world.clock.now();
    let switches = world.switches();
    let expires_at = match body.time("expirationDateTime")? {
        None => current.expires_at,
        Some(asked) => {
            let rule = lifetime::Rule::of(current.row, current.rich, &switches);
            lifetime::end(&rule, "Update", now, asked, current.lifecycle_url.is_some())?
        }
    };
    let url = body
        .address("notificationUrl", world.require_https)?
        .unwrap_or_else(|| current.notification_url.clone());
    let certificate = body.strings(&["encryptionCertificate", "encryptionCertificateId"])?;
    if url != current.notification_url || switches.validate_at_renewal {
        handshake::validate(world, &url.url, request).await?;
    }
    check_apart(world, &current, current.reauthorized_at);
    let now = world.clock.now();
    world
        .book
        .update(current.id, now, |subscription| {
            subscription.expires_at = expires_at;
            subscription.notification_url = url;
            subscription.extra.extend(certificate);
            subscription.patched_at = Some(now);
            // Renewing reauthorizes.
            subscription.token_expires_at = caller.expires_at;
        })
        .ok_or_else(GraphError::subscription_not_found)
}

/// Renews the permission of a subscription, not its life.
pub(crate) fn reauthorize(
    world: &World,
    caller: &Caller,
    id: &str,
) -> Result<Arc<Subscription>, GraphError> {
    let current = find(world, caller, id)?;
    check_apart(world, &current, current.patched_at);
    let now = world.clock.now();
    world
        .book
        .update(current.id, now, |subscription| {
            subscription.reauthorized_at = Some(now);
            subscription.token_expires_at = caller.expires_at;
        })
        .ok_or_else(GraphError::subscription_not_found)
}

fn check_apart(
    world: &World,
    subscription: &Subscription,
    other: Option<tidings_domain::Timestamp>,
) {
    let now = world.clock.now();
    let Some(gap) = other
        .map(|other| now.since(other))
        .filter(|gap| *gap < APART)
    else {
        return;
    };
    world.ledger.violated(Violation::TenMinutes {
        subscription: subscription.id,
        at: now,
        gap_ms: u64::try_from(gap.as_millis()).unwrap_or(u64::MAX),
    });
}

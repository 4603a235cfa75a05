//! Lifecycle notifications: what happened to a subscription itself.

use std::sync::Arc;

use http::StatusCode;
use tidings_domain::notification::LifecycleEvent;
use url::Url;
use uuid::Uuid;

use super::{Outgoing, item, route, send};
use crate::{api::GraphError, subscription::Subscription, world::World};

/// Sends a lifecycle notification for a subscription; an error if it has no lifecycle URL.
pub(crate) fn lifecycle(
    world: &Arc<World>,
    subscription: &Subscription,
    event: LifecycleEvent,
) -> Result<(), GraphError> {
    let outgoing = outgoing(world, subscription, event)?;
    if world.switches().lifecycle_faults {
        route::take(world, vec![outgoing]);
    } else {
        route::merge(world, outgoing);
    }
    Ok(())
}

/// Sends several at once: those to one URL share a POST, whatever their subscriptions and events; unless faults may hit them,
/// which they do one by one. An error if one of the subscriptions has no lifecycle URL; then none is sent.
pub(crate) fn lifecycles(
    world: &Arc<World>,
    all: &[(Arc<Subscription>, LifecycleEvent)],
) -> Result<(), GraphError> {
    let mut by_url: Vec<(Url, Vec<Outgoing>)> = Vec::new();
    for (subscription, event) in all {
        let item = outgoing(world, subscription, *event)?;
        match by_url.iter_mut().find(|(url, _)| *url == item.url) {
            Some((_, items)) => items.push(item),
            None => by_url.push((item.url.clone(), vec![item])),
        }
    }
    for (_, items) in by_url {
        if world.switches().lifecycle_faults {
            route::take(world, items);
        } else {
            send::start(world, &items);
        }
    }
    Ok(())
}

/// Tells subscriptions that lost notifications, where the switch and the resource allow it.
pub(super) fn tell_missed(world: &Arc<World>, lost: impl IntoIterator<Item = Uuid>) {
    if !world.switches().missed_after_drop {
        return;
    }
    let now = world.clock.now();
    let told: Vec<_> = lost
        .into_iter()
        .filter_map(|id| world.book.get(id, now))
        // Without a lifecycle URL nobody can be told.
        .filter(|subscription| subscription.is_outlook() && subscription.lifecycle_url.is_some())
        .map(|subscription| (subscription, LifecycleEvent::Missed))
        .collect();
    if let [(subscription, event)] = told.as_slice() {
        // Alone, it may share a POST with others as any item may.
        let _ = lifecycle(world, subscription, *event);
        return;
    }
    let _ = lifecycles(world, &told);
}

fn outgoing(
    world: &World,
    subscription: &Subscription,
    event: LifecycleEvent,
) -> Result<Outgoing, GraphError> {
    let url = subscription.lifecycle_url.as_ref().ok_or_else(|| {
        GraphError::new(
            StatusCode::BAD_REQUEST,
            "NoLifecycleUrl",
            "The subscription has no lifecycleNotificationUrl.",
        )
    })?;
    Ok(Outgoing {
        url: url.url.clone(),
        missed: None,
        json: item::lifecycle(world, subscription, event),
        subscription: subscription.id,
    })
}

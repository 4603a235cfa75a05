//! `reauthorizationRequired` before a subscription ends (Microsoft's "lifecycle notifications" page, its illustrative
//! schedule, taken for the end of the subscription): with 12 and with 6 hours left, then from 4 hours on every quarter of an
//! hour until somebody acts.

use std::{sync::Arc, time::Duration};

use tidings_domain::{Timestamp, notification::LifecycleEvent};
use uuid::Uuid;

use super::lifecycle;
use crate::{subscription::Subscription, world::World};

const FIRST: Duration = Duration::from_hours(12);
const SECOND: Duration = Duration::from_hours(6);
const OFTEN: Duration = Duration::from_hours(4);
const PAUSE: Duration = Duration::from_mins(15);

/// For how long a subscription that was reauthorized is left alone: the life of the token it was done with.
const REAUTHORIZED: Duration = Duration::from_hours(1);

/// Watches over the end of a subscription, if that is switched on and it has a lifecycle URL.
pub(crate) fn watch(world: &Arc<World>, subscription: &Subscription) {
    if !world.switches().challenges || subscription.lifecycle_url.is_none() {
        return;
    }
    let (id, world) = (subscription.id, Arc::clone(world));
    let tasks = world.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = run(&world, id) => {}
            () = world.stop.cancelled() => {}
        }
    });
}

async fn run(world: &Arc<World>, id: Uuid) {
    let mut last = None;
    while let Some(subscription) = world.book.get(id, world.clock.now()) {
        let now = world.clock.now();
        let due = due(&subscription, last);
        if due > now {
            // It may be renewed meanwhile; then another moment is due.
            world.clock.sleep(now.until(due)).await;
            continue;
        }
        // Without its URL nobody would be watching.
        let _ = lifecycle(
            world,
            &subscription,
            LifecycleEvent::ReauthorizationRequired,
        );
        last = Some(now);
    }
}

/// When the next challenge is due, after the one at `last`.
fn due(subscription: &Subscription, last: Option<Timestamp>) -> Timestamp {
    let end = subscription.expires_at;
    let due = match last {
        None => end - FIRST,
        Some(last) if last < end - FIRST => end - FIRST,
        Some(last) if last < end - SECOND => end - SECOND,
        Some(last) if last < end - OFTEN => end - OFTEN,
        Some(last) => last + PAUSE,
    };
    subscription
        .reauthorized_at
        .map_or(due, |at| due.max(at + REAUTHORIZED))
}

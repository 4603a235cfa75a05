//! `reauthorizationRequired` before a subscription ends, or before the access token that it was authorized with does
//! (Microsoft's "lifecycle notifications" page, its illustrative schedule): with 12 and with 6 hours left, then from 4 hours on
//! every quarter of an hour until somebody acts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidings_domain::{Timestamp, notification::LifecycleEvent};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{air::Flight, lifecycle::lifecycle};
use crate::{subscription::Subscription, switches::Challenges, world::World};

const FIRST: Duration = Duration::from_hours(12);
const SECOND: Duration = Duration::from_hours(6);
const OFTEN: Duration = Duration::from_hours(4);
const PAUSE: Duration = Duration::from_mins(15);

/// For how long a subscription that somebody acted on is not challenged for its own end: the life of the token it was done
/// with.
const QUIET: Duration = Duration::from_hours(1);

/// Whom to tell that a subscription that is watched was acted on.
#[derive(Debug, Default)]
pub(super) struct Watched(Mutex<HashMap<Uuid, Arc<Notify>>>);

/// Watches over the end of a subscription, if that is switched on and it has a lifecycle URL.
pub(crate) fn watch(world: &Arc<World>, subscription: &Subscription) {
    if world.switches().challenges == Challenges::Off || subscription.lifecycle_url.is_none() {
        return;
    }
    let acted = Arc::new(Notify::new());
    {
        let watched = &world.notifier.watched.0;
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert(subscription.id, Arc::clone(&acted));
    }
    let (id, world) = (subscription.id, Arc::clone(world));
    let tasks = world.tasks.clone();
    let timer = Flight::timer(&world);
    tasks.spawn(async move {
        tokio::select! {
            () = run(&world, id, &acted, &timer) => {}
            () = world.stop.cancelled() => {}
        }
        let watched = &world.notifier.watched.0;
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.remove(&id);
    });
}

/// Tells whoever watches over a subscription that it was renewed, reauthorized or removed.
pub(crate) fn acted(world: &World, id: Uuid) {
    let watched = &world.notifier.watched.0;
    let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(acted) = watched.get(&id) {
        acted.notify_one();
    }
}

async fn run(world: &Arc<World>, id: Uuid, acted: &Notify, timer: &Flight) {
    let mut last = None;
    while let Some(subscription) = world.book.get(id, world.clock.now()) {
        let now = world.clock.now();
        let Some(due) = due(&subscription, last, world.switches().challenges) else {
            return;
        };
        if due > now {
            tokio::select! {
                () = timer.sleep(now.until(due)) => {}
                () = acted.notified() => {}
            }
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
fn due(
    subscription: &Subscription,
    last: Option<Timestamp>,
    challenges: Challenges,
) -> Option<Timestamp> {
    let end = || {
        let due = next(subscription.expires_at, last);
        match subscription.acted_at() {
            Some(at) => due.max(at + QUIET),
            None => due,
        }
    };
    let token = || {
        let due = next(subscription.token_expires_at, last);
        match subscription.acted_at() {
            // The first token is challenged as soon as the schedule says, which is at once if it lives for less than 12 hours.
            // If that held for the next ones, too, then the answer to each challenge would bring another: it is a quarter of the
            // token's life that is left alone.
            Some(at) => {
                let life = at.until(subscription.token_expires_at);
                due.max(at + (life / 4).max(PAUSE))
            }
            None => due,
        }
    };
    match challenges {
        Challenges::Off => None,
        Challenges::End => Some(end()),
        Challenges::Token => Some(token()),
        Challenges::Both => Some(end().min(token())),
    }
}

/// When something that ends at `end` is challenged next, after the challenge at `last`.
fn next(end: Timestamp, last: Option<Timestamp>) -> Timestamp {
    match last {
        None => end - FIRST,
        Some(last) if last < end - FIRST => end - FIRST,
        Some(last) if last < end - SECOND => end - SECOND,
        Some(last) if last < end - OFTEN => end - OFTEN,
        Some(last) => last + PAUSE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    #[test]
    fn a_long_life_is_challenged_three_times_then_every_quarter_of_an_hour() {
        let mut last = None;
        let mut left = Vec::new();
        for _ in 0..6 {
            let due = next(END, last);
            left.push(due.until(END).as_secs() / 60);
            last = Some(due);
        }
        assert_eq!(left, [720, 360, 240, 225, 210, 195]);
    }
}

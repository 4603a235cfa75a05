//! How many changes became known on each day, and how.

use tidings_domain::{
    completeness::{Completeness, Counted, Day, DayCounts, How},
    ids::SubscriptionId,
    notification::Verdict,
};

use super::World;
use crate::record::{Outcome, SubscriptionFilter};

impl World {
    fn counted(&self, id: SubscriptionId, days: u64, how: How, count: u64) -> Counted {
        Counted {
            subscription: id,
            at: self.in_seconds(days * 86_400),
            how,
            count,
        }
    }

    async fn total(&self, which: SubscriptionFilter) -> Completeness {
        let from = Day::of(self.now());
        self.store.completeness(which, from).await.unwrap()
    }
}

fn counts(on_time: u64, late: u64, found: u64) -> Completeness {
    Completeness {
        on_time,
        late,
        found,
    }
}

pub(crate) async fn changes_add_up_day_by_day(world: World) {
    let (dev, prod) = (world.tenant("dev").await, world.tenant("prod").await);
    let a = world.subscribed(&dev, "users/a/events").await.id;
    let b = world.subscribed(&dev, "users/b/events").await.id;
    let c = world.subscribed(&prod, "users/a/events").await.id;
    let nobody: SubscriptionId = world.ids.next();
    for _ in 0..2 {
        let counted = vec![
            world.counted(a, 0, How::OnTime, 3),
            world.counted(b, 0, How::Found, 1),
            world.counted(a, 0, How::Late, 2),
            world.counted(a, 1, How::OnTime, 1),
            world.counted(nobody, 0, How::OnTime, 9),
            world.counted(c, 0, How::OnTime, 5),
        ];
        world.store.count_changes(counted).await.unwrap();
    }
    world.store.count_changes(Vec::new()).await.unwrap();
    let today = Day::of(world.now());
    // The clock of the world stands at 22:13 UTC.
    let day = |subscription, day, counts, hours| DayCounts {
        subscription,
        day: Day(today.0 + day),
        counts,
        hours,
    };
    let found = world.store.counted_days(vec![a], today).await.unwrap();
    let tomorrow = day(a, 1, counts(2, 0, 0), 1 << 22);
    assert_eq!(found, [day(a, 0, counts(6, 4, 0), 1 << 22), tomorrow]);
    let from = Day(today.0 + 1);
    let found = world.store.counted_days(vec![b, a], from).await.unwrap();
    assert_eq!(found, [tomorrow]);
    let found = world.store.counted_days(vec![b, nobody], today).await;
    assert_eq!(found.unwrap(), [day(b, 0, counts(0, 0, 2), 0)]);
    for (which, expected) in [
        (SubscriptionFilter::One(a), counts(8, 4, 0)),
        (SubscriptionFilter::One(nobody), counts(0, 0, 0)),
        (
            SubscriptionFilter::Connection(dev.connection),
            counts(8, 4, 2),
        ),
        (
            SubscriptionFilter::Environment(dev.environment),
            counts(8, 4, 2),
        ),
        (
            SubscriptionFilter::Integration(prod.integration),
            counts(10, 0, 0),
        ),
        (SubscriptionFilter::All, counts(18, 4, 2)),
    ] {
        assert_eq!(world.total(which).await, expected, "{which:?}");
    }
    // What is old goes, piece by piece; and all of a subscription that is removed.
    assert_eq!(world.store.forget_days(from, 2).await.unwrap(), 2);
    assert_eq!(world.store.forget_days(from, 2).await.unwrap(), 1);
    assert_eq!(world.store.forget_days(from, 2).await.unwrap(), 0);
    assert_eq!(world.total(SubscriptionFilter::All).await, counts(2, 0, 0));
    world.store.delete_subscription(a).await.unwrap();
    assert_eq!(world.total(SubscriptionFilter::All).await, counts(0, 0, 0));
}

pub(crate) async fn the_end_of_a_notification_says_once_how_the_change_became_known(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/a/events").await.id;
    for (how, expected) in [
        (How::Late, counts(0, 1, 0)),
        (How::Found, counts(0, 1, 1)),
        (How::Found, counts(0, 1, 2)),
    ] {
        world
            .record(world.arriving(&tenant, Verdict::Accepted, None))
            .await;
        let queued = world.queue().await.remove(0);
        let outcome = Outcome {
            counted: Some(world.counted(id, 0, how, 1)),
            ..Outcome::default()
        };
        for is_new in [true, false] {
            let finished = world
                .store
                .finish_notification(queued.seq, queued.lease, outcome.clone())
                .await;
            assert_eq!(finished.unwrap(), is_new);
            assert_eq!(world.total(SubscriptionFilter::One(id)).await, expected);
        }
    }
}

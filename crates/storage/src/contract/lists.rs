//! Lists, page by page.

use tidings_domain::{
    delivery::{DeadReason, DeliveryState},
    ids::DeliveryId,
    notification::Verdict,
    page::{Cursor, Page, PageLimit},
    webhook::{DisabledReason, WebhookState},
};

use super::{
    World,
    make::{UPDATED, all},
};
use crate::{
    StoreError,
    record::{AfterAttempt, DeliveryFilter, EventFilter, NotificationFilter, WebhookChange},
};

pub(crate) async fn pages_join_without_gap_or_overlap(world: World) {
    let tenant = world.tenant("dev").await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.insert(0, world.delivered_to(&tenant, &[tenant.webhook]).await[0]);
    }
    for limit in [1, 2, 3, 7, 8] {
        let mut page = Page::first(PageLimit::new(limit).unwrap());
        let mut seen: Vec<DeliveryId> = Vec::new();
        loop {
            let listing = world
                .store
                .deliveries(DeliveryFilter::default(), page.clone())
                .await
                .unwrap();
            assert!(listing.items.len() <= usize::try_from(limit).unwrap());
            seen.extend(listing.items.iter().map(|one| one.id));
            if seen.len() == 3 {
                // What is new stands before what was seen.
                world.delivered_to(&tenant, &[]).await;
            }
            match listing.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, made, "pages of {limit}");
    }
}

#[expect(clippy::too_many_lines, reason = "one line a filter")]
pub(crate) async fn each_filter_shows_only_what_fits(world: World) {
    let (one, other) = (world.tenant("one").await, world.tenant("other").await);
    let ids = world.delivered_to(&one, &[one.webhook; 3]).await;
    let others = world.delivered_to(&other, &[other.webhook]).await;
    world
        .attempted(ids[0], one.webhook, AfterAttempt::Delivered)
        .await;
    world
        .attempted(
            ids[1],
            one.webhook,
            AfterAttempt::Dead(DeadReason::Exhausted),
        )
        .await;
    let disable = WebhookChange {
        state: Some(WebhookState::Disabled {
            reason: DisabledReason::Operator,
            since: world.now(),
        }),
        ..WebhookChange::default()
    };
    world
        .store
        .change_webhook(other.webhook, disable)
        .await
        .unwrap();

    let event = world.store.delivery(ids[0]).await.unwrap().unwrap().event;
    let none = DeliveryFilter::default;
    let state = |state| DeliveryFilter {
        state: Some(state),
        ..none()
    };
    for (filter, expected) in [
        (none(), vec![others[0], ids[2], ids[1], ids[0]]),
        (state(DeliveryState::Delivered), vec![ids[0]]),
        (state(DeliveryState::Dead), vec![ids[1]]),
        (state(DeliveryState::Pending), vec![ids[2]]),
        (state(DeliveryState::Held), vec![others[0]]),
        (
            DeliveryFilter {
                webhook: Some(other.webhook),
                ..none()
            },
            vec![others[0]],
        ),
        (
            DeliveryFilter {
                environment: Some(other.environment),
                ..none()
            },
            vec![others[0]],
        ),
        (
            DeliveryFilter {
                event: Some(event),
                ..none()
            },
            vec![ids[2], ids[1], ids[0]],
        ),
        (
            DeliveryFilter {
                event: Some(event),
                webhook: Some(other.webhook),
                ..none()
            },
            vec![],
        ),
        (
            DeliveryFilter {
                webhook: Some(one.webhook),
                ..state(DeliveryState::Pending)
            },
            vec![ids[2]],
        ),
        (
            DeliveryFilter {
                environment: Some(one.environment),
                ..state(DeliveryState::Held)
            },
            vec![],
        ),
    ] {
        let listed = world.store.deliveries(filter.clone(), all()).await.unwrap();
        let listed: Vec<_> = listed.items.iter().map(|one| one.id).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }

    for (filter, expected) in [
        (EventFilter::default(), 2),
        (
            EventFilter {
                connection: Some(one.connection),
                ..EventFilter::default()
            },
            1,
        ),
        (
            EventFilter {
                environment: Some(other.environment),
                ..EventFilter::default()
            },
            1,
        ),
        (
            EventFilter {
                trigger: Some(UPDATED),
                ..EventFilter::default()
            },
            2,
        ),
        (
            EventFilter {
                environment: Some(other.environment),
                connection: Some(one.connection),
                trigger: None,
            },
            0,
        ),
    ] {
        let listed = world.store.events(filter.clone(), all()).await.unwrap();
        assert_eq!(listed.items.len(), expected, "{filter:?}");
    }

    world
        .store
        .record_rejected(vec![world.notification(&one, Verdict::Malformed)])
        .await
        .unwrap();
    let none = NotificationFilter::default;
    for (filter, expected) in [
        (none(), 3),
        (
            NotificationFilter {
                verdict: Some(Verdict::Accepted),
                ..none()
            },
            2,
        ),
        (
            NotificationFilter {
                verdict: Some(Verdict::Malformed),
                ..none()
            },
            1,
        ),
        (
            NotificationFilter {
                verdict: Some(Verdict::Duplicate),
                ..none()
            },
            0,
        ),
        (
            NotificationFilter {
                environment: Some(one.environment),
                ..none()
            },
            2,
        ),
        (
            NotificationFilter {
                integration: Some(other.integration),
                ..none()
            },
            1,
        ),
        (
            NotificationFilter {
                connection: Some(one.connection),
                ..none()
            },
            1,
        ),
        (
            NotificationFilter {
                integration: Some(other.integration),
                verdict: Some(Verdict::Malformed),
                ..none()
            },
            0,
        ),
    ] {
        let listed = world
            .store
            .notifications(filter.clone(), all())
            .await
            .unwrap();
        assert_eq!(listed.items.len(), expected, "{filter:?}");
    }
}

pub(crate) async fn lists_leave_out_what_is_large(world: World) {
    let tenant = world.tenant("dev").await;
    world.delivered_to(&tenant, &[]).await;
    let events = world
        .store
        .events(EventFilter::default(), all())
        .await
        .unwrap()
        .items;
    assert!(events[0].body.is_empty());
    let whole = world.store.event(events[0].id).await.unwrap().unwrap();
    assert!(!whole.body.is_empty());
    let notifications = world
        .store
        .notifications(NotificationFilter::default(), all())
        .await
        .unwrap()
        .items;
    assert!(notifications[0].item.is_empty());
}

pub(crate) async fn a_strange_cursor_is_refused(world: World) {
    for text in ["", "x", "9999999999999999999999", "1 OR 1=1"] {
        let page = Page {
            after: Some(Cursor(text.to_owned())),
            limit: PageLimit::default(),
        };
        let error = world.store.events(EventFilter::default(), page).await;
        assert!(
            matches!(error, Err(StoreError::InvalidCursor)),
            "{text}: {error:?}"
        );
    }
}

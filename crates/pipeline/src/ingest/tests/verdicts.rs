//! The table of verdicts: every form that Graph sends, and every wrong combination.

use serde_json::json;
use tidings_domain::notification::{LifecycleEvent, Verdict};

use super::{
    change, with,
    world::{BY_HAND, NOBODY, TENANT_A, TENANT_B, TENANT_C, USER, World},
};

#[tokio::test]
async fn every_form_that_graph_sends_is_accepted() {
    let world = World::new().await;
    let (a, messages, drive) = (&world.events_a, &world.messages_a, &world.drive_a);
    let event = |members| with(change(a, TENANT_A, "x"), members);
    let guid = "0f0e0d0c-0b0a-4908-8706-050403020100";
    for (form, item, resource) in [
        (
            "plain",
            event(json!({})),
            format!("users/{USER}/events/AAMkAD="),
        ),
        (
            "without id",
            event(json!({"id": null})),
            format!("users/{USER}/events/AAMkAD="),
        ),
        (
            "ids in capitals",
            event(json!({
                "subscriptionId": a.graph_id.to_uppercase(),
                "tenantId": TENANT_A.to_uppercase(),
                "resource": format!("USERS/{}/EVENTS/AAMkAE=", USER.to_uppercase()),
            })),
            format!("users/{USER}/events/AAMkAE="),
        ),
        (
            "the user with its tenant",
            event(json!({"resource": format!("users/{USER}@{TENANT_A}/events/AAMkAF=")})),
            format!("users/{USER}/events/AAMkAF="),
        ),
        (
            "as a function",
            event(json!({"resource": format!("Users('{USER}')/events('AAMkAG=')")})),
            format!("users/{USER}/events/AAMkAG="),
        ),
        (
            "resourceData empty, a member nobody knows, another date",
            event(json!({
                "id": "z", "resourceData": {}, "shoeSize": {"eu": 46}, "subscriptionExpirationDateTime": "2016-08-26T23:08:37.00+00:00",
            })),
            format!("users/{USER}/events/AAMkAD="),
        ),
        (
            "subscribed by mail address, told by id",
            with(
                change(messages, TENANT_A, "m"),
                json!({"resource": format!("Users/{guid}/Messages/AAMkAH=")}),
            ),
            format!("users/{guid}/messages/AAMkAH="),
        ),
        (
            "no item is named, and nothing is said of it",
            with(
                change(drive, TENANT_A, "d"),
                json!({"resource": "drives/b!abc/root", "resourceData": null}),
            ),
            "drives/b!abc/root".to_owned(),
        ),
        (
            "clientState matches though the id is unknown",
            event(json!({"subscriptionId": guid, "id": "y"})),
            format!("users/{USER}/events/AAMkAD="),
        ),
    ] {
        assert_eq!(world.post(&[item]).await, [Verdict::Accepted], "{form}");
        let queued = world.queued().await;
        let last = &queued.last().unwrap().notification;
        assert_eq!(last.resource, resource, "{form}");
        assert_eq!(last.connection, Some(world.a), "{form}");
        assert!(last.subscription.is_some(), "{form}");
    }
}

#[tokio::test]
async fn every_wrong_combination_is_rejected_under_its_name() {
    let world = World::new().await;
    let a = &world.events_a;
    let event = |members| with(change(a, TENANT_A, "x"), members);
    let other_user = "0f0e0d0c-0b0a-4908-8706-050403020100";
    for (combination, item, verdict) in [
        (
            "no clientState",
            event(json!({"clientState": null})),
            Verdict::WrongClientState,
        ),
        (
            "empty clientState",
            event(json!({"clientState": ""})),
            Verdict::WrongClientState,
        ),
        (
            "another one's clientState",
            event(json!({"clientState": world.messages_a.client_state})),
            Verdict::WrongClientState,
        ),
        (
            "clientState in capitals",
            event(json!({"clientState": a.client_state.to_uppercase()})),
            Verdict::WrongClientState,
        ),
        (
            "the secret of hand-made ones",
            event(json!({"clientState": BY_HAND})),
            Verdict::WrongClientState,
        ),
        (
            "another connected tenant",
            event(json!({"tenantId": TENANT_B})),
            Verdict::WrongTenant,
        ),
        (
            "a tenant nobody knows",
            event(json!({"tenantId": NOBODY})),
            Verdict::WrongTenant,
        ),
        (
            "no tenant",
            event(json!({"tenantId": null})),
            Verdict::WrongTenant,
        ),
        (
            "the subscription of another integration",
            change(&world.of_other, TENANT_A, "x").to_string(),
            Verdict::UnknownSubscription,
        ),
        (
            "the subscription of another environment",
            change(&world.of_dev, TENANT_A, "x").to_string(),
            Verdict::UnknownSubscription,
        ),
        (
            "another integration's clientState under an unknown id",
            with(
                change(&world.of_other, TENANT_A, "x"),
                json!({"subscriptionId": other_user}),
            ),
            Verdict::UnknownSubscription,
        ),
        (
            "nothing known, and no clientState",
            event(json!({"subscriptionId": other_user, "clientState": null})),
            Verdict::UnknownSubscription,
        ),
    ] {
        assert_eq!(world.post(&[item]).await, [verdict], "{combination}");
    }
    assert_eq!(world.queued().await, [], "nothing of it is worked on");
}

#[tokio::test]
async fn what_the_subscription_cannot_have_brought_is_malformed() {
    let world = World::new().await;
    let event = |members| with(change(&world.events_a, TENANT_A, "x"), members);
    let other_user = "0f0e0d0c-0b0a-4908-8706-050403020100";
    for (combination, item) in [
        (
            "another mailbox",
            event(json!({"resource": format!("Users/{other_user}/Events/AAMkAD=")})),
        ),
        (
            "another kind of item",
            event(json!({"resource": format!("Users/{USER}/Messages/AAMkAD=")})),
        ),
        (
            "another drive",
            with(
                change(&world.drive_a, TENANT_A, "d"),
                json!({"resource": "drives/b!xyz/root"}),
            ),
        ),
        (
            "a user of another tenant",
            event(json!({"resource": format!("Users/{USER}@{TENANT_B}/Events/AAMkAD=")})),
        ),
        (
            "a way out",
            event(json!({"resource": format!("Users/{USER}/Events/../../Groups")})),
        ),
        ("no resource", event(json!({"resource": null}))),
        (
            "an absolute URL",
            event(json!({"resource": "https://evil.example/x"})),
        ),
        ("no change", event(json!({"changeType": null}))),
        (
            "a change nobody knows",
            event(json!({"changeType": "unknownFutureValue"})),
        ),
        (
            "both kinds at once",
            event(json!({"lifecycleEvent": "missed"})),
        ),
        ("no subscription", event(json!({"subscriptionId": null}))),
        ("no object", "17".to_owned()),
    ] {
        assert_eq!(
            world.post(&[item]).await,
            [Verdict::Malformed],
            "{combination}"
        );
    }
    assert_eq!(world.queued().await, [], "nothing of it is worked on");
}

#[tokio::test]
async fn hand_made_subscriptions_are_matched_by_secret_and_tenant() {
    let world = World::new().await;
    let hand_made = |members| {
        let item = with(
            change(&world.events_a, TENANT_B, "h"),
            json!({"subscriptionId": "12345678-aaaa-4bbb-8ccc-dddddddddddd", "clientState": BY_HAND}),
        );
        with(serde_json::from_str(&item).unwrap(), members)
    };
    for (form, item, verdict) in [
        ("a known tenant", hand_made(json!({})), Verdict::Accepted),
        ("the same again", hand_made(json!({})), Verdict::Duplicate),
        (
            "another hand-made one of the same change",
            hand_made(json!({"subscriptionId": "22345678-aaaa-4bbb-8ccc-dddddddddddd"})),
            Verdict::Accepted,
        ),
        (
            "a tenant that is connected elsewhere",
            hand_made(json!({"tenantId": TENANT_C})),
            Verdict::WrongTenant,
        ),
        (
            "a tenant nobody knows",
            hand_made(json!({"tenantId": NOBODY})),
            Verdict::WrongTenant,
        ),
        (
            "no tenant",
            hand_made(json!({"tenantId": null})),
            Verdict::WrongTenant,
        ),
        (
            "a path that is none",
            hand_made(json!({"resource": "users/x/../y"})),
            Verdict::Malformed,
        ),
        (
            "another integration's secret",
            hand_made(json!({"clientState": "the-secret-of-other-in-prod"})),
            Verdict::Held,
        ),
    ] {
        assert_eq!(world.post(&[item]).await, [verdict], "{form}");
    }
    let first = &world.queued().await[0].notification;
    assert_eq!(first.connection, Some(world.b));
    assert_eq!(first.subscription, None);
}

#[tokio::test]
async fn lifecycle_notifications_pass_the_same_checks() {
    let world = World::new().await;
    let reminder = |members| {
        let item = with(
            change(&world.events_a, TENANT_A, "l"),
            json!({"id": null, "changeType": null, "resource": null, "resourceData": null, "lifecycleEvent": "missed"}),
        );
        with(serde_json::from_str(&item).unwrap(), members)
    };
    for (form, item, verdict) in [
        ("as documented", reminder(json!({})), Verdict::Accepted),
        ("again: each counts", reminder(json!({})), Verdict::Accepted),
        (
            "with an id",
            reminder(json!({"id": "l1"})),
            Verdict::Accepted,
        ),
        (
            "with the same id",
            reminder(json!({"id": "l1"})),
            Verdict::Duplicate,
        ),
        (
            "forged",
            reminder(json!({"clientState": "forged"})),
            Verdict::WrongClientState,
        ),
        (
            "of another tenant",
            reminder(json!({"tenantId": TENANT_B})),
            Verdict::WrongTenant,
        ),
        (
            "an event nobody knows",
            reminder(json!({"lifecycleEvent": "retired"})),
            Verdict::Malformed,
        ),
    ] {
        assert_eq!(world.post(&[item]).await, [verdict], "{form}");
    }
    let queued = world.queued().await;
    assert_eq!(
        queued[0].notification.lifecycle_event,
        Some(LifecycleEvent::Missed)
    );
    assert_eq!(
        queued[0].notification.resource,
        format!("users/{USER}/events")
    );
}

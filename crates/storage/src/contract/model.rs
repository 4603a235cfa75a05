//! Random sequences of verbs, run on the store and on a model of it that fits a page.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngSeed, TestRunner},
};
use tidings_domain::{
    delivery::{DeadReason, DeliveryState},
    ids::{DeliveryId, WebhookId},
    notification::Verdict,
    shard::Shard,
    webhook::{DisabledReason, WebhookState},
};

use super::{
    World,
    make::{Tenant, key},
};
use crate::record::{AfterAttempt, Outcome, Seq, WebhookChange};

const WEBHOOKS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A POST with these dedup keys; 0 is none.
    Record(Vec<u8>),
    Hold,
    /// The nth of the queue, as accepted with this key or as rejected.
    Settle(usize, Option<u8>),
    Finish(usize, Vec<usize>),
    Attempt(usize, u8),
    Redeliver(usize),
    Disable(usize),
    Enable(usize),
    Remove(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let nth = 0..8_usize;
    prop_oneof![
        4 => prop::collection::vec(0..6_u8, 1..4).prop_map(Step::Record),
        1 => Just(Step::Hold),
        1 => (nth.clone(), prop::option::of(0..6_u8)).prop_map(|(nth, key)| Step::Settle(nth, key)),
        4 => (nth.clone(), prop::collection::vec(0..WEBHOOKS, 0..4)).prop_map(|(nth, to)| Step::Finish(nth, to)),
        5 => (nth.clone(), 0..3_u8).prop_map(|(nth, what)| Step::Attempt(nth, what)),
        1 => nth.prop_map(Step::Redeliver),
        1 => (0..WEBHOOKS).prop_map(Step::Disable),
        1 => (0..WEBHOOKS).prop_map(Step::Enable),
        1 => (0..WEBHOOKS).prop_map(Step::Remove),
        1 => Just(Step::Restart),
    ]
}

#[derive(Debug, Default)]
struct Model {
    keys: BTreeSet<u8>,
    /// Held or not.
    queue: BTreeMap<Seq, bool>,
    deliveries: BTreeMap<DeliveryId, (WebhookId, DeliveryState)>,
    disabled: BTreeSet<WebhookId>,
    removed: BTreeSet<WebhookId>,
}

impl Model {
    fn claim(&mut self, key: u8) -> Verdict {
        if key == 0 || self.keys.insert(key) {
            Verdict::Accepted
        } else {
            Verdict::Duplicate
        }
    }

    fn nth_queued(&self, nth: usize) -> Option<(Seq, bool)> {
        self.queue.iter().nth(nth).map(|(&seq, &held)| (seq, held))
    }

    fn nth_delivery(&self, nth: usize) -> Option<(DeliveryId, WebhookId, DeliveryState)> {
        let (&id, &(webhook, state)) = self.deliveries.iter().nth(nth)?;
        Some((id, webhook, state))
    }
}

pub(crate) async fn the_store_and_a_model_of_it_agree(mut world: World) {
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(20_261_122),
        ..Config::default()
    });
    let sequences = prop::collection::vec(step(), 1..40);
    for case in 0..world.cases() {
        let steps = sequences.new_tree(&mut runner).unwrap().current();
        let (tenant, webhooks) = beginning(&mut world, case).await;
        let mut model = Model::default();
        for (place, step) in steps.iter().enumerate() {
            take(&mut world, &tenant, &webhooks, &mut model, step).await;
            compare(
                &world,
                &webhooks,
                &model,
                &format!("case {case}, step {place} of {steps:?}"),
            )
            .await;
        }
        // The next case begins with an empty queue, and with keys of its own.
        for seq in model.queue.into_keys() {
            world
                .store
                .finish_notification(seq, world.lease(Shard::FIRST), Outcome::default())
                .await
                .unwrap();
        }
        for webhook in webhooks {
            world.store.delete_webhook(webhook).await.unwrap();
        }
    }
    assert_eq!(world.store.check().await.unwrap(), Vec::<String>::new());
}

async fn beginning(world: &mut World, case: u32) -> (Tenant, Vec<WebhookId>) {
    let tenant = world.tenant(&case.to_string()).await;
    let mut webhooks = vec![tenant.webhook];
    while webhooks.len() < WEBHOOKS {
        let webhook = world.webhook(tenant.environment);
        webhooks.push(webhook.id);
        world.store.create_webhook(webhook).await.unwrap();
    }
    (tenant, webhooks)
}

/// A dedup key that no other case uses.
fn key_of(tenant: &Tenant, number: u8) -> Option<crate::record::DedupKey> {
    let mut of_case = key(number);
    let environment = tenant.environment.0.into_bytes();
    of_case.0[1..].copy_from_slice(&environment[1..]);
    (number != 0).then_some(of_case)
}

#[expect(clippy::too_many_lines, reason = "one arm a step")]
async fn take(
    world: &mut World,
    tenant: &Tenant,
    webhooks: &[WebhookId],
    model: &mut Model,
    step: &Step,
) {
    match step {
        Step::Record(keys) => {
            let post: Vec<_> = keys
                .iter()
                .map(|&number| world.arriving(tenant, Verdict::Accepted, key_of(tenant, number)))
                .collect();
            let expected: Vec<Verdict> = keys.iter().map(|&number| model.claim(number)).collect();
            assert_eq!(
                world.store.record_notifications(post).await.unwrap(),
                expected
            );
            let accepted = expected
                .iter()
                .filter(|&&verdict| verdict == Verdict::Accepted)
                .count();
            queue_newest(world, model, accepted, false).await;
        }
        Step::Hold => {
            world
                .record(world.arriving(tenant, Verdict::Held, None))
                .await;
            queue_newest(world, model, 1, true).await;
        }
        Step::Settle(nth, key) => {
            let Some((seq, true)) = model.nth_queued(*nth) else {
                return;
            };
            let (verdict, number) = match key {
                Some(number) => (Verdict::Accepted, *number),
                None => (Verdict::UnknownSubscription, 0),
            };
            let settled = world.arriving(tenant, verdict, key_of(tenant, number));
            let expected = if verdict == Verdict::Accepted {
                model.claim(number)
            } else {
                verdict
            };
            assert_eq!(
                world
                    .store
                    .settle_held(seq, world.lease(Shard::FIRST), settled)
                    .await
                    .unwrap(),
                expected
            );
            if expected == Verdict::Accepted {
                model.queue.insert(seq, false);
            } else {
                model.queue.remove(&seq);
            }
        }
        Step::Finish(nth, to) => {
            let Some((seq, _)) = model.nth_queued(*nth) else {
                return;
            };
            let queued = world
                .store
                .queued_notifications_at(vec![seq])
                .await
                .unwrap()
                .remove(0);
            let to: Vec<WebhookId> = to.iter().map(|&one| webhooks[one]).collect();
            let event = world.event(tenant, &queued, &to);
            for delivery in &event.deliveries {
                if !model.removed.contains(&delivery.webhook) {
                    let state = (delivery.webhook, DeliveryState::Pending);
                    model.deliveries.insert(delivery.id, state);
                }
            }
            assert!(
                world
                    .store
                    .finish_notification(seq, world.lease(Shard::FIRST), vec![event].into())
                    .await
                    .unwrap()
            );
            model.queue.remove(&seq);
        }
        Step::Attempt(nth, what) => {
            let Some((id, webhook, state)) = model.nth_delivery(*nth) else {
                return;
            };
            let (next, after) = match what {
                0 => (AfterAttempt::Delivered, DeliveryState::Delivered),
                1 => (
                    AfterAttempt::Dead(DeadReason::Exhausted),
                    DeliveryState::Dead,
                ),
                _ => (AfterAttempt::Retry(world.now()), DeliveryState::Pending),
            };
            world.attempted(id, webhook, next).await;
            if state == DeliveryState::Pending {
                model.deliveries.insert(id, (webhook, after));
            }
        }
        Step::Redeliver(nth) => {
            let Some((id, webhook, _)) = model.nth_delivery(*nth) else {
                return;
            };
            let again = world.store.redeliver(id, world.now()).await;
            if model.removed.contains(&webhook) {
                assert!(again.is_err());
            } else {
                assert!(again.unwrap().is_some());
                model
                    .deliveries
                    .insert(id, (webhook, DeliveryState::Pending));
            }
        }
        Step::Disable(which) | Step::Enable(which) => {
            let webhook = webhooks[*which];
            let disable = matches!(step, Step::Disable(_));
            let state = if disable {
                WebhookState::Disabled {
                    reason: DisabledReason::Operator,
                    since: world.now(),
                }
            } else {
                WebhookState::Active
            };
            let change = WebhookChange {
                state: Some(state),
                ..WebhookChange::default()
            };
            let changed = world.store.change_webhook(webhook, change).await.unwrap();
            assert_eq!(changed.is_some(), !model.removed.contains(&webhook));
            if disable {
                model.disabled.insert(webhook);
            } else {
                model.disabled.remove(&webhook);
            }
        }
        Step::Remove(which) => {
            let webhook = webhooks[*which];
            let removed = world.store.delete_webhook(webhook).await.unwrap();
            assert_eq!(removed, model.removed.insert(webhook));
            model
                .deliveries
                .retain(|_, (of, state)| *of != webhook || *state == DeliveryState::Delivered);
        }
        Step::Restart => world.restart().await,
    }
}

/// Takes over the places that the store gave.
async fn queue_newest(world: &World, model: &mut Model, count: usize, held: bool) {
    let queue = world.queue().await;
    for queued in &queue[queue.len() - count..] {
        assert!(
            model.queue.insert(queued.seq, held).is_none(),
            "a place is given once"
        );
    }
}

async fn compare(world: &World, webhooks: &[WebhookId], model: &Model, at: &str) {
    let queue = world.queue().await;
    let queue: BTreeMap<Seq, bool> = queue
        .iter()
        .map(|queued| (queued.seq, queued.notification.verdict == Verdict::Held))
        .collect();
    assert_eq!(queue, model.queue, "{at}");
    let mut pending = 0;
    for &webhook in webhooks {
        let expected: BTreeSet<DeliveryId> = model
            .deliveries
            .iter()
            .filter(|(_, (of, state))| *of == webhook && *state == DeliveryState::Pending)
            .map(|(&id, _)| id)
            .collect();
        pending += expected.len();
        let due: BTreeSet<DeliveryId> = world.due(webhook).await.iter().map(|one| one.id).collect();
        if model.disabled.contains(&webhook) {
            assert!(due.is_empty(), "{at}");
        } else {
            assert_eq!(due, expected, "{at}");
        }
    }
    for (&id, &(webhook, state)) in &model.deliveries {
        let held = state == DeliveryState::Pending && model.disabled.contains(&webhook);
        let expected = if held { DeliveryState::Held } else { state };
        let found = world.store.delivery(id).await.unwrap().unwrap();
        assert_eq!(found.state, expected, "{at}");
    }
    let health = world.store.health().await;
    assert_eq!(
        health.queued_notifications,
        model.queue.len() as u64,
        "{at}"
    );
    assert_eq!(health.pending_deliveries, pending as u64, "{at}");
}

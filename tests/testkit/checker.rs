//! The account that must balance: acknowledged, delivered, lost, twice.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    api::Api,
    receiver::{Delivery, Receiver},
    signature, wait,
};

/// What became of what was sent.
#[derive(Debug, Default)]
pub struct Account {
    /// Items answered 202.
    pub acknowledged: usize,
    /// Of those, the ones that never arrived.
    pub lost: Vec<String>,
    /// Arrivals beyond the first of an item.
    pub duplicates: usize,
    /// Items that arrived though they were not acknowledged: the answer was lost on its way.
    pub unacknowledged: usize,
    /// Arrivals that were not as promised, each with why.
    pub wrong: Vec<String>,
}

/// Waits until everything acknowledged has arrived and nothing is under way any more, then draws up the account. Gives
/// up on what does not come while nothing else comes either.
pub async fn settle(
    acknowledged: &BTreeSet<String>,
    receiver: &Receiver,
    secret: &str,
    api: &Api,
) -> Account {
    let mut missing: BTreeSet<String> = acknowledged.clone();
    let mut seen = 0;
    while !missing.is_empty() {
        if !receiver.gets(seen + 1, wait::PATIENCE).await {
            break;
        }
        for delivery in receiver.since(seen) {
            seen += 1;
            missing.remove(&delivery.item());
        }
    }
    wait::until("an end of all deliveries", || async {
        let pending = api.get("/v1/deliveries?state=pending&limit=1").await;
        let ended = pending["data"].as_array().is_some_and(Vec::is_empty);
        ended.then_some(())
    })
    .await;
    account(acknowledged, &receiver.deliveries(), secret)
}

/// Compares what was acknowledged with what arrived. Every arrival must be signed with `secret`; all arrivals of an event
/// must have the same body; an item must not lead to two events.
pub fn account(
    acknowledged: &BTreeSet<String>,
    deliveries: &[Arc<Delivery>],
    secret: &str,
) -> Account {
    let mut arrivals: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut bodies: HashMap<String, &Arc<Delivery>> = HashMap::new();
    let mut account = Account {
        acknowledged: acknowledged.len(),
        ..Account::default()
    };
    for delivery in deliveries {
        let id = delivery.id().to_owned();
        if let Err(why) = signature::check(delivery, secret) {
            account.wrong.push(format!("{id}: {why}"));
        }
        let first = bodies.entry(id.clone()).or_insert(delivery);
        if first.body != delivery.body {
            account.wrong.push(format!("{id} came with two bodies"));
        }
        *arrivals
            .entry(delivery.item())
            .or_default()
            .entry(id)
            .or_default() += 1;
    }
    for (item, events) in &arrivals {
        if events.len() > 1 {
            account
                .wrong
                .push(format!("{item} led to {} events", events.len()));
        }
        account.duplicates += events.values().sum::<usize>() - 1;
        if !acknowledged.contains(item) {
            account.unacknowledged += 1;
        }
    }
    account.lost = acknowledged
        .iter()
        .filter(|item| !arrivals.contains_key(*item))
        .cloned()
        .collect();
    account
}

impl Account {
    /// Fails unless nothing was lost and nothing was wrong.
    pub fn assert_whole(&self) {
        assert!(
            self.lost.is_empty(),
            "{} of {} acknowledged items never arrived, such as {:?}",
            self.lost.len(),
            self.acknowledged,
            self.lost.first()
        );
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }
}

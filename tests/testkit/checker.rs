//! The account that must balance: acknowledged, delivered, lost, twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{receiver::Delivery, signature};

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

/// Compares what was acknowledged with what arrived. Every arrival must be signed with `secret`; all arrivals of an event
/// must have the same body; an item must not lead to two events.
pub fn account(acknowledged: &BTreeSet<String>, deliveries: &[Delivery], secret: &str) -> Account {
    let mut arrivals: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut bodies: HashMap<String, &Delivery> = HashMap::new();
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

//! Changes to the same items, one after the other: their events have to be in the same order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::task::JoinSet;
use url::Url;

use crate::{
    api::{Api, Http},
    collection::{Subscribed, collection},
    wait,
};

/// How many changes each item sees.
const CHANGES: u32 = 4;

/// Between two posts: what is shown is order, not speed.
const PACE: Duration = Duration::from_millis(20);

/// Items and, of each, the changes that were answered 202, in their order.
type Acknowledged = BTreeMap<String, Vec<u32>>;

/// A generator that posts one change of an item after the other has been answered.
#[derive(Debug)]
pub struct Sequences {
    stop: Arc<AtomicBool>,
    posting: JoinSet<Acknowledged>,
}

impl Sequences {
    /// Starts it. It outlives the gateways' restarts.
    pub fn start(notification_url: &Url, subscribed: &Subscribed) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut posting = JoinSet::new();
        posting.spawn(post(
            notification_url.clone(),
            subscribed.clone(),
            Arc::clone(&stop),
        ));
        Self { stop, posting }
    }

    /// Ends after the item that is under way; gives what was acknowledged.
    pub async fn stop(mut self) -> Acknowledged {
        self.stop.store(true, Ordering::Relaxed);
        let ended = wait::soon("the sequences", self.posting.join_next()).await;
        ended
            .expect("there is one generator")
            .expect("it does not panic")
    }
}

async fn post(url: Url, subscribed: Subscribed, stop: Arc<AtomicBool>) -> Acknowledged {
    let http = Http::new();
    let headers = [("content-type", "application/json")];
    let mut acknowledged = Acknowledged::new();
    while !stop.load(Ordering::Relaxed) {
        let item = format!("sequence-{:06}", acknowledged.len());
        let mut changes = Vec::new();
        for change in 0..CHANGES {
            let body = collection([subscribed.deleted_again(&item, change)]);
            let answer = http.try_send("POST", url.clone(), &headers, body).await;
            if answer.is_ok_and(|answer| answer.status == 202) {
                changes.push(change);
            }
            wait::pass(PACE).await;
        }
        acknowledged.insert(item, changes);
    }
    acknowledged
}

/// Waits until all of it has become events, and fails unless the events of each item were made in the order of its
/// changes; gives how many there were.
pub async fn check_order(api: &Api, connection_id: &str, acknowledged: &Acknowledged) -> usize {
    let wanted: BTreeSet<(String, u32)> = acknowledged
        .iter()
        .flat_map(|(item, changes)| changes.iter().map(|change| (item.clone(), *change)))
        .collect();
    let events = wait::until("an event for each change in a sequence", || async {
        let path = format!("/v1/events?connection={connection_id}");
        let events = api.list(&path).await;
        (events.len() >= wanted.len()).then_some(events)
    })
    .await;

    let mut seen: BTreeMap<String, Vec<(String, u32)>> = BTreeMap::new();
    for event in &events {
        let (item, change) = change_of(api, event).await;
        let at = event["created_at"].as_str().expect("an event has a time");
        seen.entry(item).or_default().push((at.to_owned(), change));
    }
    let mut missing = wanted;
    for (item, mut events) in seen {
        // By time, and within a millisecond by change.
        events.sort();
        let changes: Vec<u32> = events.iter().map(|(_, change)| *change).collect();
        assert!(
            changes.is_sorted_by(|one, next| one < next),
            "the events of {item} are out of order, or repeated: {events:?}"
        );
        for change in changes {
            missing.remove(&(item.clone(), change));
        }
    }
    assert!(missing.is_empty(), "never became events: {missing:?}");
    events.len()
}

/// Which item an event is of, and which of its changes.
async fn change_of(api: &Api, event: &Value) -> (String, u32) {
    let notification = event["notification_id"].as_str();
    let notification = notification.expect("an event has a notification");
    let notification = api.get(&format!("/v1/notifications/{notification}")).await;
    let id = notification["item"]["id"].as_str();
    let id = id.unwrap_or_else(|| panic!("no item: {notification}"));
    let (item, change) = id
        .strip_prefix("n-")
        .and_then(|id| id.rsplit_once('-'))
        .expect("an id of a sequence");
    (item.to_owned(), change.parse().expect("a number"))
}

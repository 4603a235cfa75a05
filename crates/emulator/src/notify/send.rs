//! One POST with its retries: 3 s for the first try, 10 s for each other, exponential waits, 4 h in all.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tidings_domain::SafeUrl;
use tidings_egress::{EgressError, OnCap, Request};
use url::Url;
use uuid::Uuid;

use super::{
    Outgoing,
    air::Flight,
    host::{Admission, Host},
    tell_missed,
};
use crate::{
    ledger::{Loss, Sent},
    world::World,
};

/// How much of an answer is read: its status says all.
const ANSWER_CAP: usize = 1_024;

/// A POST on its way.
struct Post {
    url: Url,
    body: Bytes,
    subscriptions: Vec<Uuid>,
    /// Subscriptions that are to hear of a loss.
    missed: Vec<Uuid>,
}

/// Sends items of one URL in one POST.
pub(super) fn start(world: &Arc<World>, items: &[Outgoing]) {
    if let Some(post) = Post::of(world, items) {
        spawn(world, vec![post]);
    }
}

/// Sends each item in a POST of its own, each after the first try of the one before.
pub(super) fn start_in_order(world: &Arc<World>, items: Vec<Outgoing>) {
    let posts = items
        .into_iter()
        .filter_map(|item| Post::of(world, &[item]))
        .collect();
    spawn(world, posts);
}

/// Sends a body as it is.
pub(super) fn start_raw(world: &Arc<World>, url: Url, body: String) {
    let post = Post {
        url,
        body: body.into(),
        subscriptions: Vec::new(),
        missed: Vec::new(),
    };
    spawn(world, vec![post]);
}

fn spawn(world: &Arc<World>, posts: Vec<Post>) {
    let world = Arc::clone(world);
    let tasks = world.tasks.clone();
    let posts: Vec<(Post, Flight)> = posts
        .into_iter()
        .map(|post| (post, Flight::post(&world)))
        .collect();
    tasks.spawn(async move {
        let in_order = posts.len() > 1;
        for (post, flight) in posts {
            let stopped = world.stop.cancelled();
            tokio::select! {
                left = run(&world, post, in_order, &flight) => if let Some((post, tried)) = left {
                    // The others do not wait for the retries of this one.
                    spawn_rest(&world, post, tried);
                },
                () = stopped => return,
            }
        }
    });
}

fn spawn_rest(world: &Arc<World>, post: Post, tried: Tried) {
    let world = Arc::clone(world);
    let tasks = world.tasks.clone();
    let flight = Flight::post(&world);
    tasks.spawn(async move {
        tokio::select! {
            () = retry(&world, &post, tried, &flight) => {}
            () = world.stop.cancelled() => {}
        }
    });
}

/// How far a POST has come.
#[derive(Clone, Copy)]
struct Tried {
    first_at: Duration,
    number: u32,
}

/// The first try, and unless `first_only`, all others. What is left to do is given back.
async fn run(
    world: &Arc<World>,
    post: Post,
    first_only: bool,
    flight: &Flight,
) -> Option<(Post, Tried)> {
    let delivery = world.delivery();
    let host = world.notifier.hosts.of(&post.host(), &delivery);
    let now = world.clock.monotonic();
    let sample = match host.admit(now, true, &post.missed, &delivery) {
        Admission::Go => false,
        Admission::Sample => true,
        Admission::Lost => {
            post.lost(world, Loss::DropState);
            return None;
        }
        Admission::Wait(span) => {
            flight.sleep(span).await;
            let now = world.clock.monotonic();
            match host.admit(now, false, &post.missed, &delivery) {
                Admission::Lost => {
                    post.lost(world, Loss::DropState);
                    return None;
                }
                admission => admission == Admission::Sample,
            }
        }
    };
    let first_at = world.clock.monotonic();
    if attempt(world, &host, &post, 1, sample).await {
        return None;
    }
    let tried = Tried {
        first_at,
        number: 1,
    };
    if first_only {
        return Some((post, tried));
    }
    retry(world, &post, tried, flight).await;
    None
}

async fn retry(world: &Arc<World>, post: &Post, tried: Tried, flight: &Flight) {
    let mut number = tried.number;
    loop {
        let delivery = world.delivery();
        flight.sleep(delivery.wait_after(number)).await;
        let now = world.clock.monotonic();
        if now.saturating_sub(tried.first_at) > delivery.give_up() {
            post.lost(world, Loss::GaveUp);
            tell_missed(world, post.missed.iter().copied());
            return;
        }
        let host = world.notifier.hosts.of(&post.host(), &delivery);
        let sample = match host.admit(now, false, &post.missed, &delivery) {
            Admission::Lost => {
                post.lost(world, Loss::DropState);
                return;
            }
            admission => admission == Admission::Sample,
        };
        number += 1;
        if attempt(world, &host, post, number, sample).await {
            return;
        }
    }
}

/// One try; whether it was answered with 2xx.
async fn attempt(world: &Arc<World>, host: &Host, post: &Post, number: u32, sample: bool) -> bool {
    let delivery = world.delivery();
    // A sample tells whether answers come within the longer of both limits.
    let limit = if sample {
        delivery.timeout(2)
    } else {
        delivery.timeout(number)
    };
    let _permit = host
        .permits
        .acquire()
        .await
        .expect("invariant: permits of a host are never closed");
    let at = world.clock.now();
    let begun = world.clock.monotonic();
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let answer = world
        .egress
        .send(Request {
            method: Method::POST,
            url: post.url.clone(),
            headers,
            body: post.body.clone(),
            deadline: limit,
            answer_cap: ANSWER_CAP,
            on_cap: OnCap::Cut,
        })
        .await;
    let now = world.clock.monotonic();
    let took = match answer {
        // A clock that was moved further than the limit must not make a timeout longer than it was.
        Err(EgressError::Timeout { limit }) => limit,
        _ => now.saturating_sub(begun),
    };
    let back = host.record(now, took, sample, &delivery);
    let status = answer.as_ref().ok().map(|answer| answer.status);
    let error = answer.err().map(|error| error.to_string());
    tracing::debug!(
        notification.url = %SafeUrl::new(post.url.clone()),
        notification.items = post.subscriptions.len(),
        notification.attempt = number,
        http.status = status.map(|status| status.as_u16()),
        error.message = error.as_deref(),
        "sent a notification"
    );
    world.ledger.sent(Sent {
        at,
        url: post.url.to_string(),
        attempt: number,
        items: post.subscriptions.len(),
        subscriptions: post.subscriptions.clone(),
        status: status.map(|status| status.as_u16()),
        error,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    });
    tell_missed(world, back);
    status.is_some_and(|status: StatusCode| status.is_success())
}

impl Post {
    /// A POST of items that share a URL; `None` without items.
    fn of(world: &World, items: &[Outgoing]) -> Option<Self> {
        let url = items.first()?.url.clone();
        let mut body =
            String::with_capacity(items.iter().map(|item| item.json.len() + 1).sum::<usize>() + 64);
        body.push_str("{\"value\":[");
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                body.push(',');
            }
            body.push_str(&item.json);
        }
        body.push(']');
        if world.switches().unknown_members {
            body.push_str(",\"batchHint\":{\"shard\":7}");
        }
        body.push('}');
        Some(Self {
            url,
            body: body.into(),
            subscriptions: items.iter().map(|item| item.subscription).collect(),
            missed: items
                .iter()
                .filter(|item| item.missed.is_some())
                .map(|item| item.subscription)
                .collect(),
        })
    }

    fn lost(&self, world: &World, loss: Loss) {
        world.ledger.lost(loss, self.subscriptions.len());
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!(
            "{host}:{}",
            self.url.port_or_known_default().unwrap_or_default()
        )
    }
}
